"""`arboretum doctor`: why do most of mine fail?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from arboretum_cli.flags.declared import Given, takes
from arboretum_cli.flags.shared import Json
from arboretum_cli.printing.output import result
from arboretum_tools.options import Option
from arboretum_tools.options.download import TaskOptions

#: Exit code where a check found a problem: the same as for bad input or configuration.
PROBLEM = 3


@dataclass(frozen=True, kw_only=True)
class OwnOptions:
    """What `arboretum doctor` takes besides what decides how photos are asked for."""

    images: Annotated[Path, Option("The image store, which need not be there yet.", metavar="DIR")] = Path(
        "images"
    )


@takes(own=OwnOptions)
@takes(options=TaskOptions, only=("connections", "contact", "origin"))
def doctor(
    options: Given,
    own: OwnOptions,
    json: Json = False,
) -> None:
    """Find out why downloads fail: network, proxy, certificates, clock, disk, store.

    Changes nothing; sends one request to each image host. Exits with 3 if a download cannot work. In
    Python: `arboretum_tools.downloading.doctor.examine(images, DownloadOptions())`.

    \b
    Examples:
        arboretum doctor
        arboretum doctor --images bird-images --json
    """
    from arboretum_tools.downloading.doctor import examine
    from arboretum_tools.downloading.options import DownloadOptions

    found = examine(own.images, DownloadOptions(**options))
    lines = []
    for check in found.checks:
        lines.append(f"{check.level:<8} {check.name}: {check.saw}")
        if check.advice:
            lines.append(f"{'':<8} {check.advice}")
    result(json, found.to_dict(), lines)
    if found.level == "problem":
        raise typer.Exit(PROBLEM)
