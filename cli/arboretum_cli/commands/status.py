"""`arboretum status`: what an image store holds and lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arboretum_cli._output import counted, result, size, table


def status(
    store: Annotated[Path, typer.Argument(help="The image store.", metavar="STORE")] = Path("images"),
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Say what an image store holds and lacks, and why.

    Reads the indexes and the saved plans, never the images. In Python:
    `arboretum_tools.store.ledger.status(path)`.

    \b
    Examples:
        arboretum status
        arboretum status images --json
    """
    from arboretum_tools.store import ledger

    found = ledger.status(store)
    rows = [(state, count) for state, count in found.photos.items() if count]
    lines = [
        f"{found.path}: photos of size {found.size}, {size(found.size_bytes)} in "
        f"{counted(found.shards, 'shard')}"
        + (f" and {found.open_shards:,} open" if found.open_shards else "")
        + f", asked for by {counted(found.plans, 'plan')}",
        *table(("status", "photos"), rows),
    ]
    if found.reasons:
        reasons = [(r.status, r.photos, r.error) for r in found.reasons]
        lines += ["", *table(("status", "photos", "reason"), reasons)]
    result(json, found.to_dict(), lines)
