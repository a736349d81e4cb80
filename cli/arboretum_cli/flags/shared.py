"""What several commands are given alike, declared once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

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


Endpoint = Annotated[
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

Scratch = Annotated[
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
