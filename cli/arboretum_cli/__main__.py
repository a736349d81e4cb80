"""`python -m arboretum_cli` is `arboretum`."""

from arboretum_cli.main import main

main()
