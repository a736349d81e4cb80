"""Zero-shot classification: a split predicted by a CLIP model, from the names of its classes alone."""
