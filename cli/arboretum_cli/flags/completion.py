"""What the shell completes: values of closed lists, and the taxa of the catalogue."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import typer

from arboretum_tools.options import Declared

#: Names that are offered at a time.
_MOST = 60


def completion(entry: Declared) -> Callable[..., list[str]] | None:
    """What completes the values of an option; None = nothing does."""
    if entry.option.taxa:
        return taxa
    choices = entry.option.choices
    if not choices:
        return None

    def complete(incomplete: str) -> list[str]:
        return _as_begun(
            incomplete, [one for one in choices if one.casefold().startswith(incomplete.casefold())]
        )

    return complete


def taxa(ctx: typer.Context, incomplete: str) -> list[str]:
    """Taxa of a built catalogue whose name goes on from what was typed, behind its last comma.

    Nothing is said of a catalogue that is not there or cannot be read: in the middle of a line there is no
    place for it.
    """
    from arboretum_tools.catalog.layouts.files import default_path
    from arboretum_tools.catalog.names import beginning_with
    from arboretum_tools.errors import ArboretumError

    before, comma, begun = incomplete.rpartition(",")
    if not begun:
        return []
    try:
        named = ctx.params.get("catalog") or _of_settings() or default_path()
        found = beginning_with(Path(named), begun, _MOST)
    except (ArboretumError, OSError):
        return []
    # bash takes a name of two words for two words, unless what was typed stands in quotes.
    if " " not in begun and "bash" in os.environ.get("_ARBORETUM_COMPLETE", ""):
        found = [name for name in found if " " not in name]
    return [f"{before}{comma}{name}" for name in _as_begun(begun, found)]


def _as_begun(begun: str, values: Iterable[str]) -> list[str]:
    """Values with the beginning as it was typed: case does not matter to us, but to the shell."""
    return [begun + value[len(begun) :] for value in values]


def _of_settings() -> str | None:
    from arboretum_cli.flags.settings import settings

    one = settings().get("catalog")
    return None if one is None else str(one.value)
