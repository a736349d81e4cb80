"""`arboretum contact-sheet`: the classes of a split, a selection or a store as one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from arboretum_cli.flags.declared import Given, takes
from arboretum_cli.flags.selection import SelectionFlags, takes_selection
from arboretum_cli.flags.shared import reaches_buckets
from arboretum_cli.printing.output import say
from arboretum_cli.printing.progress import Progress
from arboretum_tools.options.contact_sheet import ContactSheetOptions


@takes_selection
@takes(options=ContactSheetOptions)
@reaches_buckets()
def contact_sheet(
    flags: SelectionFlags,
    options: Given,
    split: Annotated[
        Path | None,
        typer.Argument(
            help="The split to draw; without it the selection, and without one what was downloaded.",
            metavar="SPLIT",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Draw the classes as one picture: head to tail, with counts, some photos of each, and credits.

    The suffix of the file determines the format: PNG, JPEG, WebP or PDF. In Python:
    `arboretum_tools.contact_sheet(split, images="images", to="classes.png")`.

    \b
    Examples:
        arboretum contact-sheet splits/aves-lt100 -o classes.png
        arboretum contact-sheet splits/aves-lt100 --columns 2 --per-class 6 -o classes.pdf
        arboretum contact-sheet --taxa Turdus -o thrushes.webp
    """
    from arboretum_tools import contact_sheet as draw

    what: Any = split
    if split is not None:
        flags.refuse_beside("the split")
    with Progress() as progress:
        if split is None:
            what, _ = flags.select_or_downloaded(options.get("images", ContactSheetOptions.images), progress)
        say(f"written: {draw(what, **options)}")
