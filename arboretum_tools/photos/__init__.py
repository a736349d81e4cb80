"""Photos: which are meant, in which order, and whom they are credited to."""
