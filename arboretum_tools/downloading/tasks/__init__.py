"""The unit of work of a download, how one is done, and where several are."""
