"""Stores that are made of files: what is taken, what is left out and why, and what follows from them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import unicodedata
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import arboretum_tools as at
from arboretum_metadata.schema import IMPORTED_PHOTOS, LEFT_OUT_FILES
from arboretum_tools.errors import (
    BadInputError,
    MissingPhotosError,
    SplitError,
    StoreError,
    TargetExistsError,
    UsageError,
)
from arboretum_tools.events import PhotoDone
from arboretum_tools.importing.listing import path_id
from arboretum_tools.store import ImageStore, inventory
from arboretum_tools.store.verify import verify_store
from arboretum_tools.testing.tiny import tiny_split, tiny_store


def picture(seed: int, form: str = "JPEG", size: tuple[int, int] = (40, 30)) -> bytes:
    """A picture of its own."""
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form)
    return file.getvalue()


def put(path: Path, data: bytes) -> Path:
    """A file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


CLASSES = {"Vulpes vulpes": 30, "00012_Meles_meles": 12, "Canis lupus familiaris": 8}


@pytest.fixture
def traps(tmp_path) -> Path:
    """A folder per species, with what a camera leaves below."""
    seed = 0
    for name, photos in CLASSES.items():
        for number in range(photos):
            seed += 1
            put(tmp_path / "traps" / name / f"day{number % 2}" / f"IMG_{number:04}.JPG", picture(seed))
    return tmp_path / "traps"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_from_a_folder_to_a_split_a_subset_and_an_export(tmp_path, traps):
    before = contents(traps)
    images, out = tmp_path / "images", tmp_path / "photos.parquet"
    report = at.import_images(traps, images=images, out=out)
    assert (report.files, report.images, report.stored, report.classes) == (50, 50, 50, 3)
    assert (report.left_out, report.catalog) == ((), out)
    assert contents(traps) == before
    assert verify_store(images, decode=True).size_bytes == report.size_bytes

    split = at.make_split(at.open_catalog(out), lt_ratio=3, val_per_class=1, test_per_class=2, store=images)
    assert split.classes["scientific_name"].to_pylist() == ["Vulpes vulpes", "Meles meles", "Canis lupus"]
    train = at.load_subset(split, images=images, part="train")
    places = dict(
        zip(*(pq.read_table(out)[name].to_pylist() for name in ("photo_id", "photo_url")), strict=True)
    )
    for item in train:
        path = traps / unquote(places[item["photo_id"]].removeprefix("file:"))
        species = path.relative_to(traps).parts[0].removeprefix("00012_").replace("_", " ")
        assert species.startswith(split.classes["scientific_name"][item["label"]].as_py())
        assert np.array_equal(np.asarray(item["image"]), np.asarray(Image.open(path)))

    done = at.export(split, images=images, to=tmp_path / "out", format="imagefolder")
    assert not any(done.missing.values())
    assert len(list((tmp_path / "out" / "train").rglob("*.jpg"))) == split.num_photos("train")


def test_the_catalogue_has_the_columns_and_ids_of_the_dictionary(tmp_path, traps):
    out = tmp_path / "photos.parquet"
    at.import_images(traps, images=tmp_path / "images", out=out)
    table = pq.read_table(out)
    assert table.column_names == list(IMPORTED_PHOTOS.names)
    ids = table["photo_id"].to_pylist()
    assert ids == sorted(ids)
    path = "00012_Meles_meles/day1/IMG_0003.JPG"
    digest = hashlib.sha256(path.encode()).digest()
    (row,) = [row for row in table.to_pylist() if row["photo_url"] == f"file:{path}"]
    assert row["photo_id"] == int.from_bytes(digest, "big") >> (256 - 53)
    assert (row["genus"], row["species"], row["kingdom"]) == ("Meles", "meles", "unknown")
    assert (row["ext"], row["width"], row["height"], row["family"]) == ("jpg", 40, 30, None)


def test_an_id_does_not_depend_on_how_a_name_is_composed():
    one = "Vulpes vulpes/Zoë.jpg"
    assert path_id(unicodedata.normalize("NFD", one)) == path_id(unicodedata.normalize("NFC", one))


def test_labels_are_classes_of_rank_genus(tmp_path):
    for name, photos in (("red deer, old", 9), ("empty", 4)):
        for number in range(photos):
            put(tmp_path / "traps" / name / f"{number}.png", picture(100 * len(name) + number, "PNG"))
    images, out = tmp_path / "images", tmp_path / "photos.parquet"
    with pytest.raises(BadInputError, match=r"'empty', 'red deer, old'; nothing was imported") as caught:
        at.import_images(tmp_path / "traps", images=images, out=out)
    assert "--names labels" in caught.value.hint
    assert not images.exists()
    at.import_images(tmp_path / "traps", images=images, out=out, names="labels")
    catalog = at.open_catalog(out)
    split = at.make_split(catalog, rank="genus", lt_ratio=2, val_per_class=1, test_per_class=1, store=images)
    assert split.classes["name"].to_pylist() == ["red deer, old", "empty"]
    assert split.class_counts == [4, 2]


@pytest.fixture
def odd(tmp_path, traps) -> Path:
    """The folder with everything in it that is no photo of a class."""
    whole = picture(1)
    put(traps / "README.md", b"hello")
    put(traps / ".cache" / "x.jpg", whole)
    put(traps / "Vulpes vulpes" / ".DS_Store", b"1")
    put(traps / "Vulpes vulpes" / "._IMG_0001.JPG", b"1")
    put(traps / "Vulpes vulpes" / "cut.jpg", whole[:-200])
    put(traps / "Vulpes vulpes" / "empty.jpg", b"")
    put(traps / "Vulpes vulpes" / "film.mp4", b"\0\0\0\x18ftypmp42")
    put(traps / "Vulpes vulpes" / "picture.jpg", picture(2, "WEBP"))
    put(Path(os.fsdecode(os.fsencode(traps) + b"/Vulpes vulpes/\xff.jpg")), whole)
    (traps / "Vulpes vulpes" / "link.jpg").symlink_to("IMG_0000.JPG")
    (traps / "Linked species").symlink_to("Vulpes vulpes")
    os.mkfifo(traps / "Vulpes vulpes" / "pipe.jpg")
    with put(traps / "Vulpes vulpes" / "huge.jpg", whole).open("r+b") as file:
        file.truncate(65 * 2**20)
    return traps


REASONS = {
    ".cache": "a hidden folder, whose files are not looked at",
    "Linked species": "a symbolic link",
    "README.md": "in no folder of a class",
    "Vulpes vulpes/\\xff.jpg": "its name is not UTF-8",
    "Vulpes vulpes/cut.jpg": "a jpeg without its end-of-image marker",
    "Vulpes vulpes/empty.jpg": "an empty body",
    "Vulpes vulpes/film.mp4": "not a JPEG, PNG, GIF or WebP",
    "Vulpes vulpes/huge.jpg": "larger than 64 MiB",
    "Vulpes vulpes/link.jpg": "a symbolic link",
    "Vulpes vulpes/pipe.jpg": "not a regular file",
}


def test_what_is_left_out_is_listed_with_its_reason_and_nothing_is_done_twice(tmp_path, odd):
    images, out, left_out = tmp_path / "images", tmp_path / "photos.parquet", tmp_path / "left-out.parquet"
    report = at.import_images(odd, images=images, out=out, left_out=left_out)
    # The WebP under the name of a JPEG is one by its bytes.
    assert (report.files, report.images) == (50 + 1 + len(REASONS), 51)
    rows = pq.read_table(left_out)
    assert rows.column_names == list(LEFT_OUT_FILES.names)
    found = {row["path"]: row["reason"] for row in rows.to_pylist()}
    assert found.keys() == REASONS.keys()
    for path, reason in REASONS.items():
        assert found[path].startswith(reason), path
    assert sum(one.files for one in report.left_out) == len(REASONS)
    assert "webp" in pq.read_table(out)["ext"].to_pylist()

    kept = contents(images), out.read_bytes()
    again = at.import_images(odd, images=images, out=out, left_out=left_out, overwrite=True)
    assert (again.stored, again.images, again.left_out) == (0, 51, report.left_out)
    assert (contents(images), out.read_bytes()) == kept


def test_a_file_that_was_mended_or_is_new_comes_the_next_time(tmp_path, odd):
    arguments = {"images": tmp_path / "images", "out": tmp_path / "photos.parquet"}
    at.import_images(odd, **arguments)
    put(odd / "Vulpes vulpes" / "cut.jpg", picture(1))
    put(odd / "Meles meles" / "new.jpg", picture(3))
    with pytest.raises(TargetExistsError, match="--overwrite"):
        at.import_images(odd, **arguments)
    report = at.import_images(odd, **arguments, overwrite=True)
    assert (report.images, report.classes) == (53, 4)
    assert pq.read_metadata(tmp_path / "photos.parquet").num_rows == 53


def test_a_file_that_changed_is_told_and_the_store_keeps_its_own(tmp_path, traps):
    arguments = {"images": tmp_path / "images", "out": tmp_path / "photos.parquet"}
    at.import_images(traps, **arguments)
    path = traps / "Vulpes vulpes" / "day0" / "IMG_0000.JPG"
    before = path.read_bytes()
    put(path, picture(99, size=(60, 50)))
    report = at.import_images(traps, **arguments)
    ((status, files),) = [(one.status, one.files) for one in report.left_out]
    assert (status, files, report.stored) == ("changed", 1, 0)
    number = path_id(str(path.relative_to(traps)))
    assert ImageStore.open(tmp_path / "images").bytes_of(number) == before


@pytest.mark.parametrize("after", [0, 7, 49])
def test_an_interrupted_import_goes_on_and_comes_to_the_same(tmp_path, traps, after):
    whole = at.import_images(traps, images=tmp_path / "whole", out=tmp_path / "whole.parquet")
    seen = []

    def stop(event):
        seen.append(isinstance(event, PhotoDone))
        if sum(seen) > after:
            raise KeyboardInterrupt

    arguments = {"images": tmp_path / "images", "out": tmp_path / "photos.parquet"}
    with pytest.raises(KeyboardInterrupt):
        at.import_images(traps, **arguments, on_event=stop)
    assert not (tmp_path / "photos.parquet").exists()
    report = at.import_images(traps, **arguments)
    assert report.images == whole.images
    assert report.stored < whole.stored
    one, other = (inventory.contents(ImageStore.open(tmp_path / name)) for name in ("whole", "images"))
    assert one.equals(other)
    assert (tmp_path / "photos.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_the_checks_of_a_download_are_applied(tmp_path):
    damaged = bytearray(picture(5, size=(200, 200)))
    damaged[2_000:9_000:2] = bytes([255]) * 3_500
    put(tmp_path / "traps" / "Vulpes vulpes" / "damaged.jpg", bytes(damaged))
    put(tmp_path / "traps" / "Vulpes vulpes" / "large.jpg", picture(6, size=(300, 300)))
    put(tmp_path / "traps" / "Vulpes vulpes" / "small.png", picture(7, "PNG", size=(20, 20)))
    arguments = {"out": tmp_path / "photos.parquet", "overwrite": True}
    bytes_only = at.import_images(tmp_path / "traps", images=tmp_path / "a", **arguments)
    assert bytes_only.images == 3
    decoded = at.import_images(tmp_path / "traps", images=tmp_path / "b", check="decode", **arguments)
    assert [one.example for one in decoded.left_out] == ["Vulpes vulpes/damaged.jpg"]
    few = at.import_images(tmp_path / "traps", images=tmp_path / "c", max_pixels=50_000, **arguments)
    assert [one.example for one in few.left_out] == ["Vulpes vulpes/large.jpg"]
    at.import_images(tmp_path / "traps", images=tmp_path / "d", resize=64, check="decode", **arguments)
    sizes = {(row["ext"], row["width"]) for row in pq.read_table(tmp_path / "photos.parquet").to_pylist()}
    assert sizes == {("jpg", 64), ("png", 20)}
    with pytest.raises(StoreError, match="resized to 64"):
        at.import_images(tmp_path / "traps", images=tmp_path / "d", **arguments)


@settings(max_examples=25)
@given(
    st.dictionaries(
        st.text("ab./é", min_size=1, max_size=6).filter(
            lambda name: name.strip("./") == name and "//" not in name
        ),
        st.sampled_from(["photo", "text", "cut", "link"]),
        max_size=6,
    )
)
def test_no_file_is_lost_without_a_word(tmp_path_factory, files):
    folder = tmp_path_factory.mktemp("any")
    put(folder / "in" / "Vulpes vulpes" / "first.jpg", picture(1))
    written = Counter()
    for name, kind in files.items():
        path = folder / "in" / "Vulpes vulpes" / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "link":
                path.symlink_to("nowhere")
            else:
                path.write_bytes({"photo": picture(1), "text": b"a", "cut": picture(1)[:-9]}[kind])
        except OSError:
            continue  # a file where a folder would have to be
        written[kind == "photo"] += 1
    report = at.import_images(folder / "in", images=folder / "images", out=folder / "photos.parquet")
    assert report.images == 1 + written[True]
    assert sum(one.files for one in report.left_out) == written[False]
    assert report.files == report.images + written[False]


@pytest.fixture
def competition(tmp_path) -> at.Split:
    """A split in the form of iNaturalist 2018, and its images in `inat`, but for one."""
    seed = 0
    for part, first, photos in (("train", 1_000, 12), ("val", 5_000, 6)):
        rows = [(first + n, f"train_val2018/Aves/{n % 3}/{part}{n}.jpg", n % 3) for n in range(photos)]
        for _, name, _ in rows:
            seed += 1
            put(tmp_path / "inat" / name, picture(seed))
        stated = {
            "images": [{"id": n, "file_name": name, "width": 40, "height": 30} for n, name, _ in rows],
            "annotations": [{"id": n, "image_id": n, "category_id": label} for n, _, label in rows],
            "categories": [{"id": n, "name": f"Genus epithet{n}"} for n in range(3)],
        }
        (tmp_path / f"{part}2018.json").write_text(json.dumps(stated))
    put(tmp_path / "inat" / "train_val2018" / "LICENSE", b"no photo")
    (tmp_path / "inat" / "train_val2018" / "Aves" / "0" / "val0.jpg").unlink()
    return at.import_split([tmp_path / "train2018.json", tmp_path / "val2018.json"])


def test_an_imported_split_gets_its_images(tmp_path, competition):
    competition.save(tmp_path / "split")
    report = at.import_images(tmp_path / "inat", images=tmp_path / "images", split=tmp_path / "split")
    assert (report.files, report.images, report.classes, report.catalog) == (18, 17, None, None)
    assert [(one.status, one.reason, one.example) for one in report.left_out] == [
        ("failed", "not in the folder", "train_val2018/Aves/0/val0.jpg")
    ]
    train = at.load_subset(competition, images=tmp_path / "images", part="train")
    paths = dict(zip(*(competition.files[name].to_pylist() for name in ("photo_id", "path")), strict=True))
    for item in train:
        path = paths[item["photo_id"]]
        assert path.split("/")[2] == str(item["label"])
        assert np.array_equal(np.asarray(item["image"]), np.asarray(Image.open(tmp_path / "inat" / path)))
    export = {"images": tmp_path / "images", "to": tmp_path / "out", "format": "inat-json"}
    with pytest.raises(MissingPhotosError, match="1 of the 6 photos of val") as caught:
        at.export(competition, **export)
    assert "arboretum import-images FOLDER" in caught.value.hint
    put(tmp_path / "inat" / "train_val2018" / "Aves" / "0" / "val0.jpg", picture(50))
    again = at.import_images(tmp_path / "inat", images=tmp_path / "images", split=competition)
    assert (again.tried, again.stored, again.images) == (1, 1, 18)
    assert at.export(competition, **export).photos == {"train": 12, "val": 6}


def test_a_split_that_names_other_places_opens_nothing_there(tmp_path):
    secret = put(tmp_path / "secret.jpg", picture(1))
    put(tmp_path / "in" / "a" / "1.jpg", picture(2))
    (tmp_path / "in" / "b").symlink_to(tmp_path)
    (tmp_path / "train.txt").write_text(f"a/1.jpg 0\n../secret.jpg 0\n{secret} 0\nb/secret.jpg 0\n")
    split = at.import_split([tmp_path / "train.txt"])
    report = at.import_images(tmp_path / "in", images=tmp_path / "images", split=split)
    assert report.images == 1
    assert {one.reason: one.files for one in report.left_out} == {
        "its path leads out of the folder": 2,
        "a symbolic link": 1,
    }


def test_a_store_of_other_numbers_is_refused_wherever_it_is_named(tmp_path, traps, competition, origin):
    files, numbers = tmp_path / "files", tmp_path / "numbers"
    at.import_images(traps, images=files, out=tmp_path / "photos.parquet")
    at.import_images(tmp_path / "inat", images=numbers, split=competition)
    (tmp_path / "train.txt").write_text(
        "train_val2018/Aves/1/val1.jpg 0\ntrain_val2018/Aves/1/train1.jpg 1\n"
    )
    other = at.import_split([tmp_path / "train.txt"])
    tiny = tiny_split()
    tiny_store(tmp_path / "tiny", tiny)
    before = [contents(one) for one in (files, numbers)]
    catalog = at.open_catalog(tmp_path / "photos.parquet")
    refused = [
        lambda: at.import_images(tmp_path / "inat", images=numbers, split=other),
        lambda: at.import_images(tmp_path / "inat", images=files, split=competition),
        lambda: at.import_images(traps, images=numbers, out=tmp_path / "p.parquet"),
        lambda: at.import_images(traps, images=tmp_path / "tiny", out=tmp_path / "p.parquet"),
        lambda: at.load_subset(competition, images=tmp_path / "tiny", part="train"),
        lambda: at.load_subset(competition, images=files, part="train"),
        lambda: at.load_subset(other, images=numbers, part="train"),
        lambda: at.save_gallery(other, images=numbers, to=tmp_path / "gallery"),
        lambda: at.load_subset(tiny, images=numbers, part="train"),
        lambda: at.export(tiny, images=numbers, to=tmp_path / "out", format="csv"),
        lambda: at.merge_stores([files, numbers], tmp_path / "merged"),
        lambda: at.make_split(catalog, lt_ratio=2, store=numbers),
        lambda: at.download(tiny, images=files, size="original", origin=origin.url),
    ]
    origin.clear()
    for call in refused:
        with pytest.raises(StoreError, match=r"images of (a folder|an imported split)"):
            call()
    assert origin.requests == []
    assert [contents(one) for one in (files, numbers)] == before
    assert not (tmp_path / "merged").exists()


def test_made_up_ids_are_never_asked_of_inaturalist(tmp_path, traps, competition, origin):
    origin.clear()
    with pytest.raises(SplitError, match="numbers of ours") as caught:
        at.download(competition, images=tmp_path / "images", origin=origin.url)
    assert "arboretum import-images FOLDER --split" in caught.value.hint
    at.import_images(traps, images=tmp_path / "files", out=tmp_path / "photos.parquet")
    photos = at.open_catalog(tmp_path / "photos.parquet").select()
    with pytest.raises(at.DownloadFailedError, match="`arboretum import-images` takes in"):
        at.download(photos, images=tmp_path / "images", origin=origin.url)
    assert origin.requests == []


def test_no_description_says_that_they_are_of_inaturalist(tmp_path, traps, competition):
    out = tmp_path / "photos.parquet"
    at.import_images(traps, images=tmp_path / "files", out=out)
    own = at.make_split(at.open_catalog(out), lt_ratio=3, val_per_class=1, test_per_class=1)
    at.import_images(tmp_path / "inat", images=tmp_path / "numbers", split=competition)
    for split, store in ((own, "files"), (competition, "numbers")):
        for form in ("hf", "folder"):
            to = tmp_path / f"{store}-{form}"
            at.export(split, images=tmp_path / store, to=to, format=form, allow_missing=True)
            assert pq.read_table(to / "ATTRIBUTION.parquet")["page"].null_count > 0
            for path in to.rglob("*"):
                if path.is_file():
                    assert b"inaturalist.org" not in path.read_bytes(), path
        at.save_gallery(split, images=tmp_path / store, to=tmp_path / f"{store}-gallery")
        page = (tmp_path / f"{store}-gallery" / "index.html").read_text()
        assert "inaturalist.org" not in page
        assert "Photos from iNaturalist" not in page
    croissant = json.loads((tmp_path / "files-hf" / "croissant.json").read_text())
    assert "images of a folder" in croissant["description"]
    assert "citeAs" not in croissant
    card = (tmp_path / "files-hf" / "README.md").read_text()
    assert "iNaturalist" not in card
    assert "bibtex" not in card


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({}, UsageError, "without a split"),
        ({"out": "photos.csv"}, UsageError, r"does not end in \.parquet"),
        ({"out": "photos.parquet", "left_out": "a.txt"}, UsageError, "ends in neither"),
        ({"out": "traps/photos.parquet"}, TargetExistsError, "which is being read"),
        ({"out": "photos.parquet", "images": "traps/images"}, TargetExistsError, "which is being read"),
        ({"out": "photos.parquet", "images": "full"}, TargetExistsError, "holds something else"),
        ({"out": "photos.parquet", "left_out": "full/file.csv"}, TargetExistsError, "there already"),
        ({"out": "photos.parquet", "names": "ranks"}, UsageError, "unknown kind of folder names"),
        ({"out": "photos.parquet", "resize_filter": "area"}, UsageError, "without resize"),
        ({"split": "split", "out": "photos.parquet"}, UsageError, "no catalogue is made"),
        ({"split": "split"}, BadInputError, "names no files"),
        ({"folder": "nowhere", "out": "photos.parquet"}, BadInputError, "is not there"),
        ({"folder": "full/file.csv", "out": "photos.parquet"}, BadInputError, "is not a folder"),
        ({"folder": "full", "out": "photos.parquet"}, BadInputError, "no file in a folder of a class"),
    ],
)
def test_what_cannot_be_done_changes_nothing(tmp_path, monkeypatch, traps, arguments, error, says):
    monkeypatch.chdir(tmp_path)
    tiny_split().save("split")
    put(Path("full/file.csv"), b"something else")
    before = contents(tmp_path)
    with pytest.raises(error, match=says):
        at.import_images(arguments.pop("folder", "traps"), **arguments)
    assert contents(tmp_path) == before


def test_none_of_the_files_of_a_split_is_there(tmp_path, competition, traps):
    with pytest.raises(BadInputError, match=r"The first would be .*traps/train_val2018/Aves/0/train0\.jpg"):
        at.import_images(traps, images=tmp_path / "images", split=competition)
    assert not (tmp_path / "images").exists()
