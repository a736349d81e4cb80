"""`arboretum audit-split`: proves that a split keeps its promises."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

from arboretum_cli.flags.declared import Given, takes
from arboretum_cli.flags.shared import Json, Overwrite, SplitFolder
from arboretum_cli.printing.output import result, say_error, table
from arboretum_cli.printing.progress import Progress
from arboretum_tools.errors import UsageError
from arboretum_tools.options import Option
from arboretum_tools.options.split import AuditOptions

_SHOWN = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class OwnOptions:
    """What `arboretum audit-split` takes besides: the catalogue of the split, and where the report goes."""

    catalog: Annotated[
        Path | None,
        Option(
            "Also compare every row with this catalogue, and the parts with what the recipe draws.",
            metavar="DIR",
        ),
    ] = None
    photo_ids: Annotated[
        Path | None,
        Option(
            "With --catalog: the list of photos that the split was made from, if it was made from one.",
            metavar="FILE",
        ),
    ] = None
    observation_ids: Annotated[
        Path | None, Option("Likewise, of a list of observations.", metavar="FILE")
    ] = None
    out: Annotated[
        Path | None,
        Option(
            "File of the report.",
            metavar="FILE",
            short="o",
            default="audit.json in the split, where that can be written",
        ),
    ] = None

    def __post_init__(self) -> None:
        for flag, given in (("--photo-ids", self.photo_ids), ("--observation-ids", self.observation_ids)):
            if given is not None and self.catalog is None:
                raise UsageError(f"{flag} goes with --catalog")


@takes(options=AuditOptions, own=OwnOptions)
def audit_split(
    split: SplitFolder,
    options: Given,
    own: OwnOptions,
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
        arboretum audit-split splits/aves-lt100 --episodes five-way.parquet
    """
    from arboretum_tools.catalog import open_catalog
    from arboretum_tools.errors import NotWritableError, VerificationError
    from arboretum_tools.photos.photo_ids import read_observation_ids, read_photo_ids
    from arboretum_tools.split.against_catalog import against_catalog
    from arboretum_tools.split.audit import audit_split as audit
    from arboretum_tools.split.audit import summary
    from arboretum_tools.system.atomic_files import check_output

    out = own.out
    if out is not None:
        check_output(out, overwrite=overwrite, inputs=[split])
    with Progress() as progress:
        found = audit(split, **options, on_event=progress)
        if own.catalog is not None:
            more = against_catalog(
                split,
                open_catalog(own.catalog, on_event=progress),
                photo_ids=None if own.photo_ids is None else read_photo_ids(own.photo_ids),
                observation_ids=None
                if own.observation_ids is None
                else read_observation_ids(own.observation_ids),
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
            f"{check.detail}; for example {', '.join(check.examples[:_SHOWN])}"
            if check.examples
            else check.detail,
        )
        for check in (*found.checks, *([expected] if expected else []))
    ]
    counts = ", ".join(f"{count} {outcome}" for outcome, count in summary(found.checks).items())
    lines = [*table(("", "promise", "found"), rows), f"{counts}; {written}"]
    beside = {"as_expected": dataclasses.asdict(expected)} if expected else {}
    result(json, {"path": str(split), **found.to_dict(), **beside}, lines)
    if found.broken:
        same = {"parts disjoint by sha256", "parts disjoint by near-duplicate"}
        pictures = {check.name for check in found.broken} <= same
        raise VerificationError(
            f"{split} breaks {len(found.broken)} of its promises: "
            + ", ".join(check.name for check in found.broken),
            hint="`make-split --images STORE` keeps equal images in one part, and with --near-duplicates "
            "similar ones too."
            if pictures
            else "A split of ours is made again by `arboretum make-split --from SPLIT`; of a published one, "
            "say so where you report on it.",
        )
    if not found.ok:
        raise VerificationError(
            f"{split} keeps its promises, and is not the split that was expected",
            hint="Another recipe, grouping or version of it was printed. Compare recipe and rows_sha256 in "
            "its split.json with those of the split that was printed.",
        )
