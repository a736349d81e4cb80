"""Photos of one task, many at a time: which next, at what pace, and what became of each."""
