"""The promises of a split by place, time or person: every cell, day or observer is on its side.

A unit is a cell of a grid, a day or an observer. Those of test come first in the order of (key_side(unit),
unit), then those of val, then those of train; by time the days of test are those from the date on. Units,
order and distances are written down here a second time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from arboretum_tools.split.audit.checks import Check, Files, found
from arboretum_tools.split.audit.draw import stable_keys
from arboretum_tools.tabular.arrays import from_numpy, to_numpy
from arboretum_tools.wording import counted, does

_COLUMNS = {
    "region": ["latitude", "longitude"],
    "time": ["observed_on"],
    "observer": ["observer_id"],
}

_EARTH, _NEAR = 6_371_008.8, 1000.0

# Two mathematics libraries may differ by so many metres.
_ROUNDING = 1e-3


def checks(files: Files) -> Iterator[Check]:
    """The checks of sides; none where groups were held out class by class."""
    if files.recipe.get("split_by") is not None:
        kind, _, value = str(files.recipe["split_by"]).partition(":")
        units = {part: _units(table, kind, value) for part, table in files.parts.items()}
        yield _known(files, units, kind)
        yield _sides(files, units, kind, value)
        yield _shares(files, units, kind)
        yield _buffer(files)


def _units(table: pa.Table, kind: str, value: str) -> NDArray[np.int64]:
    """The unit of each photo; -1 where what it goes by is unknown."""
    known = np.all([to_numpy(table[name].is_valid().cast(pa.int8())) for name in _COLUMNS[kind]], axis=0)
    if kind == "observer":
        units = to_numpy(table["observer_id"].fill_null(0))
    elif kind == "time":
        units = 2**31 + to_numpy(table["observed_on"].cast(pa.int32()).fill_null(0)).astype(np.int64)
    else:
        side = _side(value)
        y, x = (to_numpy(table[name].fill_null(0)) for name in _COLUMNS["region"])
        rows = np.minimum(np.floor((y + 90) / side), round(180 / side) - 1).astype(np.int64)
        units = rows * 2**32 + np.floor((np.where(x == 180, -180, x) + 180) / side).astype(np.int64)
    return np.where(known, units, -1)


def _side(value: str) -> float:
    """The side of a cell in degrees; a whole number of them lie between the poles."""
    return 180 / round(180 / float(value))


def _known(files: Files, units: dict[str, NDArray[np.int64]], kind: str) -> Check:
    wrong = [
        f"{part}: photo {photo}"
        for part, table in files.parts.items()
        for photo in table.filter(from_numpy(units[part] == -1))["photo_id"].to_pylist()
    ]
    what = " and ".join(_COLUMNS[kind])
    return found(
        f"sides: every photo has {what}", bool(wrong), f"what the split goes by, {what}, is known", wrong
    )


def _sides(files: Files, units: dict[str, NDArray[np.int64]], kind: str, value: str) -> Check:
    """That units are whole, and in the order in which the seed deals them."""
    seed, wrong = int(files.recipe["seed"]), []
    own = {part: np.unique(of[of >= 0]) for part, of in units.items()}
    for one, other in (("test", "val"), ("test", "train"), ("val", "train")):
        if one in own and other in own:
            shared = np.intersect1d(own[one], own[other])
            wrong += [f"{_name(unit, kind, value)} is in {one} and {other}" for unit in shared.tolist()]
    dealt = [part for part in ("test", "val", "train") if len(own.get(part, ()))]
    if kind == "time":
        day = 2**31 + (date.fromisoformat(value) - date(1970, 1, 1)).days
        wrong += [
            f"{_name(unit, kind, value)} is in {part}"
            for part, of in own.items()
            for unit in of[(of >= day) != (part == "test")].tolist()
        ]
        dealt = [part for part in dealt if part != "test"]
    ends = {}
    for part in dealt:
        key = stable_keys(own[part], "side", seed)
        order = np.lexsort((own[part], key))
        ends[part] = [(int(key[n]), int(own[part][n])) for n in (order[0], order[-1])]
    for earlier, later in pairwise(dealt):
        if ends[earlier][1] >= ends[later][0]:
            last, first = (_name(one[1], kind, value) for one in (ends[earlier][1], ends[later][0]))
            wrong.append(f"seed {seed} deals {first} of {later} before {last} of {earlier}")
    whole = {"region": "cell", "time": "day", "observer": "observer"}[kind]
    detail = f"each {whole} is on one side, in the order of seed {seed}: {', then '.join(dealt)}"
    if kind == "time":
        detail = f"train before {value}, test from it on; the days of {' and '.join(dealt)} by seed {seed}"
    if wrong:
        detail = f"{counted(len(wrong), whole)} {does(len(wrong), 'are')} on the wrong side"
    return found("sides: dealt by the rule", bool(wrong), detail, wrong)


def _name(unit: int, kind: str, value: str) -> str:
    """A unit as people write it; a cell by its corner in the south-west."""
    if kind == "region":
        row, column = divmod(unit, 2**32)
        side = _side(value)
        return f"the cell at {row * side - 90:g}, {column * side - 180:g}"
    return date.fromordinal(unit - 2**31 + 719_163).isoformat() if kind == "time" else f"observer {unit}"


def _shares(files: Files, units: dict[str, NDArray[np.int64]], kind: str) -> Check:
    """That the numbers of split.json reach the shares, and are no smaller than what the parts show."""
    stated, recipe, wrong = files.meta["sides"], files.recipe, []
    for part, of in units.items():
        if len(np.unique(of)) > stated["units"][part] or len(of) > stated["photos"][part]:
            wrong.append(f"{part} has more than split.json states")
    photos = dict(stated["photos"])
    dealt = sum(photos.values()) - (photos.get("test", 0) if kind == "time" else 0)
    for part in ("test", "val"):
        share = recipe.get(f"{part}_share")
        if share is not None and 100 * photos.get(part, 0) < share * dealt:
            wrong.append(f"{part} has fewer than {share} % of {counted(dealt, 'photo')}")
    shown = ", ".join(f"{part} {photos[part]:,} in {stated['units'][part]:,}" for part in photos)
    return found("sides: shares", bool(wrong), f"photos of the sides: {shown}", wrong)


def _buffer(files: Files) -> Check:
    """That no two photos of one observer and day within 1 km are in two parts."""
    columns = ["photo_id", "observer_id", "observed_on", "latitude", "longitude"]
    rows = pa.concat_tables(
        table.select(columns).append_column("part", from_numpy(np.full(len(table), n, np.int8)))
        for n, table in enumerate(files.parts.values())
    )
    known = rows
    for name in columns[1:]:
        known = known.filter(known[name].is_valid())
    values: dict[str, NDArray[Any]] = {
        name: to_numpy(known[name]) for name in ("photo_id", "observer_id", "part")
    }
    values["day"] = to_numpy(known["observed_on"].cast(pa.int32()))
    places = np.radians([to_numpy(known[name]) for name in ("latitude", "longitude")])
    order = np.lexsort((values["day"], values["observer_id"]))
    values, places = {name: of[order] for name, of in values.items()}, places[:, order]
    new = (np.diff(values["observer_id"]) != 0) | (np.diff(values["day"]) != 0)
    starts = np.flatnonzero(np.r_[True, new]) if len(order) else np.zeros(0, np.int64)
    low, high = (
        (of.reduceat(values["part"], starts) if len(starts) else starts) for of in (np.minimum, np.maximum)
    )
    wrong = []
    stops = np.r_[starts[1:], len(order)]
    for which in np.flatnonzero(low != high).tolist():
        own = slice(starts[which], stops[which])
        part, ids = values["part"][own], values["photo_id"][own]
        y, x = places[:, own]
        half = (
            np.sin((y[:, None] - y) / 2) ** 2
            + np.cos(y[:, None]) * np.cos(y) * np.sin((x[:, None] - x) / 2) ** 2
        )
        near = 2 * _EARTH * np.arcsin(np.sqrt(np.minimum(1, half))) <= _NEAR - _ROUNDING
        for one, other in zip(*np.nonzero(near & (part[:, None] < part)), strict=True):
            wrong.append(f"photos {ids[one]} and {ids[other]}")
    detail = "no two photos of one observer and day within 1 km are in two parts"
    if wrong:
        detail = f"{counted(len(wrong), 'pair')} of photos of one observer and day within 1 km in two parts"
    if without := len(rows) - len(known):
        detail += f"; {counted(without, 'photo')} without observer, day or position left out of account"
    return found("sides: no encounter in two parts", bool(wrong), detail, wrong)
