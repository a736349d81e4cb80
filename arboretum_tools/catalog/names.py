"""Looks names up in the relation `lineages`, which both layouts have."""

from __future__ import annotations

from arboretum_metadata.vocab import RANKS
from arboretum_tools.query import Connection, identifier, rows
from arboretum_tools.taxonomy import Candidate

_SPECIES = "genus || ' ' || species"


def candidates(connection: Connection, name: str) -> list[Candidate]:
    """The taxa of a name: scientific at any rank, or a common name with or without a trailing s."""
    columns = {rank: _SPECIES if rank == "species" else identifier(rank) for rank in RANKS}
    wanted = name.lower()
    common = "lower(common_name) IN ($name, $singular, $plural)"
    any_rank = " OR ".join(f"lower({column}) = $name" for column in columns.values())
    above: list[str] = []
    queries: list[str] = []
    for rank, column in columns.items():
        lineage = f"mode([{', '.join(map(identifier, above))}])" if above else "NULL::VARCHAR[]"
        queries.append(
            f"SELECT '{rank}', {column}, {lineage}, kingdom, sum(n) FROM hits "
            f"WHERE lower({column}) = $name GROUP BY {column}, kingdom"
        )
        above.append(rank)
    queries.append(
        f"SELECT 'species', {_SPECIES}, mode([{', '.join(map(identifier, above[:-1]))}]), kingdom, sum(n) "
        f"FROM hits WHERE {common} AND class_key IS NOT NULL GROUP BY 2, kingdom"
    )
    # One pass over the names; what it leaves is a clade at most.
    sql = f"WITH hits AS MATERIALIZED (FROM lineages WHERE {any_rank} OR {common}) " + " UNION ".join(queries)
    found = connection.execute(
        sql, {"name": wanted, "singular": wanted.removesuffix("s"), "plural": wanted + "s"}
    ).fetchall()
    best: dict[tuple[str, str, str | None], Candidate] = {}
    for rank, canonical, lineage, kingdom, photos in found:
        names = tuple(part for part in lineage or () if part)
        candidate = Candidate(rank, canonical, names, kingdom, int(photos))
        place = (rank, canonical, kingdom)
        if place not in best or best[place].photos < candidate.photos:
            best[place] = candidate
    # A row that lacks its kingdom makes no second taxon of a name that has one elsewhere.
    with_kingdom = {(rank, canonical) for rank, canonical, kingdom in best if kingdom}
    return [
        candidate
        for (rank, canonical, kingdom), candidate in sorted(best.items(), key=lambda item: str(item[0]))
        if kingdom or (rank, canonical) not in with_kingdom
    ]


def all_names(connection: Connection) -> list[str]:
    """Every name of the catalogue, scientific and common, for suggestions."""
    columns = [*(identifier(rank) for rank in RANKS if rank != "species"), _SPECIES, "common_name"]
    sql = " UNION ".join(f"SELECT {column} FROM lineages" for column in columns)
    return [str(name) for (name,) in rows(connection, sql) if name is not None]
