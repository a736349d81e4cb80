"""Predictions out of the files that people write them to, held against the photos of a part.

One row a photo: `photo_id` and one of `label`; `label_1` to `label_k`, best first; `scores`, a list of C
numbers. Parquet, CSV or TSV; or NPZ with the arrays `photo_id` and `label`, `topk` or `scores`. Equal scores
rank by the lower label. The files are untrusted.
"""

from __future__ import annotations

import csv
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from arboretum_tools.errors import BadInputError, UsageError
from arboretum_tools.tables import one_line
from arboretum_tools.wording import counted, does

#: Predictions a photo that are kept: top-5 is the last that is reported.
TOP = 5

#: What stands for a photo without a prediction.
NONE = -1

_BATCH = 2_048

_ENDINGS = (".parquet", ".csv", ".tsv", ".npz")

# What the readers raise at files that are not what their name says. RuntimeError: of zipfile, at what is
# encrypted or packed in a way that it does not know.
_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    RuntimeError,
    csv.Error,
    pa.ArrowException,
    zipfile.BadZipFile,
    zlib.error,
)

# An array of an NPZ has at most so many bytes a number: of twice the photos and classes, and its header.
_NUMBER_BYTES, _HEADER_BYTES = 64, 1 << 16


class PredictionsError(BadInputError):
    """Predictions that do not answer the photos of the split."""


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Predicted classes, in the order of the photos asked for.

    Attributes:
        top: int64, shape (photos, k), best first, k from 1 to TOP; NONE where there is no prediction.
        missing: photos without a prediction.
    """

    top: NDArray[np.int64]
    missing: int


def read_predictions(
    path: str | Path, photo_ids: NDArray[np.int64], num_classes: int, *, missing: str = "error"
) -> Predictions:
    """Reads predictions and puts them into the order of `photo_ids`.

    Args:
        path: the file; its ending says what it is.
        photo_ids: the photos of the part, each once.
        num_classes: C.
        missing: what to do where a photo has no prediction: `error`, or `wrong` to count it so.

    Raises:
        PredictionsError: the file cannot be read, has none of the columns, an unknown or repeated photo_id, a
            label outside 0 to C-1, a score that is no number, or lacks photos.
        UsageError: `missing` is neither, or the file has another ending.
    """
    path, photos = Path(path), len(photo_ids)
    if missing not in ("error", "wrong"):
        raise UsageError(f"missing photos are 'error' or 'wrong', not {missing!r}")
    if path.suffix.lower() not in _ENDINGS:
        raise UsageError(f"predictions are a {', '.join(_ENDINGS)} file, not {path.name}")
    if not path.exists():
        raise PredictionsError(f"there is no file {path}")
    try:
        ids, top = _read(path, photos, num_classes)
    except _UNREADABLE as error:
        raise PredictionsError(f"predictions cannot be read from {path}: {one_line(error)}") from error
    outside = (top < 0) | (top >= num_classes)
    if outside.any():
        row = int(np.flatnonzero(outside.any(axis=1))[0])
        raise PredictionsError(
            f"{path}: photo {ids[row]} has label {top[row][outside[row]][0]}, outside 0 to {num_classes - 1}",
            hint="Labels are those of the split's classes.parquet.",
        )
    return _aligned(path, ids, top, photo_ids, missing)


def _aligned(
    path: Path,
    ids: NDArray[np.int64],
    top: NDArray[np.int64],
    photo_ids: NDArray[np.int64],
    missing: str,
) -> Predictions:
    order = np.argsort(ids, kind="stable")
    ordered = ids[order]
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(repeated):
        raise PredictionsError(
            f"{path} has {counted(len(repeated), 'prediction')} too many: photo {repeated[0]} stands twice"
        )
    unknown = ids[~np.isin(ids, photo_ids)]
    if len(unknown):
        raise PredictionsError(
            f"{path} has {counted(len(unknown), 'photo')} that {does(len(unknown), 'are')} not in the part, "
            f"such as {unknown[0]}",
            hint="Name the part that was predicted with --part, or predict the photos of this split.",
        )
    position = np.searchsorted(ordered, photo_ids)
    there = np.isin(photo_ids, ids)
    absent = int(np.count_nonzero(~there))
    if absent and missing == "error":
        raise PredictionsError(
            f"{path} lacks {absent:,} of the {counted(len(photo_ids), 'photo')}, such as "
            f"{photo_ids[~there][0]}",
            hint="Predict them, or count them as wrong with --missing wrong.",
        )
    found = np.full((len(photo_ids), top.shape[1]), NONE, dtype=np.int64)
    found[there] = top[order[position[there]]]
    return Predictions(found, absent)


def _read(path: Path, photos: int, num_classes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    kind = path.suffix.lower()
    if kind == ".npz":
        return _read_npz(path, photos, num_classes)
    if kind == ".parquet":
        return _read_parquet(path, num_classes)
    return _read_text(path, "\t" if kind == ".tsv" else ",")


def _read_npz(path: Path, photos: int, num_classes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    most = _HEADER_BYTES + _NUMBER_BYTES * photos * max(TOP, num_classes)
    with zipfile.ZipFile(path) as archive:
        # A small file can unpack to more than the memory holds.
        if any(entry.file_size > most for entry in archive.infolist()):
            raise ValueError(f"it holds far more than predictions for {counted(photos, 'photo')}")
    with np.load(path, allow_pickle=False) as arrays:
        if "photo_id" not in arrays:
            raise ValueError("it has no array photo_id")
        ids = _whole(arrays["photo_id"], "photo_id")
        if ids.ndim != 1:
            raise ValueError(f"photo_id of shape {ids.shape} is no list of photos")
        if "scores" in arrays:
            scores = arrays["scores"]
            if scores.shape != (len(ids), num_classes):
                raise ValueError(f"scores of shape {scores.shape} are not ({len(ids)}, {num_classes})")
            parts = [best(ids[i : i + _BATCH], scores[i : i + _BATCH]) for i in range(0, len(ids), _BATCH)]
            return ids, np.concatenate([np.empty((0, min(TOP, num_classes)), np.int64), *parts])
        if "topk" in arrays:
            top = _whole(arrays["topk"], "topk")
        elif "label" in arrays:
            top = np.expand_dims(_whole(arrays["label"], "label"), -1)
        else:
            raise ValueError("it has none of the arrays label, topk, scores")
    if top.ndim != 2 or len(top) != len(ids) or not top.shape[1]:
        raise ValueError(f"predictions of shape {top.shape} do not fit {len(ids)} photos")
    return ids, top[:, :TOP]


def _read_parquet(path: Path, num_classes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        if "photo_id" not in names or "scores" not in names:
            return _from_columns(file.read(columns=["photo_id", *_label_columns(names)]))
        ids, parts = [np.empty(0, np.int64)], [np.empty((0, min(TOP, num_classes)), np.int64)]
        # A batch at a time: the scores of a large part do not fit into memory at once.
        for batch in file.iter_batches(_BATCH, columns=["photo_id", "scores"]):
            some = _whole(batch.column("photo_id").to_numpy(zero_copy_only=False), "photo_id")
            lists = batch.column("scores")
            if not hasattr(lists, "value_lengths"):
                raise ValueError(f"scores are {lists.type}, not lists of numbers")
            if lists.null_count or any(n != num_classes for n in lists.value_lengths().to_pylist()):
                raise ValueError(f"a row has not {num_classes} scores")
            scores = lists.flatten().to_numpy(zero_copy_only=False).reshape(len(some), num_classes)
            ids.append(some)
            parts.append(best(some, scores))
    return np.concatenate(ids), np.concatenate(parts)


def _read_text(path: Path, delimiter: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        names = next(csv.reader(file, delimiter=delimiter), [])
    requested = ["photo_id", *_label_columns(names)]
    table = pyarrow.csv.read_csv(
        path,
        parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter),
        convert_options=pyarrow.csv.ConvertOptions(
            include_columns=requested, column_types=dict.fromkeys(requested, pa.int64())
        ),
    )
    return _from_columns(table)


def _label_columns(names: list[str]) -> list[str]:
    if "photo_id" not in names:
        raise ValueError("it has no column photo_id")
    if "label_1" in names:
        return [f"label_{k}" for k in _ranks(names)]
    if "label" in names:
        return ["label"]
    raise ValueError("it has none of the columns label, label_1 to label_k, scores")


def _ranks(names: list[str]) -> Iterator[int]:
    for k in range(1, TOP + 1):
        if f"label_{k}" not in names:
            return
        yield k


def _from_columns(table: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    columns = [_whole(table[name].to_numpy(), name) for name in table.column_names]
    return columns[0], np.stack(columns[1:], axis=1)


def _whole(values: NDArray[np.generic], name: str) -> NDArray[np.int64]:
    """Whole numbers; pandas writes a column with gaps as floats, which is how a gap shows."""
    if np.issubdtype(values.dtype, np.integer):
        found = values.astype(np.int64)
    elif np.issubdtype(values.dtype, np.floating) and np.all(
        np.isfinite(values) & (np.trunc(values) == values)
    ):
        # No double above this is sure to be the number that was meant.
        found = np.clip(values, -(2.0**53), 2.0**53).astype(np.int64)
    else:
        raise ValueError(f"{name} is not whole numbers without gaps")
    if not np.array_equal(found, values):
        raise ValueError(f"{name} holds numbers that are too large")
    return found


def best(ids: NDArray[np.int64], scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """The TOP classes of each row by descending score, of equal ones the lower label first."""
    if not np.issubdtype(scores.dtype, np.integer) and not np.issubdtype(scores.dtype, np.floating):
        raise ValueError(f"scores are of the type {scores.dtype}, not numbers")
    if np.isnan(scores).any():
        row = int(np.flatnonzero(np.isnan(scores).any(axis=1))[0])
        raise ValueError(f"photo {ids[row]} has a score that is no number")
    # argmax takes the first of equal ones; minus infinity is kept for what was taken already.
    left = np.maximum(scores.astype(np.float64), np.finfo(np.float64).min)
    rows = np.arange(len(left))
    top = np.empty((len(left), min(TOP, left.shape[1])), dtype=np.int64)
    for k in range(top.shape[1]):
        top[:, k] = left.argmax(axis=1)
        left[rows, top[:, k]] = -np.inf
    return top
