"""`arboretum species`: every species of a selection, with counts, names and ids."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from arboretum_cli.flags.declared import takes
from arboretum_cli.flags.selection import SelectionFlags, takes_selection
from arboretum_cli.flags.shared import Json, Overwrite
from arboretum_cli.printing.output import result, say
from arboretum_cli.printing.progress import Progress
from arboretum_tools.options import Option
from arboretum_tools.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, kw_only=True)
class OwnOptions:
    """What `arboretum species` takes besides a selection."""

    out: Annotated[
        Path | None,
        Option(
            "File to write; .csv, .parquet or .json decides the format.",
            metavar="FILE",
            short="o",
            default="CSV to stdout",
        ),
    ] = None


@takes_selection
@takes(own=OwnOptions)
def species(flags: SelectionFlags, own: OwnOptions, overwrite: Overwrite = False, json: Json = False) -> None:
    """List every species of a selection with its photos, names, lineage and taxon id, most photos first.

    In Python: `open_catalog(...).select(...).save_species(path)`, `.species_batches()`.

    \b
    Examples:
        arboretum species --taxa Aves -o birds.csv
        arboretum species --taxa Insecta --license open | head -3
        arboretum species --rarity rare --json
    """
    from arboretum_tools.system.atomic_files import check_output

    out = own.out
    if out is not None and (listed := flags.given.get("photo_ids")) is not None:
        check_output(out, overwrite=True, inputs=[listed])
    with Progress() as progress:
        selection = flags.select(flags.open(progress))
        if out is not None:
            rows = selection.save_species(out, overwrite=overwrite)
            result(json, {"species": rows, "saved": str(out)}, [f"{counted(rows, 'class')} in {out}"])
            return
        found = [row for batch in selection.species_batches() for row in batch.to_pylist()]
    if not found:
        say("no species is selected")
    result(json, {"species": found}, _csv(found))


def _csv(rows: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    from arboretum_metadata.schema import SPECIES
    from arboretum_tools.tabular.spreadsheets import plain

    yield ",".join(SPECIES.names)
    for row in rows:
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow([plain(row[name]) for name in SPECIES.names])
        yield line.getvalue()
