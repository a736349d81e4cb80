"""`arboretum audit-split`: proves that a split keeps its promises."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arboretum_cli._options import Json
from arboretum_cli._output import result, table
from arboretum_cli._progress import Progress

_SHOWN = 3


def audit_split(
    split: Annotated[Path, typer.Argument(help="The folder of the split.", metavar="SPLIT")],
    images: Annotated[
        Path | None,
        typer.Option(
            "--images",
            help="Also compare the photos of this image store, by bytes and by what they show.",
            metavar="STORE",
            show_default=False,
        ),
    ] = None,
    near_bits: Annotated[
        int,
        typer.Option(
            "--near-bits",
            help="Photos whose 64-bit difference hashes differ in at most so many bits are near-duplicates.",
            metavar="N",
        ),
    ] = 2,
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
    json: Json = False,
) -> None:
    """Prove that a split keeps its promises, from its files alone.

    Recomputes hashes, counts, profile, ratio, labels and what the parts must not share, by code that has
    nothing in common with make-split; writes audit.json into the folder; exits 6 where a promise is broken.
    In Python: `arboretum_tools.audit_split(path)`.

    \b
    Examples:
        arboretum audit-split splits/aves-lt100
        arboretum audit-split splits/aves-lt100 --images images
        arboretum audit-split splits/40m-apart --exclude splits/balanced
    """
    from arboretum_tools.errors import VerificationError
    from arboretum_tools.split.audit import audit_split as audit
    from arboretum_tools.split.audit import summary

    with Progress() as progress:
        found = audit(split, images=images, exclude=exclude or (), near_bits=near_bits, on_event=progress)
        report = found.save()
    rows = [
        (
            check.outcome,
            check.name,
            "; ".join([check.detail, ", ".join(check.examples[:_SHOWN])]) if check.examples else check.detail,
        )
        for check in found.checks
    ]
    counts = ", ".join(f"{count} {outcome}" for outcome, count in summary(found.checks).items())
    lines = [*table(("", "promise", "found"), rows), f"{counts}; written to {report}"]
    result(json, {"path": str(split), **found.to_dict()}, lines)
    if not found.ok:
        raise VerificationError(
            f"{split} breaks {len(found.broken)} of its promises: "
            + ", ".join(check.name for check in found.broken),
            hint="A split of ours is made again by `arboretum make-split --from SPLIT`; of a published one, "
            "say so where you report on it.",
        )
