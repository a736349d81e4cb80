"""Capacities to targets: how many train photos each class gets. Pure arithmetic, no photos.

The exponential profile is that of Cui et al. 2019 (Class-Balanced Loss, arXiv 1901.05555) and LDAM (Cao et
al. 2019, arXiv 1906.07413, `gen_imbalanced_data`): n_i = M * r ** (-i / (C - 1)) for the i-th of C classes.
Theirs starts from a free M, and truncation may then miss the ratio (290 photos at ratio 100 give 290/2 =
145). Here m, the smallest class, is a whole number and M = ceil(r * m), so a whole ratio is met exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arboretum_metadata.vocab import MANY_ABOVE
from arboretum_tools.errors import InfeasibleSplitError, RecipeError
from arboretum_tools.split.recipe import SplitRecipe

# Guards whole numbers against the last bit of pow(); far above its error, far below any real difference.
_EPSILON = 1e-9


@dataclass(frozen=True, slots=True)
class Targets:
    """The train photos of each class that takes part, in rank order.

    Attributes:
        counts: int64, shape (C,), descending; counts[0] = M, counts[-1] = m.
        ratio: the ratio asked.
    """

    counts: NDArray[np.int64]
    ratio: float

    @property
    def largest(self) -> int:
        """The train photos of the largest class, M."""
        return int(self.counts[0])

    @property
    def smallest(self) -> int:
        """The train photos of the largest class, M."""
        return int(self.counts[-1])


def exponential(largest: int, ratio: float, classes: int) -> NDArray[np.int64]:
    """n_i = floor(M * r ** (-i / (C - 1)) + 1e-9) for i = 0..C-1, in IEEE doubles.

    Args:
        largest: M.
        ratio: r, 1 or more.
        classes: C, 2 or more.
    """
    exponents = -np.arange(classes, dtype=np.float64) / (classes - 1)
    counts: NDArray[np.int64] = np.floor(largest * np.power(ratio, exponents) + _EPSILON).astype(np.int64)
    return counts


def largest_for(ratio: float, smallest: int) -> int:
    """M = ceil(r * m - 1e-9)."""
    return math.ceil(ratio * smallest - _EPSILON)


def exp_targets(capacities: NDArray[np.int64], recipe: SplitRecipe) -> Targets:
    """The largest split of the exponential profile that the capacities carry.

    First as many classes as possible with a head of more than 100 photos (else with m = 1), then the
    largest m at that number of classes; what the recipe fixes is kept fixed.

    Args:
        capacities: photos left for training, int64, shape (N,), descending.
        recipe: its ratio, and what it fixes.

    Raises:
        InfeasibleSplitError: nothing of that ratio can be carried; says what could.
        RecipeError: max_per_class gives no whole m at this ratio.
    """
    ratio = recipe.lt_ratio
    fixed_smallest = _fixed_smallest(recipe)
    available = int(np.count_nonzero(capacities > 0))

    def feasible(classes: int, smallest: int) -> bool:
        if not 2 <= classes <= available:
            return False
        counts = exponential(largest_for(ratio, smallest), ratio, classes)
        return bool(np.all(counts <= capacities[:classes]))

    def most_classes(smallest: int) -> int:
        return _last_true(lambda classes: feasible(classes, smallest), 2, available)

    if recipe.num_classes:
        classes = recipe.num_classes
        start = fixed_smallest or 1
        if not feasible(classes, start):
            raise _infeasible(capacities, recipe, start, most_classes(start))
    else:
        # A head of more than 100 photos, so that the split has a many-shot band.
        start = fixed_smallest or max(1, math.ceil((MANY_ABOVE + 1) / ratio))
        classes = most_classes(start)
        if not classes and not fixed_smallest:
            start = 1
            classes = most_classes(start)
        if not classes:
            raise _infeasible(capacities, recipe, start, 0)
    smallest = fixed_smallest or _last_true(
        lambda value: feasible(classes, value), start, int(capacities[classes - 1])
    )
    return Targets(exponential(largest_for(ratio, smallest), ratio, classes), ratio)


def _fixed_smallest(recipe: SplitRecipe) -> int | None:
    """The value of m where the recipe fixes it, directly or through M."""
    if recipe.max_per_class is None:
        return recipe.min_per_class
    smallest = math.floor(recipe.max_per_class / recipe.lt_ratio + _EPSILON)
    if smallest >= 1 and largest_for(recipe.lt_ratio, smallest) == recipe.max_per_class:
        return smallest
    nearest = [largest_for(recipe.lt_ratio, n) for n in (smallest, smallest + 1) if n >= 1]
    raise RecipeError(
        f"a largest class of {recipe.max_per_class} photos gives no ratio of {recipe.lt_ratio:g}",
        hint=f"The nearest that do are --max-per-class {' and '.join(map(str, nearest))}.",
    )


def _infeasible(
    capacities: NDArray[np.int64], recipe: SplitRecipe, smallest: int, classes: int
) -> InfeasibleSplitError:
    eligible = int(np.count_nonzero(capacities > 0))
    held = f"validation and test take {recipe.val_per_class} and {recipe.test_per_class} photos a class first"
    if eligible < 2:
        return InfeasibleSplitError(
            f"no split: {eligible} of the selected classes keep{'s' * (eligible == 1)} any photo for "
            f"training ({held})",
            hint="Select more photos, or lower --val-per-class and --test-per-class.",
        )
    best = int(capacities[0])
    asked = f"ratio {recipe.lt_ratio:g}" + (
        f" over {recipe.num_classes} classes" if recipe.num_classes else ""
    )
    advice = f"The largest ratio that two classes of it could carry is {best} (m = 1; {held})."
    if classes and recipe.num_classes:
        advice += f" At m = {smallest} and this ratio it carries {classes} classes."
    need = largest_for(recipe.lt_ratio, smallest)
    return InfeasibleSplitError(
        f"the selection cannot carry {asked}: with m = {smallest} the largest class needs {need} train "
        f"photos, and the largest has {best}",
        largest_ratio=best,
        hint=advice + " Ask for a lower --lt-ratio, or select more photos.",
    )


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
