"""`arboretum store`: what changes an image store besides a download."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arboretum_cli._options import Json
from arboretum_cli._output import result, size
from arboretum_cli._progress import Progress
from arboretum_cli._volume import with_volume
from arboretum_tools.wording import counted

if TYPE_CHECKING:
    from arboretum_tools.store.pruning import PruneReport


def prune(
    photo_ids: Annotated[
        Path,
        typer.Option(
            "--photo-ids",
            help="The photos to remove: ids, pages or addresses, one a line, or a column of CSV or Parquet.",
            metavar="FILE",
        ),
    ],
    images: Annotated[Path, typer.Option("--images", help="The image store.", metavar="DIR")] = Path(
        "images"
    ),
    reason: Annotated[
        str, typer.Option("--reason", help="Why, for the tombstones.", metavar="TEXT")
    ] = "withdrawn",
    apply: Annotated[
        bool, typer.Option("--apply", help="Remove them; without it, only say what would be removed.")
    ] = False,
    json: Json = False,
) -> None:
    """Remove photos from an image store for good, as a photographer may ask.

    Shards that hold them are written anew, and of each photo a tombstone stays: id, time and reason. No
    download fetches it again; exports and subsets leave it out, without --allow-missing. Splits and exports
    that were made before are not changed. Interrupted, the same command goes on. In Python:
    `prune_store(images, photo_ids)`.

    \b
    Examples:
        arboretum store prune --photo-ids withdrawn.txt
        arboretum store prune --photo-ids withdrawn.txt --reason "asked by the photographer" --apply
    """
    from arboretum_tools.store.pruning import prune_store

    with Progress() as progress:
        report = prune_store(images, photo_ids, reason=reason, apply=apply, on_event=progress)
    result(json, report.to_dict(), _lines(report))


def _lines(report: PruneReport) -> list[str]:
    verb = "removed" if report.applied else "would remove"
    return [
        f"{report.path}: {verb} {counted(report.removed, 'image')} ({size(report.removed_bytes)}) of "
        f"{counted(report.shards, 'shard')}",
        *([f"not held, and never fetched from now on: {report.not_held:,}"] if report.not_held else []),
        *([f"removed before: {report.withdrawn_before:,}"] if report.withdrawn_before else []),
        *([] if report.applied else ["nothing was changed; --apply removes them"]),
    ]


#: Every command of the group with its line in the overview.
COMMANDS: dict[str, tuple[Callable[..., None], str]] = {
    "prune": (prune, "Remove photos for good."),
}

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def store() -> None:
    """Change an image store: remove photos from it for good."""


for _name, (_command, _line) in COMMANDS.items():
    app.command(_name, short_help=_line)(with_volume(_command))
