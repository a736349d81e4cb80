"""The recipe of a split: everything that decides it, checked when it is built."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import NoneType
from typing import Any

from arboretum_tools.errors import RecipeError, UsageError
from arboretum_tools.options import declared
from arboretum_tools.options.split import RATIO_PROFILES, DrawOptions
from arboretum_tools.split.recipes import benchmarks
from arboretum_tools.split.recipes.split_by import TEST_SHARE, VAL_SHARE, Rule, parse_rule
from arboretum_tools.wording import counted

#: See `arboretum_tools.split.drawing.profiles`; `all` is one part `train` with every photo and no hold-out,
#: `benchmark` one part `test` (`arboretum_tools.split.recipes.benchmarks`).
PROFILES = (*RATIO_PROFILES, "balanced", "natural", "counts", "all", benchmarks.PROFILE)

# Keys that stand in a recipe only where they say something, so that recipes from before are as they were.
_SOMETIMES = (
    "benchmark",
    "classes_per_group",
    "stages",
    "pairs",
    "exclude",
    "seeds",
    "class_list",
    "counts",
    "near_duplicates",
    "split_by",
    "test_share",
    "val_share",
    "min_test_groups",
)

# No catalogue has more photos of a class, or more classes; above it doubles lose whole numbers.
_MOST = 10**15

# What is checked as it is where a recipe is asked for; the profile has names of its own here.
_CHECKED = tuple(
    entry
    for entry in declared(DrawOptions)
    if entry.name != "profile" and (entry.option.choices or int in entry.kinds)
)

#: The ratio where none is asked for.
DEFAULT_RATIO = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRecipe:
    """How a split is drawn from a selection.

    Attributes:
        profile: one of PROFILES.
        lt_ratio: imbalance ratio M / m, 1 or more; below 1 it is read as its inverse (0.01 = 100). None
            becomes 100 where the profile has a ratio and 1 where it has none.
        lt_ratios: the ratios of the family that this split belongs to, ascending whole numbers; empty for a
            split by itself. `lt_ratio` is one of them.
        rank: rank of the classes, one of CLASS_RANKS.
        num_classes: fixes C: the classes with the largest capacities.
        min_per_class: fixes m, the train photos of the smallest class (of the largest ratio of a family);
            in the natural profile the photos that a class must have before anything is held out.
        max_per_class: fixes M, the train photos of the largest class; in the natural profile the cap.
        val_per_class: photos per class in the validation part; 0 = no such part.
        test_per_class: photos per class in the test part; 0 = no such part.
        group_by: one of GROUP_BY; `auto` is observation where any selected photo has one, else photo.
        hybrids: whether taxa with a hybrid's mark are taken.
        seed: another seed draws other photos by the same rules.
        store: whether only photos were taken that an image store held.
        benchmark: what the profile `benchmark` makes, one of `arboretum_metadata.vocab.BENCHMARKS`: test
            photos only, `test_per_class` of each class.
        classes_per_group: of the benchmark `balanced`, the most classes of each group.
        stages: of the benchmark `life-stage`, (life stage, photos), in the order of a life; `test_per_class`
            is the largest of these numbers.
        pairs: of the benchmark `confounding`, terms of the taxa.
        exclude: SHA-256 of what was kept out (`arboretum_tools.split.drawing.exclusion`), or None.
        seeds: of the set that this split belongs to, `seed` among them: over one class list with the same
            counts, so that a class is as large as the seed allows that leaves it fewest. Empty for a split
            by itself.
        class_list: SHA-256 of the classes that take part (`recipes.class_list`), or None.
        counts: SHA-256 of the train photos of the classes, of the profile `counts`.
        min_test_groups: of how many groups the test photos of a class are at least; None = of one.
        near_duplicates: whether photos that show nearly the same were kept in one part; only over a store.
        split_by: how a split by place, time or person is made (`recipes.split_by`), or None.
        test_share: of such a split, percent of the photos whose units go to test; None by time.
        val_share: likewise to val; None where there is no such part.
    """

    profile: str = "exp"
    lt_ratio: float | None = None
    lt_ratios: tuple[int, ...] = ()
    rank: str = "species"
    num_classes: int | None = None
    min_per_class: int | None = None
    max_per_class: int | None = None
    val_per_class: int = 5
    test_per_class: int = 10
    group_by: str = "auto"
    hybrids: bool = False
    seed: int = 0
    store: bool = False
    benchmark: str | None = None
    classes_per_group: int | None = None
    stages: benchmarks.Stages = ()
    pairs: benchmarks.Pairs = ()
    exclude: str | None = None
    seeds: tuple[int, ...] = ()
    class_list: str | None = None
    counts: str | None = None
    near_duplicates: bool = False
    split_by: str | None = None
    test_share: int | None = None
    val_share: int | None = None
    min_test_groups: int | None = None

    def __post_init__(self) -> None:
        _one_of("profile", self.profile, PROFILES)
        object.__setattr__(self, "lt_ratio", self._checked_ratio())
        object.__setattr__(self, "lt_ratios", tuple(self.lt_ratios))
        object.__setattr__(self, "seeds", tuple(self.seeds))
        for entry in _CHECKED:
            if (value := getattr(self, entry.name)) is None:
                continue
            value = entry.checked(value)
            if entry.option.least is not None and value > _MOST:
                raise UsageError(f"{entry.flag[2:]} must be {_MOST:,} or less, not {value}")
            object.__setattr__(self, entry.name, value)
        if self.min_per_class and self.max_per_class and self.profile != "natural":
            raise RecipeError(
                "min-per-class and max-per-class cannot both be fixed: with the ratio, one gives the other",
                hint="Leave one of them out.",
            )
        self._check_lists()
        self._check_sides()
        if (self.profile == benchmarks.PROFILE) != (self.benchmark is not None):
            raise RecipeError(
                f"the profile {self.profile} and the benchmark {self.benchmark or 'none'} do not go together",
                hint="A benchmark has no profile and no ratio: leave those out, or --benchmark.",
            )
        stages = benchmarks.parse_stages(self.stages) if self.stages else ()
        object.__setattr__(self, "stages", stages)
        object.__setattr__(self, "pairs", benchmarks.parse_pairs(self.pairs))
        least = min([self.test_per_class, *(photos for _, photos in self.stages)])
        if self.min_test_groups and self.min_test_groups > least:
            raise RecipeError(
                f"{counted(least, 'test photo')} per class cannot be of {self.min_test_groups} groups",
                hint="Lower --min-test-groups, or ask for more photos with --test-per-class.",
            )
        benchmarks.check({f.name: getattr(self, f.name) for f in fields(self)})

    def _check_lists(self) -> None:
        """What files and seeds fix must agree with the rest."""
        if (self.profile == "counts") != (self.counts is not None):
            raise RecipeError(
                "counts are a profile of their own",
                hint="Leave --profile and --lt-ratio out, or --counts.",
            )
        if self.seeds and self.seed not in self.seeds:
            raise RecipeError(f"the seed {self.seed} is not of its set {', '.join(map(str, self.seeds))}")
        if (self.seeds or self.class_list) and self.profile in ("all", benchmarks.PROFILE):
            raise RecipeError("what has no train part drawn takes neither --seeds nor --class-list")
        fixed = [name for name in ("num_classes", "min_per_class", "max_per_class") if getattr(self, name)]
        if self.counts and fixed:
            raise RecipeError(
                f"counts fix every class: {fixed[0].replace('_', '-')} cannot be given beside them"
            )
        if self.class_list and self.num_classes:
            raise RecipeError("a list of classes fixes their number", hint="Leave --num-classes out.")

    def _check_sides(self) -> None:
        """A split by place, time or person has a test part, and shares where a rule leaves them open."""
        rule = self.rule
        if rule is None:
            if self.test_share is not None or self.val_share is not None:
                given = "test-share" if self.test_share is not None else "val-share"
                raise RecipeError(
                    f"--{given} needs --split-by: it is the share of whole cells, days or observers",
                    hint=f"Give --split-by, such as --split-by observer, or leave --{given} out.",
                )
            return
        object.__setattr__(self, "split_by", str(rule))
        if self.profile in ("all", benchmarks.PROFILE):
            raise RecipeError(f"a split by {rule} has a train and a test part, and this one has not both")
        if not self.test_per_class:
            raise RecipeError(f"a split by {rule} has a test part", hint="Give --test-per-class 1 or more.")
        if self.min_test_groups:
            raise RecipeError(
                f"a split by {rule} holds out no groups of a class", hint="Leave --min-test-groups out."
            )
        if rule.kind == "time" and self.test_share is not None:
            raise RecipeError("by time the date says what is tested", hint="Leave --test-share out.")
        if not self.val_per_class and self.val_share is not None:
            raise RecipeError("there is no validation part", hint="Leave --val-share out.")
        if rule.kind != "time" and self.test_share is None:
            object.__setattr__(self, "test_share", TEST_SHARE)
        if self.val_per_class and self.val_share is None:
            object.__setattr__(self, "val_share", VAL_SHARE)
        if (self.test_share or 0) + (self.val_share or 0) >= 100:
            raise RecipeError(
                f"test and validation take {self.test_share or 0} and {self.val_share or 0} % of the photos: "
                "nothing is left for training"
            )

    @property
    def rule(self) -> Rule | None:
        """How it is made by place, time or person; None where groups are held out class by class."""
        return None if self.split_by is None else parse_rule(self.split_by)

    def _checked_ratio(self) -> float:
        if self.profile in RATIO_PROFILES:
            ratio = parse_ratio(DEFAULT_RATIO if self.lt_ratio is None else self.lt_ratio)
            if self.lt_ratios and ratio not in self.lt_ratios:
                raise RecipeError(f"the ratio {ratio:g} is not of its family {family_text(self.lt_ratios)}")
            return ratio
        if self.lt_ratios or self.lt_ratio not in (None, 1):
            what = "a benchmark" if self.benchmark else f"the profile {self.profile}"
            if self.profile == "counts":
                what = "a split whose counts are given"
            raise RecipeError(
                f"{what} has no imbalance ratio",
                hint=f"Leave --lt-ratio out, or take one of the profiles {', '.join(RATIO_PROFILES)}.",
            )
        return 1.0

    @property
    def ratio(self) -> float:
        """The ratio asked, 1 for a profile that has none."""
        assert self.lt_ratio is not None  # set when it was built
        return self.lt_ratio

    @property
    def suffix(self) -> str:
        """What the recipe adds to a split's name.

        `-lt100` for the exponential profile, `-step-lt100` for others with a ratio (so that the members of a
        family lie side by side), `-natural` for those without; `-region1-lt100` of a split by cells.
        """
        words = [] if self.rank == "species" else [self.rank]
        if self.profile not in ("exp", "all"):
            words.append(self.profile)
        if self.benchmark:
            words.append(self.benchmark)
        if self.split_by:
            words.append(self.split_by.replace(":", ""))
        if self.profile in RATIO_PROFILES:
            words.append(f"lt{self.ratio:g}")
        if self.seed or self.seeds:
            words.append(f"s{self.seed}")
        return "".join(f"-{word}" for word in words)

    def to_json(self) -> dict[str, Any]:
        """The recipe as JSON, every field, so that a later default changes no stored recipe.

        The fields of benchmarks, and `exclude`, stand only in recipes that use them.
        """
        recipe = {name: value for name, value in asdict(self).items() if value or name not in _SOMETIMES}
        recipe["lt_ratios"] = list(self.lt_ratios)
        if self.seeds:
            recipe["seeds"] = list(self.seeds)
        if self.stages:
            recipe["stages"] = dict(self.stages)
        if self.pairs:
            recipe["pairs"] = [list(pair) for pair in self.pairs]
        if self.ratio == int(self.ratio):
            recipe["lt_ratio"] = int(self.ratio)
        return recipe

    @classmethod
    def from_json(cls, recipe: Mapping[str, Any]) -> SplitRecipe:
        """The recipe that `to_json` gave; keys of other things (the selection) are passed over.

        Raises:
            RecipeError: a value of another type.
            UsageError: an invalid value.
        """
        values = {f.name: recipe[f.name] for f in fields(cls) if f.name in recipe}
        check_kinds(values)
        return cls(**values)


# What a recipe that was read from a file may hold; whole numbers where nothing else is said.
_KINDS: Mapping[str, tuple[type, ...]] = {
    "profile": (str,),
    "rank": (str,),
    "group_by": (str,),
    "lt_ratio": (int, float, NoneType),
    "lt_ratios": (list, tuple),
    "hybrids": (bool,),
    "store": (bool,),
    "near_duplicates": (bool,),
    "num_classes": (int, NoneType),
    "min_per_class": (int, NoneType),
    "max_per_class": (int, NoneType),
    "benchmark": (str, NoneType),
    "classes_per_group": (int, NoneType),
    "stages": (dict, list, tuple, str),
    "pairs": (list, tuple),
    "exclude": (str, NoneType),
    "seeds": (list, tuple),
    "class_list": (str, NoneType),
    "counts": (str, NoneType),
    "split_by": (str, NoneType),
    "test_share": (int, NoneType),
    "val_share": (int, NoneType),
    "min_test_groups": (int, NoneType),
}


def check_kinds(values: Mapping[str, Any]) -> None:
    """Raises RecipeError for a value of another type than the recipe's field of that name has."""
    for name, value in values.items():
        allowed = _KINDS.get(name, (int,))
        each = value if isinstance(value, list | tuple) and name in ("lt_ratios", "seeds") else ()
        wrong = not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed)
        if wrong or any(not isinstance(ratio, int) for ratio in each):
            raise RecipeError(f"the recipe's {name.replace('_', '-')} cannot be {value!r}")


def parse_ratio(value: float) -> float:
    """The imbalance ratio as a number of at least 1.

    Raises:
        UsageError: it is 0, negative, infinite or not a number.
    """
    given: object = value
    if isinstance(given, bool) or not isinstance(given, numbers.Real):
        raise UsageError(f"an imbalance ratio is a number, such as 100, not {value!r}")
    if not math.isfinite(value) or not 1 / _MOST <= value <= _MOST:
        raise UsageError(f"an imbalance ratio is a number above 0, such as 100, not {value:g}")
    if value >= 1:
        return float(value)
    inverse = 1 / value
    # 1/0.01 is 100 exactly, 1/0.007 is not whole; what is meant to be whole is made whole.
    return float(round(inverse)) if abs(inverse - round(inverse)) < 1e-9 * inverse else inverse


def parse_family(values: tuple[float, ...]) -> tuple[int, ...]:
    """The ratios of a family, ascending, each once.

    Raises:
        UsageError: one of them is no ratio.
        RecipeError: one of them is not whole, or there are fewer than two.
    """
    ratios = sorted({parse_ratio(value) for value in values})
    broken = [ratio for ratio in ratios if ratio != int(ratio)]
    if broken:
        raise RecipeError(
            f"a family has whole ratios, as its largest class is a multiple of each; {broken[0]:g} is not",
            hint=f"Ask for {math.floor(broken[0])} or {math.ceil(broken[0])} instead.",
        )
    if len(ratios) < 2:
        raise RecipeError("a family has two or more different ratios", hint="Ask for one ratio by itself.")
    return tuple(int(ratio) for ratio in ratios)


def family_text(ratios: tuple[int, ...]) -> str:
    """The ratios of a family as they are written on the command line."""
    return ",".join(map(str, ratios))


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"{value!r} is no {what}; known are {', '.join(known)}")
