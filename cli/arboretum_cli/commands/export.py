"""`arboretum export`: a split, or any selection, into a training format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arboretum_cli._options import Endpoint, Images, Json
from arboretum_cli._output import result, size, table
from arboretum_cli._progress import Progress
from arboretum_cli._selection import SelectionFlags, takes_selection
from arboretum_tools.wording import counted

if TYPE_CHECKING:
    from arboretum_tools.exporting import ExportReport


@takes_selection
def export(
    flags: SelectionFlags,
    split: Annotated[
        Path | None,
        typer.Argument(
            help="The split to export; without it, the selection.", metavar="SPLIT", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder to write.", metavar="DIR", show_default=False)
    ] = ...,  # type: ignore[assignment]
    format_name: Annotated[
        str,
        typer.Option(
            "--format",
            help="webdataset, hf (Hugging Face Parquet), imagefolder, lists (MDCS, DeiT-LT and their kin), "
            "csv (open_clip), or inat-json (iNaturalist 2018: DeiT, torchvision).",
            metavar="FORMAT",
        ),
    ] = "webdataset",
    images: Images = Path("images"),
    endpoint: Endpoint = None,  # noqa: ARG001 - its callback sets the environment
    allow_missing: Annotated[
        bool,
        typer.Option("--allow-missing", help="Go on without photos that the store lacks; they are listed."),
    ] = False,
    skip_bad: Annotated[
        bool,
        typer.Option("--skip-bad", help="Leave out photos that cannot be decoded; they are listed."),
    ] = False,
    parts: Annotated[
        str | None,
        typer.Option(
            "--parts",
            help="Only these, joined by commas. [default: all]",
            metavar="PARTS",
            show_default=False,
        ),
    ] = None,
    drop_classes: Annotated[
        bool,
        typer.Option(
            "--drop-classes",
            help="Leave out classes without a photo in one of the parts, and number the others anew.",
        ),
    ] = False,
    captions: Annotated[
        str | None,
        typer.Option(
            "--captions",
            help="webdataset: all ten caption types, none, or a list joined by commas [default: the five "
            "that Arboretum's own loader needs]; csv: the one type of its titles [default: sci_com].",
            metavar="TYPES",
            show_default=False,
        ),
    ] = None,
    samples_per_shard: Annotated[
        int | None,
        typer.Option(
            "--samples-per-shard", help="webdataset: at most so many.", metavar="N", show_default=False
        ),
    ] = None,
    shard_bytes: Annotated[
        int | None,
        typer.Option(
            "--shard-bytes",
            help="hf: a file holds about so many bytes of images. [default: 500 MB]",
            metavar="BYTES",
            show_default=False,
        ),
    ] = None,
    no_place: Annotated[bool, typer.Option("--no-place", help="hf: without latitude and longitude.")] = False,
    caption_template: Annotated[
        Path | None,
        typer.Option(
            "--caption-template",
            help='webdataset: captions of your own, from a TOML file: txt = ["a photo of $common_name.", '
            '"a photo of $genus."] makes the plain txt, any other name a member of that name.',
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    even: Annotated[
        str | None,
        typer.Option(
            "--even",
            help="webdataset: drop or repeat samples of train so that all its shards are equal.",
            metavar="drop|repeat",
            show_default=False,
        ),
    ] = None,
    world_size: Annotated[
        int | None,
        typer.Option(
            "--world-size",
            help="webdataset: processes that train together; a part has a shard for each of their workers.",
            metavar="N",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", help="webdataset: loader workers a process.", metavar="N", show_default=False
        ),
    ] = None,
    resize: Annotated[
        int | None,
        typer.Option(
            "--resize",
            help="Shrink images whose shorter side is longer than so many pixels. Not for hf.",
            metavar="PIXELS",
            show_default=False,
        ),
    ] = None,
    keep_formats: Annotated[
        bool,
        typer.Option(
            "--keep-formats",
            help="webdataset: leave PNG, GIF and WebP as they are; refused where a set would mix them.",
        ),
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            help="lists: the NAME of NAME_train.txt. [default: that of the split]",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Another order of the samples.", metavar="N")] = 0,
    json: Json = False,
) -> None:
    """Write a split, or any selection, in the form that training code reads.

    A selection becomes one part `train` with the classes found in it. In Python:
    `arboretum_tools.export(split, images="images", to="wds", format="webdataset")`.

    \b
    Examples:
        arboretum export splits/aves-lt100 --format webdataset --out wds
        arboretum export splits/aves-lt100 --format hf --out hf
        arboretum export splits/aves-lt100 --format lists --name Aves_LT --out lists
        arboretum export splits/aves-lt100 --format inat-json --out inat
        arboretum export splits/aves-lt100 --even drop --world-size 8 --workers 4 --out wds-8x4
        arboretum export --taxa "House Sparrow" --license open --images images --out sparrows
    """
    from arboretum_tools import export as write
    from arboretum_tools.captions import Templates
    from arboretum_tools.errors import UsageError

    if split is not None and flags.given:
        raise UsageError("the split names the photos already; leave the selection flags out")
    titles = format_name == "csv"
    with Progress() as progress:
        what: Any = split if split is not None else flags.select(flags.open(progress))
        report = write(
            what,
            images=images,
            to=out,
            format=format_name,
            parts=_listed(parts),
            seed=seed,
            allow_missing=allow_missing,
            skip_bad=skip_bad,
            drop_classes=drop_classes,
            on_event=progress,
            captions=None if titles else captions if captions in ("all", "none") else _listed(captions),
            caption=captions if titles else None,
            templates=None if caption_template is None else Templates.read(caption_template),
            samples_per_shard=samples_per_shard,
            shard_bytes=shard_bytes,
            place=False if no_place else None,
            even=even,
            world_size=world_size,
            workers=workers,
            resize=resize,
            keep_formats=keep_formats or None,
            name=name,
        )
    result(json, report.to_dict(), _lines(report))


def _lines(report: ExportReport) -> list[str]:
    missing = {part: sum(states.values()) for part, states in report.missing.items()}
    rows = [(part, count, missing.get(part, 0)) for part, count in report.photos.items()]
    text = f"{counted(report.files, 'file')}, {size(report.size_bytes)}, as {report.format} in {report.path}"
    made_anew = report.details.get("made_anew", {})
    even = report.details.get("even", {})
    return [
        *table(("part", "photos", "missing"), rows),
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


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]
