"""`arboretum select`: which photos a selection takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from arboretum_cli.flags.declared import takes
from arboretum_cli.flags.selection import SelectionFlags, takes_selection
from arboretum_cli.flags.shared import Json, Overwrite
from arboretum_cli.printing.output import result, table
from arboretum_cli.printing.progress import Progress
from arboretum_tools.options import Option
from arboretum_tools.wording import counted

if TYPE_CHECKING:
    from arboretum_tools.catalog.selection import SpeciesCount

# Classes that are shown on a terminal.
_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class OwnOptions:
    """What `arboretum select` takes besides a selection."""

    out: Annotated[
        Path | None,
        Option("Save the selected rows; .parquet or .csv decides the format.", metavar="FILE", short="o"),
    ] = None
    allow_empty: Annotated[bool, Option("Exit with 0, and save, where no photo is selected.")] = False
    explain: Annotated[bool, Option("Also print the SQL and its parameters.")] = False


@takes_selection
@takes(own=OwnOptions)
def select(flags: SelectionFlags, own: OwnOptions, overwrite: Overwrite = False, json: Json = False) -> None:
    """Count, explain and save the photos of a selection.

    Without flags it selects every research-grade photo, which shows what a catalogue holds. In Python:
    `open_catalog(...).select(...)`.

    \b
    Examples:
        arboretum select --taxa Aves
        arboretum select --taxa Insecta --life-stage larva --license open -o larvae.parquet
        arboretum select --taxa birds --rarity rare --explain
    """
    from arboretum_tools.photos.photo_plan import LOOSEN_OR_ALLOW, empty_error
    from arboretum_tools.system.atomic_files import check_output

    out = own.out
    lists = [flags.given[name] for name in ("photo_ids", "observation_ids") if flags.given.get(name)]
    if out is not None and lists:
        check_output(out, overwrite=True, inputs=lists)
    with Progress() as progress:
        selection = flags.select(flags.open(progress))
        summary = selection.summary()
        if not summary["photos"] and not own.allow_empty:
            raise empty_error(selection, "nothing was written", hint=LOOSEN_OR_ALLOW)
        species = selection.species(_SHOWN)
        if out is not None:
            selection.save(out, overwrite=overwrite)
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
    if not summary["photos"] and (why := selection.why_empty()):
        lines.append(why)
    if species:
        lines += ["", *_table(species)]
    if summary["classes"] > _SHOWN:
        lines.append(f"... and {summary['classes'] - _SHOWN:,} more")
    if own.explain:
        lines += ["", f"SQL: {explanation.sql}", f"parameters: {list(explanation.parameters)}"]
    if out is not None:
        lines += ["", f"saved to {out}"]
    result(json, value, lines)


def _table(species: Sequence[SpeciesCount]) -> list[str]:
    rows = ((one.scientific_name, one.common_name or "", one.n_selected, one.n_catalog) for one in species)
    return table(("species", "common name", "photos", "in catalogue"), rows)
