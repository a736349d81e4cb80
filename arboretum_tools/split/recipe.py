"""The recipe of a split: everything that decides it, checked when it is built."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from arboretum_tools.errors import RecipeError, UsageError

#: How photos are kept together, so that no encounter has photos in two parts.
GROUP_BY = ("auto", "photo", "observation")

#: `exp`: see profiles; `all`: one part `train` with every photo of the selection, no hold-out.
PROFILES = ("exp", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRecipe:
    """How a split is drawn from a selection.

    Attributes:
        profile: one of PROFILES.
        lt_ratio: imbalance ratio M / m, 1 or more; below 1 it is read as its inverse (0.01 = 100).
        num_classes: fixes C: the classes with the largest capacities.
        min_per_class: fixes m, the train photos of the smallest class.
        max_per_class: fixes M, the train photos of the largest class.
        val_per_class: photos a class in the validation part; 0 = no such part.
        test_per_class: photos a class in the test part; 0 = no such part.
        group_by: one of GROUP_BY; `auto` is observation where every selected photo has one, else photo.
        hybrids: whether taxa with a hybrid's mark are taken.
        seed: another seed draws other photos by the same rules.
        store: whether only photos were taken that an image store held.
    """

    profile: str = "exp"
    lt_ratio: float = 100.0
    num_classes: int | None = None
    min_per_class: int | None = None
    max_per_class: int | None = None
    val_per_class: int = 5
    test_per_class: int = 10
    group_by: str = "auto"
    hybrids: bool = False
    seed: int = 0
    store: bool = False

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise UsageError(f"{self.profile!r} is no profile; known are {', '.join(PROFILES)}")
        if self.group_by not in GROUP_BY:
            raise UsageError(f"{self.group_by!r} is no grouping; known are {', '.join(GROUP_BY)}")
        object.__setattr__(self, "lt_ratio", parse_ratio(self.lt_ratio))
        for name, least in (
            ("num_classes", 2),
            ("min_per_class", 1),
            ("max_per_class", 1),
            ("val_per_class", 0),
            ("test_per_class", 0),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"{name.replace('_', '-')} must be {least} or more, not {value}")
        if self.min_per_class and self.max_per_class:
            raise RecipeError(
                "min-per-class and max-per-class cannot both be fixed: with the ratio, one gives the other",
                hint="Leave one of them out.",
            )

    @property
    def suffix(self) -> str:
        """What the profile adds to a split's name."""
        seed = f"-s{self.seed}" if self.seed else ""
        return f"-lt{self.lt_ratio:g}{seed}" if self.profile == "exp" else seed

    def to_json(self) -> dict[str, Any]:
        """The recipe as JSON, every field, so that a later default changes no stored recipe."""
        recipe = asdict(self)
        if self.lt_ratio == int(self.lt_ratio):
            recipe["lt_ratio"] = int(self.lt_ratio)
        return recipe


def parse_ratio(value: float) -> float:
    """The imbalance ratio as a number of at least 1.

    Raises:
        UsageError: it is 0, negative, infinite or not a number.
    """
    if not math.isfinite(value) or value <= 0:
        raise UsageError(f"an imbalance ratio is a number above 0, such as 100, not {value:g}")
    if value >= 1:
        return float(value)
    inverse = 1 / value
    # 1/0.01 is 100 exactly, 1/0.007 is not whole; what is meant to be whole is made whole.
    return float(round(inverse)) if abs(inverse - round(inverse)) < 1e-9 * inverse else inverse
