"""What the flags of make-split mean: name, ratios, pairs, recipe file, preset, and which photos are split."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from arboretum_cli.flags.selection import SelectionFlags
from arboretum_cli.flags.settings import images_setting
from arboretum_tools.wording import one_line

if TYPE_CHECKING:
    from arboretum_tools.catalog import Selection
    from arboretum_tools.events import OnEvent


def checked_name(name: str | None) -> str | None:
    """A name for a folder under splits/, if it is one."""
    from arboretum_tools.errors import UsageError

    if name is not None and (name in ("", ".", "..") or "/" in name or not name.isprintable()):
        raise UsageError(
            f"{name!r} cannot be the name of a split: it is a folder under splits/",
            hint="--out names any other folder.",
        )
    return name


def ratios(text: str) -> float | list[float]:
    """One ratio, or the ratios of a family; refused before anything is read if one is none."""
    from arboretum_tools.split.recipes.recipe import parse_ratio

    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is neither a ratio, such as 100, nor a list of ratios, such as 10,50,100"
        ) from None
    for value in values:
        parse_ratio(value)
    return values[0] if len(values) == 1 else values


def inverted(text: str) -> str | None:
    """The line that says how ratios below 1 were read; None where there are none."""
    from arboretum_tools.split.recipes.recipe import parse_ratio

    below = [float(part) for part in text.split(",") if float(part) < 1]
    return "; ".join(f"the ratio {one:g} is read as {parse_ratio(one):g}" for one in below) or None


def all_pairs(named: list[str] | None, file: Path) -> list[Any]:
    """The pairs of the command line and of the file."""
    from arboretum_tools.errors import RecipeError
    from arboretum_tools.split.recipes.benchmarks import read_pairs
    from arboretum_tools.system.regular_files import regular

    try:
        text = regular(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"the pairs {file} cannot be read: {one_line(error)}") from error
    return [*(named or ()), *read_pairs(text, str(file))]


def merged(
    flags: SelectionFlags, given: dict[str, Any], recipe: Path | None, preset: str | None, name: str | None
) -> tuple[SelectionFlags, dict[str, Any], str | None]:
    """Flags win over the recipe file, the recipe file over the preset."""
    from arboretum_tools.split.recipes.recipe_file import RecipeFile, preset_values, read_recipe

    found = read_recipe(recipe) if recipe is not None else RecipeFile()
    named = preset_values(preset) if preset is not None else RecipeFile()
    selection = {**named.selection, **found.selection, **flags.given}
    arguments = {**named.recipe, **found.recipe, **given}
    # A recipe is the same for everyone, whatever their settings.
    preferred = flags.preferred if recipe is None and preset is None and "license" not in selection else {}
    return (
        dataclasses.replace(flags, given=selection, preferred=preferred),
        arguments,
        name or checked_name(found.name),
    )


def what_to_split(
    flags: SelectionFlags, store: str | None, on_event: OnEvent, *, of_pairs: bool
) -> tuple[Selection, Path | None, str]:
    """The selection, the store that it is held against, and a line that says both.

    The taxa of pairs take the place of those that were downloaded; only photos that are there count anyway.
    """
    from arboretum_tools.stored_photos import downloaded_selection, has_selections, holds_files

    catalog, usual = flags.open(on_event), images_setting()
    held = Path(store) if store and store != "none" else None
    if store is None and not flags.given and (has_selections(usual) or holds_files(usual)):
        held = usual
    # Nothing was ever asked of a store of files: what is in it is selected from its catalogue.
    if held is not None and not flags.given and not holds_files(held):
        selection = downloaded_selection(catalog, held)
        if of_pairs:
            others = dict.fromkeys(dataclasses.replace(one, taxa=()) for one in selection.criteria)
            selection = catalog.selection(*others)
        return selection, held, f"from the photos downloaded into {held}: {selection.english}"
    selection = flags.select(catalog)
    of = f", of which {held} holds the photos" if held else ""
    whole = "" if flags.given or store or held else "whole "
    return selection, held, f"from the {whole}catalogue at {catalog.path}{of}: {selection.english}"
