"""What is asked of a split: the recipe, its file, benchmarks, and classes that a file fixes."""
