"""Hold-out by place, time or person: whole cells, days or observers lie on one side of a split.

What hold-out decides class by class is decided here once for all classes: each unit (a cell of a grid, a day,
an observer) lies on the side of test, val or train, and with it the groups of photos in it. Units go to test,
then to val, in the order of (key_side(unit), unit) until the share of photos is reached; by time, every day
from the date on is test. Near the borders of cells a buffer is left out, so that no encounter is on two
sides. The exact rules stand in `docs/design.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arboretum_tools.catalog import Relations
from arboretum_tools.errors import InfeasibleSplitError
from arboretum_tools.split.drawing.hold_out import BETWEEN, KEYS, NOWHERE, SET_ASIDE
from arboretum_tools.split.drawing.pool import Pool
from arboretum_tools.split.files.manifest import PARTS
from arboretum_tools.split.recipes.recipe import SplitRecipe
from arboretum_tools.split.recipes.split_by import BUFFER_METRES, EARTH_METRES, Rule
from arboretum_tools.stable_key import key_sql

_TRAIN, _VAL, _TEST = (PARTS.index(part) for part in ("train", "val", "test"))

# Degrees of latitude that the buffer takes in, and a little more: only photos so near a border are compared.
_MARGIN = 1.02 * BUFFER_METRES * 180 / (EARTH_METRES * 3.14159)

# A position, where 180 degrees east is the same meridian as 180 degrees west.
_Y, _X = "latitude::DOUBLE", "(CASE WHEN longitude = 180 THEN -180 ELSE longitude END)::DOUBLE"

# What the buffer goes by besides the place.
_ENCOUNTER = ("observer_id", "observed_on")


def hold_out_sides(pool: Pool, rule: Rule, recipe: SplitRecipe, group_by: str) -> None:
    """Makes `held` as `hold_out` does, with the groups of test and val, BETWEEN sides and NOWHERE.

    Makes `units` besides: unit, photos, part; and `placed`, photos by class, group and unit.

    Args:
        pool: what may be drawn.
        rule: how it is split.
        recipe: the shares of the sides, and the seed.
        group_by: the resolved grouping.

    Raises:
        InfeasibleSplitError: a side has no unit.
    """
    run = pool.catalog.run
    run(
        f"CREATE OR REPLACE TABLE placed AS SELECT class_id, kind, group_id, {_unit_sql(rule)} AS unit, "
        f"count(*) AS n FROM ({_with(pool, rule.columns)}) WHERE taken AND available GROUP BY ALL",
        pool.parameters,
    )
    run(_units_sql(rule, recipe))
    _check_sides(pool.catalog, rule, recipe)
    # Of observations a group may be in several classes, of observers each class has its own.
    group = "kind, group_id" + (", class_id" if group_by == "observer-per-species" else "")
    # An observation of two classes has one label too many to be tested on.
    mixed = f"classes > 1 AND high > {_TRAIN}" if group_by == "observation" else "false"
    run(
        "CREATE OR REPLACE TABLE held AS WITH one AS (SELECT class_id, kind, group_id, sum(n)::BIGINT AS n, "
        "bool_or(unit IS NULL) AS unknown, min(part) AS low, max(part) AS high "
        "FROM placed LEFT JOIN units USING (unit) GROUP BY class_id, kind, group_id), "
        "whole AS (SELECT class_id, kind, group_id, n, bool_or(unknown) OVER same AS unknown, "
        "min(low) OVER same AS low, max(high) OVER same AS high, count(*) OVER same AS classes "
        f"FROM one WINDOW same AS (PARTITION BY {group})) "
        f"SELECT class_id, kind, group_id, {KEYS - 1}::UINTEGER AS key, n, CASE WHEN unknown THEN {NOWHERE} "
        f"WHEN low <> high THEN {BETWEEN} WHEN {mixed} THEN {SET_ASIDE} ELSE low END::TINYINT AS part "
        f"FROM whole WHERE unknown OR high > {_TRAIN}"
    )
    if rule.kind == "region" and all(map(pool.catalog.has, _ENCOUNTER)):
        _leave_buffer(pool, rule, group)


def side_totals(catalog: Relations, rule: Rule) -> dict[str, Any]:
    """What became of the selection under a rule: units and photos by side, and what lies on none."""
    found = {
        str(PARTS[int(str(part))]): (int(str(units)), int(str(photos)))
        for part, units, photos in catalog.rows("SELECT part, count(*), sum(photos) FROM units GROUP BY part")
    }
    ((unknown,),) = catalog.rows("SELECT coalesce(sum(n), 0) FROM placed WHERE unit IS NULL")
    ((between,),) = catalog.rows(f"SELECT coalesce(sum(n), 0) FROM held WHERE part = {BETWEEN}")
    ((short,),) = catalog.rows("SELECT count(*) FROM capacities WHERE n_available = 0")
    parts = [part for part in PARTS if part in found]
    return {
        "units": {part: found[part][0] for part in parts},
        "photos": {part: found[part][1] for part in parts},
        f"without_{rule.known}": int(str(unknown)),
        "between_sides": int(str(between)),
        "classes_not_on_every_side": int(str(short)),
    }


def _with(pool: Pool, columns: Sequence[str]) -> str:
    """The pool with further columns of the catalogue."""
    if not pool.is_table:
        return pool.with_columns(columns)
    photos = pool.catalog.photos_alone
    return f"SELECT p.*, {', '.join(columns)} FROM ({pool.sql}) p JOIN {photos} USING (photo_id)"


def _unit_sql(rule: Rule) -> str:
    """SQL of a photo's unit, a whole number of 0 or more; NULL where it lies on no side."""
    if rule.kind == "observer":
        return "observer_id"
    if rule.kind == "time":
        return _day_sql("observed_on")
    row, column = (f"floor({place})::BIGINT" for place in _cell_sql(rule))
    return f"(least({row}, {round(180 / rule.degrees) - 1}) * {2**32} + {column})"


def _day_sql(day: str) -> str:
    """SQL of the number of a day, above 0 for every day there is."""
    return f"(({day}) - DATE '1970-01-01' + {2**31})::BIGINT"


def _cell_sql(rule: Rule) -> tuple[str, str]:
    """SQL of a position in cells from the south pole, and from the meridian of 180 degrees."""
    return f"(({_Y} + 90) / {rule.degrees!r}::DOUBLE)", f"(({_X} + 180) / {rule.degrees!r}::DOUBLE)"


def _units_sql(rule: Rule, recipe: SplitRecipe) -> str:
    """Deals the units to the sides."""
    tested = f"unit >= {_day_sql(f'DATE {rule.day.isoformat()!r}')}" if rule.kind == "time" else "false"
    key = key_sql("unit", "side", recipe.seed)
    in_test = f"(100 * before < {recipe.test_share or 0} * total)"
    return f"""
    CREATE OR REPLACE TABLE units AS
    WITH counted AS (
        SELECT unit, sum(n)::BIGINT AS n, {tested} AS tested FROM placed WHERE unit IS NOT NULL GROUP BY unit
    ), keyed AS (
        SELECT *, {key} AS key FROM counted
    ), ordered AS (
        SELECT *, sum(n) FILTER (NOT tested) OVER () AS total,
            sum(n) FILTER (NOT tested) OVER (ORDER BY key, unit ROWS UNBOUNDED PRECEDING) - n AS before
        FROM keyed
    ), first AS (
        SELECT *, coalesce(sum(n) FILTER (NOT tested AND {in_test}) OVER (), 0) AS in_test FROM ordered
    )
    SELECT unit, n AS photos, CASE WHEN tested OR {in_test} THEN {_TEST}
        WHEN 100 * (before - in_test) < {recipe.val_share or 0} * total THEN {_VAL} ELSE {_TRAIN} END
        ::TINYINT AS part FROM first
    """


def _check_sides(catalog: Relations, rule: Rule, recipe: SplitRecipe) -> None:
    found = {
        int(str(part)): int(str(n)) for part, n in catalog.rows("SELECT part, count(*) FROM units GROUP BY 1")
    }
    if not found:
        raise InfeasibleSplitError(
            f"no split by {rule}: no selected photo has a {rule.known}",
            hint="Select others, or join what the catalogue lacks: `arboretum catalog build`.",
        )
    wanted = [_TEST, _TRAIN] + ([_VAL] if recipe.val_per_class else [])
    if lost := [PARTS[part] for part in wanted if part not in found]:
        there = ", ".join(f"{found.get(part, 0):,} in {PARTS[part]}" for part in wanted)
        smaller = {
            "region": "Take smaller cells, or smaller shares.",
            "time": "Take another date, or a smaller --val-share.",
            "observer": "Take smaller shares.",
        }
        raise InfeasibleSplitError(
            f"no split by {rule}: no photo is left for {' and '.join(lost)}, as of the {rule.units} of the "
            f"selection there are {there}",
            hint=smaller[rule.kind],
        )


def _leave_buffer(pool: Pool, rule: Rule, group: str) -> None:
    """Moves groups BETWEEN the sides that have a photo near one of an earlier side (test, val, train).

    Near is within BUFFER_METRES, by the same observer on the same day. Only photos near a border can be.
    """
    run = pool.catalog.run
    width = rule.degrees
    row, column = _cell_sql(rule)
    to_row, to_column = (
        f"(least({place} - floor({place}), ceil({place}) - {place}) * {width!r}::DOUBLE)"
        for place in (row, column)
    )
    shrunk = f"greatest(0, cos(radians(least(90, abs({_Y}) + {_MARGIN!r}))))"
    run(
        "CREATE OR REPLACE TABLE edge AS SELECT DISTINCT class_id, kind, group_id, observer_id, observed_on, "
        f"{_Y} AS y, {_X} AS x, part FROM (SELECT *, {_unit_sql(rule)} AS unit FROM "
        f"({_with(pool, (*rule.columns, *_ENCOUNTER))}) WHERE taken AND available "
        "AND observer_id IS NOT NULL AND observed_on IS NOT NULL "
        f"AND ({to_row} <= {_MARGIN!r} OR {to_column} * {shrunk} <= {_MARGIN!r})) JOIN units USING (unit)",
        pool.parameters,
    )
    half = (
        "pow(sin(radians(b.y - a.y) / 2), 2) + "
        "cos(radians(a.y)) * cos(radians(b.y)) * pow(sin(radians(b.x - a.x) / 2), 2)"
    )
    own = ", ".join(f"a.{column}" for column in group.split(", "))
    run(
        f"CREATE OR REPLACE TABLE near AS SELECT DISTINCT {own} FROM edge a JOIN edge b "
        "ON a.observer_id = b.observer_id AND a.observed_on = b.observed_on AND a.part < b.part "
        f"WHERE {2 * EARTH_METRES!r} * asin(sqrt(least(1, {half}))) <= {BUFFER_METRES}"
    )
    run(
        f"INSERT INTO held SELECT class_id, kind, group_id, {KEYS - 1}, sum(n), {_TRAIN} FROM placed "
        f"SEMI JOIN near USING ({group}) ANTI JOIN held USING ({group}) GROUP BY class_id, kind, group_id"
    )
    run(
        f"UPDATE held SET part = {BETWEEN} WHERE part < {SET_ASIDE} "
        f"AND ({group}) IN (SELECT ({group}) FROM near)"
    )
