"""What a paper prints of a split: sizes, imbalance, shot bands, groups and ranks, and the sorted counts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from arboretum_metadata.schema import CLASSES
from arboretum_metadata.vocab import GROUPS, RANKS
from arboretum_tools.display import notebook_views
from arboretum_tools.imaging import figures
from arboretum_tools.options import takes
from arboretum_tools.options.split import SplitStatsOptions
from arboretum_tools.split.encounters import with_encounters
from arboretum_tools.split.files.manifest import Split, open_split
from arboretum_tools.taxa.bands import BANDS
from arboretum_tools.wording import counted

#: The group of a class that is in none of the seven.
OTHER = "other"

# Where a logarithmic axis begins, so that a class of one photo is seen.
_FLOOR = 0.8


@dataclass(frozen=True, slots=True)
class BandStats:
    """The classes of one shot band.

    Attributes:
        classes: how many there are.
        photos: their train photos.
    """

    classes: int
    photos: int


@dataclass(frozen=True, slots=True)
class SplitStats:
    """The numbers of a split.

    Attributes:
        name: of the split.
        part: whose photos are counted: train, or in a split without it (a benchmark) its first part.
        classes: C.
        largest: M, photos of the largest class in this part.
        smallest: m, photos of the smallest class in this part.
        ratio: M / m; None where a class has no photos.
        gini: Gini coefficient of the counts, 0 (all equal) to 1.
        photos: photos by part.
        bands: by name; `many_above` and `few_below` are its bounds, both outside the medium band. Empty
            where there is no train part.
        many_above: a class with more train photos is many-shot.
        few_below: a class with fewer train photos is few-shot.
        groups: classes and photos by group of Arboretum, most photos first; `other` is none of them.
        ranks: by rank, how many taxa of it the classes belong to (told apart by their whole lineage).
        counts: photos per class, descending.
        test_observations: observations of the test photos of a class, ascending; a photo without one counts
            as one. Empty where none is known.
        split_sha256: the hash over everything that split.json states; None in a split that states none.
    """

    name: str
    part: str
    classes: int
    largest: int
    smallest: int
    ratio: float | None
    gini: float
    photos: Mapping[str, int]
    bands: Mapping[str, BandStats]
    many_above: int
    few_below: int
    groups: Mapping[str, BandStats]
    ranks: Mapping[str, int]
    counts: tuple[int, ...]
    test_observations: tuple[int, ...] = ()
    split_sha256: str | None = None

    def _repr_html_(self) -> str:
        return notebook_views.report(self, notebook_views.curve(self.counts))

    def plot(self) -> notebook_views.View:
        """The long tail as a curve, for notebooks; figures as files are drawn by the extra `plots`.

        >>> import arboretum_tools as at
        >>> at.split_stats("splits/aves-lt100").plot().html[:4]
        '<svg'
        """
        return notebook_views.View(notebook_views.curve(self.counts))

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON."""
        return asdict(self)

    def band(self, count: int) -> str:
        """The band of a class with so many train photos, under these bounds."""
        return "many" if count > self.many_above else "few" if count < self.few_below else "medium"


@takes(SplitStatsOptions)
def split_stats(split: Split | str | Path, options: SplitStatsOptions) -> SplitStats:
    """Counts a split.

    Args:
        split: of any origin, or the folder of one.
        options: {options}

    Raises:
        UsageError: the bounds cross.
        SplitError: the folder holds no split.

    >>> import arboretum_tools as at
    >>> stats = at.split_stats("splits/aves-lt100")
    >>> stats.ratio, round(stats.gini, 3)
    (100.0, 0.606)
    """
    many_above, few_below = options.many_above, options.few_below
    if not isinstance(split, Split):
        split = open_split(split)
    part = split.parts[0]
    rows = split.classes.to_pylist()
    counts = sorted((row[f"n_{part}"] for row in rows), reverse=True)
    bands = {
        "many": [n for n in counts if n > many_above],
        "medium": [n for n in counts if few_below <= n <= many_above],
        "few": [n for n in counts if n < few_below],
    }
    in_group: Counter[str] = Counter()
    photos: Counter[str] = Counter()
    for row in rows:
        group = group_of_class(row)
        in_group[group] += 1
        photos[group] += row[f"n_{part}"]
    lineages = {
        rank: {tuple(row[above] for above in list(RANKS)[: position + 1]) for row in rows if row[rank]}
        for position, rank in enumerate(RANKS)
    }
    return SplitStats(
        name=split.name,
        part=part,
        classes=len(counts),
        largest=counts[0],
        smallest=counts[-1],
        ratio=counts[0] / counts[-1] if counts[-1] else None,
        gini=gini(counts),
        photos={part: split.num_photos(part) for part in split.parts},
        bands={name: BandStats(len(bands[name]), sum(bands[name])) for name in BANDS if part == "train"},
        many_above=many_above,
        few_below=few_below,
        groups={
            name: BandStats(in_group[name], photos[name])
            for name in sorted(in_group, key=lambda name: (-photos[name], name))
        },
        ranks={rank: len(found) for rank, found in lineages.items() if found},
        counts=tuple(counts),
        test_observations=_test_observations(split),
        split_sha256=split.meta.get("split_sha256"),
    )


def _test_observations(split: Split) -> tuple[int, ...]:
    if "test" not in split.parts:
        return ()
    classes = split.classes
    if classes["observations_test"].null_count == len(classes):
        # As an earlier release wrote it, or as none is known.
        classes = with_encounters(classes.select(CLASSES.hashed), split.tables, ["test"])
    return tuple(sorted(n for n in classes["observations_test"].to_pylist() if n))


def group_of_class(row: Mapping[str, Any]) -> str:
    """Which of the seven groups a class belongs to, by its lineage; `other` if none."""
    for group in GROUPS.values():
        if row[group.rank] == group.name:
            return group.name
    return OTHER


def gini(counts: list[int]) -> float:
    """Gini coefficient: half the mean absolute difference of two classes, relative to the mean count."""
    total = sum(counts)
    if not total:
        return 0.0
    ascending = np.sort(np.asarray(counts, dtype=np.float64))
    positions = np.arange(1, len(counts) + 1)
    return float(2 * (positions * ascending).sum() / (len(counts) * total) - (len(counts) + 1) / len(counts))


def text_figure(stats: SplitStats, *, width: int = 64, height: int = 10) -> list[str]:
    """The sorted class counts on a logarithmic axis, in plain text; head to the left."""
    # Few classes get wide columns; of many, each column shows the class in its middle.
    columns = max(1, min(4, width // stats.classes)) * min(width, stats.classes)
    shown = [stats.counts[math.floor((column + 0.5) * stats.classes / columns)] for column in range(columns)]
    top = math.log10(max(stats.largest, 2))
    marks: dict[str, str] = {"many": "#", "medium": "+", "few": "."}
    if not stats.bands:
        marks = dict.fromkeys(marks, "#")
    edge = len(f"{stats.largest:,}")
    lines = []
    for level in range(height, 0, -1):
        # A class of one photo has a logarithm of 0, and is drawn one mark high.
        at = 10 ** (top * (level - 1) / height)
        if level > 1 and round(at) == round(10 ** (top * (level - 2) / height)):
            continue  # small counts: two lines that would say the same
        row = "".join(marks[stats.band(n)] if n >= at and n else " " for n in shown)
        lines.append(f"{f'{round(at):,}':>{edge}} |{row}".rstrip())
    bands = ", ".join(f"{marks[name]} {name}" for name, found in stats.bands.items() if found.classes)
    title = f"{stats.part} photos per class, log axis, {counted(stats.classes, 'class')}" + (
        f"; {bands}" if bands else ""
    )
    lines.append(f"{'':>{edge}} +{'-' * columns}")
    lines.append(f"{'':>{edge}}  {title}")
    return lines


def save_figure(stats: SplitStats, path: str | Path, *, overwrite: bool = False) -> Path:
    """Draws the sorted class counts on a logarithmic axis with the shot bands, as papers print it.

    Args:
        stats: of the split.
        path: .png, .pdf or .svg.
        overwrite: replace a file that is there.

    Raises:
        TargetExistsError: the file is there and may not be replaced.
        BadInputError: matplotlib is not installed.
        UsageError: the file has another ending.
    """
    path = figures.target(path, overwrite=overwrite)
    figure = figures.figure_class()(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    first = 0
    for name in BANDS:
        inside = [n for n in stats.counts if stats.band(n) == name]
        if inside:
            edges = np.arange(first, first + len(inside) + 1) - 0.5
            label = f"{name}: {counted(len(inside), 'class')}"
            color = figures.BAND_COLORS[name if stats.bands else "many"]
            axes.stairs(inside, edges, baseline=_FLOOR, fill=True, color=color, label=label)
            first += len(inside)
    for bound in (stats.many_above, stats.few_below) if stats.bands else ():
        axes.axhline(bound, color="#6c726c", linewidth=0.6, linestyle="--")
    axes.set_yscale("log")
    steps = (1, 2, 5) if stats.largest <= 1_000 else (1,)
    ticks = [step * 10**power for power in range(len(str(stats.largest)) + 1) for step in steps]
    axes.set_yticks([tick for tick in ticks if tick <= stats.largest * 1.5])
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_minor_formatter("")
    axes.set_ylim(_FLOOR, max(stats.largest, 2) * 1.5)
    axes.set_xlim(-0.5, stats.classes - 0.5)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel(f"class, sorted by {stats.part} photos (C = {stats.classes:,})")
    axes.set_ylabel(f"{stats.part} photos")
    ratio = "" if stats.ratio is None else f", ratio {stats.ratio:g}"
    axes.set_title(f"{stats.name}: {stats.largest:,} to {stats.smallest:,}{ratio}", fontsize=10)
    if stats.bands:
        axes.legend(framealpha=1, edgecolor="none", fontsize=8)
    return figures.save(figure, path)
