"""`arboretum store`: what changes an image store besides a download."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arboretum_cli.flags.declared import Given, takes
from arboretum_cli.flags.shared import Json, reaches_buckets
from arboretum_cli.flags.volume import with_volume
from arboretum_cli.printing.output import result
from arboretum_cli.printing.progress import Progress
from arboretum_tools.options import Option
from arboretum_tools.options.store import ImagesOption, MergeOptions, PruneOptions
from arboretum_tools.wording import counted, size

if TYPE_CHECKING:
    from arboretum_tools.store.pruning import PruneReport


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """What is removed, from where, and whether it is."""

    photo_ids: Annotated[
        Path,
        Option(
            "The photos to remove: ids, pages or addresses, one per line, or a column of CSV or Parquet.",
            metavar="FILE",
            required=True,
        ),
    ]
    images: ImagesOption = Path("images")
    apply: Annotated[bool, Option("Remove them; without it, only say what would be removed.")] = False


@takes(own=Pruned, options=PruneOptions)
@reaches_buckets(writes=True)
def prune(
    own: Pruned,
    options: Given,
    json: Json = False,
) -> None:
    """Remove photos from an image store for good, for example at a photographer's request.

    Shards that hold them are rewritten, and a tombstone remains for each photo: id, time and reason. No
    download fetches it again; exports and subsets leave it out, without --allow-missing. Splits and exports
    made earlier are not changed. After an interruption, the same command continues. In Python:
    `prune_store(images, photo_ids)`.

    \b
    Examples:
        arboretum store prune --photo-ids withdrawn.txt
        arboretum store prune --photo-ids withdrawn.txt --reason "asked by the photographer" --apply
    """
    from arboretum_tools.store.pruning import prune_store

    with Progress() as progress:
        report = prune_store(own.images, own.photo_ids, apply=own.apply, **options, on_event=progress)
    result(json, report.to_dict(), _lines(report))


def _lines(report: PruneReport) -> list[str]:
    verb = "removed" if report.applied else "would remove"
    return [
        f"{report.path}: {verb} {counted(report.removed, 'image')} ({size(report.removed_bytes)}) of "
        f"{counted(report.shards, 'shard')}",
        *([f"not held, and never fetched from now on: {report.not_held:,}"] if report.not_held else []),
        *(
            [f"of these never asked of this store; mistyped? {report.never_asked:,}"]
            if report.never_asked
            else []
        ),
        *(
            [f"not looked into: {counted(report.open_shards, 'open shard')}, which --apply finishes first"]
            if report.open_shards
            else []
        ),
        *([f"removed before: {report.withdrawn_before:,}"] if report.withdrawn_before else []),
        *(
            ["exports that were made before still hold what was removed: make them again, or remove them"]
            if report.applied and report.removed
            else []
        ),
        *([] if report.applied else ["nothing was changed; --apply removes them"]),
    ]


@dataclass(frozen=True, kw_only=True)
class Merged:
    """Where the merged store lies."""

    to: Annotated[
        Path,
        Option(
            "The merged store: made if need be, else added to.",
            metavar="STORE",
            flag="out",
            short="o",
            required=True,
        ),
    ]


@takes(own=Merged, options=MergeOptions)
@reaches_buckets(writes=True)
def merge(
    sources: Annotated[list[Path], typer.Argument(help="The stores to merge.", metavar="STORE")],
    own: Merged,
    options: Given,
    json: Json = False,
) -> None:
    """Merge several image stores into one, or copy one store into shards of another size.

    All stores must hold photos of the same size. If several have a photo, the first one's image is taken; a
    photo withdrawn in any of them stays withdrawn. Every image is checked against its hash, plans are copied
    too, and the sources are only read. After an interruption, the same command continues. In Python:
    `merge_stores(sources, to)`.

    \b
    Examples:
        arboretum store merge images other-images --out all-images
        arboretum store merge images --shard-photos 2000 --out repacked
    """
    from arboretum_tools.store.merging import merge_stores

    with Progress() as progress:
        report = merge_stores(sources, own.to, **options, on_event=progress)
    lines = [
        f"{report.path}: {counted(report.images, 'image')} ({size(report.size_bytes)}) copied",
        *([f"states of photos without an image: {report.others:,}"] if report.others else []),
        *([f"passed over: {report.passed_over:,}"] if report.passed_over else []),
        *([f"plans: {report.plans:,}"] if report.plans else []),
    ]
    result(json, report.to_dict(), lines)


@dataclass(frozen=True, kw_only=True)
class Copied:
    """Where the copy lies."""

    to: Annotated[
        Path,
        Option(
            "Where the copy lies: a folder, or s3://BUCKET/PREFIX.",
            metavar="STORE",
            flag="out",
            short="o",
            required=True,
        ),
    ]


@takes(own=Copied)
@reaches_buckets(writes=True)
def copy(
    source: Annotated[Path, typer.Argument(help="The store to copy.", metavar="STORE")],
    own: Copied,
    json: Json = False,
) -> None:
    """Copy an image store to another place, byte for byte: a folder, or a bucket (extra `cloud`).

    Every shard keeps its number, tar first, then its index, so the copy is a store at every moment. Shards it
    already has are skipped: after an interruption, or when the source has grown, the same command continues.
    In Python: `copy_store(source, to)`.

    \b
    Examples:
        arboretum store copy images --out s3://photos/aves
        arboretum store copy s3://photos/aves --out images --endpoint https://minio.example
        arboretum store copy images --out s3://photos/aves --scratch /big/disk
    """
    from arboretum_tools.store.copying import copy_store

    with Progress() as progress:
        report = copy_store(source, own.to, on_event=progress)
    lines = [
        f"{report.path}: {counted(report.shards, 'shard')} ({size(report.size_bytes)}) copied",
        *([f"there before: {counted(report.there_before, 'shard')}"] if report.there_before else []),
        *([f"plans: {report.plans:,}"] if report.plans else []),
    ]
    result(json, report.to_dict(), lines)


#: Every command of the group with its line in the overview.
COMMANDS: dict[str, tuple[Callable[..., None], str]] = {
    "prune": (prune, "Remove photos for good."),
    "copy": (copy, "Copy a store to another place."),
    "merge": (merge, "Copy several stores into one, or one into other shards."),
}

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def store() -> None:
    """Change image stores: remove photos for good, copy them, merge several into one."""


for _name, (_command, _line) in COMMANDS.items():
    app.command(_name, short_help=_line)(with_volume(_command))
