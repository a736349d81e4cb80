"""The hashes of a split: over all columns, the same whatever the file looks like, and written down once."""

import datetime as dt

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arboretum_metadata.schema import PART
from arboretum_tools.split import open_split
from arboretum_tools.split.audit import audit_split
from arboretum_tools.split.files.content_hashes import hashed
from arboretum_tools.tabular.tables import arrow_schema
from arboretum_tools.testing.tiny import tiny_split

#: Of the tiny split below; recomputed by the second wording in the audit and a third one in the forgeries.
GOLDEN = "7b59ced8b079ffaf924d43c99e403a0273b0149f1794c29bbaaf875de39d8cf1"


@pytest.fixture
def split():
    """A split whose texts hold everything that the lines of a hash are made of."""
    made = tiny_split()
    rows = made.part("train").to_pylist()
    values = ["a\tb", "a\\tb", "a\nb", "\\N", None, "", "\r", "ä", "-0"]
    for row, value in zip(rows, values * len(rows), strict=False):
        row["observer_name"], row["latitude"] = value, -0.0 if value else 1 / 3
        row["observed_on"] = None if value == "" else dt.date(2020, 2, 29)
    tables = {**made.tables, "train": pa.Table.from_pylist(rows, schema=arrow_schema(PART))}
    return type(made)(made.name, made.classes, tables, hashed(made.meta, made.classes, tables))


def test_it_never_changes_without_a_new_format_version(split):
    assert split.meta["format_version"] == 1
    assert split.meta["split_sha256"] == GOLDEN


@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize("name", [name for name in PART.names if name not in ("photo_id", "label")])
def test_every_column_is_in_it(split, part, name):
    rows = split.part(part).to_pylist()
    kind = arrow_schema(PART).field(name).type
    other = {pa.string(): "other", pa.date32(): dt.date(1999, 1, 1)}.get(kind, 7)
    rows[-1][name] = other
    tables = {**split.tables, part: pa.Table.from_pylist(rows, schema=arrow_schema(PART))}
    changed = hashed(split.meta, split.classes, tables)
    assert changed["sha256"] == split.meta["sha256"]
    assert changed["rows_sha256"][part] != split.meta["rows_sha256"][part]
    assert changed["split_sha256"] != split.meta["split_sha256"]


def test_texts_that_would_read_the_same_in_a_line_do_not(split):
    hashes = set()
    rows = split.part("train").to_pylist()
    for name, url in (("a", "b\tc"), ("a\tb", "c"), ("a", "b\\tc"), ("a", None), ("a", "\\N"), ("a", "")):
        rows[0].update(observer_name=name, url=url)
        tables = {"train": pa.Table.from_pylist(rows, schema=arrow_schema(PART))}
        hashes.add(hashed(split.meta, split.classes, tables)["rows_sha256"]["train"])
    assert len(hashes) == 6


def test_it_does_not_depend_on_the_file(split, tmp_path):
    folder = split.save(tmp_path / "s")
    assert {check.name for check in audit_split(folder).checks if check.outcome == "kept"} >= {
        "split_sha256",
        "hash of all columns of train",
    }
    path = folder / "train.parquet"
    pq.write_table(pq.read_table(path), path, row_group_size=7, use_dictionary=False, compression="none")
    for in_memory in (True, False):
        read = open_split(folder, in_memory=in_memory)
        assert hashed(read.meta, read.classes, read.tables) == split.meta
