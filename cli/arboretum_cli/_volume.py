"""How much a command says besides its result: `--quiet` and `--verbose`, which every command has."""

from __future__ import annotations

import inspect
from typing import Annotated, get_type_hints

import typer

from arboretum_cli import _output
from arboretum_cli._flags import Command

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
    hints = get_type_hints(command, include_extras=True)
    signature = inspect.signature(command)
    own = [
        parameter.replace(annotation=hints.get(name, parameter.annotation))
        for name, parameter in signature.parameters.items()
    ]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
        for name, annotation in (("quiet", _Quiet), ("verbose", _Verbose))
    ]

    def called(*, quiet: bool, verbose: bool, **values: object) -> None:
        if quiet or verbose:
            _output.volume = _output.Volume.QUIET if quiet else _output.Volume.VERBOSE
        command(**values)

    called.__name__, called.__doc__, called.__module__ = command.__name__, command.__doc__, command.__module__
    called.__annotations__ = {p.name: p.annotation for p in (*own, *added)}
    called.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
    return called
