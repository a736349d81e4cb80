"""What run.json says of a run; torch is not needed to read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from arboretum_tools.errors import TrainingError
from arboretum_tools.system.atomic_files import read_json

RUN = "run.json"

#: Of run.json and of what lies beside it.
FORMAT_VERSION = 1


def described(folder: Path) -> dict[str, Any]:
    """What run.json says.

    Raises:
        TrainingError: the folder does not hold a run.
    """
    if folder.is_file():
        raise TrainingError(
            f"{folder} is a file; runs are the folders that `arboretum train` was given as --out",
            hint="Files of predictions are compared by `arboretum evaluate SPLIT FILE --against FILE`.",
        )
    try:
        found = read_json(folder / RUN)
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or found.get("format_version") != FORMAT_VERSION:
        raise TrainingError(
            f"{folder} is not the folder of a run of arboretum: it has no readable {RUN}",
            hint="Name the folder that `arboretum train` was given as --out. Predictions of other programs "
            "are compared by `arboretum evaluate SPLIT FILE --against FILE`.",
        )
    return found


def predictions_of(folder: Path, part: str, head: str = "") -> Path:
    """The file of the predictions of a part; of one head alone where it is named."""
    return folder / (f"{part}.{head}.parquet" if head else f"{part}.parquet")
