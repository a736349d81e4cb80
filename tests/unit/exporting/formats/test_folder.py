"""The folder for people: names that any system takes, a table, credits in files and on a page."""

from __future__ import annotations

import csv
import dataclasses
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pyarrow as pa
import pytest
from PIL import Image

from arboretum_metadata.sample import PHOTO_IDS
from arboretum_metadata.schema import FOLDER_METADATA
from arboretum_tools.errors import UsageError
from arboretum_tools.exporting import Folder, export
from arboretum_tools.testing.exporter_conformance import ExporterConformance, Given, Read
from arboretum_tools.testing.tiny import tiny_split, tiny_store, with_markup


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def without_credit(data: bytes) -> bytes:
    """A JPEG without its segments APP1, which is what the store had of these photos."""
    kept, at = data[:2], 2
    while data[at + 1] & 0xF0 == 0xE0:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] != 0xE1:
            kept += data[at:end]
        at = end
    return kept + data[at:]


class TestFolder(ExporterConformance):
    exporter = Folder()
    keeps_bytes = False
    is_stream = False
    file_limit = 8_000

    def read(self, folder: Path, part: str) -> list[Read]:
        names = {row["name"]: row["label"] for row in tiny_split().classes.to_pylist()}
        return [
            Read(
                int(row["photo_id"]),
                names[row["scientific_name"]],
                without_credit((folder / row["file_name"]).read_bytes()),
            )
            for row in rows(folder)
            if row["part"] == part
        ]

    def test_hugging_face_reads_photos_and_table(self, given: Given, tmp_path: Path) -> None:
        import datasets

        self.run(given, tmp_path / "out")
        loaded = datasets.load_dataset(
            "imagefolder", data_dir=str(tmp_path / "out"), cache_dir=str(tmp_path / "cache")
        )["train"]
        assert loaded.num_rows == len(rows(tmp_path / "out"))
        assert {"image", "photo_id", "scientific_name", "credit"} <= set(loaded.column_names)
        assert loaded[0]["image"].size == (32, 24)


def made(tmp_path: Path, split=None, **options) -> Path:
    split = tiny_split() if split is None else split
    store = tiny_store(tmp_path / "images", split)
    export(split, images=store.path, to=tmp_path / "out", format="folder", **options)
    return tmp_path / "out"


def test_a_name_says_what_is_known(tmp_path: Path) -> None:
    folder = made(tmp_path)
    names = [row["file_name"] for row in rows(folder)]
    assert all((folder / name).is_file() for name in names)
    row = next(row for row in rows(folder) if row["life_stage"] and row["license"])
    stem = f"{row['scientific_name']} {row['photo_id']} {row['life_stage']} {row['license']}"
    assert row["file_name"] == f"{row['scientific_name']}/{stem}.jpg"
    bare = next(row for row in rows(folder) if not row["license"])
    assert bare["file_name"].endswith(f" {bare['photo_id']} adult.jpg")
    assert (folder / "metadata.csv").read_text("utf-8").split("\n")[0] == ",".join(FOLDER_METADATA.names)


def test_places_are_left_out_of_the_table_where_that_is_asked(tmp_path: Path) -> None:
    (row, *_) = rows(made(tmp_path, place=False))
    assert list(row) == [name for name in FOLDER_METADATA.names if name not in ("latitude", "longitude")]


def test_both_pages_say_where_the_photos_are_from(tmp_path: Path) -> None:
    split = tiny_split()
    part = split.part("train")
    # A number of the bundled sample: its photos are drawn.
    first = pa.array([PHOTO_IDS.start, *part["photo_id"].to_pylist()[1:]], pa.int64())
    drawn = part.set_column(part.schema.get_field_index("photo_id"), part.schema.field("photo_id"), first)
    for folder, one, said in (
        (tmp_path / "taken", split, "<p>The photos are from iNaturalist, "),
        (tmp_path / "drawn", dataclasses.replace(split, tables={**split.tables, "train": drawn}),
         "<p>The photos are drawn by the test server "),
    ):  # fmt: skip
        folder.mkdir()
        out = made(folder, one)
        credits_, attribution = ((out / name).read_text() for name in ("CREDITS.html", "ATTRIBUTION.html"))
        assert said in credits_
        assert said in attribution
        assert "<title>Credits of tiny</title>" in credits_
        assert "<title>Attribution of tiny</title>" in attribution


def test_a_template_of_ones_own(tmp_path: Path) -> None:
    folder = made(tmp_path, file_template="$part/$class/$common_name/$photo_id by $observer")
    names = [row["file_name"] for row in rows(folder)]
    assert all((folder / name).is_file() for name in names)
    assert any(name.startswith("train/Aves/American Robin/") for name in names)
    # Nothing is known of the class of the orchid.
    assert any(name.startswith("test/unknown/Bird's -Rosé- Orchid – ʻōpua/") for name in names)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("$scientific_name", r"needs \$photo_id"),
        ("$photo_id/$scientific_name", r"needs \$photo_id"),
        ("$photo_id $colour", r"names \$colour"),
        ("$photo_id $", "begins no name"),
        ("a/" * 11 + "$photo_id", "11 folders, one in the other"),
    ],
)
def test_templates_that_cannot_be(tmp_path: Path, template: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        made(tmp_path, file_template=template)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "folder", ["metadata.csv", "Classes.Parquet", "export.json", "README.md", "$part.html"]
)
def test_no_folder_takes_the_place_of_a_file_of_the_export(tmp_path: Path, folder: str) -> None:
    made_ = made(tmp_path, file_template=f"{folder}/$photo_id")
    names = [row["file_name"] for row in rows(made_)]
    assert all(name.startswith("_") and (made_ / name).is_file() for name in names)
    assert (made_ / "classes.parquet").is_file()


def test_the_longest_names_that_a_template_can_make_are_written(tmp_path: Path) -> None:
    out = made(tmp_path, file_template="/".join(["n" * 300] * 10 + ["$photo_id"]))
    assert all((out / row["file_name"]).is_file() for row in rows(out))


def test_credits_stand_in_the_photo(tmp_path: Path) -> None:
    folder = made(tmp_path)
    row = next(row for row in rows(folder) if row["license"] == "CC-BY" and row["observer_name"])
    image = Image.open(folder / row["file_name"])
    exif = image.getexif()
    assert exif[0x013B] == row["observer_name"]
    assert exif[0x8298] == row["credit"]
    assert row["page"] in exif[0x010E]
    about = ET.fromstring(image.info["xmp"])
    dublin_core = "{http://purl.org/dc/elements/1.1/}"
    assert "".join(about.find(f".//{dublin_core}creator").itertext()) == row["observer_name"]
    assert "".join(about.find(f".//{dublin_core}rights").itertext()) == row["credit"]
    assert about.find(f".//{dublin_core}source").text == row["page"]
    address = about.find(".//{http://ns.adobe.com/xap/1.0/rights/}WebStatement").text
    assert address.startswith("https://creativecommons.org/licenses/by/")


class Links(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name == "href"]


def test_the_page_leads_to_every_photo_and_credit(tmp_path: Path) -> None:
    folder = made(tmp_path)
    page = Links((folder / "CREDITS.html").read_text("utf-8"))
    files = [unquote(link) for link in page.links if not link.startswith("http")]
    assert sorted(files) == sorted(row["file_name"] for row in rows(folder))
    assert {row["page"] for row in rows(folder)} <= set(page.links)


HOSTILE = [
    "../../etc/passwd",
    "/abs",
    "CON",
    "a\x00b",
    "=cmd|' /C calc'!A0",
    "x" * 400,
    "...",
    "a:b*c?",
    "\u202egpj",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_from_outside_stay_in_the_folder_and_are_names_everywhere(tmp_path: Path, name: str) -> None:
    split = tiny_split()
    columns = {
        column: pa.array([name] * split.num_classes)
        if column in ("name", "scientific_name")
        else split.classes[column]
        for column in split.classes.column_names
    }
    poisoned = dataclasses.replace(split, classes=pa.table(columns))
    folder = made(tmp_path, poisoned)
    found = rows(folder)
    assert len(found) == sum(split.num_photos(part) for part in split.parts)
    for row in found:
        path = folder / row["file_name"]
        assert path.is_file()
        assert path.resolve().is_relative_to(folder.resolve())
        for part in Path(row["file_name"]).parts:
            assert len(part.encode()) < 255
            assert not set(part) & set('\\:*?"<>|\x00\u202e')
            assert part[0] not in "=+-@. "
            assert not part.removesuffix(".jpg").endswith((" ", "."))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "out"]


def test_markup_and_formulas_stay_text(tmp_path: Path) -> None:
    folder = made(tmp_path, with_markup(tiny_split()))
    page = Links((folder / "CREDITS.html").read_text("utf-8"))
    assert not page.tags & {"script", "img", "b"}
    split = tiny_split()
    train = split.part("train")
    at = train.schema.get_field_index("observer_name")
    formula = train.set_column(at, "observer_name", pa.array(["=1+1"] * train.num_rows))
    other = dataclasses.replace(split, tables={"train": formula})
    store = tiny_store(tmp_path / "other", other)
    export(other, images=store.path, to=tmp_path / "cells", format="folder")
    assert {row["observer_name"] for row in rows(tmp_path / "cells")} == {"'=1+1"}


def test_two_classes_of_one_name_have_a_folder_each(tmp_path: Path) -> None:
    split = tiny_split()
    names = ["Laelia rosea", "laelia rosea", *split.classes["scientific_name"].to_pylist()[2:]]
    names[2] = "Parus major"
    kingdoms = ["Animalia", "Plantae", *split.classes["kingdom"].to_pylist()[2:]]
    changed = {"scientific_name": names, "name": names, "kingdom": kingdoms}
    columns = {
        n: pa.array(changed[n]) if n in changed else split.classes[n] for n in split.classes.column_names
    }
    folder = made(tmp_path, dataclasses.replace(split, classes=pa.table(columns)))
    found = {path.name for path in folder.iterdir() if path.is_dir()}
    assert found == {"Laelia rosea (Animalia)", "laelia rosea (Plantae)", "Parus major", "Corvus corax"}
