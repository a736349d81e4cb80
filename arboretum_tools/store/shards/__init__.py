"""Shards: file names, rows, tar entries, and how a shard that was cut short is finished."""
