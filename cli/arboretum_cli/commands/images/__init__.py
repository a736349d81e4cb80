"""Photos: fetched into an image store, checked there, merged, pruned and looked at."""
