"""Hold-out: whole groups of photos to test and validation, so that no group has photos in two parts.

Per class the groups stand in the order of (key_holdout(group id), group id). Whole groups go to test until
it has at least k_test photos, then to val until k_val. Only the k_test + k_val first groups of a class can
matter, because each holds a photo; so the work is bounded by the number of classes.
"""

from __future__ import annotations

from arboretum_tools.catalog import Selection
from arboretum_tools.split.recipe import SplitRecipe
from arboretum_tools.stable import key_sql

# The column that says which group a photo is in.
_COLUMN = {"observation": "observation_id", "observer-per-species": "observer_id"}


def resolve_group_by(selection: Selection, group_by: str) -> str:
    """What `auto` means for this selection; anything else is returned as it is.

    Raises:
        SelectionError: observations or observers are asked for and the catalogue has none; says which join
            brings them.
    """
    if group_by in _COLUMN:
        selection.catalog.require(_COLUMN[group_by])
    if group_by != "auto":
        return group_by
    if not selection.catalog.has("observation_id"):
        return "photo"
    sql, parameters = selection.query("1", where="observation_id IS NULL")
    return "photo" if selection.catalog.rows(f"{sql} LIMIT 1", parameters) else "observation"


def group_sql(group_by: str) -> tuple[str, str]:
    """SQL of a photo's group: its kind and its id.

    A photo without an observation (or observer) is a group of its own (kind 1, its photo_id), told apart
    from an observation of the same number (kind 0). Groups are held out class by class, so grouping by
    observer keeps a person's photos of one species together, and not those of all species: the rule of
    iNaturalist's own vision models.
    """
    if group_by == "photo":
        return "0", "photo_id"
    column = _COLUMN[group_by]
    return f"CASE WHEN {column} IS NULL THEN 1 ELSE 0 END", f"coalesce({column}, photo_id)"


def holdout_sql(candidates: str, recipe: SplitRecipe) -> str:
    """A query for the groups that are held out: class_id, kind, group_id, part (`test` or `val`).

    Args:
        candidates: a relation with class_id, kind, group_id, one row a photo.
        recipe: sizes of the parts, and the seed.
    """
    k_test, k_val = int(recipe.test_per_class), int(recipe.val_per_class)
    key = key_sql("group_id", "holdout", recipe.seed)
    order = "PARTITION BY class_id ORDER BY key, group_id, kind"
    return f"""
    WITH counted AS (
        SELECT class_id, kind, group_id, count(*) AS n, {key} AS key
        FROM {candidates} GROUP BY class_id, kind, group_id
    ), first AS (
        SELECT * FROM counted QUALIFY row_number() OVER ({order}) <= {k_test + k_val}
    ), running AS (
        SELECT *, sum(n) OVER ({order} ROWS UNBOUNDED PRECEDING) - n AS before FROM first
    ), tested AS (
        SELECT *, coalesce(sum(n) FILTER (before < {k_test}) OVER (PARTITION BY class_id), 0) AS in_test
        FROM running
    )
    SELECT class_id, kind, group_id, CASE WHEN before < {k_test} THEN 'test' ELSE 'val' END AS part
    FROM tested WHERE before < {k_test} OR before - in_test < {k_val}
    """
