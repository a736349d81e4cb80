"""A column that stands twice says nothing for certain: whatever table has one is refused, with its name."""

import csv
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arboretum_tools.errors import SplitError
from arboretum_tools.split.files.published import import_split

DRAWN = ("make-split", "--taxa", "Aves", "--lt-ratio", "10", "--out", "other")
TABLES = {
    ("photo_id", "label"): [
        ("select", "--photo-ids", "{}"),
        ("select", "--photo-ids", "{}:photo_id"),
        (*DRAWN, "--exclude", "{}"),
        ("audit-split", "split", "--exclude", "{}"),
        ("evaluate", "split", "{}", "--out", "report"),
    ],
    ("class_key",): [(*DRAWN, "--class-list", "{}"), ("audit-split", "split", "--exclude", "{}")],
    ("photo_id", "license"): [("catalog", "annotate", "built", "--from", "{}", "--column", "license")],
}


@pytest.fixture
def made(workdir, arboretum):
    assert arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "10", "--out", "split").code == 0
    return workdir


def twice(table: pa.Table, path: Path) -> str:
    """Writes a table with its first column a second time."""
    name = table.column_names[0]
    if path.suffix == ".parquet":
        columns = [*table.columns, table[name]]
        pq.write_table(pa.Table.from_arrays(columns, names=[*table.column_names, name]), path)
    else:
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(
                [
                    [*table.column_names, name],
                    *([*row.values(), row[name]] for row in table.to_pylist()),
                ]
            )
    return name


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize("columns", TABLES, ids=" ".join)
def test_a_list_that_has_one(made, arboretum, columns, suffix):
    photos = pq.read_table(made / "split" / "train.parquet", columns=["photo_id", "label"])
    classes = pq.read_table(made / "split" / "classes.parquet", columns=["class_key"])
    if "license" in columns:
        assert arboretum("catalog", "build", "catalog", "--out", "built").code == 0
        photos = photos.append_column("license", pa.array(["CC0"] * len(photos)))
    given = made / f"list{suffix}"
    twice((classes if columns == ("class_key",) else photos).select(list(columns)), given)
    before = [path for path in sorted(made.rglob("*")) if ".building" not in str(path)]
    for command in TABLES[columns]:
        outcome = arboretum(*(word.format(given) for word in command))
        assert outcome.code == 3, outcome
        assert f"more than one column {columns[0]}" in outcome.err
    assert [path for path in sorted(made.rglob("*")) if ".building" not in str(path)] == before


@pytest.mark.parametrize("name", ["train", "test", "classes"])
def test_a_split_that_has_one(made, arboretum, name):
    file = made / "split" / f"{name}.parquet"
    column = twice(pq.read_table(file), file)
    for command in (
        ("stats", "split"),
        ("audit-split", "split"),
        ("download", "--split", "split", "--dry-run"),
        ("contact-sheet", "split", "--out", "sheet.png"),
    ):
        outcome = arboretum(*command)
        assert outcome.code == 3, outcome
        assert f"{name}.parquet" in outcome.err
        assert f"more than one column {column}" in outcome.err


def test_a_store_that_has_one(made, arboretum):
    download = ("download", "--taxa", "Reptilia", "--limit", "3", "--size", "thumb")
    assert arboretum(*download).code == 0
    whole = made / "whole"
    shutil.copytree(made / "images", whole)
    for file in [
        *(made / "images").glob("shard-*.parquet"),
        *(made / "images" / "requests").glob("*.parquet"),
    ]:
        twice(pq.read_table(file), file)
        for command in (("status",), download):
            outcome = arboretum(*command)
            assert outcome.code == 3, outcome
            assert "more than one column photo_id" in outcome.err
        shutil.rmtree(made / "images")
        shutil.copytree(whole, made / "images")


def test_a_published_list_that_has_one(tmp_path):
    (tmp_path / "test.csv").write_text("scientific_name,path,path\nAix sponsa,1.jpg,2.jpg\n")
    with pytest.raises(SplitError, match="more than one column path"):
        import_split([tmp_path / "test.csv"])
