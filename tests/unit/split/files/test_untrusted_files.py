"""Split folders that are none, or that somebody has changed: one error of ours, whoever reads them."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arboretum_tools.contact_sheets import contact_sheet
from arboretum_tools.errors import BadInputError, SplitError
from arboretum_tools.evaluation import evaluate
from arboretum_tools.exporting import export
from arboretum_tools.split import open_split
from arboretum_tools.split.audit import audit_split
from arboretum_tools.split.reproduce import remake_split
from arboretum_tools.split.stats import split_stats
from arboretum_tools.subset import load_subset
from arboretum_tools.testing.tiny import tiny_split, tiny_store


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    split = tiny_split()
    tiny_store(folder / "images", split)
    split.save(folder / "split")
    return folder


def write(text):
    return lambda folder: (folder / "split.json").write_text(text)


def message(change):
    def changed(folder):
        file = folder / "split.json"
        meta = json.loads(file.read_text())
        change(meta)
        file.write_text(json.dumps(meta))

    return changed


def nulls(file, column):
    def changed(folder):
        table = pq.read_table(folder / file)
        position = table.schema.get_field_index(column)
        empty = pa.nulls(table.num_rows, table.schema.field(column).type)
        pq.write_table(table.set_column(position, column, empty), folder / file)

    return changed


def no_rows(folder):
    table = pq.read_table(folder / "classes.parquet")
    pq.write_table(table.slice(0, 0), folder / "classes.parquet")


def a_file(folder):
    shutil.rmtree(folder)
    folder.write_text("x")


def negative(folder):
    table = pq.read_table(folder / "classes.parquet")
    position = table.schema.get_field_index("n_train")
    counts = pa.array([-5] * table.num_rows)
    pq.write_table(table.set_column(position, "n_train", counts), folder / "classes.parquet")


CASES = {
    "a file": (a_file, "a split is a folder"),
    "deep": (write("[" * 100_000), "nested too deeply"),
    "long number": (write('{"format_version": ' + "9" * 5_000 + "}"), "cannot be read"),
    "not a number": (
        message(lambda meta: meta["recipe"].update(lt_ratio=float("nan"))),
        "NaN is not a number",
    ),
    "infinite": (write('{"format_version": 1e400}'), "1e400 is not a number"),
    "a list": (write("[]"), "lacks one of"),
    "recipe": (message(lambda meta: meta.update(recipe=None)), "recipe is not what it must be"),
    "catalog": (message(lambda meta: meta.update(catalog="x")), "catalog is not what it must be"),
    "counts": (message(lambda meta: meta.update(counts=5)), "counts is not what it must be"),
    "hashes": (message(lambda meta: meta.update(sha256=["train"])), "sha256 is not what it must be"),
    "no hash": (message(lambda meta: meta["sha256"].update(train=5)), "holds something that is not a hash"),
    "no part": (message(lambda meta: meta.update(sha256={})), "names no part"),
    "no class": (no_rows, "has no class"),
    "negative": (negative, "n_train is below 0"),
    "no names": (nulls("classes.parquet", "name"), "has nulls in name"),
    "no ids": (nulls("test.parquet", "photo_id"), "nulls in photo_id"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_split_that_is_none_is_refused_with_the_reason(whole, tmp_path, case):
    change, reason = CASES[case]
    folder = shutil.copytree(whole / "split", tmp_path / "s")
    change(folder)
    for in_memory in (True, False):
        with pytest.raises(SplitError, match=reason) as caught:
            open_split(folder, in_memory=in_memory)
        assert str(folder) in str(caught.value)


READERS = {
    "audit": lambda folder, whole: audit_split(folder),
    "stats": lambda folder, whole: split_stats(open_split(folder)),
    "evaluate": lambda folder, whole: evaluate(folder, whole / "split" / "test.parquet"),
    "export": lambda folder, whole: export(folder, images=whole / "images", to=folder.parent / "out"),
    "subset": lambda folder, whole: load_subset(folder, images=whole / "images"),
    "sheet": lambda folder, whole: contact_sheet(folder, images=whole / "images", to=folder.parent / "p.png"),
    "again": lambda folder, whole: remake_split(folder, None),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "case", ["a file", "deep", "long number", "not a number", "infinite", "a list", "recipe"]
)
def test_whoever_reads_it_there_is_one_error_and_nothing_is_written(whole, tmp_path, reader, case):
    folder = shutil.copytree(whole / "split", tmp_path / "s")
    CASES[case][0](folder)
    with pytest.raises(BadInputError) as caught:
        READERS[reader](folder, whole)
    assert caught.value.exit_code == 3
    assert len(str(caught.value)) < 400 + len(str(folder))
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
