"""Training: the long-tailed methods on a split, the reference to fork. Needs the extra `train` (torch).

`losses`, `networks` and `optim` are plain functions and modules that work in any loop.
"""
