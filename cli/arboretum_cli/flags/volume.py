"""How much a command says besides its result: `--quiet` and `--verbose`, which every command has."""

from __future__ import annotations

import inspect
from typing import Annotated

import typer

from arboretum_cli.flags.declared import Command, in_place_of, own_parameters
from arboretum_cli.printing import output

_Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        help="Print the result and errors only, no progress and no notes.",
    ),
]

_Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        help="Print every note, however often it came, and the traceback of an internal error.",
    ),
]


def with_volume(command: Command) -> Command:
    """Gives a command `--quiet` and `--verbose`, as its last options."""
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
        for name, annotation in (("quiet", _Quiet), ("verbose", _Verbose))
    ]

    def called(*, quiet: bool, verbose: bool, **values: object) -> None:
        if quiet or verbose:
            output.volume = output.Volume.QUIET if quiet else output.Volume.VERBOSE
        command(**values)

    return in_place_of(command, called, [*own_parameters(command), *added])
