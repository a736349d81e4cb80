"""Hold-out: whole groups of photos to test and validation, so that no group has photos in two parts.

Per class the groups stand in the order of (key_holdout(group id), group id). Whole groups go to test until
it has at least k_test photos, then to val until k_val. Only the k_test + k_val first groups of a class can
matter, because each holds a photo. So only groups whose key lies under a limit are counted, which the class
passes almost surely; a class that has too few under it is asked again with a wider one, until it has them or
the limit takes in every group. The limit never changes a result, and the work is bounded by the number of
classes.
"""

from __future__ import annotations

from arboretum_tools.split.drawing.pool import Pool
from arboretum_tools.split.manifest import PARTS
from arboretum_tools.split.recipe import SplitRecipe
from arboretum_tools.stable_key import KEYS_FIRST, key_sql

#: Keys that there are: every key is below this number.
KEYS = 2**32

#: Standard deviations by which a limit lies above the mean.
SPARE = 6

# How much wider the limit of a class grows that had too few groups under it.
_WIDER = 16


def limit_sql(requested: str, there: str) -> str:
    """SQL of a limit under which `requested` of `there` keys lie almost surely, SPARE deviations wide.

    Whoever uses it looks whether they do, and where they do not asks again with a wider one.
    """
    share = f"({requested} + {SPARE} * sqrt({requested}) + {2 * SPARE}) / {there}"
    return f"({KEYS} * greatest(0, least(1, {share})))::UBIGINT"


def hold_out(pool: Pool, recipe: SplitRecipe) -> None:
    """Makes `held`, the groups that are held out: class_id, kind, group_id, key, n (photos), part.

    `part` is the place in PARTS of `test` or `val`. Classes with fewer photos than test and validation take
    together are passed over: nothing is left of them for training, and not every part could be full.

    Args:
        pool: what may be drawn; its catalogue has `capacities` with n_drawable.
        recipe: sizes of the parts, and the seed.
    """
    run, first = pool.catalog.run, recipe.test_per_class + recipe.val_per_class
    run(
        "CREATE OR REPLACE TABLE held (class_id INTEGER, kind TINYINT, group_id BIGINT, key UINTEGER, "
        "n BIGINT, part TINYINT)"
    )
    if not first:
        return
    # Twice what so many groups need, as a group of a few photos is one among fewer.
    limit = limit_sql(str(2 * first), "n_drawable")
    run(
        f"CREATE OR REPLACE TABLE asked AS SELECT class_id, {limit} AS below FROM capacities "
        f"WHERE n_drawable >= {first}"
    )
    key = key_sql("group_id", "holdout", recipe.seed)
    while pool.catalog.rows("SELECT 1 FROM asked LIMIT 1"):
        run(
            "CREATE OR REPLACE TABLE counted AS "
            "SELECT class_id, kind, group_id, key, count(*) AS n FROM "
            f"(SELECT class_id, kind, group_id, below, {key}::UINTEGER AS key FROM ({pool.sql}) "
            f"JOIN asked USING (class_id) WHERE taken AND available {KEYS_FIRST}) "
            "WHERE key < below GROUP BY class_id, kind, group_id, key",
            pool.parameters,
        )
        run(
            "CREATE OR REPLACE TABLE short AS SELECT class_id, below FROM asked LEFT JOIN "
            "(SELECT class_id, count(*) AS groups FROM counted GROUP BY class_id) USING (class_id) "
            f"WHERE coalesce(groups, 0) < {first} AND below < {KEYS}"
        )
        run(_held_sql(recipe.test_per_class, recipe.val_per_class))
        run(
            "CREATE OR REPLACE TABLE asked AS "
            f"SELECT class_id, least({KEYS}, (below + 1) * {_WIDER})::UBIGINT AS below FROM short"
        )
    run("DROP TABLE IF EXISTS counted")


def _held_sql(k_test: int, k_val: int) -> str:
    """Holds out of `counted` what the classes give that are not `short`."""
    order = "PARTITION BY class_id ORDER BY key, group_id, kind"
    test, val = PARTS.index("test"), PARTS.index("val")
    return f"""
    INSERT INTO held
    WITH first AS (
        SELECT * FROM counted ANTI JOIN short USING (class_id)
        QUALIFY row_number() OVER ({order}) <= {k_test + k_val}
    ), running AS (
        SELECT *, sum(n) OVER ({order} ROWS UNBOUNDED PRECEDING) - n AS before FROM first
    ), tested AS (
        SELECT *, coalesce(sum(n) FILTER (before < {k_test}) OVER (PARTITION BY class_id), 0) AS in_test
        FROM running
    )
    SELECT class_id, kind, group_id, key, n, CASE WHEN before < {k_test} THEN {test} ELSE {val} END
    FROM tested WHERE before < {k_test} OR before - in_test < {k_val}
    """
