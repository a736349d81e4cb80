"""The hashes of split.json, computed anew: of ids and labels, of all columns, of everything."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from arboretum_metadata.schema import CLASSES, JOINED, PART
from arboretum_tools.split.audit.checks import Check, Files, found
from arboretum_tools.tabular.arrays import from_numpy, text, texts

# Rows that are hashed at a time.
_ROWS = 50_000

#: Name of the comparison with a published hash, which is no promise of the split.
EXPECTED = "split_sha256 as expected"

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def checks(files: Files, expected: str | None) -> Iterator[Check]:
    """The checks of all hashes.

    Args:
        files: the split.
        expected: the `split_sha256` that somebody published, or None.
    """
    meta, recipe = files.meta, _of_json(files.recipe)
    yield _compared("hash of the recipe", recipe, meta.get("recipe_sha256"))
    narrow, whole = {}, {}
    for part in files.parts:
        narrow[part], whole[part] = _of_batches(files.batches(part), ("photo_id", "label"), PART.names)
        yield _compared(f"hash of {part}", narrow[part], meta["sha256"].get(part))
        yield _compared(f"hash of all columns of {part}", whole[part], _stated(meta, "rows_sha256", part))
    hashed = ("label", "class_key", "n_train", "n_val", "n_test")
    narrow["classes"], classes = _of_batches(files.classes.to_batches(_ROWS), hashed, CLASSES.hashed)
    yield _compared("hash of classes", narrow["classes"], meta["sha256"].get("classes"))
    yield _compared("hash of all columns of classes", classes, meta.get("classes_sha256_all"))
    covered: dict[str, Any] = {
        "recipe_sha256": recipe,
        "group_by": meta.get("group_by"),
        "sha256": narrow,
        "rows_sha256": whole,
        "classes_sha256_all": classes,
    }
    if files.joined is not None:
        covered["joined_sha256"] = _of_batches(files.joined.to_batches(_ROWS), (), JOINED.names)[1]
        yield _compared("hash of joined groups", covered["joined_sha256"], meta.get("joined_sha256"))
    everything = _of_json(covered)
    stated = meta.get("split_sha256")
    same = everything == stated
    yield found("split_sha256", not same, everything if same else f"{everything}; split.json states {stated}")
    if expected is not None:
        same = everything == expected
        detail = "it is the expected hash" if same else f"{everything}; {expected} was expected"
        yield found(EXPECTED, not same, detail)


def _stated(meta: Any, key: str, part: str) -> object:
    hashes = meta.get(key)
    return hashes.get(part) if isinstance(hashes, dict) else None


def _compared(name: str, digest: str, stated: object) -> Check:
    return found(
        name,
        digest != stated,
        digest[:16] + ("" if digest == stated else f"; split.json states {str(stated)[:16]}"),
    )


def _of_json(value: object) -> str:
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _of_batches(
    batches: Iterable[pa.RecordBatch], some: Sequence[str], every: Sequence[str]
) -> tuple[str, str]:
    """The hashes over some columns, as they are, and over all of them, escaped."""
    narrow, whole = hashlib.sha256(), hashlib.sha256()
    for rows in batches:
        _add(narrow, [rows.column(name).cast(pa.string()) for name in some])
        _add(whole, [_escaped(rows.column(name)) for name in every])
    return narrow.hexdigest(), whole.hexdigest()


def _add(digest: hashlib._Hash, columns: Sequence[pa.Array]) -> None:
    """Adds a line per row: its values with tabs between them."""
    if not columns or not len(columns[0]):
        return
    lines = pc.binary_join_element_wise(*columns, text("\t"))
    ends = from_numpy(np.array([0, len(lines)], np.int32))
    (block,) = pc.binary_join(pa.ListArray.from_arrays(ends, lines), text("\n"))
    digest.update(block.as_buffer())
    digest.update(b"\n")


def _escaped(column: pa.Array) -> pa.Array:
    """A column as it stands in the lines; of a text each value is escaped once, however often it stands."""
    if pa.types.is_string(column.type):
        coded = column.dictionary_encode()
        escaped = texts([value.translate(_ESCAPES) for value in coded.dictionary.to_pylist()])
        return escaped.take(coded.indices).fill_null(text("\\N"))
    kind = pa.int64() if pa.types.is_floating(column.type) else column.type
    return column.view(kind).cast(pa.string()).fill_null(text("\\N"))
