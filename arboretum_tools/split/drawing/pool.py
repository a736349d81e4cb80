"""The pool: every photo that a split may draw from, as one relation over either layout, and its census.

Of a built catalogue the pool is a query over its photos, which stand sorted by taxon: each question decodes
the few columns that it needs, in the row groups of the selected taxa, and nothing is copied. Where reading
again would cost more (a raw catalogue, a selection that compares photos with each other) the pool is a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from arboretum_metadata.vocab import RANKS
from arboretum_tools.catalog import Relations, Selection
from arboretum_tools.photos.photo_ids import PhotoIds
from arboretum_tools.split.drawing.groups import group_sql
from arboretum_tools.split.recipes.recipe import SplitRecipe
from arboretum_tools.tabular.query import identifier
from arboretum_tools.taxa.identity import class_key_sql

# Where further columns stand in the query of a pool.
_MORE = "/* more */"

# A name that goes on behind genus and epithet is that of a subspecies, variety or form.
_ROLLED_UP = "coalesce(starts_with(scientific_name, genus || ' ' || species || ' '), false)"


@dataclass(frozen=True, slots=True)
class Available:
    """Which photos of a selection may be drawn; as it is built without values, all.

    Attributes:
        only: these alone.
        but: all but these.
        joined: groups that belong together, the columns of `Joined.groups`.
    """

    only: PhotoIds | None = None
    but: PhotoIds | None = None
    joined: pa.Table | None = None

    def sql(self, catalog: Relations) -> str:
        """The condition on photo_id; makes the tables that it needs."""
        conditions = []
        if self.only is not None:
            conditions.append(f"photo_id IN (FROM {catalog.register_ids(self.only)})")
        if self.but is not None:
            conditions.append(f"photo_id NOT IN (FROM {catalog.register_ids(self.but)})")
        return " AND ".join(conditions) or "true"


@dataclass(frozen=True, slots=True)
class Pool:
    """The photos of a selection, with what the drawing asks of them.

    The catalogue has the table `rank_classes`, one row per class of the selection, numbered by `class_id` in
    the order of the bytes of its key; and `census`, photos by class_id (NULL = in no class), taken,
    rolled_up, available.

    Attributes:
        catalog: where they stand.
        start: the query up to where it may name further columns of `photos`.
        end: the rest of it; empty where the pool is the table `pool`.
        parameters: the values of its `?`.
        names: a table expression with what is known of each class of this rank by class_key: n_catalog,
            lineage, names. Read when the classes are chosen, as it is far larger than their keys.
    """

    catalog: Relations
    start: str
    end: str
    parameters: tuple[Any, ...]
    names: str

    @property
    def sql(self) -> str:
        """A query for photo_id, class_id, kind, group_id, taken, rolled_up, available.

        `taken` says whether the photo is in a class that may stand in the split, `rolled_up` whether it is
        named to a subspecies, variety or form.
        """
        return self.start + self.end

    @property
    def is_table(self) -> bool:
        """Whether the pool was kept; further columns are then joined to what was chosen out of it."""
        return not self.end

    def with_columns(self, columns: Sequence[str]) -> str:
        """The same with further columns of `photos`, and the same parameters; not of a table."""
        return self.start + "".join(f", {identifier(column)}" for column in columns) + self.end


def make_pool(selection: Selection, recipe: SplitRecipe, group_by: str, available: Available) -> Pool:
    """The pool of a selection; makes the tables that it needs, and takes the census.

    Args:
        selection: what may be drawn.
        recipe: its rank, and whether hybrids take part.
        group_by: the resolved grouping, never `auto`.
        available: which of the selected photos may be drawn.
    """
    catalog = selection.catalog
    names = _names_sql(recipe.rank)
    kind, group = group_sql(group_by)
    own = f"({kind})::TINYINT AS kind, {group} AS group_id, {available.sql(catalog)} AS available"
    class_key = "class_key" if recipe.rank == "species" else f"{class_key_sql(recipe.rank)} AS class_key"
    taken = "class_id IS NOT NULL" + ("" if recipe.hybrids else " AND hybrid IS NOT TRUE")
    if catalog.counted:
        taxa, values = _selected_taxa(selection)
        catalog.run(f"CREATE OR REPLACE TABLE rank_classes AS {_numbered(class_key, taxa)}", values)
        catalog.run(
            f"CREATE OR REPLACE TABLE taxon_classes AS SELECT tax, class_id, {taken} AS taken, rolled_up "
            f"FROM (SELECT tax, {class_key}, hybrid, {_ROLLED_UP} AS rolled_up FROM {taxa}) "
            "LEFT JOIN rank_classes USING (class_key)",
            values,
        )
        inner, parameters = selection.query(f"photo_id, tax, {own}{_MORE}", relation=catalog.photos_alone)
        start, end = inner.split(_MORE)
        pool = Pool(
            catalog,
            f"SELECT * EXCLUDE (tax) FROM ({start}",
            f"{end}) JOIN taxon_classes USING (tax)",
            parameters,
            names,
        )
    else:
        catalog.run(f"CREATE OR REPLACE TABLE rank_classes AS {_numbered(class_key, 'lineages')}")
        inner, parameters = selection.query(
            f"photo_id, {class_key}, hybrid, {_ROLLED_UP} AS rolled_up, {own}"
        )
        pool = Pool(
            catalog,
            f"SELECT photo_id, class_id, kind, group_id, {taken} AS taken, rolled_up, available "
            f"FROM ({inner}) LEFT JOIN rank_classes USING (class_key)",
            "",
            parameters,
            names,
        )
    if available.joined is not None:
        pool = _with_joined(pool, available.joined)
    if not catalog.counted or not all(one.row_wise for one in selection.criteria):
        catalog.run(f"CREATE OR REPLACE TABLE pool AS {pool.sql}", pool.parameters)
        pool = Pool(catalog, "FROM pool", "", (), names)
    _take_census(selection, pool, available)
    return pool


def _with_joined(pool: Pool, joined: pa.Table) -> Pool:
    """The pool, where a group that belongs to another one has that one's kind and id."""
    pool.catalog.register("joined", joined)
    pool.catalog.run(
        "CREATE OR REPLACE TABLE joined_groups AS SELECT class_id AS of_class, kind, group_id, to_kind, "
        "to_id FROM joined LEFT JOIN rank_classes USING (class_key) "
        "WHERE class_key IS NULL OR class_id IS NOT NULL"
    )
    start, end = pool.start, pool.end
    return replace(
        pool,
        start="SELECT p.* REPLACE (coalesce(to_kind, p.kind) AS kind, "
        f"coalesce(to_id, p.group_id) AS group_id) FROM ({start}",
        end=f"{end}) p LEFT JOIN joined_groups j ON p.kind = j.kind AND p.group_id = j.group_id "
        "AND coalesce(of_class, class_id) = class_id",
    )


def _take_census(selection: Selection, pool: Pool, available: Available) -> None:
    relation, photos = selection.tally("*")
    if relation == "counts" and available == Available():
        found = selection.explanation
        source, parameters = (
            f"counts JOIN taxon_classes USING (tax) WHERE {found.condition}",
            found.parameters,
        )
        columns = f"class_id, taken, rolled_up, true AS available, ({photos})::BIGINT AS n"
    else:
        source, parameters = f"({pool.sql})", pool.parameters
        columns = "class_id, taken, rolled_up, available, count(*) AS n"
    pool.catalog.run(
        f"CREATE OR REPLACE TABLE census AS SELECT {columns} FROM {source} GROUP BY ALL", parameters
    )


def _selected_taxa(selection: Selection) -> tuple[str, tuple[Any, ...]]:
    """A table expression of the rows of `taxa` that a selection can have photos of, and its parameters."""
    if selection.tally("*")[0] != "counts":
        return "taxa", ()
    found = selection.explanation
    return f"(FROM taxa WHERE tax IN (SELECT tax FROM counts WHERE {found.condition}))", found.parameters


def _numbered(class_key: str, source: str) -> str:
    """A query for the classes of some rows of names: class_key, and class_id in the order of its bytes."""
    return (
        "SELECT class_key, (row_number() OVER (ORDER BY class_key) - 1)::INTEGER AS class_id "
        f"FROM (SELECT DISTINCT {class_key} FROM {source}) WHERE class_key IS NOT NULL"
    )


def _names_sql(rank: str) -> str:
    """What is known of the classes of a rank, as a table expression.

    Above species the lineage is the most frequent tuple among the class's photos (ties: smallest bytes), as
    it is for species; common names and taxon ids belong to taxa below and are not carried up.
    """
    if rank == "species":
        return "classes"
    above = list(RANKS)[: list(RANKS).index(rank) + 1]
    lineage = ", ".join(map(identifier, above))
    below = ", ".join(f"NULL::VARCHAR AS {identifier(name)}" for name in RANKS if name not in above)
    return (
        f"(WITH tuples AS (SELECT {class_key_sql(rank)} AS class_key, {lineage}, sum(n) AS n "
        "FROM lineages GROUP BY ALL), "
        "total AS (SELECT class_key, sum(n)::BIGINT AS n_catalog FROM tuples GROUP BY class_key) "
        f"SELECT class_key, n_catalog, {lineage}, {below}, {identifier(rank)} AS scientific_name, "
        "NULL::VARCHAR AS common_name, NULL::BIGINT AS taxon_id "
        "FROM tuples JOIN total USING (class_key) QUALIFY row_number() OVER "
        f"(PARTITION BY class_key ORDER BY n DESC, {lineage}) = 1)"
    )
