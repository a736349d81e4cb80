"""From a split to figures of a model: exports, training, evaluation and comparison."""
