"""Carries a recipe out: candidates, hold-out, capacities, targets, and the photos of every part.

Everything that decides is either a small table (a row a class, or a held-out group) or an order by the
stable key, so the same recipe over the same photos gives the same split whatever the threads, the order of
files, or the layout of the catalogue.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from arboretum_metadata.vocab import RANKS
from arboretum_tools.catalog import Relations, Selection
from arboretum_tools.identity import class_key_sql
from arboretum_tools.photo_ids import PhotoIds
from arboretum_tools.query import identifier
from arboretum_tools.split.groups import group_sql, holdout_sql
from arboretum_tools.split.profiles import targets
from arboretum_tools.split.recipe import SplitRecipe
from arboretum_tools.stable import key_sql

#: Columns of a part besides photo_id and label, as `photos` has them.
_CARRIED = (
    "ext, url, observation_id, observer_id, observer_name, license, life_stage, width, height, observed_on, "
    "latitude, longitude"
)

_KEYS = 2**32


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was drawn.

    Attributes:
        parts: by name, sorted by (label, photo_id), the columns of `arboretum_metadata.schema.PART`.
        classes: one row a class that takes part, in label order: label, its counts, its key, its names.
        unused_classes: classes of the selection that take no part: class_key, n_selected, n_available.
        left_out: photos that the store did not hold, photo_id ascending; None where no store was asked.
        counts: photos of the selection by what became of them.
        rolled_up: photos named to a subspecies, variety or form, counted with their species.
    """

    parts: dict[str, pa.Table]
    classes: pa.Table
    unused_classes: pa.Table
    left_out: pa.Table | None
    counts: dict[str, int]
    rolled_up: int


@dataclass(frozen=True, slots=True)
class Available:
    """Which photos of a selection may be drawn; as it is built without values, all.

    Attributes:
        only: these alone.
        but: all but these.
    """

    only: PhotoIds | None = None
    but: PhotoIds | None = None

    def sql(self, catalog: Relations) -> str:
        """The condition on photo_id; makes the tables that it needs."""
        conditions = []
        if self.only is not None:
            conditions.append(f"photo_id IN (FROM {catalog.register_ids(self.only)})")
        if self.but is not None:
            conditions.append(f"photo_id NOT IN (FROM {catalog.register_ids(self.but)})")
        return " AND ".join(conditions) or "true"


def draw(
    selection: Selection, recipes: Sequence[SplitRecipe], group_by: str, available: Available
) -> Iterator[Drawn]:
    """Draws the parts of one split, or of each split of a family, from a selection.

    Args:
        selection: what may be drawn.
        recipes: how; they may differ in their ratio only.
        group_by: the resolved grouping, never `auto`.
        available: which of the selected photos may be drawn.

    Yields:
        One result a recipe, in their order. Each must be used before the next is asked for.

    Raises:
        InfeasibleSplitError: the selection cannot carry the profile.
    """
    catalog, recipe = selection.catalog, recipes[0]
    _candidates(selection, recipe, group_by, available)
    catalog.run(f"CREATE OR REPLACE TABLE held AS {holdout_sql('(FROM candidates WHERE available)', recipe)}")
    classes = _capacities(catalog)
    ids, capacities = classes["class_id"].to_numpy(), classes["n_available"].to_numpy()
    order = np.lexsort((ids, -capacities))
    for one in recipes:
        found = targets(capacities[order], classes["n_drawable"].to_numpy()[order], one)
        chosen, counts = order[found.places], found.counts
        # class_id follows class_key, so among equal counts the labels do too.
        by_label = np.lexsort((ids[chosen], -counts))
        chosen, counts = chosen[by_label], counts[by_label]
        table = classes.take(pa.array(chosen)).append_column("n_train", pa.array(counts))
        table = table.append_column("label", pa.array(np.arange(len(chosen), dtype=np.int32)))
        catalog.register("targets", table)
        _draw_parts(catalog, one)
        yield Drawn(
            parts=_parts(selection, one),
            classes=_class_rows(catalog),
            unused_classes=_unused_classes(catalog),
            left_out=_left_out(catalog) if one.store else None,
            counts=_counts(catalog),
            rolled_up=_rolled_up(catalog),
        )


def _class_rows(catalog: Relations) -> pa.Table:
    return catalog.table(
        "SELECT t.label, t.n_selected, t.n_available, t.n_train, coalesce(d.n_val, 0) AS n_val, "
        "coalesce(d.n_test, 0) AS n_test, c.* EXCLUDE (class_id) FROM targets t "
        "JOIN rank_classes c USING (class_id) "
        "LEFT JOIN (SELECT label, count(*) FILTER (part = 'val') AS n_val, "
        "count(*) FILTER (part = 'test') AS n_test FROM drawn GROUP BY label) d USING (label) "
        "ORDER BY t.label"
    )


def _unused_classes(catalog: Relations) -> pa.Table:
    return catalog.table(
        "SELECT class_key, n_selected, n_available FROM capacities JOIN rank_classes USING (class_id) "
        "WHERE class_id NOT IN (SELECT class_id FROM targets) ORDER BY n_available DESC, class_key"
    )


def _rank_classes(catalog: Relations, rank: str) -> None:
    """Makes `rank_classes`: one row a class of this rank, numbered in the order of the bytes of its key.

    Above species the lineage is the most frequent tuple among the class's photos (ties: smallest bytes), as
    it is for species; common names and taxon ids belong to taxa below and are not carried up.
    """
    source = "classes"
    if rank != "species":
        above = list(RANKS)[: list(RANKS).index(rank) + 1]
        lineage = ", ".join(map(identifier, above))
        below = ", ".join(f"NULL::VARCHAR AS {identifier(name)}" for name in RANKS if name not in above)
        source = (
            f"(WITH tuples AS (SELECT {class_key_sql(rank)} AS class_key, {lineage}, sum(n) AS n "
            "FROM lineages GROUP BY ALL), "
            "total AS (SELECT class_key, sum(n)::BIGINT AS n_catalog FROM tuples GROUP BY class_key) "
            f"SELECT class_key, n_catalog, {lineage}, {below}, {identifier(rank)} AS scientific_name, "
            "NULL::VARCHAR AS common_name, NULL::BIGINT AS taxon_id "
            "FROM tuples JOIN total USING (class_key) QUALIFY row_number() OVER "
            f"(PARTITION BY class_key ORDER BY n DESC, {lineage}) = 1)"
        )
    catalog.run(
        "CREATE OR REPLACE TABLE rank_classes AS SELECT *, "
        f"(row_number() OVER (ORDER BY class_key) - 1)::INTEGER AS class_id FROM {source}"
    )


def _candidates(selection: Selection, recipe: SplitRecipe, group_by: str, available: Available) -> None:
    """Makes `candidates`: every selected photo of a class, its group, its key, whether it may be drawn."""
    catalog = selection.catalog
    # Numbers instead of keys from here on; the number follows the bytes of the key.
    _rank_classes(catalog, recipe.rank)
    class_key = "class_key" if recipe.rank == "species" else f"{class_key_sql(recipe.rank)} AS class_key"
    kind, group = group_sql(group_by)
    # A name that goes on behind genus and epithet is that of a subspecies, variety or form.
    below = "starts_with(scientific_name, genus || ' ' || species || ' ')"
    sql, parameters = selection.query(
        f"photo_id, {class_key}, hybrid, coalesce({below}, false) AS below, ({kind})::TINYINT AS kind, "
        f"{group} AS group_id"
    )
    catalog.run(
        "CREATE OR REPLACE TABLE candidates AS "
        "SELECT photo_id, class_id, kind, group_id, hybrid, below, "
        f"{available.sql(catalog)} AS available, "
        f"{key_sql('photo_id', 'train', recipe.seed)}::UINTEGER AS key "
        f"FROM ({sql}) LEFT JOIN rank_classes USING (class_key)",
        parameters,
    )
    catalog.run(
        "CREATE OR REPLACE TABLE set_aside AS "
        "SELECT count(*) AS selected, count(*) FILTER (class_id IS NULL) AS no_class FROM candidates"
    )
    taken = "class_id IS NULL" if recipe.hybrids else "class_id IS NULL OR hybrid"
    catalog.run(f"DELETE FROM candidates WHERE {taken}")


def _capacities(catalog: Relations) -> pa.Table:
    """Makes `capacities`: class_id, n_selected, n_drawable, n_available (those outside held-out groups)."""
    catalog.run(
        "CREATE OR REPLACE TABLE capacities AS SELECT class_id, count(*) AS n_selected, "
        "count(*) FILTER (available) AS n_drawable, "
        "count(*) FILTER (available AND held.part IS NULL) AS n_available "
        "FROM candidates LEFT JOIN held USING (class_id, kind, group_id) GROUP BY class_id"
    )
    return catalog.table("SELECT * FROM capacities ORDER BY class_id")


def _draw_parts(catalog: Relations, recipe: SplitRecipe) -> None:
    """Makes `drawn`: photo_id, label, part."""
    sizes = {"test": recipe.test_per_class, "val": recipe.val_per_class}
    catalog.run(
        "CREATE OR REPLACE TABLE drawn AS SELECT photo_id, label, part FROM candidates "
        "JOIN held USING (class_id, kind, group_id) JOIN targets USING (class_id) WHERE available "
        "QUALIFY row_number() OVER (PARTITION BY class_id, part ORDER BY key, photo_id) "
        f"<= CASE part WHEN 'test' THEN {int(sizes['test'])} ELSE {int(sizes['val'])} END"
    )
    # The n smallest keys of a class lie almost surely below this limit, so only few rows are sorted. It is
    # 6 standard deviations above the mean; a class that misses it all the same is drawn again without it.
    limit = f"{_KEYS} * least(1, (n_train + 6 * sqrt(n_train) + 12) / n_available)"
    draw_train = (
        "INSERT INTO drawn SELECT photo_id, label, 'train' FROM candidates JOIN targets USING (class_id) "
        "ANTI JOIN held USING (class_id, kind, group_id) WHERE available AND {condition} "
        "QUALIFY row_number() OVER (PARTITION BY class_id ORDER BY key, photo_id) <= n_train"
    )
    catalog.run(draw_train.format(condition=f"key < {limit}"))
    short = catalog.table(
        "SELECT label FROM targets LEFT JOIN (SELECT label, count(*) AS n FROM drawn WHERE part = 'train' "
        "GROUP BY label) USING (label) WHERE coalesce(n, 0) < n_train"
    )
    if short.num_rows:
        catalog.register("short", short)
        catalog.run("DELETE FROM drawn WHERE part = 'train' AND label IN (FROM short)")
        catalog.run(draw_train.format(condition="label IN (FROM short)"))


def _parts(selection: Selection, recipe: SplitRecipe) -> dict[str, pa.Table]:
    catalog = selection.catalog
    catalog.run(
        f"CREATE OR REPLACE TABLE rows AS SELECT photo_id, label, part, {_CARRIED} "
        "FROM photos JOIN drawn USING (photo_id)"
    )
    asked = {"train": True, "val": recipe.val_per_class > 0, "test": recipe.test_per_class > 0}
    return {
        part: catalog.table(
            f"SELECT photo_id, label, {_CARRIED} FROM rows WHERE part = ? ORDER BY label, photo_id", [part]
        )
        for part, there in asked.items()
        if there
    }


def _left_out(catalog: Relations) -> pa.Table:
    return catalog.table("SELECT photo_id FROM candidates WHERE NOT available ORDER BY photo_id")


def _rolled_up(catalog: Relations) -> int:
    return int(str(catalog.rows("SELECT count(*) FROM candidates WHERE below")[0][0]))


def _counts(catalog: Relations) -> dict[str, int]:
    """Photos of the selection by what became of them; they add up to `selected`."""
    (found,) = catalog.table(
        "SELECT COLUMNS(*)::BIGINT FROM set_aside s, "
        "(SELECT count(*) AS photos, count(*) FILTER (NOT available) AS left_out FROM candidates) c, "
        "(SELECT count(*) FILTER (part = 'train') AS train, count(*) FILTER (part = 'val') AS val, "
        "count(*) FILTER (part = 'test') AS test FROM drawn) d, "
        "(SELECT count(*) AS held FROM candidates JOIN held USING (class_id, kind, group_id) "
        "JOIN targets USING (class_id) WHERE available) u"
    ).to_pylist()
    held_unused = found["held"] - found["val"] - found["test"]
    hybrids = found["selected"] - found["no_class"] - found["photos"]
    drawn = found["train"] + found["val"] + found["test"]
    return {
        "selected": found["selected"],
        "no_class": found["no_class"],
        "hybrids_left_out": hybrids,
        "not_in_store": found["left_out"],
        "train": found["train"],
        "val": found["val"],
        "test": found["test"],
        "held_out_unused": held_unused,
        "not_drawn": found["photos"] - found["left_out"] - drawn - held_unused,
    }
