"""The command line: a thin shell over `arboretum_tools`, one file a stage in `commands/`."""
