"""What several sources say of the same photos, as one row per photo, and how much each of them said.

A value is that of the first source that has one, in the order of the sources. Ids of observations and
observers come from one source alone, the first that has the column: Open Data knows observations by UUID
and GBIF by number, and photos of one observation must not get two ids. A position is taken as a pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from arboretum_tools.catalog.building.parts import OPTIONAL
from arboretum_tools.catalog.building.spellings import mapped
from arboretum_tools.tabular.query import Connection, literal, rows

_ONE_SOURCE = ("observation_id", "observer_id")
_POSITION = ("latitude", "longitude")

#: Join of one more source: its relation, and the optional columns that it has.
Join = tuple[str, Sequence[str]]


def joined(
    connection: Connection,
    photos: str,
    *,
    base: str,
    has: Sequence[str],
    joins: Mapping[str, Join],
    name: str,
) -> tuple[list[str], dict[str, dict[str, int]]]:
    """Makes the table `name`: the photos with every optional column that a source has.

    Args:
        connection: where the table is made; others whose names begin with `name` come and go.
        photos: a relation with photo_id, tax, ext, url and the columns `has`; each photo once.
        base: name of its source.
        has: its optional columns.
        joins: by name of the source, in the order in which they are asked; a photo may be there twice.
        name: of the table; `shared_name(name)` is made besides where observations come by a join: every
            observation of the photos that have several.

    Returns:
        The optional columns, and photos with a value by column and source.
    """
    run = connection.execute
    has = _whole_positions(has)
    joins = {kind: (relation, _whole_positions(columns)) for kind, (relation, columns) in joins.items()}
    listed, hits = photos, []
    if joins:
        listed = f"{name}_listed"
        run(f"CREATE TABLE {listed} AS FROM {photos}")
    holders: dict[str, list[tuple[str, str]]] = {column: [(base, "b")] for column in has}
    source = f"{listed} b"
    for position, (kind, (relation, columns)) in enumerate(joins.items()):
        chosen = ", ".join(map(mapped, columns))
        hits.append(f"{name}_hit{position}")
        # Of a photo that is there twice, the row that the rule for duplicates keeps.
        run(
            f"CREATE TABLE {hits[-1]} AS SELECT photo_id, {chosen} FROM {relation} "
            f"SEMI JOIN {listed} USING (photo_id) "
            f"QUALIFY row_number() OVER (PARTITION BY photo_id ORDER BY {_nulls_last(columns)}) = 1"
        )
        if "observation_id" in columns and "observation_id" not in holders:
            run(
                f"CREATE TABLE {shared_name(name)} AS SELECT photo_id, observation_id FROM {relation} "
                f"SEMI JOIN {listed} USING (photo_id) WHERE observation_id IS NOT NULL "
                "GROUP BY photo_id, observation_id QUALIFY count(*) OVER (PARTITION BY photo_id) > 1"
            )
        source += f" LEFT JOIN {hits[-1]} j{position} ON b.photo_id = j{position}.photo_id"
        for column in columns:
            if not (column in _ONE_SOURCE and column in holders):
                holders.setdefault(column, []).append((kind, f"j{position}"))
    stage_joined = any(alias != "b" for _, alias in holders.get("life_stage", ()))
    columns = [c for c in OPTIONAL if c in holders or (c == "life_stage_source" and stage_joined)]
    chosen = "".join(f", {_value(c, holders, stage_joined)} AS {c}" for c in columns)
    run(f"CREATE TABLE {name} AS SELECT b.photo_id, b.tax, b.ext, b.url{chosen} FROM {source}")
    counted = [(c, *holder) for c in columns if c in holders for holder in holders[c]]
    sql = ", ".join(f"count(*) FILTER ({_chosen(c, alias, holders)})" for c, _, alias in counted)
    asked = source if joins else f"{name} b"
    counts = rows(connection, f"SELECT {sql} FROM {asked}")[0] if counted else ()
    known: dict[str, dict[str, int]] = {column: {} for column in columns}
    for (column, kind, _), count in zip(counted, counts, strict=True):
        known[column][kind] = int(str(count))
    for table in (listed, *hits) if joins else ():
        run(f"DROP TABLE {table}")
    return columns, known


def _whole_positions(columns: Sequence[str]) -> list[str]:
    """The columns without half a position, which is none."""
    return [column for column in columns if column not in _POSITION or set(_POSITION) <= set(columns)]


def shared_name(name: str) -> str:
    """What `joined` calls the table of photos that have several observations."""
    return f"{name}_shared"


def _nulls_last(columns: Sequence[str]) -> str:
    order = sorted(columns, key=lambda column: (column != "observation_id", OPTIONAL.index(column)))
    return ", ".join(f"{column} NULLS LAST" for column in order)


def _value(column: str, holders: Mapping[str, Sequence[tuple[str, str]]], stage_joined: bool) -> str:
    if column in _POSITION or (column == "life_stage_source" and stage_joined):
        asked = "life_stage" if column == "life_stage_source" else column
        cases = []
        for name, alias in holders[asked]:
            own = (name, alias) in holders.get(column, ())
            value = f"{alias}.{column}" if own else literal(name)
            if column == "life_stage_source" and own:
                value = f"coalesce({value}, {literal(name)})"
            cases.append(f"WHEN {_has(asked, alias)} THEN {value}")
        return f"CASE {' '.join(cases)} END"
    return f"coalesce({', '.join(f'{alias}.{column}' for _, alias in holders[column])})"


def _has(column: str, alias: str) -> str:
    if column in _POSITION:
        return f"{alias}.latitude IS NOT NULL AND {alias}.longitude IS NOT NULL"
    return f"{alias}.{column} IS NOT NULL"


def _chosen(column: str, alias: str, holders: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    """Whether the value of a column is the one of this source: it has one, and none before it has."""
    conditions: list[str] = []
    for _, other in holders[column]:
        if other == alias:
            return " AND ".join([*conditions, f"({_has(column, alias)})"])
        conditions.append(f"NOT ({_has(column, other)})")
    raise AssertionError("the alias is among the holders")
