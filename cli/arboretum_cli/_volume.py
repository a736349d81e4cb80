"""How much a command says besides its result: `--quiet` and `--verbose`, which every command has."""

from __future__ import annotations

import inspect
from typing import Annotated

import typer

from arboretum_cli import _output
from arboretum_cli._flags import Command, in_place_of, own_parameters

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
            _output.volume = _output.Volume.QUIET if quiet else _output.Volume.VERBOSE
        command(**values)

    return in_place_of(command, called, [*own_parameters(command), *added])
