"""`arboretum export`: a split, or any selection, into a training format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arboretum_cli.flags.declared import Given, takes
from arboretum_cli.flags.selection import SelectionFlags, takes_selection
from arboretum_cli.flags.shared import Json, reaches_buckets
from arboretum_cli.printing.output import result, table
from arboretum_cli.printing.progress import Progress
from arboretum_tools.options.export import ExportOptions
from arboretum_tools.wording import counted, size

if TYPE_CHECKING:
    from arboretum_tools.exporting import ExportReport


@takes_selection
@takes(options=ExportOptions)
@reaches_buckets()
def export(
    flags: SelectionFlags,
    options: Given,
    split: Annotated[
        Path | None,
        typer.Argument(
            help="The split to export; without it and without selection flags, what was downloaded.",
            metavar="SPLIT",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Write a split, or any selection, in the form that training code reads.

    A selection becomes a single part `train` with the classes found in it. Without a split or selection
    flags, all photos requested and downloaded into the image store are exported. In Python:
    `arboretum_tools.export(split, images="images", to="wds", format="webdataset")`.

    \b
    Examples:
        arboretum export splits/aves-lt100 --format webdataset --out wds
        arboretum export splits/aves-lt100 --index-only --out index
        arboretum export splits/aves-lt100 --format hf --out hf
        arboretum export splits/aves-lt100 --exclude marks.csv --out without-marked
        arboretum export splits/aves-lt100 --format lists --name Aves_LT --out lists
        arboretum export splits/aves-lt100 --format inat-json --out inat
        arboretum export splits/aves-lt100 --even drop --world-size 8 --workers 4 --out wds-8x4
        arboretum export --taxa "House Sparrow" --license open --images images --out sparrows
    """
    from arboretum_tools import export as write

    if split is not None:
        flags.refuse_beside("the split")
    if options.get("format", "").lower() == "csv" and "captions" in options:
        # The one caption that a row of CSV has is its title.
        options["caption"] = ",".join(options.pop("captions"))
    with Progress() as progress:
        what: Any = split
        if split is None:
            images = options.get("images", ExportOptions.images)
            what, downloaded = flags.select_or_downloaded(images, progress)
            if downloaded:
                options.setdefault("allow_missing", True)
        report = write(what, on_event=progress, **options)
    result(json, report.to_dict(), _lines(report))


def _lines(report: ExportReport) -> list[str]:
    missing = {part: sum(states.values()) for part, states in report.missing.items()}
    rows = [(part, count, missing.get(part, 0)) for part, count in report.photos.items()]
    text = f"{counted(report.files, 'file')}, {size(report.size_bytes)}, as {report.format} in {report.path}"
    made_anew = report.details.get("made_anew", {})
    even = report.details.get("even", {})
    indexed = report.details.get("indexed", {})
    return [
        *table(("part", "photos", "missing"), rows),
        *(
            f"{part}: in {counted(indexed[part]['shards'], 'shard')} of the store, beside "
            f"{counted(indexed[part]['others'], 'other photo')}"
            for part in report.photos
            if part in indexed
        ),
        *(f"made anew: {count:,} {what}" for what, count in made_anew.items()),
        *(
            [
                f"train: {counted(even['shards'], 'shard')} of "
                f"{counted(even['samples_per_shard'], 'sample')}; "
                f"{counted(even['dropped'], 'photo')} left out, {even['repeated']:,} repeated"
            ]
            if even
            else []
        ),
        f"written: {text}" if report.written else f"there already, the same export; nothing written: {text}",
    ]
