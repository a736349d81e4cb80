"""Figures: matplotlib without a display and without global state, and files that are the same each time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from arboretum_tools.errors import BadInputError, UsageError
from arboretum_tools.system.atomic_files import check_output, whole_file

#: What a figure can be written as.
FORMATS = ("png", "pdf", "svg")

#: One colour a shot band.
BAND_COLORS = {"many": "#105c68", "medium": "#d99320", "few": "#a8345c"}

#: What stands for nothing in particular.
GREY = "#6c726c"


def figure_class() -> Any:
    """The class `matplotlib.figure.Figure`; asked for before anything is written.

    Raises:
        BadInputError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BadInputError(
            "figures need matplotlib, which is not installed; nothing was written",
            hint="Install it with pip install '.[plots]' in the clone, or ask for no figure: tables, weights "
            "and the figure in plain text need none.",
        ) from error
    return Figure


def patch(color: str) -> Any:
    """What stands for a colour in a legend."""
    from matplotlib.patches import Patch

    return Patch(color=color)


def form_of(path: Path) -> str:
    """The form of a figure by the ending of its file.

    Raises:
        UsageError: the ending is none of FORMATS.
    """
    form = path.suffix.lower().lstrip(".")
    if form not in FORMATS:
        raise UsageError(f"a figure is a png, pdf or svg file, not {path.name}")
    return form


def target(path: str | Path, *, overwrite: bool) -> Path:
    """The file of a figure, if one may be written there; asked before anything is drawn.

    Raises:
        TargetExistsError: the file is there and may not be replaced.
        UsageError: the ending is none of FORMATS.
    """
    path = Path(path)
    form_of(path)
    check_output(path, overwrite=overwrite)
    return path


def save(figure: Any, path: Path) -> Path:
    """Writes a figure, whole or not at all, without date and version, so that the same one is the same file.

    Raises:
        UsageError: the ending is none of FORMATS.
    """
    form = form_of(path)
    metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(form, {"Software": None})
    with whole_file(path) as temporary:
        figure.savefig(temporary, format=form, dpi=200, metadata=metadata)
    return path
