"""Capacities to targets: how many train photos each class gets. Pure arithmetic, no photos.

Classes stand in rank order, i = 0..C-1, by descending capacity. M is the train photos of the largest class,
m those of the smallest, r the ratio.

- `exp`: n_i = M * r ** (-i / (C - 1)), Cui et al. 2019 (Class-Balanced Loss, arXiv 1901.05555) and LDAM (Cao
  et al. 2019, arXiv 1906.07413, `gen_imbalanced_data`). Theirs starts from a free M, and truncation may then
  miss the ratio (290 photos at ratio 100 give 290/2 = 145). Here m is a whole number and M = ceil(r * m), so
  a whole ratio is met exactly.
- `step`: M for the first C // 2 classes, m for the others, as LDAM's `step`.
- `pareto`: n_i = M * (1 + i * s) ** -6 with s so that n_{C-1} = M / r. A power law, as ImageNet-LT and
  Places-LT have (Liu et al. 2019, arXiv 1904.05160, Pareto with power value 6); their generator was never
  published, so this form is ours. It is far from their lists: 166,769 photos at the size of ImageNet-LT
  (theirs: 115,846), 169,633 at that of Places-LT (62,500).
- `balanced`: the ratio 1.
- `counts`: as a list says, the largest for the class with the most photos.
- `natural`: min(capacity, max_per_class), for the classes with at least min_per_class photos.
- `benchmark`: none, as benchmarks have test photos only; for the classes with test_per_class photos.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from arboretum_metadata.vocab import MANY_ABOVE
from arboretum_tools.errors import InfeasibleSplitError, RecipeError
from arboretum_tools.split.recipes.benchmarks import PROFILE as BENCHMARK
from arboretum_tools.split.recipes.class_list import Fixed
from arboretum_tools.split.recipes.recipe import SplitRecipe, family_text
from arboretum_tools.wording import counted, does

# Guards whole numbers against the last bit of pow(); far above its error, far below any real difference.
_EPSILON = 1e-9

#: Power of the Pareto profile (Liu et al. 2019).
PARETO_POWER = 6.0


@dataclass(frozen=True, slots=True)
class Targets:
    """The train photos of each class that takes part.

    Attributes:
        places: int64, shape (C,), ascending: which of the ranked classes take part.
        counts: int64, shape (C,): their train photos, descending; counts[0] = M, counts[-1] = m.
    """

    positions: NDArray[np.int64]
    counts: NDArray[np.int64]

    @property
    def largest(self) -> int:
        """The train photos of the largest class, M."""
        return int(self.counts[0])

    @property
    def smallest(self) -> int:
        """The train photos of the smallest class, m."""
        return int(self.counts[-1])


def exponential(largest: int, ratio: float, classes: int) -> NDArray[np.int64]:
    """n_i = floor(M * r ** (-i / (C - 1)) + 1e-9) for i = 0..C-1, in IEEE doubles.

    Args:
        largest: M.
        ratio: r, 1 or more.
        classes: C, 2 or more.
    """
    exponents = -np.arange(classes, dtype=np.float64) / (classes - 1)
    return _whole(largest * np.power(ratio, exponents))


def step(largest: int, ratio: float, classes: int) -> NDArray[np.int64]:
    """M for the first C // 2 classes, floor(M / r + 1e-9) for the others. Args: as `exponential`."""
    shares = np.where(np.arange(classes) < classes // 2, 1.0, 1.0 / ratio)
    return _whole(largest * shares)


def pareto(largest: int, ratio: float, classes: int) -> NDArray[np.int64]:
    """n_i = floor(M * (1 + i * s) ** -6 + 1e-9), s = (r ** (1/6) - 1) / (C - 1). Args: as `exponential`."""
    slope = (ratio ** (1 / PARETO_POWER) - 1) / (classes - 1)
    return _whole(largest * np.power(1 + slope * np.arange(classes, dtype=np.float64), -PARETO_POWER))


def _whole(counts: NDArray[np.float64]) -> NDArray[np.int64]:
    whole: NDArray[np.int64] = np.floor(counts + _EPSILON).astype(np.int64)
    return whole


_SHAPES = {"exp": exponential, "step": step, "pareto": pareto, "balanced": exponential}


def largest_for(ratio: float, smallest: int) -> int:
    """M = ceil(r * m - 1e-9)."""
    return math.ceil(ratio * smallest - _EPSILON)


def targets(
    capacities: NDArray[np.int64],
    sizes: NDArray[np.int64],
    recipe: SplitRecipe,
    fixed: Fixed = Fixed(),  # noqa: B008
) -> Targets:
    """The train photos of every class that the recipe's profile takes.

    Args:
        capacities: photos left for training, int64, shape (N,), descending.
        sizes: photos of the same classes before anything was held out.
        recipe: its profile, its ratio, and what it fixes.
        fixed: the counts of the profile `counts`, and the class list, all of whose classes take part.

    Raises:
        InfeasibleSplitError: the capacities do not carry what is asked; says what they could.
        RecipeError: a fixed number that gives no whole M or m at this ratio.
    """
    if fixed.keys is not None:
        recipe = replace(recipe, class_list=None, num_classes=None if fixed.counts else len(fixed.keys))
    if fixed.counts is not None:
        return _given(capacities, np.array(fixed.counts, dtype=np.int64), fixed)
    if recipe.profile in _SHAPES:
        return _shaped(capacities, recipe)
    if recipe.profile == BENCHMARK:
        return _tested(sizes, recipe)
    least, most = (recipe.min_per_class, recipe.max_per_class) if recipe.profile == "natural" else (1, None)
    positions = np.flatnonzero((capacities > 0) & (sizes >= (least or 1)))
    requested = recipe.num_classes
    if not len(positions) or (requested and len(positions) < requested):
        raise InfeasibleSplitError(
            f"no split: {len(positions):,} of the selected classes have "
            f"{counted(least or 1, 'photo')} or more and keep one for training ({_held(recipe)})"
            + (f", and {requested:,} are asked for" if requested else ""),
            hint=_natural_hint(capacities, sizes, recipe),
        )
    positions = positions[:requested]
    return Targets(positions, np.minimum(capacities[positions], most or np.iinfo(np.int64).max))


def _given(capacities: NDArray[np.int64], counts: NDArray[np.int64], fixed: Fixed) -> Targets:
    """The counts of a list, the largest for the class with the most photos."""
    if fixed.keys is not None and len(fixed.keys) != len(counts):
        raise InfeasibleSplitError(
            f"no split: the list of classes names {len(fixed.keys):,}, and there are {len(counts):,} counts"
        )
    there = int(np.count_nonzero(capacities > 0))
    if len(counts) > there:
        raise InfeasibleSplitError(
            f"no split: there are {len(counts):,} counts, and {there:,} of the selected classes keep a photo "
            "for training",
            hint="Select more photos, or hold fewer out.",
        )
    short = np.flatnonzero(counts > capacities[: len(counts)])
    if len(short):
        place = int(short[0])
        share = float((capacities[: len(counts)] / counts).min())
        raise InfeasibleSplitError(
            f"no split: {counted(len(short), 'class')} {does(len(short), 'have')} fewer photos than the "
            f"counts ask for; the first is at place {place + 1:,} by size, with {capacities[place]:,} of "
            f"{counts[place]:,}",
            hint=f"Counts of {math.floor(100 * share)} % of these would fit, each rounded down but to 1 at "
            "least. Or select more photos.",
        )
    return Targets(np.arange(len(counts), dtype=np.int64), counts)


def _tested(sizes: NDArray[np.int64], recipe: SplitRecipe) -> Targets:
    """The classes of a benchmark, or of one of its groups or stages; there may be none."""
    photos, requested = recipe.test_per_class, recipe.num_classes
    positions = np.flatnonzero(sizes >= photos)
    if requested and len(positions) < requested:
        hints = [f"--num-classes {len(positions)} or fewer makes it possible"] if len(positions) > 1 else []
        most = np.sort(sizes)[::-1]
        if len(most) >= requested:
            hints.append(f"--test-per-class {most[requested - 1]} or less makes it possible")
        raise InfeasibleSplitError(
            f"no split: {len(positions):,} of the selected classes have {counted(photos, 'photo')} or more, "
            f"and {requested:,} are asked for",
            hint="; ".join(hints) + "." if hints else "Select more photos.",
        )
    positions = positions[: requested or recipe.classes_per_group]
    return Targets(positions, np.zeros(len(positions), dtype=np.int64))


def _natural_hint(capacities: NDArray[np.int64], sizes: NDArray[np.int64], recipe: SplitRecipe) -> str:
    trainable = np.sort(sizes[capacities > 0])[::-1]
    requested = recipe.num_classes or 1
    if len(trainable) >= requested:
        return f"--min-per-class {trainable[requested - 1]} or less makes it possible."
    return f"The most is {counted(len(trainable), 'class')}. Select more photos, or hold fewer out."


def _shaped(capacities: NDArray[np.int64], recipe: SplitRecipe) -> Targets:
    """The largest split of a profile with a ratio.

    First as many classes as possible with a head of more than 100 photos (else the least that is whole),
    then the largest head at that number of classes; what the recipe fixes is kept fixed. A family is sized
    at its smallest ratio, which asks most of the tail, with a head that every ratio divides.
    """
    fit = _Fit(capacities, recipe)
    fixed = _fixed_units(recipe)
    if recipe.num_classes:
        classes = recipe.num_classes
        start = fixed or 1
        if not fit.feasible(classes, start):
            raise _infeasible(fit, start)
    else:
        # A head of more than 100 photos, so that the split has a many-shot band.
        start = fixed or max(1, math.ceil((MANY_ABOVE + 1) / fit.unit))
        classes = fit.most_classes(start)
        if not classes and not fixed:
            start = 1
            classes = fit.most_classes(start)
        if not classes:
            raise _infeasible(fit, start)
    units = fixed or _last_true(lambda value: fit.feasible(classes, value), start, int(capacities[0]))
    counts = _SHAPES[recipe.profile](fit.largest(units), recipe.ratio, classes)
    return Targets(np.arange(classes, dtype=np.int64), counts)


class _Fit:
    """Whether class lists fit capacities, at the smallest ratio of the recipe.

    A head is counted in units of `unit` photos: the ratio (so that units = m), or for a family the least
    common multiple of its ratios.
    """

    def __init__(self, capacities: NDArray[np.int64], recipe: SplitRecipe) -> None:
        self.capacities = capacities
        self.recipe = recipe
        self.available = int(np.count_nonzero(capacities > 0))
        self.ratio = float(min(recipe.lt_ratios, default=recipe.ratio))
        self.unit = float(math.lcm(*recipe.lt_ratios)) if recipe.lt_ratios else self.ratio

    def largest(self, units: int) -> int:
        """M for so many units."""
        return largest_for(self.unit, units)

    def feasible(self, classes: int, units: int, ratio: float | None = None) -> bool:
        if not 2 <= classes <= self.available:
            return False
        head = self.largest(units) if ratio is None else largest_for(ratio, units)
        if head > self.capacities[0]:
            return False
        counts = _SHAPES[self.recipe.profile](head, ratio or self.ratio, classes)
        return bool(np.all(counts <= self.capacities[:classes]))

    def counts(self, classes: int, units: int) -> NDArray[np.int64]:
        """Train photos that a class list asks of each of its classes, the largest first."""
        return _SHAPES[self.recipe.profile](self.largest(units), self.ratio, classes)

    def most_classes(self, units: int) -> int:
        return _last_true(lambda classes: self.feasible(classes, units), 2, self.available)


def _fixed_units(recipe: SplitRecipe) -> int | None:
    """The units of a head that the recipe fixes, directly or through M or m."""
    if recipe.lt_ratios:
        head = recipe.max_per_class or (recipe.min_per_class or 0) * max(recipe.lt_ratios)
        unit = math.lcm(*recipe.lt_ratios)
        if head % unit:
            below, above = head // unit, head // unit + 1
            per = 1 if recipe.max_per_class else max(recipe.lt_ratios)
            name = "max" if recipe.max_per_class else "min"
            raise RecipeError(
                f"a largest class of {head} photos is not a multiple of {unit}, as the family "
                f"{family_text(recipe.lt_ratios)} needs",
                hint=_nearest(name, [n * unit // per for n in (below, above) if n]),
            )
        return head // unit or None
    if recipe.max_per_class is None:
        return recipe.min_per_class
    smallest = math.floor(recipe.max_per_class / recipe.ratio + _EPSILON)
    if smallest >= 1 and largest_for(recipe.ratio, smallest) == recipe.max_per_class:
        return smallest
    raise RecipeError(
        f"a largest class of {recipe.max_per_class} photos gives no ratio of {recipe.ratio:g}",
        hint=_nearest("max", [largest_for(recipe.ratio, n) for n in (smallest, smallest + 1) if n >= 1]),
    )


def _nearest(name: str, values: list[int]) -> str:
    does = "do are" if len(values) > 1 else "does is"
    return f"The nearest that {does} --{name}-per-class {' and '.join(map(str, values))}."


def _infeasible(fit: _Fit, units: int) -> InfeasibleSplitError:
    recipe, held = fit.recipe, _held(fit.recipe)
    if fit.available < 2:
        labels = " Labels that are not species need --rank genus." if recipe.rank == "species" else ""
        return InfeasibleSplitError(
            f"no split: {fit.available} of the selected classes keep{'s' * (fit.available == 1)} any photo "
            f"for training ({held})",
            hint=f"Select more photos, or lower --val-per-class and --test-per-class.{labels}",
        )
    best = int(fit.capacities[0])
    classes = recipe.num_classes or 2
    asked = f"the family {family_text(recipe.lt_ratios)}" if recipe.lt_ratios else f"ratio {fit.ratio:g}"
    asked += f" over {recipe.num_classes} classes" if recipe.num_classes else ""
    advice = []
    if recipe.lt_ratios:
        advice.append(f"Its largest class must be a multiple of {fit.largest(1)}.")
    else:
        advice.append(f"The largest ratio that two classes of it could carry is {best} (m = 1; {held}).")
    if carried := fit.most_classes(units):
        advice.append(f"At {_unit_text(fit, units)} and this ratio it carries {carried} classes.")
    most = _last_true(lambda value: fit.feasible(classes, value), 1, best)
    if most and units > 1:
        advice.append(f"Over {classes} classes it carries up to {_unit_text(fit, most)}.")
    if recipe.num_classes and not recipe.lt_ratios and recipe.profile != "balanced":
        largest = _last_true(lambda r: fit.feasible(classes, 1, float(r)), 1, best)
        if largest:
            advice.append(f"The largest whole ratio over {classes} classes is {largest}.")
    advice.append("Ask for less, or select more photos.")
    return InfeasibleSplitError(
        f"the selection cannot carry {asked}: {_shortfall(fit, classes, units)}",
        largest_ratio=best,
        hint=" ".join(advice),
    )


def _shortfall(fit: _Fit, classes: int, units: int) -> str:
    """Why a class list is not feasible: too few classes, or the first with too few photos."""
    if classes > fit.available:
        return f"only {fit.available:,} of its classes keep a photo for training"
    needed, held = fit.counts(classes, units), fit.capacities[:classes]
    position = int(np.argmax(needed > held))
    which = "largest class" if position == 0 else f"class at place {position + 1:,} by size"
    return (
        f"with {_unit_text(fit, units)} the {which} needs {counted(int(needed[position]), 'train photo')}, "
        f"and {'the largest' if position == 0 else 'it'} has {held[position]}"
    )


def _unit_text(fit: _Fit, units: int) -> str:
    return f"M = {fit.largest(units)}" if fit.recipe.lt_ratios else f"m = {units}"


def _held(recipe: SplitRecipe) -> str:
    held = (
        f"validation and test take {recipe.val_per_class} and {recipe.test_per_class} photos per class first"
    )
    return held + (f", test of {recipe.min_test_groups} groups" if recipe.min_test_groups else "")


def _last_true(holds: Callable[[int], bool], first: int, last: int) -> int:
    """The largest number from `first` to `last` for which `holds`, 0 if there is none.

    `holds` must be monotone: true up to some number and false above it. Feasibility is, in the number of
    classes (more classes lower no target, and the capacities fall) and in m.
    """
    if last < first or not holds(first):
        return 0
    while first < last:
        middle = (first + last + 1) // 2
        if holds(middle):
            first = middle
        else:
            last = middle - 1
    return first
