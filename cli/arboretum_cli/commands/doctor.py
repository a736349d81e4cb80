"""`arboretum doctor`: why do most of mine fail?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arboretum_cli._options import Contact, Json, Origin
from arboretum_cli._output import result

#: Exit code where a check found a problem: the same as for bad input or configuration.
PROBLEM = 3


def doctor(
    images: Annotated[
        Path, typer.Option("--images", help="The image store, which need not be there yet.", metavar="DIR")
    ] = Path("images"),
    connections: Annotated[
        int, typer.Option("--connections", help="As many as the download uses.", metavar="N")
    ] = 32,
    contact: Contact = None,
    origin: Origin = None,
    json: Json = False,
) -> None:
    """Say why downloads fail: network, proxy, certificates, clock, disk, store.

    Changes nothing; asks each image host for one answer. Exits with 3 where a download cannot work. In
    Python: `arboretum_tools.downloading.doctor.examine(images, DownloadOptions())`.

    \b
    Examples:
        arboretum doctor
        arboretum doctor --images bird-images --json
    """
    from arboretum_tools.downloading.doctor import examine
    from arboretum_tools.downloading.options import DownloadOptions, address_rules

    options = DownloadOptions(connections=connections, contact=contact, rules=address_rules(origin, ()))
    found = examine(images, options)
    lines = []
    for check in found.checks:
        lines.append(f"{check.level:<8} {check.name}: {check.saw}")
        if check.advice:
            lines.append(f"{'':<8} {check.advice}")
    result(json, found.to_dict(), lines)
    if found.level == "problem":
        raise typer.Exit(PROBLEM)
