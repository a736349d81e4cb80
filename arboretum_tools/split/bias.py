"""Who took the photos of a split, where and when: what a model may have learnt besides the species.

Counted are the values of five traits, part by part and class by class: observers, cells of 5 degrees,
years, months, licences. What is kept in between grows with how many different values classes have, not with
the photos.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from arboretum_tools.display import notebook_views
from arboretum_tools.imaging import figures
from arboretum_tools.split.files.manifest import Split, open_split
from arboretum_tools.split.stats import gini
from arboretum_tools.tabular import markdown
from arboretum_tools.tabular.arrays import to_numpy
from arboretum_tools.wording import counted

#: Degrees of a side of a cell.
CELL = 5

#: Columns of a part that the traits are made of.
COLUMNS = ("observer_id", "latitude", "longitude", "observed_on", "license")

#: The traits, as reports have them.
TRAITS = ("observers", "cells", "years", "months", "licences")

# Values of a trait that are named, and classes that a report shows.
_NAMED, _SHOWN = 12, 10

_CELLS_AROUND = 360 // CELL


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The photos of a part by the values of a trait.

    Attributes:
        photos: that have a value; the others are unknown.
        unknown: that have none.
        values: how many different ones there are.
        top_share: share of the most frequent value among the photos that have one; None without any.
        gini: Gini coefficient of photos over values, 0 (all the same) to 1; None without any.
        distance: how far the shares are from those of the first part: half the sum of their differences, 0
            (the same) to 1 (no value in common); None for the first part.
        most: the most frequent values with their photos, most first; months and years in their order. Of
            observers their numbers at iNaturalist.
    """

    photos: int
    unknown: int
    values: int
    top_share: float | None
    gini: float | None
    distance: float | None
    most: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class ClassBias:
    """One class in one part: by trait, how many different values, and the share of the most frequent."""

    class_key: str
    part: str
    photos: int
    values: Mapping[str, int]
    top_share: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class SplitBias:
    """What the photos of a split have in common besides their species.

    Attributes:
        name: of the split.
        parts: by part and trait.
        classes: every class in every part, in label order.
        cells: photos of each part by (latitude, longitude) of the south-west corner of their cell.
        lorenz: by part, photos per observer, ascending; empty where none is known.
    """

    name: str
    parts: Mapping[str, Mapping[str, Breakdown]]
    classes: tuple[ClassBias, ...]
    cells: Mapping[str, Mapping[tuple[int, int], int]]
    lorenz: Mapping[str, tuple[int, ...]]

    _repr_html_ = notebook_views.report

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        parts = {
            part: {name: asdict(one) for name, one in traits.items()} for part, traits in self.parts.items()
        }
        return {"name": self.name, "parts": parts, "classes": [asdict(one) for one in self.classes]}

    def to_markdown(self) -> str:
        """Tables: parts by traits; years, months, licences; the classes with most photos of one person."""
        header = [
            "part",
            "trait",
            "photos",
            "unknown",
            "values",
            "largest",
            "Gini",
            "distance to the first part",
        ]
        rows = [
            [
                *(part, trait, f"{one.photos:,}", f"{one.unknown:,}", f"{one.values:,}"),
                *(_share(one.top_share), _number(one.gini), _number(one.distance)),
            ]
            for part, traits in self.parts.items()
            for trait, one in traits.items()
        ]
        lines = [f"# {markdown.cell(self.name)}: who, where and when", ""]
        lines += markdown.table(header, rows, right=range(2, 8))
        for trait in ("years", "months", "licences"):
            lines += self._values(trait)
        one_person = [one for one in self.classes if one.top_share.get("observers") is not None]
        one_person.sort(key=lambda one: (-(one.top_share["observers"] or 0), one.class_key, one.part))
        if one_person:
            rows = [
                [
                    *(markdown.cell(one.class_key), one.part, f"{one.photos:,}"),
                    *(f"{one.values['observers']:,}", _share(one.top_share["observers"])),
                ]
                for one in one_person[:_SHOWN]
            ]
            header = ["class", "part", "photos", "observers", "largest"]
            lines += ["", "Classes by the share of the observer with the most photos:", ""]
            lines += markdown.table(header, rows, right=range(2, 5))
        return "\n".join(lines) + "\n"

    def _values(self, trait: str) -> list[str]:
        """A table of the values of a trait, a column a part."""
        most = {part: dict(traits[trait].most) for part, traits in self.parts.items()}
        values = list(dict.fromkeys(value for one in most.values() for value in one))
        if not values:
            return []
        if trait != "licences":
            values.sort(key=int)
        rows = [
            [markdown.cell(value), *(f"{one.get(value, 0):,}" for one in most.values())] for value in values
        ]
        return ["", *markdown.table([trait, *most], rows, right=range(1, 1 + len(most)))]


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def trait_columns(rows: pa.RecordBatch | pa.Table) -> dict[str, pa.Array]:
    """The traits of photos by name, null where unknown; cells as one number each (`cell_corner`).

    Args:
        rows: with COLUMNS.
    """
    whole = {
        name: column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        for name, column in ((name, rows.column(name)) for name in COLUMNS)
    }
    latitude, longitude = (
        # A pole and the date line belong to the last cell before them.
        pc.min_element_wise(
            pc.cast(pc.floor(pc.divide(whole[name], float(CELL))), pa.int64()),
            most // CELL - 1,
            skip_nulls=False,
        )
        for name, most in (("latitude", 90), ("longitude", 180))
    )
    return {
        "observers": whole["observer_id"],
        "cells": pc.add(pc.multiply(latitude, _CELLS_AROUND), pc.add(longitude, _CELLS_AROUND // 2)),
        "years": pc.year(whole["observed_on"]),
        "months": pc.month(whole["observed_on"]),
        "licences": whole["license"],
    }


def cell_corner(cell: int) -> tuple[int, int]:
    """Latitude and longitude of the south-west corner of a cell.

    >>> rows = pa.table({name: [None] for name in COLUMNS} | {"latitude": [47.3], "longitude": [-8.5]})
    >>> cell_corner(trait_columns(rows.cast(pa.schema(
    ...     [("observer_id", pa.int64()), ("latitude", pa.float64()), ("longitude", pa.float64()),
    ...      ("observed_on", pa.date32()), ("license", pa.string())])))["cells"][0].as_py())
    (45, -10)
    """
    row, column = divmod(cell, _CELLS_AROUND)
    return CELL * row, CELL * (column - _CELLS_AROUND // 2)


def split_bias(split: Split | str | Path) -> SplitBias:
    """Counts who took the photos of a split, where and when.

    Args:
        split: of any origin, or the folder of one.

    Raises:
        SplitError: the folder holds no split.

    >>> import arboretum_tools as at
    >>> bias = at.split_bias("splits/aves-lt100")
    >>> bias.parts["train"]["observers"].values
    40
    """
    if not isinstance(split, Split):
        split = open_split(split, in_memory=False)
    keys = split.classes["class_key"].to_pylist()
    counts = {part: _counted(split, part) for part in split.parts}
    first = counts[split.parts[0]]
    photos = {part: np.array(split.classes[f"n_{part}"].to_pylist()) for part in split.parts}
    return SplitBias(
        name=split.name,
        parts={
            part: {
                trait: _breakdown(
                    trait, table, split.num_photos(part), first[trait] if table is not first[trait] else None
                )
                for trait, table in traits.items()
            }
            for part, traits in counts.items()
        },
        classes=tuple(_classes(keys, counts, photos)),
        cells={
            part: {cell_corner(int(c)): n for c, n in _totals(traits["cells"]).items()}
            for part, traits in counts.items()
        },
        lorenz={
            part: tuple(sorted(_totals(traits["observers"]).values())) for part, traits in counts.items()
        },
    )


def _counted(split: Split, part: str) -> dict[str, pa.Table]:
    """By trait label, value, n: photos that have a value; the part is read once, a batch at a time."""
    grouped: dict[str, list[pa.Table]] = {trait: [] for trait in TRAITS}
    for batch in split.batches(part, ["label", *COLUMNS]):
        for trait, values in trait_columns(batch).items():
            rows = pa.table({"label": batch.column("label"), "value": values})
            grouped[trait].append(rows.group_by(["label", "value"]).aggregate([([], "count_all")]))
    return {trait: _summed(tables) for trait, tables in grouped.items()}


def _summed(grouped: list[pa.Table]) -> pa.Table:
    if not grouped:
        return pa.table(
            {
                "label": pa.array([], pa.int32()),
                "value": pa.array([], pa.int64()),
                "n": pa.array([], pa.int64()),
            }
        )
    summed = pa.concat_tables(grouped).group_by(["label", "value"]).aggregate([("count_all", "sum")])
    return summed.rename_columns(["label", "value", "n"]).filter(pc.is_valid(summed["value"]))


def _totals(table: pa.Table) -> dict[Any, int]:
    """Photos by value, over all classes."""
    found = table.group_by("value").aggregate([("n", "sum")])
    return dict(zip(found["value"].to_pylist(), found["n_sum"].to_pylist(), strict=True))


def _breakdown(trait: str, table: pa.Table, photos: int, first: pa.Table | None) -> Breakdown:
    totals = _totals(table)
    known = sum(totals.values())
    order = sorted(totals.items(), key=lambda one: (-one[1], str(one[0])))
    most = order if trait in ("years", "months", "licences") else order[:_NAMED]
    if trait in ("years", "months"):
        most = sorted(most)
    distance = None
    if first is not None and known:
        before = _totals(first)
        whole = sum(before.values())
        if whole:
            values = set(totals) | set(before)
            distance = sum(abs(totals.get(v, 0) / known - before.get(v, 0) / whole) for v in values) / 2
    return Breakdown(
        photos=known,
        unknown=photos - known,
        values=len(totals),
        top_share=order[0][1] / known if known else None,
        gini=gini(list(totals.values())) if known else None,
        distance=distance,
        most=tuple((_named(trait, value), n) for value, n in most),
    )


def _named(trait: str, value: Any) -> str:
    if trait != "cells":
        return str(value)
    latitude, longitude = cell_corner(value)
    return f"{latitude} to {latitude + CELL} N, {longitude} to {longitude + CELL} E"


def _classes(
    keys: list[str], counts: Mapping[str, Mapping[str, pa.Table]], photos: Mapping[str, Any]
) -> Iterator[ClassBias]:
    for part, traits in counts.items():
        values, shares = {}, {}
        for trait, table in traits.items():
            labels, n = to_numpy(table["label"]), to_numpy(table["n"])
            values[trait] = np.bincount(labels, minlength=len(keys))
            known = np.bincount(labels, weights=n, minlength=len(keys))
            largest = np.zeros(len(keys))
            np.maximum.at(largest, labels, n)
            shares[trait] = np.divide(largest, known, out=np.full(len(keys), np.nan), where=known > 0)
        for label, key in enumerate(keys):
            yield ClassBias(
                key,
                part,
                int(photos[part][label]),
                {trait: int(one[label]) for trait, one in values.items()},
                {trait: None if np.isnan(one[label]) else float(one[label]) for trait, one in shares.items()},
            )


def save_bias_figure(bias: SplitBias, path: str | Path, *, overwrite: bool = False) -> Path:
    """Draws months, years, licences, a Lorenz curve of the observers, and where the photos are from.

    Args:
        bias: of the split.
        path: .png, .pdf or .svg.
        overwrite: replace a file that is there.

    Raises:
        TargetExistsError: the file is there and may not be replaced.
        BadInputError: matplotlib is not installed.
        UsageError: the file has another ending.
    """
    path = figures.target(path, overwrite=overwrite)
    figure = figures.figure_class()(figsize=(9.6, 6.4), layout="constrained")
    grid = figure.subplot_mosaic([["months", "years", "licences"], ["lorenz", "map", "map"]])
    colors = dict(zip(bias.parts, figures.BAND_COLORS.values(), strict=False))
    for trait in ("months", "years", "licences"):
        _bars(grid[trait], bias, trait, colors)
    _lorenz(grid["lorenz"], bias, colors)
    _map(grid["map"], bias)
    figure.suptitle(f"{bias.name}: who, where and when", fontsize=10)
    handles = [figures.patch(color) for color in colors.values()]
    figure.legend(handles, list(colors), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figures.save(figure, path)


def _bars(axes: Any, bias: SplitBias, trait: str, colors: Mapping[str, str]) -> None:
    shown = {part: dict(traits[trait].most) for part, traits in bias.parts.items()}
    values = list(dict.fromkeys(value for one in shown.values() for value in one))
    if trait != "licences":
        values = [str(n) for n in range(min(map(int, values)), max(map(int, values)) + 1)] if values else []
    width = 0.8 / len(shown)
    for position, (part, counts) in enumerate(shown.items()):
        whole = sum(counts.values()) or 1
        left = [i + (position - (len(shown) - 1) / 2) * width for i in range(len(values))]
        axes.bar(left, [100 * counts.get(value, 0) / whole for value in values], width, color=colors[part])
    step = max(1, -(-len(values) // 12))
    axes.set_xticks(
        range(0, len(values), step), values[::step], fontsize=7, rotation=0 if trait == "months" else 45
    )
    axes.tick_params(axis="y", labelsize=7)
    axes.set_title(trait, fontsize=9)
    axes.set_ylabel("share of photos (%)", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    if not values:
        axes.text(0.5, 0.5, "unknown", ha="center", transform=axes.transAxes, color=figures.GREY)


def _lorenz(axes: Any, bias: SplitBias, colors: Mapping[str, str]) -> None:
    axes.plot([0, 100], [0, 100], color=figures.GREY, linewidth=0.8, linestyle="--")
    for part, counts in bias.lorenz.items():
        if counts:
            summed = np.concatenate([[0], np.cumsum(counts)])
            axes.plot(np.linspace(0, 100, len(summed)), 100 * summed / summed[-1], color=colors[part])
    axes.tick_params(labelsize=7)
    axes.set_title("observers, fewest photos first", fontsize=9)
    axes.set_xlabel("share of observers (%)", fontsize=8)
    axes.set_ylabel("share of their photos (%)", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _map(axes: Any, bias: SplitBias) -> None:
    """All parts together: a square a cell, the darker the more photos, on a logarithmic scale."""
    counts: dict[tuple[int, int], int] = {}
    for cells in bias.cells.values():
        for corner, n in cells.items():
            counts[corner] = counts.get(corner, 0) + n
    grid = np.full((180 // CELL, _CELLS_AROUND), np.nan)
    for (latitude, longitude), n in counts.items():
        row, column = (
            min((latitude + 90) // CELL, grid.shape[0] - 1),
            (longitude + 180) // CELL % _CELLS_AROUND,
        )
        grid[row, column] = np.log10(n)
    drawn = axes.imshow(
        grid, origin="lower", extent=(-180, 180, -90, 90), cmap="YlGn", vmin=0, aspect="equal"
    )
    if counts:
        most = max(1, int(np.ceil(np.nanmax(grid))))
        drawn.set_clim(0, most)
        bar = axes.figure.colorbar(drawn, ax=axes, shrink=0.8)
        bar.ax.set_yticks(range(most + 1), [f"{10**power:,}" for power in range(most + 1)], fontsize=7)
    axes.set_title(
        f"photos of all parts by cells of {CELL} degrees ({counted(len(counts), 'cell')})", fontsize=9
    )
    axes.set_xticks(range(-180, 181, 60))
    axes.set_yticks(range(-90, 91, 30))
    axes.tick_params(labelsize=7)
    axes.grid(color="#dddddd", linewidth=0.4)
