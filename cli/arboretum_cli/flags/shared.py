"""What several commands are given alike, declared once."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from arboretum_cli.flags.declared import Command, in_place_of, own_parameters
from arboretum_tools.options.catalog import DEFAULT_CATALOG
from arboretum_tools.options.store import IMAGES

SplitFolder = Annotated[Path, typer.Argument(help="The folder of the split.", metavar="SPLIT")]

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the file that is to be written.")]

Images = Annotated[
    Path,
    typer.Option("--images", help=IMAGES.help, metavar=IMAGES.metavar),
]

CatalogPath = Annotated[
    Path | None,
    typer.Option(
        "--catalog",
        help="The catalogue: a folder that `arboretum catalog build` made, or published Parquet. "
        f"[default: {DEFAULT_CATALOG}]",
        metavar="PATH",
        show_default=False,
    ),
]


def _use_endpoint(url: str | None) -> None:
    """Everything that reads from object storage looks at the environment."""
    if url is not None:
        os.environ["AWS_ENDPOINT_URL"] = url


def _use_scratch(folder: Path | None) -> None:
    """So does everything that writes there."""
    if folder is not None:
        os.environ["ARBORETUM_SCRATCH"] = str(folder.absolute())


_Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        help="Server of a store at s3://, such as MinIO, Ceph or R2. [default: $AWS_ENDPOINT_URL]",
        metavar="URL",
        show_default=False,
        callback=_use_endpoint,
        expose_value=False,
    ),
]

_Scratch = Annotated[
    Path | None,
    typer.Option(
        "--scratch",
        help="Folder where shards of a store in a bucket are filled before they are uploaded. "
        "[default: $ARBORETUM_SCRATCH]",
        metavar="DIR",
        show_default=False,
        callback=_use_scratch,
        expose_value=False,
    ),
]


def reaches_buckets(*, writes: bool = False) -> Callable[[Command], Command]:
    """Gives a command `--endpoint` and, if it writes, `--scratch`: they set the environment alone."""
    flags = {"endpoint": _Endpoint} | ({"scratch": _Scratch} if writes else {})

    def decorate(command: Command) -> Command:
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
            for name, annotation in flags.items()
        ]

        def called(**values: object) -> None:
            # Typer hands on what it was told not to, as None.
            command(**{name: value for name, value in values.items() if name not in flags})

        return in_place_of(command, called, [*own_parameters(command), *added])

    return decorate
