"""Benchmarks: splits with one part, `test`, whose classes a rule chooses. What may be asked of each. Pure.

The four are those that were published with Arboretum (`arboretum_metadata/data/benchmarks.toml` names the
sources and the numbers, which are the defaults here):

- `balanced`: of each group the species with the most photos, up to so many, k photos each;
- `unseen`: species with fewer than 30 photos in the whole catalogue, so that no training set with that
  least number can hold them, k photos each;
- `life-stage`: each stage of each species is a class, k photos per stage; species that have every stage;
- `confounding`: pairs of look-alikes, k photos per species.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from arboretum_metadata.vocab import BENCHMARKS, LIFE_STAGES
from arboretum_tools.errors import RecipeError, UsageError
from arboretum_tools.wording import did_you_mean

#: Profile of a recipe that makes a benchmark.
PROFILE = "benchmark"

#: Which benchmark each of the options belongs to.
_OPTION_OF = {"classes_per_group": "balanced", "stages": "life-stage", "pairs": "confounding"}

Stages = tuple[tuple[str, int], ...]
Pairs = tuple[tuple[str, str], ...]


def completed(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a recipe that makes a benchmark, with the published numbers for those not given.

    Args:
        given: values of a recipe by name, without those that were not said; `benchmark` is among them.

    Raises:
        UsageError: an unknown benchmark or stage, or an invalid number.
        RecipeError: a value that the benchmark has no use for, or pairs that are missing.
    """
    kind = known(given["benchmark"])
    published = BENCHMARKS[kind]
    for name, owner in _OPTION_OF.items():
        if name in given and kind != owner:
            raise RecipeError(f"{_written(name)} goes with the benchmark {owner}, not with {kind}")
    if given.get("profile", PROFILE) != PROFILE:
        raise RecipeError(
            f"a benchmark has no profile {given['profile']}", hint="Leave --profile or --benchmark out."
        )
    values = {"classes_per_group": published.classes_per_group, **given, "profile": PROFILE}
    values = {"val_per_class": 0, "test_per_class": published.photos, **values}
    if kind == "life-stage":
        photos = given.get("test_per_class")
        stages = dict(published.stages) if photos is None else dict.fromkeys(dict(published.stages), photos)
        values["stages"] = parse_stages(given.get("stages", stages), photos)
        values["test_per_class"] = max(number for _, number in values["stages"])
    if kind == "confounding":
        values["pairs"] = parse_pairs(given.get("pairs", ()))
        if not values["pairs"]:
            raise RecipeError(
                "the benchmark confounding needs pairs of species",
                hint="Name them with --pair 'A / B' or --pairs FILE; the five published ones are "
                "--preset arboretum-confounding.",
            )
    return values


def known(benchmark: str) -> str:
    """The benchmark, if it is one.

    Raises:
        UsageError: it is none.
    """
    if benchmark not in BENCHMARKS:
        raise UsageError(f"there is no benchmark {benchmark!r}; the benchmarks are {', '.join(BENCHMARKS)}")
    return benchmark


def check(values: Mapping[str, Any]) -> None:
    """Raises RecipeError or UsageError for values that the benchmark of the recipe cannot take."""
    kind = values["benchmark"]
    if kind is None:
        for name, owner in _OPTION_OF.items():
            if values[name]:
                raise RecipeError(
                    f"{_written(name)} goes with a benchmark",
                    hint=f"Add --benchmark {owner}, or leave it out.",
                )
        return
    known(kind)
    if values["test_per_class"] < 1:
        raise UsageError(f"a benchmark has 1 test photo a class or more, not {values['test_per_class']}")
    unused = [name for name in ("min_per_class", "max_per_class") if values[name] is not None]
    unused += ["val_per_class"] * (values["val_per_class"] != 0)
    unused += ["num_classes"] * (values["num_classes"] is not None and kind != "unseen")
    if unused:
        raise RecipeError(
            f"{_written(unused[0])} has no meaning for the benchmark {kind}, whose one part is test",
            hint="Photos per class are --test-per-class; --num-classes goes with unseen, "
            "--classes-per-group with balanced.",
        )
    if values["rank"] != "species" and kind in ("unseen", "life-stage"):
        raise RecipeError(f"the benchmark {kind} has species as classes, not a {values['rank']}")
    number = values["classes_per_group"]
    if number is not None and number < 1:
        raise UsageError(f"classes-per-group must be 1 or more, not {number}")


def parse_stages(given: str | Mapping[str, int] | Iterable[Any], photos: int | None = None) -> Stages:
    """Life stages with the photos of each, in the order of a life.

    Args:
        given: `egg=5,larva=50`, a mapping, or several of `egg=5`, `egg`, ("egg", 5).
        photos: of a stage that is given without a number; default the published number.

    Raises:
        UsageError: an unknown or repeated stage, a number below 1, or no stage at all.
    """
    if isinstance(given, str):
        given = [part for part in given.split(",") if part.strip()]
    entries = list(given.items()) if isinstance(given, Mapping) else [_stage(one) for one in given]
    published = BENCHMARKS["life-stage"]
    usual = dict(published.stages)
    found: dict[str, int] = {}
    for name, number in entries:
        if name not in LIFE_STAGES:
            raise UsageError(
                f"{name!r} is not a life stage; known are {', '.join(LIFE_STAGES)}",
                hint=did_you_mean(name, tuple(LIFE_STAGES)),
            )
        if name in found:
            raise UsageError(f"the life stage {name} stands twice")
        found[name] = usual.get(name, published.photos) if photos is None else photos
        if number is not None:
            found[name] = number
        if type(found[name]) is not int or found[name] < 1:
            raise UsageError(f"the photos of a life stage are a whole number of 1 or more, not {number!r}")
    if not found:
        raise UsageError("no life stage is named", hint="Such as --stages larva=20,adult=20.")
    return tuple((name, found[name]) for name in LIFE_STAGES if name in found)


def _stage(entry: Any) -> tuple[str, Any]:
    if isinstance(entry, list | tuple) and len(entry) == 2:
        return str(entry[0]), entry[1]
    if not isinstance(entry, str):
        raise UsageError(f"{entry!r} is not a life stage with a number of photos, such as larva=20")
    name, separator, number = (part.strip() for part in entry.partition("="))
    if separator and not (number.isascii() and number.isdigit()):
        raise UsageError(f"{entry!r} is not a life stage with a number of photos, such as larva=20")
    return name.lower(), int(number) if separator else None


def parse_pairs(given: Iterable[str | Sequence[str]]) -> Pairs:
    """Pairs of taxa, as they are named, in the order given, each once.

    Args:
        given: each `A / B`, or two names.

    Raises:
        UsageError: one of them is no pair.
    """
    found: dict[tuple[str, str], None] = {}
    for pair in given:
        names = pair.split("/") if isinstance(pair, str) else pair
        if not isinstance(names, list | tuple):
            names = ()
        if len(names) != 2 or any(not isinstance(name, str) or not name.strip() for name in names):
            raise UsageError(
                f"{pair!r} is not a pair of taxa such as 'Harmonia axyridis / Adalia bipunctata'"
            )
        first, second = (" ".join(name.split()) for name in names)
        if first == second:
            raise UsageError(f"{first!r} is paired with itself")
        if (second, first) not in found:
            found[first, second] = None
    return tuple(found)


def read_pairs(text: str, name: str) -> Pairs:
    """Pairs out of a file: two names per line, separated by a tab, a comma or a slash; `#` begins a comment.

    Raises:
        UsageError: a line is not a pair (its number is named), or there are no pairs.
    """
    found: list[Sequence[str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.partition("#")[0].strip()
        if not content:
            continue
        names = re.split(r"[\t,/]", content)
        try:
            parse_pairs([names])
        except UsageError:
            raise UsageError(
                f"{name}, line {number}: {line[:60]!r} is not a pair of taxa",
                hint="Write two names per line, such as `Harmonia axyridis, Adalia bipunctata`.",
            ) from None
        found.append(names)
    if not found:
        raise UsageError(f"{name} names no pair of taxa")
    return parse_pairs(found)


def _written(name: str) -> str:
    return f"--{'pair' if name == 'pairs' else name.replace('_', '-')}"
