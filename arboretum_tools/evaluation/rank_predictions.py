"""Accuracy at a rank where the model was asked at that rank: which genus, which family.

A model of classes has its answers rolled up: the genus of the class that it names. A model that matches
photos to text can be asked among the names of all genera, as in the tables of Arboretum, and its answers then
need not agree with each other. They stand in columns `predicted_genus`, `predicted_family`, ... of the
predictions, by name.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arboretum_metadata.vocab import RANKS
from arboretum_tools.evaluation.predictions import PredictionsError, Source
from arboretum_tools.tabular.tables import read_columns
from arboretum_tools.wording import counted

_PREFIX = "predicted_"

#: Ranks from the species up, as reports have them.
_ORDER = tuple(reversed(RANKS))


def asked_ranks(
    source: Source,
    photo_ids: NDArray[np.int64],
    labels: NDArray[np.int64],
    classes: Sequence[Mapping[str, Any]],
) -> dict[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """By rank that the model was asked at: whose name is right, and whose class has the rank at all.

    Args:
        source: predictions that were read before, so that their photos are known to be right.
        photo_ids: of the part.
        labels: the true class of each.
        classes: the rows of classes.parquet, in label order.

    Raises:
        PredictionsError: a name is of no taxon of that rank among the classes.
    """
    table = _columns(source)
    ids = [
        int(float(one)) if isinstance(one, str) and "." in one else int(one)
        for one in table.pop("photo_id", [])
    ]
    found = {}
    for rank in _ORDER:
        if f"{_PREFIX}{rank}" not in table:
            continue
        names = dict(zip(ids, (_plain(name) for name in table[f"{_PREFIX}{rank}"]), strict=True))
        true = [_plain(row["scientific_name"] if rank == "species" else row[rank]) for row in classes]
        if unknown := sorted(set(names.values()) - set(true) - {""}):
            raise PredictionsError(
                f"{_PREFIX}{rank} names {counted(len(unknown), 'taxon')} that no class here belongs to, "
                f"such as {unknown[0]}",
                hint=f"The choice is among the names of rank {rank} in classes.parquet.",
            )
        of_photo = np.array(true, dtype=object)[labels]
        predicted = np.array([names.get(one, "") for one in photo_ids.tolist()], dtype=object)
        found[rank] = (predicted == of_photo, of_photo != "")
    return found


def _plain(name: object) -> str:
    return "" if name is None or name != name else str(name).strip().casefold()


def _columns(source: Source) -> dict[str, list[Any]]:
    """photo_id and the predicted names, where there are any."""
    if isinstance(source, str | Path):
        return _of_file(Path(source))
    names = getattr(
        source, "column_names", getattr(source, "columns", source if isinstance(source, Mapping) else ())
    )
    columns = [str(name) for name in names if str(name).startswith(_PREFIX)]
    return {name: np.asarray(source[name]).tolist() for name in ("photo_id", *columns)} if columns else {}


def _of_file(path: Path) -> dict[str, list[Any]]:
    kind = path.suffix.lower()
    if kind == ".npz":
        return {}
    if kind == ".parquet":
        table = read_columns(path, ["photo_id", *(f"{_PREFIX}{rank}" for rank in RANKS)])
        return (
            {name: table[name].to_pylist() for name in table.column_names}
            if len(table.column_names) > 1
            else {}
        )
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file, delimiter="\t" if kind == ".tsv" else ",")
        columns = [name for name in rows.fieldnames or () if name.startswith(_PREFIX)]
        if not columns:
            return {}
        found: dict[str, list[Any]] = {name: [] for name in ("photo_id", *columns)}
        for row in rows:
            for name, values in found.items():
                values.append(row[name])
    return found
