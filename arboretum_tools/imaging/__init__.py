"""Images: whether bytes are one, decoding, shrinking and drawing them, and figures."""
