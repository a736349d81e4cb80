"""What `classes.parquet` of an export counts, and what equal shards cost."""

import hashlib
import io
import json

import pyarrow.parquet as pq
import pytest
from PIL import Image

from arboretum_tools.errors import BadInputError, ExportError
from arboretum_tools.events import Note
from arboretum_tools.exporting import WebDataset, export
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.store.shards.layout import StoreConfig
from arboretum_tools.store.writer import StoreWriter
from arboretum_tools.testing.tiny import tiny_image, tiny_split, tiny_store

NAMES = ("label", "n_train", "split_label", "split_n_train", "split_n_val")


def classes_of(folder):
    rows = pq.read_table(folder / "classes.parquet").to_pylist()
    return [tuple(row[name] for name in NAMES) for row in rows], rows


def written(folder, part):
    """Photos by label, out of the tar shards."""
    import tarfile

    counts = {}
    for path in sorted(folder.glob(f"{part}-*.tar")):
        with tarfile.open(path) as shard:
            for member in shard:
                if member.name.endswith(".cls"):
                    label = int(shard.extractfile(member).read())
                    counts[label] = counts.get(label, 0) + 1
    return counts


def test_counts_bands_and_order_are_those_of_what_was_written(tmp_path):
    split = tiny_split()
    train = split.part("train").to_pylist()
    # Of the 12 photos of label 1 only 3 are there, so that the class of 4 goes before it.
    lost = [row["photo_id"] for row in train if row["label"] == 1][:9]
    lost += [row["photo_id"] for row in train if row["label"] == 0][:25]
    store = tiny_store(tmp_path / "images", split, gone=lost)
    seen = []
    export(split, images=store.path, to=tmp_path / "out", allow_missing=True, on_event=seen.append)
    found, rows = classes_of(tmp_path / "out")
    assert found == [(0, 15, 0, 40, 2), (1, 4, 2, 4, 2), (2, 3, 1, 12, 2), (3, 2, 3, 2, 1)]
    assert written(tmp_path / "out", "train") == {0: 15, 1: 4, 2: 3, 3: 2}
    assert (rows[0]["shot"], rows[0]["split_shot"]) == ("few", "medium")
    assert rows[1]["folder"].startswith("00001_")
    assert any(isinstance(event, Note) and "labels are numbered anew" in event.text for event in seen)


def test_labels_stay_where_nothing_changes_them(tmp_path):
    split = tiny_split()
    store = tiny_store(tmp_path / "images", split)
    export(split, images=store.path, to=tmp_path / "out", parts="test")
    found, _ = classes_of(tmp_path / "out")
    assert found == [(0, 0, 0, 40, 2), (1, 0, 1, 12, 2), (2, 0, 2, 4, 2), (3, 0, 3, 2, 1)]


@pytest.mark.parametrize("format_", ["imagefolder", "lists", "hf"])
def test_every_format_writes_the_labels_of_its_classes(tmp_path, format_):
    split = tiny_split()
    lost = [row["photo_id"] for row in split.part("train").to_pylist() if row["label"] == 1][:9]
    store = tiny_store(tmp_path / "images", split, gone=lost)
    export(split, images=store.path, to=tmp_path / "out", format=format_, allow_missing=True)
    key_of = {row["photo_id"]: split.classes["class_key"][row["label"]].as_py()
              for row in split.part("train").to_pylist()}  # fmt: skip
    _, rows = classes_of(tmp_path / "out")
    attribution = pq.read_table(tmp_path / "out" / "ATTRIBUTION.parquet").to_pylist()
    for row in attribution:
        if row["part"] == "train":
            assert rows[row["label"]]["class_key"] == key_of[row["photo_id"]]
    if format_ == "lists":
        (file,) = (tmp_path / "out").glob("*_train.txt")
        labels = [int(line.split()[1]) for line in file.read_text().splitlines()]
        assert labels == sorted(labels)
    if format_ == "hf":
        (file,) = (tmp_path / "out" / "data").glob("train-*.parquet")
        for row in pq.read_table(file, columns=["photo_id", "label"]).to_pylist():
            assert rows[row["label"]]["class_key"] == key_of[row["photo_id"]]
    if format_ == "imagefolder":
        folders = sorted(path.name for path in (tmp_path / "out" / "train").iterdir())
        assert folders == [row["folder"] for row in rows]


COUNTS = {"train": (20, 10, 2, 1), "val": (4, 1, 1, 1), "test": (2, 2, 2, 2)}


def test_equal_shards_never_cost_a_class_its_last_photo(tmp_path):
    split = tiny_split(COUNTS)
    store = tiny_store(tmp_path / "images", split)
    for seed in range(4):
        out = tmp_path / f"out{seed}"
        report = export(
            split,
            images=store.path,
            to=out,
            format=WebDataset(even="drop", world_size=2, workers=8),
            seed=seed,
        )
        assert (report.details["even"]["shards"], report.details["even"]["dropped"]) == (16, 1)
        counts = written(out, "train")
        assert set(counts) == {0, 1, 2, 3}
        assert sum(counts.values()) == 32
        found, rows = classes_of(out)
        assert [row[1] for row in found] == [counts[label] for label in range(4)]
        (row,) = pq.read_table(out / "evened.parquet").to_pylist()
        assert row["change"] == "dropped"
        assert rows[[one["class_key"] for one in rows].index(row["class_key"])]["n_train"] > 0
        assert report.photos["train"] == 32


def test_what_is_repeated_is_counted_and_listed(tmp_path):
    split = tiny_split(COUNTS)
    store = tiny_store(tmp_path / "images", split)
    export(
        split,
        images=store.path,
        to=tmp_path / "out",
        format=WebDataset(even="repeat", world_size=2, workers=8),
    )
    counts = written(tmp_path / "out", "train")
    assert sum(counts.values()) == 48
    found, _ = classes_of(tmp_path / "out")
    assert [row[1] for row in found] == [counts[label] for label in range(4)]
    listed = pq.read_table(tmp_path / "out" / "evened.parquet").to_pylist()
    assert [row["change"] for row in listed] == ["repeated"] * 15


def test_shards_that_only_the_last_photos_could_make_equal_are_refused(tmp_path):
    split = tiny_split({"train": (1, 1, 1), "test": (1, 1, 1)})
    store = tiny_store(tmp_path / "images", split)
    with pytest.raises(ExportError, match="would take the last photo of a class out of train"):
        export(split, images=store.path, to=tmp_path / "out", format=WebDataset(even="drop", workers=2))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("format_", ["imagefolder", "hf", "inat-json"])
def test_what_readers_leave_in_a_folder_does_not_matter(tmp_path, format_):
    split = tiny_split()
    store = tiny_store(tmp_path / "images", split)
    out = tmp_path / "out"
    assert export(split, images=store.path, to=out, format=format_).written
    inside = next(path for path in sorted(out.rglob("*")) if path.is_dir() and not path.is_symlink())
    for name in (".DS_Store", "Thumbs.db", "index.json.zstd"):
        (inside / name).write_bytes(b"x")
    assert not export(split, images=store.path, to=out, format=format_).written
    (inside / "other.jpg").write_bytes(b"x")
    with pytest.raises(BadInputError, match="already"):
        export(split, images=store.path, to=out, format=format_)


def test_every_part_has_a_shard_for_every_worker(tmp_path):
    split = tiny_split(COUNTS)
    store = tiny_store(tmp_path / "images", split)
    seen = []
    export(split, images=store.path, to=tmp_path / "out", format=WebDataset(workers=8), on_event=seen.append)
    shards = {part: len(list((tmp_path / "out").glob(f"{part}-*.tar"))) for part in ("train", "val", "test")}
    assert shards == {"train": 8, "val": 7, "test": 8}
    notes = [event.text for event in seen if isinstance(event, Note)]
    assert notes == ["val: 7 shards for 8 workers, some get none"]
    splits = json.loads((tmp_path / "out" / "_info.json").read_text())["splits"]
    assert set(splits) == {"train", "validation", "val", "test"}
    assert splits["val"]["filenames"] == splits["validation"]["filenames"] == [
        f"val-{number:06d}.tar" for number in range(7)
    ]  # fmt: skip


def turned(photo_id, turn=6):
    image = Image.open(io.BytesIO(tiny_image(photo_id)))
    exif = image.getexif()
    exif[0x0112] = turn
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif)
    return out.getvalue()


def store_with(path, split, images):
    """A store of the photos of a split, some of them given."""
    ids = [photo for part in split.parts for photo in split.part(part)["photo_id"].to_pylist()]
    with StoreWriter.create(path, StoreConfig(size="small"), shard_photos=20) as writer:
        for photo_id in ids:
            writer.add_image(photo_id, images.get(photo_id, tiny_image(photo_id)))
    return ImageStore.open(path)


def test_photos_are_upright_and_as_large_as_they_say(tmp_path):
    split = tiny_split(COUNTS)
    one = split.part("train")["photo_id"][0].as_py()
    store = store_with(tmp_path / "images", split, {one: turned(one)})
    report = export(split, images=store.path, to=tmp_path / "wds")
    assert report.details["made_anew"] == {"turned upright": 1}
    export(split, images=store.path, to=tmp_path / "folders", format="imagefolder")
    (file,) = (tmp_path / "folders" / "train").rglob(f"{one}.jpg")
    image = Image.open(file)
    assert (image.size, image.getexif().get(0x0112)) == ((24, 32), None)
    # The Hugging Face format keeps the bytes and what they say, which its readers turn.
    export(split, images=store.path, to=tmp_path / "hf", format="hf")
    rows = [
        row for path in (tmp_path / "hf" / "data").glob("train-*") for row in pq.read_table(path).to_pylist()
    ]
    (row,) = (row for row in rows if row["photo_id"] == one)
    assert row["image"]["bytes"] == turned(one)
    assert (row["width"], row["height"]) == Image.open(io.BytesIO(turned(one))).size


def broken(photo_id):
    """A PNG whose chunks are whole and whose pixels are not."""
    import zlib

    data = tiny_image(photo_id, "PNG")
    at = data.index(b"IDAT")
    length = int.from_bytes(data[at - 4 : at])
    body = b"\x00" * length
    return data[: at + 4] + body + zlib.crc32(b"IDAT" + body).to_bytes(4) + data[at + 8 + length :]


def test_a_photo_that_cannot_be_decoded_is_left_out_if_asked(tmp_path):
    split = tiny_split(COUNTS)
    one = split.part("train")["photo_id"][0].as_py()
    store = store_with(tmp_path / "images", split, {one: broken(one)})
    with pytest.raises(BadInputError, match="--skip-bad"):
        export(split, images=store.path, to=tmp_path / "out")
    report = export(split, images=store.path, to=tmp_path / "out", skip_bad=True)
    assert report.photos["train"] == 32
    assert report.missing["train"] == {"undecodable": 1}
    listed = pq.read_table(tmp_path / "out" / "missing.parquet").to_pylist()
    assert listed == [{"part": "train", "photo_id": one, "status": "undecodable"}]
    found, _ = classes_of(tmp_path / "out")
    assert sum(row[1] for row in found) == 32
    # Nothing has to be decoded for a format that keeps the bytes.
    assert (
        export(split, images=store.path, to=tmp_path / "hf", format="hf", skip_bad=True).photos["train"] == 33
    )


@pytest.mark.parametrize(
    ("format_", "column"), [("csv", "filepath"), ("lists", "text"), ("inat-json", "file_name")]
)
def test_hugging_face_finds_the_parts_of_a_folder(tmp_path, format_, column):
    import datasets

    split = tiny_split()
    store = tiny_store(tmp_path / "images", split)
    export(split, images=store.path, to=tmp_path / "out", format=format_)
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    found = {part: {name.partition(" ")[0] for name in rows[column]} for part, rows in loaded.items()}
    assert {part: len(names) for part, names in found.items()} == {"train": 58, "validation": 7, "test": 12}
    assert not found["train"] & found["validation"]


@pytest.mark.parametrize("format_", ["hf", "webdataset", "imagefolder"])
def test_croissant_describes_the_files_and_tables_that_are_there(tmp_path, format_):
    split = tiny_split()
    store = tiny_store(tmp_path / "images", split)
    out = tmp_path / "out"
    export(split, images=store.path, to=out, format=format_)
    found = json.loads((out / "croissant.json").read_text())
    assert found["conformsTo"][0] == "http://mlcommons.org/croissant/1.0"
    assert found["description"].startswith("77 photos of 4 classes, from iNaturalist")
    assert found["identifier"]["value"] == split.meta["split_sha256"]
    assert (
        json.loads((out / "export.json").read_text())["split"]["split_sha256"] == split.meta["split_sha256"]
    )
    files = {one["@id"]: one for one in found["distribution"]}
    for one in files.values():
        if one["@type"] == "cr:FileObject":
            data = (out / one["contentUrl"]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == one["sha256"]
        else:
            assert list(out.glob(one["includes"]))
    assert ("images-files" in files) == (format_ == "hf")
    for records in found["recordSet"]:
        fields = {field["@id"] for field in records["field"]}
        assert records["key"]["@id"] in fields
        sources = {field["source"]["fileObject"]["@id"] for field in records["field"]}
        (file,) = sources
        columns = {field["source"]["extract"]["column"] for field in records["field"]}
        assert columns == set(pq.read_schema(out / files[file]["contentUrl"]).names)
    # Every word is of schema.org, or is declared by the context.
    words = {key for one in found["recordSet"] for field in one["field"] for key in field} | set(found)
    known = set(found["@context"]) | {
        "name",
        "description",
        "url",
        "license",
        "keywords",
        "distribution",
        "identifier",
    }
    assert {word for word in words if not word.startswith(("@", "rai:"))} <= known
