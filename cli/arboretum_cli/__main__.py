"""`python -m arboretum_cli` is `arboretum`."""

from arboretum_cli.entry import main

main()
