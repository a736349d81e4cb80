"""Predictions out of the files that people write them to, held against the photos of a part.

One row per photo: `photo_id` and one of `label`; `label_1` to `label_k`, best first; `scores`, a list of C
numbers. Parquet, CSV or TSV; or NPZ with the arrays `photo_id` and `label`, `topk` or `scores`. Equal
scores rank by the lower label. The files are untrusted. In Python a data frame with these columns, a dict
of these arrays or of label by photo_id, or an array in the order of the part, are predictions as well.
"""

from __future__ import annotations

import csv
import hashlib
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from arboretum_tools.errors import BadInputError, UsageError
from arboretum_tools.system.regular_files import regular
from arboretum_tools.tabular.tables import parquet_file, repeated
from arboretum_tools.wording import counted, does, one_line

#: Predictions per photo that are kept: top-5 is the last that is reported.
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


_LABELS = "Labels are the numbers of the split's classes.parquet, and start at 0."

# Rows of scores whose sums are this near to 1 are probabilities.
_SUM_TOLERANCE = 1e-3

#: What `evaluate` takes: a file; or, in memory, a data frame, a dict or an array (`read_predictions`).
Source: TypeAlias = "str | Path | Mapping[Any, Any] | NDArray[Any] | Any"

_Rows: TypeAlias = "tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64] | None]"


class PredictionsError(BadInputError):
    """Predictions that do not answer the photos of the split."""


class OtherPhotosError(PredictionsError):
    """Predictions of other photos or other classes: of another part, or of another split."""


class _OtherClassesError(ValueError):
    """Scores for another number of classes than the split has."""


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Predicted classes, in the order of the photos asked for.

    Attributes:
        top: int64, shape (photos, k), best first, k from 1 to TOP; NONE where there is no prediction.
        missing: photos without a prediction. confidence: float64, shape (photos,): probability of the first
        class, NaN where there is no prediction; None
            where no scores were given, or scores that are no probabilities.
    """

    top: NDArray[np.int64]
    missing: int
    confidence: NDArray[np.float64] | None = None

    @property
    def sha256(self) -> str:
        """Of the predictions in the order of the photos, whatever file they came from."""
        found = hashlib.sha256(str(self.top.shape).encode())
        for values in (self.top, self.confidence):
            if values is not None:
                found.update(values.astype(f"<{values.dtype.kind}8").tobytes())
        return found.hexdigest()


def name_of(source: Source) -> str:
    """The name of the file that predictions are in; empty where they are in memory."""
    return Path(source).name if isinstance(source, str | Path) else ""


def read_predictions(
    source: Source,
    photo_ids: NDArray[np.int64],
    num_classes: int,
    *,
    missing: str = "error",
    split: str = "",
) -> Predictions:
    """Reads predictions and puts them into the order of `photo_ids`.

    Args:
        source: a file, whose ending says what it is; a data frame with the columns of one; a dict of the
            arrays `photo_id` and `label`, `topk` or `scores`, or of label by photo_id; or an array in the
            order of `photo_ids`: labels, shape (photos,); scores, floats of shape (photos, C); or labels with
            the best first, whole numbers of shape (photos, k).
        photo_ids: the photos of the part, each once.
        num_classes: C.
        missing: what to do where a photo has no prediction: `error`, or `wrong` to count it so.
        split: the name of the split that the part is of, for errors.

    Raises:
        OtherPhotosError: it has photos that are not in the part, or scores for another number of classes.
        PredictionsError: the file cannot be read, has none of the columns, a repeated photo_id, a
            label outside 0 to C-1, a score that is no number, or lacks photos.
        UsageError: `missing` is neither, or the file has another ending.
    """
    if missing not in ("error", "wrong"):
        raise UsageError(f"missing photos are 'error' or 'wrong', not {missing!r}")
    path = Path(source) if isinstance(source, str | Path) else None
    if path is not None and path.suffix.lower() not in _ENDINGS:
        raise UsageError(f"predictions are a {', '.join(_ENDINGS)} file, not {path.name}")
    if path is not None and not path.exists():
        raise PredictionsError(f"there is no file {path}")
    name = "the predictions" if path is None else str(path)
    try:
        if path is not None:
            ids, top, confidence = _read(path, len(photo_ids), num_classes)
        else:
            ids, top, confidence = _from_memory(source, photo_ids, num_classes)
    except _OtherClassesError as error:
        raise OtherPhotosError(
            f"{name} has scores of {error} classes a photo, and the split{split and f' {split}'} has "
            f"{num_classes}: its classes differ",
            hint="Predict the photos of this split with its own classes.",
        ) from None
    except _UNREADABLE as error:
        raise PredictionsError(f"predictions cannot be read from {name}: {one_line(error)}") from error
    outside = (top < 0) | (top >= num_classes)
    if outside.any():
        row = int(np.flatnonzero(outside.any(axis=1))[0])
        raise PredictionsError(
            f"{name}: photo {ids[row]} has label {top[row][outside[row]][0]}, outside 0 to {num_classes - 1}",
            hint=_LABELS
            + (
                " These look as if they were counted from 1: subtract 1."
                if top.min() == 1 and top.max() == num_classes
                else ""
            ),
        )
    return _aligned(name, (ids, top, confidence), photo_ids, missing, split)


def _aligned(name: str, rows: _Rows, photo_ids: NDArray[np.int64], missing: str, split: str) -> Predictions:
    ids, top, confidence = rows
    order = np.argsort(ids, kind="stable")
    ordered = ids[order]
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(repeated):
        raise PredictionsError(
            f"{name} has {counted(len(repeated), 'prediction')} too many: photo {repeated[0]} stands twice"
        )
    unknown = ids[~np.isin(ids, photo_ids)]
    if len(unknown):
        raise OtherPhotosError(
            f"{name} has {counted(len(unknown), 'photo')} that {does(len(unknown), 'are')} not in the part"
            f"{split and f' of {split}'}, such as {unknown[0]}",
            hint="Name the part and the split that were predicted.",
        )
    position = np.searchsorted(ordered, photo_ids)
    there = np.isin(photo_ids, ids)
    absent = int(np.count_nonzero(~there))
    if absent and missing == "error":
        raise PredictionsError(
            f"{name} lacks {absent:,} of the {counted(len(photo_ids), 'photo')}, such as "
            f"{photo_ids[~there][0]}",
            hint="Predict them, or count them as wrong with --missing wrong.",
        )
    found = np.full((len(photo_ids), top.shape[1]), NONE, dtype=np.int64)
    found[there] = top[order[position[there]]]
    sure = None
    if confidence is not None:
        sure = np.full(len(photo_ids), np.nan)
        sure[there] = confidence[order[position[there]]]
    return Predictions(found, absent, sure)


def _read(path: Path, photos: int, num_classes: int) -> _Rows:
    kind = regular(path).suffix.lower()
    if kind == ".npz":
        return _read_npz(path, photos, num_classes)
    if kind == ".parquet":
        return _read_parquet(path, num_classes)
    return _read_text(path, "\t" if kind == ".tsv" else ",")


def _from_memory(source: Any, photo_ids: NDArray[np.int64], num_classes: int) -> _Rows:
    """Predictions out of a data frame, a dict or an array."""
    try:
        if hasattr(source, "columns"):
            # Of pandas, of polars, or a table of Arrow.
            names = [str(name) for name in getattr(source, "column_names", source.columns)]
            wanted = ["scores"] if "scores" in names and "photo_id" in names else _label_columns(names)
            arrays = {name: np.asarray(source[name]) for name in ("photo_id", *wanted)}
            if "scores" in arrays:
                arrays["scores"] = np.array([np.asarray(row) for row in arrays["scores"]])
            elif "label" not in arrays:
                ranked = [_whole(arrays[name], name) for name in wanted]
                arrays = {"photo_id": arrays["photo_id"], "topk": np.stack(ranked, axis=1)}
        elif isinstance(source, Mapping):
            if source and "photo_id" not in source:
                if np.ndim(next(iter(source.values()))):
                    raise ValueError("it has no column photo_id")
                source = {"photo_id": list(source), "label": list(source.values())}
            arrays = {str(name): np.asarray(values) for name, values in source.items()}
        else:
            values = np.asarray(source)
            scored = values.ndim == 2 and np.issubdtype(values.dtype, np.floating)
            name = "scores" if scored else "topk" if values.ndim == 2 else "label"
            arrays = {"photo_id": photo_ids, name: values}
    except (TypeError, KeyError) as error:
        raise ValueError(one_line(error)) from error
    return _from_arrays(arrays, num_classes)


def _read_npz(path: Path, photos: int, num_classes: int) -> _Rows:
    most = _HEADER_BYTES + _NUMBER_BYTES * photos * max(TOP, num_classes)
    with zipfile.ZipFile(path) as archive:
        # A small file can unpack to more than the memory holds.
        if any(entry.file_size > most for entry in archive.infolist()):
            raise ValueError(f"it holds far more than predictions for {counted(photos, 'photo')}")
    with np.load(path, allow_pickle=False) as arrays:
        return _from_arrays(arrays, num_classes)


def _from_arrays(arrays: Mapping[str, NDArray[Any]], num_classes: int) -> _Rows:
    if "photo_id" not in arrays:
        raise ValueError("it has no array photo_id")
    ids = _whole(arrays["photo_id"], "photo_id")
    if ids.ndim != 1:
        raise ValueError(f"photo_id of shape {ids.shape} is not a list of photos")
    if "scores" in arrays:
        scores = arrays["scores"]
        if scores.ndim == 2 and len(scores) == len(ids) and scores.shape[1] != num_classes:
            raise _OtherClassesError(scores.shape[1])
        if scores.shape != (len(ids), num_classes):
            raise ValueError(f"scores of shape {scores.shape} are not ({len(ids)}, {num_classes})")
        starts = range(0, len(ids), _BATCH)
        parts = [best(ids[i : i + _BATCH], scores[i : i + _BATCH]) for i in starts]
        sure = [_confidence(scores[i : i + _BATCH]) for i in starts]
        return ids, np.concatenate([np.empty((0, min(TOP, num_classes)), np.int64), *parts]), _joined(sure)
    if "topk" in arrays:
        top = _whole(arrays["topk"], "topk")
    elif "label" in arrays:
        top = np.expand_dims(_whole(arrays["label"], "label"), -1)
    else:
        raise ValueError("it has none of the arrays label, topk, scores")
    if top.ndim != 2 or len(top) != len(ids) or not top.shape[1]:
        raise ValueError(f"predictions of shape {top.shape} do not fit {len(ids)} photos")
    return ids, top[:, :TOP], None


def _confidence(scores: NDArray[Any]) -> NDArray[np.float64] | None:
    """The probability of the first class; None for scores that are no probabilities."""
    wide = scores.astype(np.float64)
    if (wide < 0).any() or not np.allclose(wide.sum(axis=1), 1, rtol=0, atol=_SUM_TOLERANCE):
        return None
    highest: NDArray[np.float64] = wide.max(axis=1)
    return highest


def _joined(parts: list[NDArray[np.float64] | None]) -> NDArray[np.float64] | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known and len(known) == len(parts) else None


def _read_parquet(path: Path, num_classes: int) -> _Rows:
    with parquet_file(path) as file:
        names = file.schema_arrow.names
        if "photo_id" not in names or "scores" not in names:
            return _from_columns(file.read(columns=["photo_id", *_label_columns(names)]))
        ids, parts = [np.empty(0, np.int64)], [np.empty((0, min(TOP, num_classes)), np.int64)]
        sure = []
        # A batch at a time: the scores of a large part do not fit into memory at once.
        for batch in file.iter_batches(_BATCH, columns=["photo_id", "scores"]):
            some = _whole(batch.column("photo_id").to_numpy(zero_copy_only=False), "photo_id")
            lists = batch.column("scores")
            if not hasattr(lists, "value_lengths"):
                raise ValueError(f"scores are {lists.type}, not lists of numbers")
            lengths = set(lists.value_lengths().to_pylist())
            if len(lengths) == 1 and not lists.null_count and lengths != {num_classes}:
                raise _OtherClassesError(*lengths)
            if lists.null_count or lengths - {num_classes}:
                raise ValueError(f"a row has not {num_classes} scores")
            scores = lists.flatten().to_numpy(zero_copy_only=False).reshape(len(some), num_classes)
            ids.append(some)
            parts.append(best(some, scores))
            sure.append(_confidence(scores))
    return np.concatenate(ids), np.concatenate(parts), _joined(sure)


def _read_text(path: Path, delimiter: str) -> _Rows:
    with path.open(newline="", encoding="utf-8-sig") as file:
        names = next(csv.reader(file, delimiter=delimiter), [])
    if "scores" in names and not {"label", "label_1"} & set(names):
        raise ValueError(
            "scores are read from Parquet or NPZ; a text file has label, or label_1 to label_k, best first"
        )
    if twice := repeated(names):
        raise ValueError(f"it has more than one column {', '.join(twice)}")
    requested = ["photo_id", *_label_columns(names)]
    table = pyarrow.csv.read_csv(
        path,
        parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter),
        convert_options=pyarrow.csv.ConvertOptions(
            include_columns=requested,
            column_types=dict.fromkeys(requested, pa.string()),
            strings_can_be_null=False,
        ),
    )
    return _from_columns(table)


def _numbers(column: pa.ChunkedArray, name: str) -> NDArray[np.int64]:
    """A column of text as whole numbers, without passing ids through a float."""
    try:
        return _whole(column.cast(pa.int64()).to_numpy(), name)
    except pa.ArrowInvalid:
        pass
    try:
        return _whole(column.cast(pa.float64()).to_numpy(), name)
    except pa.ArrowInvalid:
        raise _no_number(column.to_pylist(), name) from None


def _no_number(values: Sequence[object], name: str) -> ValueError:
    """What to say of a column that holds text: the first value that is no number."""
    first = next(value for value in values if not _is_number(value))
    about = f". {_LABELS}" if name.startswith("label") else ""
    return ValueError(f"{name} is a column of numbers, and {str(first)!r} is not one{about}")


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


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


def _from_columns(table: pa.Table) -> _Rows:
    columns = [
        _numbers(table[name], name)
        if pa.types.is_string(table[name].type) or pa.types.is_large_string(table[name].type)
        else _whole(table[name].to_numpy(), name)
        for name in table.column_names
    ]
    return columns[0], np.stack(columns[1:], axis=1), None


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
        if values.dtype.kind in "OUT" and not all(map(_is_number, values.ravel().tolist())):
            raise _no_number(values.ravel().tolist(), name)
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
