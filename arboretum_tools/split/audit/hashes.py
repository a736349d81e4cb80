"""The hashes of split.json, computed anew: of ids and labels, of all columns, of everything."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from arboretum_metadata.schema import CLASSES, JOINED, PART
from arboretum_tools.split.audit.checks import Check, Files, found
from arboretum_tools.tabular.arrays import text, texts

# Rows that are hashed at a time.
_ROWS = 100_000

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
    for part, table in files.parts.items():
        narrow[part] = _of_ids(table, ["photo_id", "label"])
        whole[part] = _of_rows(table, PART.names)
        yield _compared(f"hash of {part}", narrow[part], meta["sha256"].get(part))
        yield _compared(f"hash of all columns of {part}", whole[part], _stated(meta, "rows_sha256", part))
    narrow["classes"] = _of_ids(files.classes, ["label", "class_key", "n_train", "n_val", "n_test"])
    classes = _of_rows(files.classes, CLASSES.names)
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
        covered["joined_sha256"] = _of_rows(files.joined, JOINED.names)
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


def _of_ids(table: pa.Table, columns: list[str]) -> str:
    digest = hashlib.sha256()
    for row in zip(*(table[column].to_pylist() for column in columns), strict=True):
        digest.update(("\t".join(str(value) for value in row) + "\n").encode())
    return digest.hexdigest()


def _of_rows(table: pa.Table, columns: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for start in range(0, len(table), _ROWS):
        rows = table.slice(start, _ROWS)
        values = [_lines(rows[name].combine_chunks()) for name in columns]
        lines = pc.binary_join_element_wise(*values, text("\t"))
        digest.update("".join(f"{line}\n" for line in lines.to_pylist()).encode())
    return digest.hexdigest()


def _lines(column: pa.Array) -> pa.Array:
    """A column as it stands in the lines; of a text each value is escaped once, however often it stands."""
    if pa.types.is_string(column.type):
        coded = column.dictionary_encode()
        escaped = texts([value.translate(_ESCAPES) for value in coded.dictionary.to_pylist()])
        return escaped.take(coded.indices).fill_null(text("\\N"))
    kind = pa.int64() if pa.types.is_floating(column.type) else column.type
    return column.view(kind).cast(pa.string()).fill_null(text("\\N"))
