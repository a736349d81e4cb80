"""`arboretum select`: which photos a selection takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arboretum_cli._options import Json
from arboretum_cli._output import result, table
from arboretum_cli._progress import Progress
from arboretum_cli._selection import SelectionFlags, takes_selection
from arboretum_tools.wording import counted

if TYPE_CHECKING:
    import pyarrow as pa

# Classes that are shown on a terminal.
_SHOWN = 10


@takes_selection
def select(
    flags: SelectionFlags,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Save the selected rows as Parquet.", metavar="FILE")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Also print the SQL and its parameters.")
    ] = False,
    json: Json = False,
) -> None:
    """Count, explain and save the photos that a selection takes.

    Without flags it takes every research-grade photo, which shows what a catalogue holds. In Python:
    `open_catalog(...).select(...)`.

    \b
    Examples:
        arboretum select --taxa Aves
        arboretum select --taxa Insecta --life-stage larva --license open -o larvae.parquet
        arboretum select --taxa birds --rarity rare --explain
    """
    with Progress() as progress:
        selection = flags.select(flags.open(progress))
        summary = selection.summary()
        counts = selection.species_table()
        if out is not None:
            selection.save(out)
    explanation = selection.explanation
    value = {
        "english": selection.english,
        **summary,
        "sql": explanation.sql,
        "parameters": [str(parameter) for parameter in explanation.parameters],
        "fingerprint": selection.catalog.fingerprint,
        "saved": str(out) if out else None,
    }
    lines = [
        selection.english,
        f"{counted(summary['photos'], 'photo')} of {summary['classes']:,} species"
        + "".join(
            f"; {summary[name]:,} {what}"
            for name, what in (
                ("no_class", "in no species class"),
                ("no_license", "without a known licence"),
                ("no_life_stage", "without a known life stage"),
            )
            if summary[name]
        ),
    ]
    if counts.num_rows:
        lines += ["", *_table(counts)]
    if explain:
        lines += ["", f"SQL: {explanation.sql}", f"parameters: {list(explanation.parameters)}"]
    if out is not None:
        lines += ["", f"saved to {out}"]
    result(json, value, lines)


def _table(counts: pa.Table) -> list[str]:
    columns = ("scientific_name", "common_name", "n_selected", "n_catalog")
    first = counts.slice(0, _SHOWN)
    shown = [
        (name, common or "", selected, catalog)
        for name, common, selected, catalog in zip(
            *(first[column].to_pylist() for column in columns), strict=True
        )
    ]
    lines = table(("species", "common name", "photos", "in catalogue"), shown)
    if counts.num_rows > _SHOWN:
        lines.append(f"... and {counts.num_rows - _SHOWN:,} more")
    return lines
