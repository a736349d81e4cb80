"""Finds out, while a catalogue is built, which names iNaturalist no longer uses and what took their place.

iNaturalist Open Data marks a taxon as inactive but not what became of it. Three things tell, in this order:

- `name`: an active taxon has the same name, rank and kingdom; only the id is an old one;
- `photos`: published under the old name, more than half of the photos stand under one other in Open Data;
- `epithet`: exactly one active species of its family has its epithet. Likely, not certain.

A built catalogue keeps what concerns it in `inactive_names.parquet`: old names under which it has photos, and
old names of taxa of which it has photos.
"""

from __future__ import annotations

from pathlib import Path

from arboretum_metadata.schema import INACTIVE_NAMES
from arboretum_metadata.vocab import RANKS
from arboretum_tools.catalog.building.parts import write_parquet
from arboretum_tools.catalog.layouts.raw import NAME_COLUMNS
from arboretum_tools.tabular.query import Connection, identifier, literal, parquet_source, rows

_SPECIES = "genus || ' ' || species"
_UPPER = tuple(rank for rank in RANKS if rank != "species")


def gather(connection: Connection, inactive: Path, listed: str | None, to: Path, taxonomy: str) -> int:
    """Writes `inactive_names.parquet` of a catalogue that is being built; gives its rows, none if no file.

    Args:
        connection: has `photos` and `lineages`.
        inactive: the inactive taxa, as `sources.open_data` writes them.
        listed: the photos of Open Data as a relation, where another source lists those of the catalogue.
        to: the file.
        taxonomy: hash of the taxa table.
    """
    run = connection.execute
    run(f"CREATE OR REPLACE TABLE inactive AS FROM {parquet_source([inactive])}")
    held = [
        f"SELECT '{rank}' AS rank, {identifier(rank)} AS name, kingdom, n FROM lineages" for rank in _UPPER
    ]
    held.append(f"SELECT 'species', {_SPECIES}, kingdom, n FROM lineages")
    # Names below species, and hybrids, are no rank of ours: they stand as they are.
    held.append(
        "SELECT old.rank, scientific_name, lineages.kingdom, n FROM lineages "
        "JOIN (SELECT DISTINCT rank, name FROM inactive) old ON scientific_name = name WHERE "
        f"rank NOT IN ({', '.join(map(literal, RANKS))})"
    )
    run(
        "CREATE OR REPLACE TABLE held AS SELECT rank, name, coalesce(kingdom, '') AS kingdom, "
        f"sum(n)::BIGINT AS n FROM ({' UNION ALL '.join(held)}) WHERE name IS NOT NULL GROUP BY ALL"
    )
    _vote(connection, listed)
    sql = """
        SELECT o.name, o.rank, o.kingdom, o.taxon_id, coalesce(own.n, 0) AS photos,
            coalesce(v.active_name, o.active_name) AS active_name,
            CASE WHEN v.active_name IS NULL OR v.active_name = o.active_name THEN o.active_taxon_id
                ELSE v.active_taxon_id END AS active_taxon_id,
            CASE WHEN v.active_name IS NULL THEN o.told_by ELSE 'photos' END AS told_by, v.n AS n_told
        FROM inactive o
        LEFT JOIN held own ON own.rank = o.rank AND own.name = o.name
            AND own.kingdom = coalesce(o.kingdom, '')
        LEFT JOIN votes v ON v.rank = o.rank AND v.name = o.name AND v.kingdom = coalesce(o.kingdom, '')
            AND o.told_by IS DISTINCT FROM 'name'
        LEFT JOIN held active ON active.rank = o.rank AND active.kingdom = coalesce(o.kingdom, '')
            AND active.name = coalesce(v.active_name, o.active_name)
        WHERE own.n > 0 OR active.n > 0
    """
    run(f"CREATE OR REPLACE TABLE found AS {sql}")
    (count,) = rows(connection, "SELECT count(*) FROM found")[0]
    if count:
        columns = ", ".join(map(identifier, INACTIVE_NAMES.names))
        write_parquet(connection, f"SELECT {columns} FROM found ORDER BY ALL", INACTIVE_NAMES, to, taxonomy)
    for table in ("inactive", "held", "votes", "found"):
        run(f"DROP TABLE {table}")
    return int(str(count))


def _vote(connection: Connection, listed: str | None) -> None:
    """Makes `votes`: of old names under which photos are listed, the name of most of them in Open Data."""
    run = connection.execute
    run(
        "CREATE OR REPLACE TABLE votes (rank VARCHAR, name VARCHAR, kingdom VARCHAR, active_name VARCHAR, "
        "active_taxon_id BIGINT, n BIGINT)"
    )
    if listed is None:
        return
    asked = "FROM inactive WHERE told_by IS DISTINCT FROM 'name'"
    at_rank = [
        f"coalesce({_SPECIES if rank == 'species' else identifier(rank)} IN "
        f"(SELECT name {asked} AND rank = '{rank}'), false)"
        for rank in RANKS
    ]
    names = ", ".join(map(identifier, NAME_COLUMNS))
    same = " AND ".join(f"p.{c} IS NOT DISTINCT FROM o.{c}" for c in map(identifier, NAME_COLUMNS))
    old, new = (
        ", ".join(f"{side}.{identifier(rank)} AS {mark}_{rank}" for rank in RANKS)
        for side, mark in (("p", "old"), ("d", "new"))
    )
    run(
        "CREATE OR REPLACE TABLE pairs AS "
        f"WITH o AS (SELECT DISTINCT {names} FROM lineages WHERE {' OR '.join(at_rank)}) "
        f"SELECT {old}, {new}, d.scientific_name AS now, d.taxon_id, count(*) AS n "
        f"FROM photos p JOIN o ON {same} JOIN {listed} d ON p.photo_id = d.photo_id GROUP BY ALL"
    )
    for rank in RANKS:
        before, after = f"old_{rank}", f"new_{rank}"
        if rank == "species":
            before, after = ("old_genus || ' ' || old_species", "new_genus || ' ' || new_species")
        run(
            f"INSERT INTO votes WITH named AS (SELECT {before} AS name, "
            f"coalesce(old_kingdom, '') AS kingdom, {after} AS active_name, now, taxon_id, n FROM pairs), "
            "counts AS (SELECT name, kingdom, active_name, "
            "min(taxon_id) FILTER (now = active_name) AS id, sum(n)::BIGINT AS n FROM named GROUP BY ALL), "
            "shares AS (SELECT *, sum(n) OVER (PARTITION BY name, kingdom) AS every FROM counts) "
            f"SELECT '{rank}', name, kingdom, active_name, id, n FROM shares SEMI JOIN "
            f"(SELECT name, coalesce(kingdom, '') AS kingdom {asked} AND rank = '{rank}') "
            "USING (name, kingdom) WHERE 2 * n > every AND active_name <> name"
        )
    run("DROP TABLE pairs")
