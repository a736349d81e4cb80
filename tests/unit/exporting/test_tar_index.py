import json
import tarfile

import pyarrow.parquet as pq
import pytest

from arboretum_tools.errors import ExportError, StoreError, TargetExistsError, UsageError
from arboretum_tools.exporting import WebDataset, export
from arboretum_tools.testing.exporter_conformance import hashes
from arboretum_tools.testing.tiny import tiny_split, tiny_store

INDEX_ONLY = WebDataset(index_only=True)


@pytest.fixture
def given(tmp_path):
    split = tiny_split()
    ids = split.part("train")["photo_id"].to_pylist()
    store = tiny_store(tmp_path / "images", split, gone=[ids[4]], formats={ids[1]: "PNG"}, shard_photos=7)
    return split, store


def index(given, to, **options):
    split, store = given
    return export(split, images=store.location, to=to, format=INDEX_ONLY, allow_missing=True, **options)


def members(folder, part):
    """What a loader counts: every member of every tar of the list, in its order."""
    for shard in json.loads((folder / f"{part}.json").read_text())["shardlist"]:
        path = folder / shard["url"]
        assert path.stat().st_size == shard["filesize"]
        with tarfile.open(path) as file:
            names = file.getnames()
        assert len(names) == shard["nsamples"]
        yield from names


def test_the_table_says_where_the_photos_of_a_part_stand_and_nothing_is_copied(given, tmp_path):
    split, store = given
    before = hashes(store.path)
    report = index(given, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.tar"))
    everything = set()
    for part in split.parts:
        names = list(members(tmp_path / "out", part))
        rows = pq.read_table(tmp_path / "out" / f"{part}.parquet").to_pylist()
        assert [row["position"] for row in rows] == sorted(row["position"] for row in rows)
        for row in rows:
            assert names[row["position"]].partition(".")[0] == str(row["photo_id"])
        table = split.part(part)
        labels = dict(zip(table["photo_id"].to_pylist(), table["label"].to_pylist(), strict=True))
        classes = pq.read_table(tmp_path / "out" / "classes.parquet")
        split_labels = classes["split_label"].to_pylist()
        assert all(split_labels[row["label"]] == labels[row["photo_id"]] for row in rows)
        assert len(rows) == report.photos[part]
        assert report.details["indexed"][part]["others"] == len(names) - len(rows)
        everything |= {row["photo_id"] for row in rows}
    assert len(everything) == sum(report.photos.values())
    assert hashes(store.path) == before


def test_the_same_again_writes_nothing_and_a_store_that_changed_is_not_the_same(given, tmp_path):
    split, _ = given
    assert index(given, tmp_path / "out").written
    assert not index(given, tmp_path / "out").written
    other = tiny_store(tmp_path / "other", split, gone=[split.part("train")["photo_id"][4].as_py()])
    with pytest.raises(TargetExistsError):
        index((split, other), tmp_path / "out")


def test_a_tar_that_holds_more_than_its_index_says_is_refused(given, tmp_path):
    _, store = given
    tar = next(iter(sorted(store.path.glob("*.tar"))))
    tar.write_bytes(tar.read_bytes() + bytes(512))
    with pytest.raises(StoreError, match=f"{tar.name} has .* by its index"):
        index(given, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_tar_that_is_gone_is_one_clear_error(given, tmp_path):
    _, store = given
    next(iter(sorted(store.path.glob("*.tar")))).unlink()
    with pytest.raises(StoreError, match="nothing was written"):
        index(given, tmp_path / "out")


def test_a_path_that_the_reader_would_cut_is_refused(given, tmp_path):
    with pytest.raises(ExportError, match="#"):
        index(given, tmp_path / "run#1")
    assert not (tmp_path / "run#1").exists()


@pytest.mark.parametrize(
    "options", [{"resize": 32}, {"even": "drop"}, {"captions": "none"}, {"samples_per_shard": 5}]
)
def test_options_of_shards_are_refused_beside_it(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        WebDataset(index_only=True, **options)
