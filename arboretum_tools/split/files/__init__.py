"""A split as files: its folder, its parts, their hashes, and published files that splits are made of."""
