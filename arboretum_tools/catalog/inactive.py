"""Names that iNaturalist no longer uses, and the active ones in their place, as a built catalogue knows them.

`renames` says where they come from. A raw catalogue knows of none; of it, iNaturalist's whole taxonomy (extra
`taxonomy`), which holds active names only, can say that a name is not an active one, and go by the epithet.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from arboretum_metadata.schema import INACTIVE_NAMES
from arboretum_tools.catalog.layouts.built_files import INACTIVE
from arboretum_tools.catalog.layouts.raw import TYPES
from arboretum_tools.catalog.names import whole_taxonomy
from arboretum_tools.tabular.query import Connection, identifier, parquet_source, rows

_FIELDS = "name, rank, taxon_id, photos, active_name, active_taxon_id, told_by, n_told"
_BEST = "ORDER BY active_name IS NULL, photos DESC, taxon_id LIMIT 1"


@dataclass(frozen=True, slots=True)
class InactiveName:
    """A name that iNaturalist no longer uses.

    Attributes:
        name: scientific name.
        rank: iNaturalist's, also below species.
        taxon_id: of the inactive taxon; None where only the whole taxonomy tells.
        photos: photos of the catalogue under this name.
        active_name: the name in its place; None where nothing tells it.
        active_taxon_id: its number, where known.
        told_by: `name`, `photos` or `epithet` (see `renames`); None without active_name.
        n_told: with `photos`, how many of the photos tell it.
    """

    name: str
    rank: str
    taxon_id: int | None
    photos: int
    active_name: str | None
    active_taxon_id: int | None
    told_by: str | None
    n_told: int | None

    @property
    def sentence(self) -> str:
        """What to tell the user, without a full stop."""
        own = f"{self.rank} {self.name}" + (f" (taxon id {self.taxon_id})" if self.taxon_id else "")
        text = f"{own} is not active in iNaturalist's taxonomy"
        active = f"{self.active_name}" + (
            f" (taxon id {self.active_taxon_id})" if self.active_taxon_id else ""
        )
        if self.told_by == "name":
            return f"{text}: the active taxon of that name has the id {self.active_taxon_id}"
        if self.told_by == "photos":
            return f"{text}: the active name is {active}, under which {self.n_told:,} of its photos stand now"
        if self.told_by == "epithet":
            return f"{text}: the active name is probably {active}, the one of its family with that epithet"
        return f"{text}; what is active in its place is not told"


def prepare(connection: Connection, root: Path) -> None:
    """Makes the relation `inactive_names`, empty where a catalogue knows of none."""
    if (root / INACTIVE).is_file():
        connection.execute(f"CREATE VIEW inactive_names AS FROM {parquet_source([root / INACTIVE])}")
        return
    columns = ", ".join(f"{identifier(c.name)} {TYPES[c.type]}" for c in INACTIVE_NAMES.columns)
    connection.execute(f"CREATE TABLE inactive_names ({columns})")


def find(connection: Connection, name: str) -> InactiveName | None:
    """What a built catalogue knows of an inactive name or taxon id; None where it knows nothing."""
    by_id = name.isascii() and name.isdigit() and len(name) < 20 and int(name) < 2**63
    found = rows(
        connection,
        f"SELECT {_FIELDS} FROM inactive_names WHERE "
        + ("taxon_id = ?" if by_id else "lower(name) = ? AND told_by IS DISTINCT FROM 'name'")
        + f" {_BEST}",
        [int(name) if by_id else name.lower()],
    )
    return _made(found[0]) if found else None


def of_taxon(connection: Connection, rank: str, name: str, kingdom: str | None) -> InactiveName | None:
    """Whether the name of a taxon of a built catalogue is inactive, and what took its place."""
    found = rows(
        connection,
        f"SELECT {_FIELDS} FROM inactive_names WHERE rank = ? AND name = ? "
        f"AND kingdom IS NOT DISTINCT FROM coalesce(?, kingdom) AND told_by IS DISTINCT FROM 'name' {_BEST}",
        [rank, name, kingdom],
    )
    return _made(found[0]) if found else None


def by_whole_taxonomy(connection: Connection, name: str, photos: int) -> InactiveName | None:
    """What iNaturalist's whole taxonomy tells of a species of the catalogue that it lacks.

    None where it has the species, or is not installed (extra `taxonomy`).
    """
    file = whole_taxonomy()
    if file is None:
        return None
    genus, _, epithet = name.partition(" ")
    found = rows(
        connection,
        "WITH families AS (SELECT DISTINCT family FROM lineages WHERE genus = $1 AND species = $2) "
        "SELECT scientificName, min(id) FROM "
        f"{parquet_source([file])} WHERE taxonRank = 'species' AND specificEpithet = $2 "
        "AND (genus = $1 OR family IN (FROM families)) GROUP BY 1 ORDER BY 1",
        [genus, epithet],
    )
    if name in (active for active, _ in found):
        return None
    active, active_id = found[0] if len(found) == 1 else (None, None)
    told = "epithet" if active else None
    return _made((name, "species", None, photos, active, active_id, told, None))


def held_as(connection: Connection, name: str) -> list[InactiveName]:
    """Inactive names under which the catalogue has photos of a taxon whose active name is `name`."""
    found = rows(
        connection,
        f"SELECT {_FIELDS} FROM inactive_names WHERE lower(active_name) = ? AND photos > 0 "
        "AND told_by IS DISTINCT FROM 'name' ORDER BY photos DESC, name",
        [name.lower()],
    )
    return [_made(row) for row in found]


def former_names(connection: Connection, rank: str, name: str) -> tuple[str, ...]:
    """Inactive names whose active one this is."""
    found = rows(
        connection,
        "SELECT DISTINCT name FROM inactive_names WHERE rank = ? AND active_name = ? AND name <> ? "
        "ORDER BY 1",
        [rank, name, name],
    )
    return tuple(str(old) for (old,) in found)


def _made(row: tuple[object, ...]) -> InactiveName:
    name, rank, taxon_id, photos, active_name, active_id, told_by, n_told = row
    return InactiveName(
        name=str(name),
        rank=str(rank),
        taxon_id=_whole(taxon_id),
        photos=int(str(photos)),
        active_name=None if active_name is None else str(active_name),
        active_taxon_id=_whole(active_id),
        told_by=None if told_by is None else str(told_by),
        n_told=_whole(n_told),
    )


def _numbered(name: str, taxon_id: int | None) -> str:
    return f"{name} (taxon id {taxon_id})" if taxon_id else name


def _whole(value: object) -> int | None:
    return None if value is None else int(str(value))
