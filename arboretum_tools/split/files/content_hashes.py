"""The hashes of a split: over text, not over Parquet bytes, into whose footer every writer puts its name.

One line per row, values tab-separated, LF at the end. `sha256` is over what training depends on: `photo_id
label` of a part, `label class_key n_train n_val n_test` of the classes. `rows_sha256` and
`classes_sha256_all` are over all columns, in the order of the data dictionary, but for those that are counted
from the parts; `split_sha256` is over all of
these and the recipe.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from arboretum_metadata.schema import CLASSES, JOINED, PART
from arboretum_tools.split.files.part_files import part_batches
from arboretum_tools.store.shards.layout import OF_SPLIT
from arboretum_tools.system.atomic_files import sha256_of_json
from arboretum_tools.tabular.arrays import text

_OF_PART = ("photo_id", "label")
_OF_CLASSES = ("label", "class_key", "n_train", "n_val", "n_test")

#: Keys of split.json that `split_sha256` covers.
COVERED = ("recipe_sha256", "group_by", "sha256", "rows_sha256", "classes_sha256_all")

# Rows of a table that are hashed at a time: bounds memory, and changes nothing in the hash.
_BLOCK = 200_000

# What would end a value or a line, or stands for a null; as in the text format of PostgreSQL's COPY.
_ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"))


def ids_of(files: pa.Table) -> str:
    """What an image store calls the photo ids of an imported split: a hash of which file each of them is.

    Args:
        files: the columns of PUBLISHED_FILES.
    """
    digest = hashlib.sha256()
    for batch in files.to_batches(max_chunksize=_BLOCK):
        _update(digest, [batch.column("photo_id").cast(pa.string()), _escaped(batch.column("path"))])
    return f"{OF_SPLIT}{digest.hexdigest()[:16]}"


def hashed(meta: Mapping[str, Any], classes: pa.Table, tables: Mapping[str, pa.Table]) -> dict[str, Any]:
    """What split.json holds, with every hash of the split.

    Args:
        meta: with `recipe`, and `group_by` where there is one.
        classes: the columns of CLASSES, in label order.
        tables: the parts by name, the columns of PART, by (label, photo_id).
    """
    sha256, rows_sha256 = {}, {}
    for part in tables:
        narrow, whole = hashlib.sha256(), hashlib.sha256()
        for batch in part_batches(tables, part, PART.names):
            _update(narrow, [batch.column(name).cast(pa.string()) for name in _OF_PART])
            _update(whole, [_escaped(batch.column(name)) for name in PART.names])
        sha256[part], rows_sha256[part] = narrow.hexdigest(), whole.hexdigest()
    narrow, whole = hashlib.sha256(), hashlib.sha256()
    for batch in classes.to_batches(max_chunksize=_BLOCK):
        _update(narrow, [batch.column(name).cast(pa.string()) for name in _OF_CLASSES])
        _update(whole, [_escaped(batch.column(name)) for name in CLASSES.hashed])
    sha256["classes"] = narrow.hexdigest()
    found = {
        **meta,
        "recipe_sha256": sha256_of_json(meta["recipe"]),
        "sha256": sha256,
        "rows_sha256": rows_sha256,
        "classes_sha256_all": whole.hexdigest(),
    }
    return {**found, "split_sha256": split_sha256(found)}


def with_joined(meta: Mapping[str, Any], joined: pa.Table | None) -> dict[str, Any]:
    """What split.json holds of a split in which groups were joined; without any, as it is.

    Args:
        meta: as `hashed` gives it.
        joined: the columns of JOINED, in their order.
    """
    if joined is None:
        return dict(meta)
    digest = hashlib.sha256()
    for batch in joined.to_batches(max_chunksize=_BLOCK):
        _update(digest, [_escaped(batch.column(name)) for name in JOINED.names])
    found = {**meta, "joined_sha256": digest.hexdigest()}
    return {**found, "split_sha256": split_sha256(found)}


def split_sha256(meta: Mapping[str, Any]) -> str:
    """The one hash of a split: of the canonical JSON of `COVERED`, null for what is not there.

    `joined_sha256` is covered where there is one, so that splits without it keep their hash.
    """
    covered = {name: meta.get(name) for name in COVERED}
    if "joined_sha256" in meta:
        covered["joined_sha256"] = meta["joined_sha256"]
    return sha256_of_json(covered)


def _update(digest: hashlib._Hash, values: Sequence[pa.Array]) -> None:
    """Adds lines to a hash; each column as the texts that stand in them."""
    if not len(values[0]):
        return
    tab, end, nothing = text("\t"), text("\n"), text("")
    between = [one for value in values[:-1] for one in (value, tab)]
    lines = pc.binary_join_element_wise(*between, values[-1], end, nothing)
    # The values of a text column lie one after another: together they are the text.
    _, ends, data = lines.buffers()
    digest.update(memoryview(data)[: memoryview(ends).cast("i")[len(lines)]])


def _escaped(column: pa.Array) -> pa.Array:
    r"""A column as texts, of which no two values share one.

    A whole number is decimal, a day YYYY-MM-DD, a double the decimal number of its 64 bits (no two libraries
    print the same digits of a double), a text as it is but for `\\`, `\t`, `\n`, `\r`; a null is `\N`.
    """
    if pa.types.is_string(column.type):
        for plain, escape in _ESCAPES:
            if pc.any(pc.match_substring(column, plain)).as_py():
                column = pc.replace_substring(column, plain, escape)
    else:
        column = (column.view(pa.int64()) if pa.types.is_float64(column.type) else column).cast(pa.string())
    return column.fill_null(text("\\N")) if column.null_count else column
