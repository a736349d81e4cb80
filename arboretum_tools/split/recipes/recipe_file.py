"""Recipes as TOML files: the keys are the flags of `arboretum make-split`, with or without their dashes.

    taxa = ["Aves"]
    life-stage = "adult"
    lt-ratio = [10, 50, 100]
    val-per-class = 5
    group-by = "observer-per-species"

A recipe holds no paths, so that it means the same everywhere: catalogue, image store and lists of photos are
named beside it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from arboretum_metadata.vocab import BENCHMARKS, GROUPS
from arboretum_tools.errors import RecipeError, UsageError
from arboretum_tools.options import Declared, declared
from arboretum_tools.options.select import Box, SelectionOptions
from arboretum_tools.options.split import SplitOptions
from arboretum_tools.split.recipes.recipe import check_kinds
from arboretum_tools.system.regular_files import regular
from arboretum_tools.wording import did_you_mean, one_line

# What comes from beside a recipe: lists and what is kept out are files, and the store is a folder.
_NOT_HERE = ("photo_ids", "observation_ids", "store", "exclude", "class_list", "counts")

_SELECTION = {entry.name: entry for entry in declared(SelectionOptions) if entry.option.recipe}
_RECIPE_KEYS = tuple(entry.name for entry in declared(SplitOptions) if entry.option.recipe)


@dataclass(frozen=True, slots=True)
class RecipeFile:
    """What a recipe says.

    Attributes:
        selection: arguments of `Catalog.select`.
        recipe: arguments of `make_split`; `lt_ratio` may be a list, which is a family.
        name: of the split; None where the recipe gives none.
    """

    selection: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None


_LIFE_STAGE, _CONFOUNDING = BENCHMARKS["life-stage"], BENCHMARKS["confounding"]

#: Named recipes. `arboretum-40m`: the seven groups and the bounds of Arboretum-Train-40M (arXiv 2406.17720,
#: section 4.1): species with at least 30 photos, at most 50,000 photos of each. The others are the benchmarks
#: published with it, by their rules: other photos than the authors', as nobody has written down how those
#: were drawn.
PRESETS: Mapping[str, RecipeFile] = {
    "arboretum-40m": RecipeFile(
        {"taxa": [f"{group.rank}:{group.name}" for group in GROUPS.values()]},
        {"profile": "natural", "min_per_class": 30, "max_per_class": 50_000},
    ),
    "arboretum-balanced": RecipeFile({}, {"benchmark": "balanced"}),
    "arboretum-unseen": RecipeFile({}, {"benchmark": "unseen"}),
    "arboretum-life-stages": RecipeFile(
        {"taxa": [f"species:{name}" for name in _LIFE_STAGE.species]}, {"benchmark": "life-stage"}
    ),
    "arboretum-confounding": RecipeFile(
        {}, {"benchmark": "confounding", "pairs": [list(pair) for pair in _CONFOUNDING.pairs]}
    ),
}


def read_recipe(path: str | Path) -> RecipeFile:
    """Reads a recipe.

    Raises:
        RecipeError: it cannot be read, or has a key that no recipe has (the nearest is named).
    """
    try:
        found = tomllib.loads(regular(Path(path)).read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(
            f"the recipe {path} cannot be read: {one_line(error)}", hint=_instead(path, error)
        ) from error
    values = {key.replace("-", "_"): value for key, value in found.items()}
    known = (*_SELECTION, *_RECIPE_KEYS, "preset")
    for key, value in values.items():
        if key not in known:
            raise _unknown(path, key, known)
        if isinstance(value, dict):
            raise RecipeError(f"the recipe {path}: {key} is a table; recipes have plain keys only")
    try:
        preset = preset_values(values.pop("preset")) if "preset" in values else RecipeFile()
    except UsageError as error:
        raise RecipeError(f"the recipe {path}: {error}") from error
    selection = {key: _checked(path, _SELECTION[key], values.pop(key)) for key in _SELECTION if key in values}
    ratios = values.get("lt_ratio")
    if isinstance(ratios, list) and ratios and all(type(ratio) in (int, float) for ratio in ratios):
        check_kinds({key: value for key, value in values.items() if key not in ("lt_ratio", "name")})
    else:
        check_kinds({key: value for key, value in values.items() if key != "name"})
    name = values.pop("name", None)
    if not isinstance(name, str | None):
        raise RecipeError(f"the recipe {path}: name is text, not {name!r}")
    return RecipeFile({**preset.selection, **selection}, {**preset.recipe, **values}, name)


def _instead(path: str | Path, error: Exception) -> str:
    """What may have been meant by a file that is not TOML."""
    if not isinstance(error, tomllib.TOMLDecodeError):
        return ""
    if Path(path).suffix == ".json":
        return f"A split is made again from its split.json with --from {path}."
    return 'Text stands in quotation marks: taxa = "Aves".' if "Invalid value" in str(error) else ""


def _checked(path: str | Path, entry: Declared, value: Any) -> Any:
    """The value of an option as TOML writes it: text, a number, a day, or a list of texts or numbers."""
    if Box in entry.kinds:
        good = isinstance(value, list) and len(value) == 4 and all(type(n) in (int, float) for n in value)
    elif entry.option.many:
        texts = value if isinstance(value, list) else [value]
        good = all(isinstance(one, str) for one in texts)
    else:
        good = type(value) in entry.kinds
    if not good:
        written = entry.key
        raise RecipeError(f"the recipe {path}: {written} is {value!r}, which is not a value that it takes")
    return value


def preset_values(name: object) -> RecipeFile:
    """The selection and recipe that a preset stands for.

    Raises:
        UsageError: there is no preset of that name.
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise UsageError(
            f"there is no preset {name!r}; the presets are {', '.join(PRESETS)}",
            hint=did_you_mean(str(name).lower(), tuple(PRESETS)),
        )
    return PRESETS[name]


def _unknown(path: str | Path, key: str, known: tuple[str, ...]) -> RecipeError:
    written = key.replace("_", "-")
    if key == "seeds":
        return RecipeError(
            f"the recipe {path} names seeds, which no recipe holds",
            hint="A recipe is of one seed: for a set over several give --seeds, such as --seeds 0,1,2, "
            "beside the recipe on the command line.",
        )
    if key in _NOT_HERE or key in ("catalog", "images", "out"):
        flag = "images" if key == "store" else written
        return RecipeError(
            f"the recipe {path} names {written}, which no recipe holds",
            hint=f"Recipes hold no paths: give --{flag} on the command line instead.",
        )
    return RecipeError(
        f"the recipe {path} has a key {written}, which no recipe has",
        hint=did_you_mean(written, [one.replace("_", "-") for one in known])
        or "The keys are the flags of make-split.",
    )
