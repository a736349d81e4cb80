"""Carries a recipe out: hold-out, capacities, targets, and the photos of every part.

Everything that decides is either a small table (a row per class, or a held-out group) or an order by the
stable key, so the same recipe over the same photos gives the same split whatever the threads, the order of
files, or the layout of the catalogue.

Photos are never kept in between. The order of a class is asked only of photos whose keys lie under a limit,
and what remains of it is where each part ends: the (key, photo_id) of its last photo. The parts are then read
by those ends, with all their columns, and go to files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from arboretum_metadata.schema import PART
from arboretum_tools.catalog import Relations, Selection
from arboretum_tools.catalog.building.partitions import MOST_BUCKETS
from arboretum_tools.errors import InfeasibleSplitError
from arboretum_tools.photos.photo_plan import empty_error
from arboretum_tools.split.drawing.drawn_parts import DrawnParts
from arboretum_tools.split.drawing.hold_out import BETWEEN, KEYS, NOWHERE, SET_ASIDE, hold_out, limit_sql
from arboretum_tools.split.drawing.pool import Available, Pool, make_pool
from arboretum_tools.split.drawing.profiles import targets
from arboretum_tools.split.drawing.sides import hold_out_sides, side_totals
from arboretum_tools.split.files.manifest import PARTS
from arboretum_tools.split.recipes.class_list import Fixed
from arboretum_tools.split.recipes.recipe import SplitRecipe
from arboretum_tools.stable_key import KEYS_FIRST, key_sql
from arboretum_tools.tabular.arrays import from_numpy, to_numpy
from arboretum_tools.wording import counted, does

# Columns of a part besides photo_id and label, as `photos` has them.
_CARRIED = tuple(name for name in PART.names if name not in ("photo_id", "label"))

# Rows of a bucket of a part, about; a bucket is a row group of the file.
_BUCKET_ROWS = 100_000

# Rows that come from the catalogue at a time: enough that a bucket's share of them is not a handful.
_BATCH_ROWS = 250_000

_TRAIN, _VAL, _TEST = (PARTS.index(part) for part in ("train", "val", "test"))


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was drawn.

    Attributes:
        parts: by name, sorted by (label, photo_id), the columns of `arboretum_metadata.schema.PART`; on disk
            until they are asked for.
        classes: one row per class that takes part, in label order: label, its counts, its key, its names.
        unused_classes: classes of the selection that take no part: class_key, n_selected, n_available.
        left_out: photos that the store did not hold, photo_id ascending; None where no store was asked.
        counts: photos of the selection by what became of them.
        rolled_up: photos named to a subspecies, variety or form, counted with their species.
        sides: of a split by place, time or person, units and photos on each side, and photos on none.
    """

    parts: Mapping[str, pa.Table]
    classes: pa.Table
    unused_classes: pa.Table
    left_out: pa.Table | None
    counts: dict[str, int]
    rolled_up: int
    sides: dict[str, Any] | None = None


def draw(
    selection: Selection,
    recipes: Sequence[SplitRecipe],
    group_by: str,
    available: Available,
    fixed: Fixed = Fixed(),  # noqa: B008 - a frozen value
) -> Iterator[Drawn]:
    """Draws the parts of one split, or of each split of a family, from a selection.

    Args:
        selection: what may be drawn.
        recipes: how; they may differ in their ratio and in their seed only.
        group_by: the resolved grouping, never `auto`.
        available: which of the selected photos may be drawn.
        fixed: the classes and counts that the recipes have hashes of.

    Yields:
        One result a recipe, in their order.

    Raises:
        InfeasibleSplitError: the selection cannot carry the profile.
    """
    catalog, recipe = selection.catalog, recipes[0]
    pool = make_pool(selection, recipe, group_by, available)
    classes = _capacities(pool, recipe, group_by)
    # A benchmark is drawn in slices, and says by itself what none of them has.
    if not classes.num_rows and not recipe.benchmark and selection.why_empty():
        raise empty_error(selection, "nothing was written")
    classes = _listed(catalog, classes, fixed)
    held = recipe.seeds[0] if recipe.seeds else recipe.seed
    ids, capacities, drawable = (
        to_numpy(classes[name]) for name in ("class_id", "n_available", "n_drawable")
    )
    order = np.lexsort((ids, -capacities))
    for one in recipes:
        if one.seed != held:
            held = one.seed
            _hold_out(pool, one, group_by)
        found = targets(capacities[order], drawable[order], one, fixed)
        chosen, counts = order[found.positions], found.counts
        # class_id follows class_key, so among equal counts the labels do too.
        by_label = np.lexsort((ids[chosen], -counts))
        chosen, counts = chosen[by_label], counts[by_label]
        table = classes.take(from_numpy(chosen)).append_column("n_train", from_numpy(counts))
        table = table.append_column("label", from_numpy(np.arange(len(chosen), dtype=np.int32)))
        catalog.register("targets", table)
        find_ends(pool, one)
        yield Drawn(
            parts=_parts(pool, one),
            classes=_class_rows(pool),
            unused_classes=_unused_classes(catalog),
            left_out=_left_out(pool) if one.store else None,
            counts=_counts(catalog, one),
            rolled_up=_rolled_up(catalog),
            sides=None if one.rule is None else side_totals(catalog, one.rule),
        )


def _capacities(pool: Pool, recipe: SplitRecipe, group_by: str) -> pa.Table:
    """Holds out, and makes `capacities`: class_id, n_selected, n_drawable, n_available (what is left).

    Of a set of seeds a class has what the seed leaves that leaves fewest; held out is by the first of them.
    """
    run = pool.catalog.run
    run(
        "CREATE OR REPLACE TABLE capacities AS SELECT class_id, sum(n)::BIGINT AS n_selected, "
        "coalesce(sum(n) FILTER (available), 0)::BIGINT AS n_drawable, n_drawable AS n_available FROM census "
        "WHERE taken GROUP BY class_id"
    )
    for seed in reversed(recipe.seeds or (recipe.seed,)):
        _hold_out(pool, replace(recipe, seed=seed), group_by)
        run(
            "CREATE OR REPLACE TABLE capacities AS SELECT c.* REPLACE (least(n_available, n_left) AS "
            "n_available) FROM capacities c JOIN remaining USING (class_id)"
        )
    if recipe.benchmark and recipe.min_test_groups:
        # Nothing is trained on, so that a class whose every group is in test would still take part.
        enough = f"SELECT class_id FROM held GROUP BY class_id HAVING count(*) >= {recipe.min_test_groups}"
        run(f"UPDATE capacities SET n_drawable = 0 WHERE class_id NOT IN ({enough})")
    return pool.catalog.table("SELECT * FROM capacities ORDER BY class_id")


def _hold_out(pool: Pool, recipe: SplitRecipe, group_by: str) -> None:
    """Holds out by one seed, and makes `remaining`: class_id, n_left."""
    if recipe.rule is None:
        hold_out(pool, recipe, group_by)
    else:
        hold_out_sides(pool, recipe.rule, recipe, group_by)
    # Of a class with fewer photos than are held out, or than a side must have of it, nothing is left.
    pool.catalog.run(
        "CREATE OR REPLACE TABLE remaining AS SELECT class_id, CASE WHEN n_drawable < "
        f"{recipe.test_per_class + recipe.val_per_class} OR coalesce(n_test, 0) < {recipe.test_per_class} "
        f"OR coalesce(n_val, 0) < {recipe.val_per_class} THEN 0 ELSE n_drawable - coalesce(n_held, 0) END"
        "::BIGINT AS n_left FROM capacities LEFT JOIN (SELECT class_id, sum(n) AS n_held, "
        f"sum(n) FILTER (part = {_TEST}) AS n_test, sum(n) FILTER (part = {_VAL}) AS n_val "
        "FROM held GROUP BY class_id) USING (class_id)"
    )


def _listed(catalog: Relations, classes: pa.Table, fixed: Fixed) -> pa.Table:
    """The classes that a list names, where there is one.

    Raises:
        InfeasibleSplitError: one of them is not in the selection, or keeps no photo for training.
    """
    if fixed.keys is None:
        return classes
    numbers = {
        str(key): int(str(n)) for n, key in catalog.rows("SELECT class_id, class_key FROM rank_classes")
    }
    rows = {n: row for row, n in enumerate(classes["class_id"].to_pylist())}
    left = classes["n_available"].to_pylist()
    places = [rows.get(numbers.get(key, -1), -1) for key in fixed.keys]
    lost = [key for key, row in zip(fixed.keys, places, strict=True) if row < 0 or not left[row]]
    if lost:
        raise InfeasibleSplitError(
            f"no split: {counted(len(lost), 'class')} of the list {does(len(lost), 'have')} no photo for "
            f"training in the selection, such as {lost[0]}",
            hint="Select more photos, hold fewer out, or take these classes off the list.",
        )
    return classes.take(from_numpy(np.sort(np.array(places))))


def find_ends(pool: Pool, recipe: SplitRecipe) -> None:
    """Makes `ends`: where each part of each class ends, and what it holds: label, part, n, key, photo_id.

    Args:
        pool: what may be drawn; its catalogue has `held` and `targets`.
        recipe: sizes of the parts, and the seed.
    """
    run, rows = pool.catalog.run, pool.catalog.rows
    # The n smallest keys of a class lie almost surely below this limit, so few photos are sorted. A class
    # that misses it all the same is asked again without it.
    below = limit_sql("n_train", "n_left")
    run(
        "CREATE OR REPLACE TABLE limits AS "
        "SELECT class_id, label, n_train, n_train < n_left AS partly, last_held, "
        f"CASE WHEN n_train < n_left THEN {below} ELSE {KEYS} END AS below FROM targets "
        "JOIN remaining USING (class_id) "
        "LEFT JOIN (SELECT class_id, max(key) AS last_held FROM held GROUP BY class_id) USING (class_id)"
    )
    # A class that gives all it has left needs no order.
    run(
        f"CREATE OR REPLACE TABLE ends AS SELECT label, {_TRAIN}::TINYINT AS part, n_train AS n, "
        f"{KEYS - 1}::UBIGINT AS key, {2**63 - 1} AS photo_id FROM limits WHERE NOT partly AND n_train > 0"
    )
    run(_ends_sql(pool, recipe, f"partly OR part <> {_TRAIN}"), pool.parameters)
    missed = f"partly AND n_train > 0 AND label NOT IN (SELECT label FROM ends WHERE part = {_TRAIN})"
    if rows(f"SELECT 1 FROM limits WHERE {missed} LIMIT 1"):
        run(f"DELETE FROM limits WHERE NOT ({missed})")
        run(f"UPDATE limits SET below = {KEYS}, last_held = NULL")
        run(_ends_sql(pool, recipe, f"part = {_TRAIN}"), pool.parameters)


def _ends_sql(pool: Pool, recipe: SplitRecipe, condition: str) -> str:
    size = f"CASE part WHEN {_TRAIN} THEN n_train WHEN {_VAL} THEN {int(recipe.val_per_class)} ELSE "
    size += f"{int(recipe.test_per_class)} END"
    return (
        f"INSERT INTO ends SELECT label, part, {size} AS n, key, photo_id "
        f"FROM ({_near_sql(pool.sql, recipe)}) WHERE {condition} "
        "QUALIFY row_number() OVER (PARTITION BY label, part ORDER BY key, photo_id) = n"
    )


def _near_sql(pool: str, recipe: SplitRecipe) -> str:
    """The photos among which the chosen ones are: those of held-out groups, and those under the limit."""
    key = key_sql("photo_id", "train", recipe.seed)
    group = key_sql("group_id", "holdout", recipe.seed)
    nothing_held = recipe.val_per_class + recipe.test_per_class == 0
    keys = f"{key}::UINTEGER AS key" + ("" if nothing_held else f", {group}::UINTEGER AS group_key")
    near = "key < below" + ("" if nothing_held else " OR group_key <= last_held")
    photos = (
        f"SELECT *, coalesce(held_part, {_TRAIN})::TINYINT AS part FROM ("
        f"SELECT p.*, label, n_train, partly, below, last_held, {keys} FROM ({pool}) p "
        f"JOIN limits USING (class_id) WHERE taken AND available {KEYS_FIRST}) "
        "LEFT JOIN (SELECT class_id, kind, group_id, part AS held_part FROM held) "
        f"USING (class_id, kind, group_id) WHERE ({near}) AND (held_part IS NOT NULL OR key < below) "
        f"AND coalesce(held_part, {_TRAIN}) < {SET_ASIDE}"
    )
    if not recipe.min_test_groups:
        return photos
    # In rounds: of each test group its first photo by key, then its second one, and so on.
    order = "row_number() OVER (PARTITION BY label, part, kind, group_id ORDER BY key, photo_id) - 1"
    in_rounds = f"CASE WHEN part = {_TEST} THEN {KEYS} * ({order}) ELSE 0 END"
    return f"SELECT * REPLACE ((key + {in_rounds})::UBIGINT AS key) FROM ({photos})"


def _parts(pool: Pool, recipe: SplitRecipe) -> DrawnParts:
    """Reads the photos up to the ends of their parts, with all columns, into files."""
    run = pool.catalog.run
    # Train ends where its last photo is; held-out photos are found by their groups as before.
    run(
        "CREATE OR REPLACE TABLE limits AS SELECT class_id, label, n_train, true AS partly, last_held, "
        "coalesce(ends.key::UBIGINT + 1, 0) AS below FROM targets "
        f"LEFT JOIN (FROM ends WHERE part = {_TRAIN}) ends USING (label) "
        "LEFT JOIN (SELECT class_id, max(key) AS last_held FROM held GROUP BY class_id) USING (class_id)"
    )
    asked = {_TRAIN: True, _VAL: recipe.val_per_class > 0, _TEST: recipe.test_per_class > 0}
    parts, bucket = _buckets(pool.catalog, [number for number, there in asked.items() if there])
    there = [name for name in _CARRIED if name in ("ext", "url") or pool.catalog.has(name)]
    columns = "".join(f", {name}" for name in there)
    if pool.is_table:
        # What else is known of a photo is joined to the chosen ones, as they are fewer.
        near, own = _near_sql(pool.sql, recipe), ""
    else:
        near, own = _near_sql(pool.with_columns(there), recipe), columns
    sql = (
        f"SELECT near.photo_id, label{own}, {bucket} AS bucket "
        f"FROM ({near}) near JOIN places USING (label, part) "
        "WHERE near.key < places.key OR (near.key = places.key AND near.photo_id <= places.photo_id)"
    )
    if pool.is_table:
        photos = pool.catalog.photos_alone
        sql = f"SELECT chosen.*{columns} FROM ({sql}) chosen JOIN {photos} USING (photo_id)"
    return DrawnParts.write(parts, pool.catalog.batches(sql, pool.parameters, size=_BATCH_ROWS))


def _buckets(catalog: Relations, asked: Sequence[int]) -> tuple[dict[str, range], str]:
    """The buckets of each part; makes `places`: `ends` with the first bucket and the photos before a class.

    A photo's bucket follows from its place in its part: exactly up to its class; within the class as if the
    ids were evenly spread, so buckets may differ in size, but always rise with (label, photo_id).

    Returns:
        The numbers of each part's buckets, by its name; and SQL of a row's bucket, over `near` and `places`.
    """
    sums = catalog.rows("SELECT part, sum(n)::BIGINT, max(n)::BIGINT FROM ends GROUP BY part")
    photos = {int(str(part)): int(str(n)) for part, n, _ in sums}
    size = max(_BUCKET_ROWS, -(-sum(photos.values()) // (MOST_BUCKETS - len(PARTS))))
    parts: dict[str, range] = {}
    first = 0
    for number in asked:
        parts[PARTS[number]] = range(first, first + photos.get(number, 0) // size + 1)
        first = parts[PARTS[number]].stop
    starts = " ".join(f"WHEN {number} THEN {parts[PARTS[number]].start}" for number in asked)
    catalog.run(
        f"CREATE OR REPLACE TABLE places AS SELECT *, CASE part {starts} END AS first_bucket, "
        "(sum(n) OVER (PARTITION BY part ORDER BY label) - n)::BIGINT AS before FROM ends"
    )
    position = "before"
    if max((int(str(most)) for _, _, most in sums), default=0) > size:
        ((least, most),) = catalog.rows(f"SELECT min(photo_id), max(photo_id) FROM {catalog.photos_alone}")
        spread = f"n * ((near.photo_id - {least}) / ({most} - {least} + 1))"
        position += f" + least(n - 1, floor({spread})::BIGINT)"
    return parts, f"(first_bucket + ({position}) // {size})::INTEGER"


def _class_rows(pool: Pool) -> pa.Table:
    return pool.catalog.table(
        "SELECT t.label, t.n_selected, t.n_available, t.n_train, coalesce(d.n_val, 0) AS n_val, "
        "coalesce(d.n_test, 0) AS n_test, c.* FROM targets t JOIN rank_classes USING (class_id) "
        f"JOIN {pool.names} c USING (class_key) "
        f"LEFT JOIN (SELECT label, sum(n) FILTER (part = {_VAL}) AS n_val, "
        f"sum(n) FILTER (part = {_TEST}) AS n_test FROM ends GROUP BY label) d USING (label) "
        "ORDER BY t.label"
    )


def _unused_classes(catalog: Relations) -> pa.Table:
    return catalog.table(
        "SELECT class_key, n_selected, n_available FROM capacities JOIN rank_classes USING (class_id) "
        "WHERE class_id NOT IN (SELECT class_id FROM targets) ORDER BY n_available DESC, class_key"
    )


def _left_out(pool: Pool) -> pa.Table:
    return pool.catalog.table(
        f"SELECT photo_id FROM ({pool.sql}) WHERE taken AND NOT available ORDER BY photo_id", pool.parameters
    )


def _rolled_up(catalog: Relations) -> int:
    return int(str(catalog.rows("SELECT coalesce(sum(n), 0) FROM census WHERE taken AND rolled_up")[0][0]))


def _counts(catalog: Relations, recipe: SplitRecipe) -> dict[str, int]:
    """Photos of the selection by what became of them; they add up to `selected`."""
    (found,) = catalog.table(
        "SELECT coalesce(COLUMNS(*), 0)::BIGINT FROM (SELECT sum(n) AS selected, "
        "sum(n) FILTER (class_id IS NULL) AS no_class, sum(n) FILTER (taken) AS photos, "
        "sum(n) FILTER (taken AND NOT available) AS left_out FROM census), "
        f"(SELECT sum(n) FILTER (part = {_TRAIN}) AS train, sum(n) FILTER (part = {_VAL}) AS val, "
        f"sum(n) FILTER (part = {_TEST}) AS test FROM ends), "
        f"(SELECT sum(n) FILTER (part < {SET_ASIDE}) AS held, sum(n) FILTER (part = {SET_ASIDE}) AS aside, "
        f"sum(n) FILTER (part = {BETWEEN}) AS between, sum(n) FILTER (part = {NOWHERE}) AS nowhere "
        "FROM held WHERE class_id IN (SELECT class_id FROM targets))"
    ).to_pylist()
    held_unused = found["held"] - found["val"] - found["test"]
    hybrids = found["selected"] - found["no_class"] - found["photos"]
    drawn = found["train"] + found["val"] + found["test"]
    out = {"between_sides": found["between"], "on_no_side": found["nowhere"]}
    not_drawn = found["photos"] - found["left_out"] - drawn - held_unused - found["aside"]
    return {
        "selected": found["selected"],
        "no_class": found["no_class"],
        "hybrids_left_out": hybrids,
        "not_in_store": found["left_out"],
        "train": found["train"],
        "val": found["val"],
        "test": found["test"],
        "held_out_unused": held_unused,
        "in_two_classes": found["aside"],
        **(out if recipe.rule else {}),
        "not_drawn": not_drawn - sum(out.values()),
    }
