"""Carries a recipe out: candidates, hold-out, capacities, targets, and the photos of every part.

Everything that decides is either a small table (a row a class, or a held-out group) or an order by the
stable key, so the same recipe over the same photos gives the same split whatever the threads, the order of
files, or the layout of the catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from arboretum_tools.catalog import Catalog, Selection
from arboretum_tools.photo_ids import PhotoIds
from arboretum_tools.split.groups import group_sql, holdout_sql
from arboretum_tools.split.profiles import Targets, exp_targets
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
        classes: one row a class that takes part, in label order: class_id, label, n_selected, n_available,
            n_train, n_val, n_test.
        unused_classes: classes of the selection that take no part: class_key, n_selected, n_available.
        left_out: photos that the store did not hold, photo_id ascending; None where no store was asked.
        counts: photos of the selection by what became of them.
    """

    parts: dict[str, pa.Table]
    classes: pa.Table
    unused_classes: pa.Table
    left_out: pa.Table | None
    counts: dict[str, int]


def draw(selection: Selection, recipe: SplitRecipe, group_by: str, store: PhotoIds | None) -> Drawn:
    """Draws the parts of a split from a selection.

    Args:
        selection: what may be drawn.
        recipe: how.
        group_by: the resolved grouping, never `auto`.
        store: the photos that an image store holds; None = all may be drawn.

    Raises:
        InfeasibleSplitError: the selection cannot carry the profile.
    """
    catalog = selection.catalog
    _candidates(selection, recipe, group_by, store)
    catalog.run(f"CREATE OR REPLACE TABLE held AS {holdout_sql('(FROM candidates WHERE available)', recipe)}")
    classes = _capacities(catalog)
    capacities = classes["n_available"].to_numpy()
    order = np.lexsort((classes["class_id"].to_numpy(), -capacities))
    targets = _targets(capacities[order], recipe)
    chosen = order[: len(targets.counts)]
    # class_id follows class_key, so among equal counts the labels do too.
    by_label = np.lexsort((classes["class_id"].to_numpy()[chosen], -targets.counts))
    chosen, counts = chosen[by_label], targets.counts[by_label]
    table = classes.take(pa.array(chosen)).append_column("n_train", pa.array(counts))
    table = table.append_column("label", pa.array(np.arange(len(chosen), dtype=np.int32)))
    catalog.register("targets", table)
    _draw_parts(catalog, recipe)
    return Drawn(
        parts=_parts(selection, recipe),
        classes=catalog.table(
            "SELECT t.*, coalesce(n_val, 0) AS n_val, coalesce(n_test, 0) AS n_test FROM targets t "
            "LEFT JOIN (SELECT label, count(*) FILTER (part = 'val') AS n_val, "
            "count(*) FILTER (part = 'test') AS n_test FROM drawn GROUP BY label) USING (label) "
            "ORDER BY label"
        ),
        unused_classes=catalog.table(
            "SELECT class_key, n_selected, n_available FROM capacities JOIN numbered USING (class_id) "
            "WHERE class_id NOT IN (SELECT class_id FROM targets) ORDER BY n_available DESC, class_key"
        ),
        left_out=_left_out(catalog) if recipe.store else None,
        counts=_counts(catalog),
    )


def _candidates(selection: Selection, recipe: SplitRecipe, group_by: str, store: PhotoIds | None) -> None:
    """Makes `candidates`: every selected photo of a class, its group, its key, whether it may be drawn."""
    catalog = selection.catalog
    # Numbers instead of keys from here on; the number follows the bytes of the key.
    catalog.run(
        "CREATE OR REPLACE TABLE numbered AS "
        "SELECT class_key, (row_number() OVER (ORDER BY class_key) - 1)::INTEGER AS class_id FROM classes"
    )
    kind, group = group_sql(group_by)
    sql, parameters = selection.query(
        f"photo_id, class_key, hybrid, ({kind})::TINYINT AS kind, {group} AS group_id"
    )
    available = "true" if store is None else f"photo_id IN (FROM {catalog.register_ids(store)})"
    catalog.run(
        "CREATE OR REPLACE TABLE candidates AS "
        f"SELECT photo_id, class_id, kind, group_id, hybrid, {available} AS available, "
        f"{key_sql('photo_id', 'train', recipe.seed)}::UINTEGER AS key "
        f"FROM ({sql}) LEFT JOIN numbered USING (class_key)",
        parameters,
    )
    catalog.run(
        "CREATE OR REPLACE TABLE set_aside AS "
        "SELECT count(*) AS selected, count(*) FILTER (class_id IS NULL) AS no_class FROM candidates"
    )
    taken = "class_id IS NULL" if recipe.hybrids else "class_id IS NULL OR hybrid"
    catalog.run(f"DELETE FROM candidates WHERE {taken}")


def _capacities(catalog: Catalog) -> pa.Table:
    """Makes `capacities`: class_id, n_selected, n_available (photos outside the held-out groups)."""
    catalog.run(
        "CREATE OR REPLACE TABLE capacities AS SELECT class_id, count(*) AS n_selected, "
        "count(*) FILTER (available AND held.part IS NULL) AS n_available "
        "FROM candidates LEFT JOIN held USING (class_id, kind, group_id) GROUP BY class_id"
    )
    return catalog.table("SELECT * FROM capacities ORDER BY class_id")


def _targets(capacities: NDArray[np.int64], recipe: SplitRecipe) -> Targets:
    if recipe.profile == "exp":
        return exp_targets(capacities, recipe)
    return Targets(capacities[capacities > 0], recipe.lt_ratio)


def _draw_parts(catalog: Catalog, recipe: SplitRecipe) -> None:
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


def _left_out(catalog: Catalog) -> pa.Table:
    return catalog.table("SELECT photo_id FROM candidates WHERE NOT available ORDER BY photo_id")


def _counts(catalog: Catalog) -> dict[str, int]:
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
