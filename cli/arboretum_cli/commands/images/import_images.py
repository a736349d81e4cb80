"""`arboretum import-images`: an image store out of files."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arboretum_cli.flags.declared import Given, takes
from arboretum_cli.flags.shared import Json, reaches_buckets
from arboretum_cli.printing.output import duration, result, table
from arboretum_cli.printing.progress import Progress
from arboretum_tools.options.download import ImportOptions
from arboretum_tools.wording import counted, size

if TYPE_CHECKING:
    from arboretum_tools.importing.report import ImportReport


@takes(options=ImportOptions)
@reaches_buckets(writes=True)
def import_images(
    folder: Annotated[Path, typer.Argument(help="The folder of the images; only read.", metavar="FOLDER")],
    options: Given,
    json: Json = False,
) -> None:
    """Make an image store of files: the images of a published split, or a folder per class.

    Each file is checked as a download checks a photo; links are not followed. What is left out is counted by
    reason. Run again, it takes what is new or was left out. In Python:
    `arboretum_tools.import_images(folder, images="images")`.

    \b
    Examples:
        arboretum import-images traps --out traps.parquet --images traps-images --left-out left-out.csv
        arboretum import-images traps --names labels --out labels.parquet --images traps-labels
        arboretum import-images inat2018 --split splits/inat-2018 --images inat-2018
        arboretum import-images inat2018 --split splits/inat-2018 --images small --resize 256 --check decode
    """
    from arboretum_tools import import_images as bring_in

    with Progress() as progress:
        report = bring_in(folder, **options, on_event=progress)
    labels = str(options.get("names")).lower() == "labels"
    result(json, report.to_dict(), _lines(report, labels=labels))


def _lines(report: ImportReport, *, labels: bool) -> list[str]:
    lines = [
        f"{counted(report.files, 'file')} in {report.folder}: {counted(report.images, 'image')} in "
        f"{report.store}"
        + (f", of {counted(report.classes, 'class')}" if report.classes is not None else ""),
        f"{report.tried:,} read, {report.stored:,} stored ({size(report.size_bytes)}) in "
        f"{duration(report.seconds)}",
    ]
    if report.left_out:
        rows = [(one.status, one.files, one.reason, one.example) for one in report.left_out]
        lines += ["left out:", *table(("status", "files", "reason", "for example"), rows)]
    if report.catalog is not None:
        rank, kind = (" --rank genus", "labels") if labels else ("", "species")
        lines += [
            f"catalogue written to {report.catalog}, with the names of the folders as {kind}; make a split "
            "of it by",
            f"  arboretum make-split --catalog {shlex.quote(str(report.catalog))} "
            f"--images {shlex.quote(report.store)}{rank} --lt-ratio 10",
        ]
    return lines
