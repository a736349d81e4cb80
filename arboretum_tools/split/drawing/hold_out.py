"""Hold-out: whole groups of photos to test and validation, so that no group has photos in two parts.

Per class the groups stand in the order of (key_holdout(group id), group id). Whole groups go to test until
it has at least k_test photos (and so many groups, where the recipe asks for a number of them), then to val
until k_val. Only the k_test + k_val first groups of a class can
matter, because each holds a photo. So only groups whose key lies under a limit are counted, which the class
passes almost surely; a class that has too few under it is asked again with a wider one, until it has them or
the limit takes in every group. The limit never changes a result, and the work is bounded by the number of
classes.

An observation with photos in two classes contradicts itself, and held out in one of them it would be trained
on in the other. When its turn comes in either class it is set aside: no photo of it is in any part.
"""

from __future__ import annotations

from arboretum_tools.split.drawing.pool import Pool
from arboretum_tools.split.files.manifest import PARTS
from arboretum_tools.split.recipes.recipe import SplitRecipe
from arboretum_tools.stable_key import KEYS_FIRST, key_sql

#: Keys that there are: every key is below this number.
KEYS = 2**32

#: Standard deviations by which a limit lies above the mean.
SPARE = 6

#: The `part` of what is in none: observations of two classes; and of a split by place, time or person what
#: lies between two sides, and what lies on none.
SET_ASIDE, BETWEEN, NOWHERE = (len(PARTS) + n for n in range(3))

# How much wider the limit of a class grows that had too few groups under it.
_WIDER = 16


def limit_sql(requested: str, there: str) -> str:
    """SQL of a limit under which `requested` of `there` keys lie almost surely, SPARE deviations wide.

    Whoever uses it looks whether they do, and where they do not asks again with a wider one.
    """
    share = f"({requested} + {SPARE} * sqrt({requested}) + {2 * SPARE}) / {there}"
    return f"({KEYS} * greatest(0, least(1, {share})))::UBIGINT"


def hold_out(pool: Pool, recipe: SplitRecipe, group_by: str) -> None:
    """Makes `held`, the groups that are held out: class_id, kind, group_id, key, n (photos), part.

    `part` is the place in PARTS of `test` or `val`, or SET_ASIDE. Classes with fewer photos than test and
    validation take together are passed over: nothing is left of them for training, and not every part could
    be full.

    Args:
        pool: what may be drawn; its catalogue has `capacities` with n_drawable.
        recipe: sizes of the parts, and the seed.
        group_by: the resolved grouping. Only an observation can be in two classes by mistake: a photo cannot,
            and people may.
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
        _find_mixed(pool, key, possible=group_by == "observation" and not recipe.benchmark)
        run(
            "CREATE OR REPLACE TABLE short AS SELECT class_id, below FROM asked LEFT JOIN (SELECT class_id, "
            "count(*) AS groups FROM counted ANTI JOIN mixed USING (class_id, kind, group_id) "
            "GROUP BY class_id) USING (class_id) "
            f"WHERE coalesce(groups, 0) < {first} AND below < {KEYS}"
        )
        run(_held_sql(recipe.test_per_class, recipe.val_per_class, recipe.min_test_groups or 1))
        run(
            f"INSERT INTO held SELECT *, {SET_ASIDE} FROM mixed "
            f"SEMI JOIN (FROM held WHERE part = {SET_ASIDE}) USING (kind, group_id)"
        )
        run(
            "CREATE OR REPLACE TABLE asked AS "
            f"SELECT class_id, least({KEYS}, (below + 1) * {_WIDER})::UBIGINT AS below FROM short"
        )
    # What is set aside was found once in each class whose turn it was, and in the others because of that.
    run("CREATE OR REPLACE TABLE held AS SELECT DISTINCT * FROM held")
    run("DROP TABLE IF EXISTS counted")


def _find_mixed(pool: Pool, key: str, *, possible: bool) -> None:
    """Makes `mixed`: of the groups in `counted` those that have photos in two classes, in each of them."""
    if not possible:
        pool.catalog.run("CREATE OR REPLACE TABLE mixed AS SELECT * FROM counted WHERE false")
        return
    pool.catalog.run(
        "CREATE OR REPLACE TABLE mixed AS SELECT class_id, kind, group_id, "
        f"{key}::UINTEGER AS key, n FROM (SELECT class_id, kind, group_id, count(*) AS n FROM ({pool.sql}) "
        "SEMI JOIN counted USING (kind, group_id) WHERE taken AND available "
        "GROUP BY class_id, kind, group_id QUALIFY count(*) OVER (PARTITION BY kind, group_id) > 1)",
        pool.parameters,
    )


def _held_sql(k_test: int, k_val: int, groups: int) -> str:
    """Holds out of `counted` what the classes give that are not `short`."""
    order = "PARTITION BY class_id ORDER BY key, group_id, kind"
    test, val = PARTS.index("test"), PARTS.index("val")
    first_to_test = f"(before < {k_test} OR ({k_test} > 0 AND groups_before < {groups}))"
    return f"""
    INSERT INTO held
    WITH first AS (
        SELECT * FROM (
            SELECT *, false AS aside FROM counted ANTI JOIN mixed USING (class_id, kind, group_id)
            UNION ALL SELECT *, true FROM counted SEMI JOIN mixed USING (class_id, kind, group_id)
        ) ANTI JOIN short USING (class_id)
        QUALIFY count(*) FILTER (NOT aside) OVER ({order} ROWS UNBOUNDED PRECEDING) <= {k_test + k_val}
    ), running AS (
        SELECT *, coalesce(sum(n) FILTER (NOT aside) OVER ({order} ROWS UNBOUNDED PRECEDING), 0)
            - CASE WHEN aside THEN 0 ELSE n END AS before,
            count(*) FILTER (NOT aside) OVER ({order} ROWS UNBOUNDED PRECEDING)
            - CASE WHEN aside THEN 0 ELSE 1 END AS groups_before FROM first
    ), tested AS (
        SELECT *, {first_to_test} AS to_test,
            coalesce(sum(n) FILTER (NOT aside AND {first_to_test}) OVER (PARTITION BY class_id), 0) AS in_test
        FROM running
    )
    SELECT class_id, kind, group_id, key, n,
        CASE WHEN aside THEN {SET_ASIDE} WHEN to_test THEN {test} ELSE {val} END
    FROM tested WHERE to_test OR before - in_test < {k_val}
    """
