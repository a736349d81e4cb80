"""`arboretum catalog stats`: the distribution of a catalogue, as tables and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arboretum_cli._output import result, say
from arboretum_cli._progress import Progress
from arboretum_cli._selection import SelectionFlags, takes_selection


@takes_selection
def stats(
    flags: SelectionFlags,
    csv: Annotated[bool, typer.Option("--csv", help="Print the tables as CSV.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the tables as JSON.")] = False,
    top: Annotated[int, typer.Option("--top", help="Species in the first and last places.", min=1)] = 10,
    figures: Annotated[
        Path | None,
        typer.Option("--figures", help="Also draw groups and long tail into this folder.", metavar="DIR"),
    ] = None,
    figure_format: Annotated[str, typer.Option("--figure-format", help="png, pdf or svg.")] = "png",
) -> None:
    """Count a catalogue, or a selection of it, by group, rarity, licence, life stage and rank.

    Without flags every photo of any grade is counted. Tables are printed as Markdown. In Python:
    `catalog_stats(catalog)`.

    \b
    Examples:
        arboretum catalog stats
        arboretum catalog stats --taxa Aves --license open --csv
        arboretum catalog stats --figures figures --figure-format pdf
    """
    from arboretum_tools.catalog import stats as library

    with Progress() as progress:
        catalog = flags.open(progress)
        found = library.catalog_stats(flags.select(catalog) if flags.given else catalog, top=top)
        drawn = [] if figures is None else library.figures(found, figures, form=figure_format)
    text = found.to_csv() if csv else found.to_markdown()
    result(json, found.to_dict(), [text.rstrip("\n")])
    for path in drawn:
        say(f"written: {path}")
