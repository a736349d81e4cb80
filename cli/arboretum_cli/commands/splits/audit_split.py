"""`arboretum audit-split`: proves that a split keeps its promises."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from arboretum_cli.flags.shared import Json, Overwrite
from arboretum_cli.printing.output import result, say_error, table
from arboretum_cli.printing.progress import Progress

_SHOWN = 3


def audit_split(
    split: Annotated[Path, typer.Argument(help="The folder of the split.", metavar="SPLIT")],
    images: Annotated[
        Path | None,
        typer.Option(
            "--images",
            help="Also compare the photos of this image store, by their bytes.",
            metavar="STORE",
            show_default=False,
        ),
    ] = None,
    near_duplicates: Annotated[
        bool,
        typer.Option(
            "--near-duplicates",
            help="With --images: compare them by what they show too, and list all pairs that show nearly the "
            "same. Takes minutes for ten thousand photos.",
        ),
    ] = False,
    exclude: Annotated[
        list[Path] | None,
        typer.Option(
            "--exclude",
            help="Also prove that nothing of this file or split is in it, as make-split --exclude takes "
            "them; may be repeated.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    catalog: Annotated[
        Path | None,
        typer.Option(
            "--catalog",
            help="Also compare every row with this catalogue, and the parts with what the recipe draws.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    photo_ids: Annotated[
        Path | None,
        typer.Option(
            "--photo-ids",
            help="With --catalog: the list of photos that the split was made from, if it was made from one.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    observation_ids: Annotated[
        Path | None,
        typer.Option(
            "--observation-ids",
            help="Likewise, of a list of observations.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    expect: Annotated[
        str | None,
        typer.Option(
            "--expect",
            help="Also prove that it is the split of this split_sha256, as a paper prints it; no part "
            "of the report.",
            metavar="SHA256",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="File of the report. [default: audit.json in the split, where that can be written]",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Check that a split keeps its promises, from its files alone or against a catalogue.

    Recomputes hashes, counts, profile, ratio, labels and what the parts must not share, with code that has
    nothing in common with make-split. Writes audit.json into the folder (or to --out; nowhere if the folder
    is read-only). Exits with 6 if a promise is broken, or if it is not the split of --expect.
    In Python: `arboretum_tools.audit_split(path)`, `arboretum_tools.split.against_catalog`.

    \b
    Examples:
        arboretum audit-split splits/aves-lt100
        arboretum audit-split splits/aves-lt100 --images images
        arboretum audit-split splits/40m-apart --exclude splits/balanced
        arboretum audit-split splits/aves-lt100 --catalog catalog
    """
    from arboretum_tools.catalog import open_catalog
    from arboretum_tools.errors import NotWritableError, VerificationError
    from arboretum_tools.photos.photo_ids import read_observation_ids, read_photo_ids
    from arboretum_tools.split.against_catalog import against_catalog
    from arboretum_tools.split.audit import audit_split as audit
    from arboretum_tools.split.audit import summary
    from arboretum_tools.system.atomic_files import check_output

    for flag, given in (("--photo-ids", photo_ids), ("--observation-ids", observation_ids)):
        if given is not None and catalog is None:
            raise typer.BadParameter(f"{flag} goes with --catalog")
    if near_duplicates and images is None:
        raise typer.BadParameter("--near-duplicates goes with --images")
    if out is not None:
        check_output(out, overwrite=overwrite, inputs=[split])
    with Progress() as progress:
        found = audit(
            split,
            images=images,
            near_duplicates=near_duplicates,
            exclude=exclude or (),
            expect=expect,
            on_event=progress,
        )
        if catalog is not None:
            more = against_catalog(
                split,
                open_catalog(catalog, on_event=progress),
                photo_ids=None if photo_ids is None else read_photo_ids(photo_ids),
                observation_ids=None if observation_ids is None else read_observation_ids(observation_ids),
            )
            found = dataclasses.replace(found, checks=(*found.checks, *more))
    written = "nothing written"
    try:
        written = f"written to {found.save(out, overwrite=overwrite)}"
    except NotWritableError as error:
        if out is not None:
            raise
        say_error(f"warning: the report is not written: {error}; --out FILE names another place")
    expected = found.as_expected
    rows = [
        (
            check.outcome,
            check.name,
            "; ".join([check.detail, ", ".join(check.examples[:_SHOWN])]) if check.examples else check.detail,
        )
        for check in (*found.checks, *([expected] if expected else []))
    ]
    counts = ", ".join(f"{count} {outcome}" for outcome, count in summary(found.checks).items())
    lines = [*table(("", "promise", "found"), rows), f"{counts}; {written}"]
    beside = {"as_expected": dataclasses.asdict(expected)} if expected else {}
    result(json, {"path": str(split), **found.to_dict(), **beside}, lines)
    if found.broken:
        raise VerificationError(
            f"{split} breaks {len(found.broken)} of its promises: "
            + ", ".join(check.name for check in found.broken),
            hint="A split of ours is made again by `arboretum make-split --from SPLIT`; of a published one, "
            "say so where you report on it.",
        )
    if not found.ok:
        raise VerificationError(
            f"{split} keeps its promises, and is not the split that was expected",
            hint="Another recipe, grouping or version of it was printed. Compare recipe and rows_sha256 in "
            "its split.json with those of the split that was printed.",
        )
