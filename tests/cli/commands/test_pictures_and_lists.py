"""Contact sheets and lists of species, as they are typed."""

import csv
import json

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from PIL import Image

from arboretum_metadata.sample import catalog_path
from arboretum_metadata.schema import SPECIES
from arboretum_tools.testing.tiny import tiny_split, tiny_store


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARBORETUM_CATALOG", str(catalog_path()))
    return tmp_path


@pytest.mark.parametrize(("suffix", "kind"), [("png", "PNG"), ("JPG", "JPEG"), ("webp", "WEBP")])
def test_a_contact_sheet_of_a_split(arboretum, folder, suffix, kind):
    split = tiny_split()
    split.save(folder / "split")
    tiny_store(folder / "images", split)
    done = arboretum("contact-sheet", "split", "-o", f"sheet.{suffix}", "--columns", 2, "--per-class", 5)
    assert (done.code, done.err) == (0, f"written: sheet.{suffix}\n")
    assert Image.open(folder / f"sheet.{suffix}").format == kind


def test_a_pdf_is_one_and_the_same_each_time(arboretum, folder):
    split = tiny_split()
    split.save(folder / "split")
    tiny_store(folder / "images", split)
    for name in ("a.pdf", "b.pdf"):
        assert arboretum("contact-sheet", "split", "-o", name).code == 0
    data = (folder / "a.pdf").read_bytes()
    assert data.startswith(b"%PDF-")
    assert data == (folder / "b.pdf").read_bytes()


def test_credits_take_room_and_can_be_left_out(arboretum, folder):
    split = tiny_split()
    split.save(folder / "split")
    tiny_store(folder / "images", split)
    arboretum("contact-sheet", "split", "-o", "with.png")
    arboretum("contact-sheet", "split", "-o", "without.png", "--no-credits")
    taller, shorter = (Image.open(folder / name).height for name in ("with.png", "without.png"))
    assert taller > shorter


def test_a_contact_sheet_of_what_was_downloaded_and_of_a_selection(arboretum, folder, origin):
    arboretum("download", "--taxa", "Turdus", "--size", "small", "--origin", origin.url)
    columns = ("--columns", 1, "--no-credits")
    assert arboretum("contact-sheet", *columns, "-o", "all.png").code == 0
    assert arboretum("contact-sheet", *columns, "--taxa", "Turdus merula", "-o", "one.png").code == 0
    # Two thrushes were downloaded, one is selected.
    assert Image.open(folder / "all.png").height > Image.open(folder / "one.png").height


def test_what_a_contact_sheet_refuses(arboretum, folder):
    tiny_split().save(folder / "split")
    assert arboretum("contact-sheet", "split", "--taxa", "Aves", "-o", "x.png").code == 2
    assert "ends in none of" in arboretum("contact-sheet", "split", "-o", "x.gif").err
    assert "columns must be 1 to 8" in arboretum("contact-sheet", "split", "-o", "x.png", "--columns", 9).err
    (folder / "mine.png").write_text("mine")
    tiny_store(folder / "images", tiny_split())
    assert arboretum("contact-sheet", "split", "-o", "mine.png").code == 3
    assert (folder / "mine.png").read_text() == "mine"


def test_species_are_the_same_in_every_form(arboretum, folder):
    for name in ("s.csv", "s.parquet", "s.json"):
        done = arboretum("species", "--taxa", "Aves", "-o", name)
        assert (done.code, done.out) == (0, f"28 classes in {name}\n")
    table = pq.read_table(folder / "s.parquet")
    assert table.column_names == list(SPECIES.names)
    rows = table.to_pylist()
    assert json.loads((folder / "s.json").read_text("utf-8")) == rows
    assert pyarrow.csv.read_csv(folder / "s.csv").num_rows == 28
    assert rows[0]["scientific_name"] == "Passer domesticus"
    assert rows[0]["n_selected"] == 320
    printed = arboretum("species", "--taxa", "Aves")
    lines = list(csv.DictReader(printed.out.splitlines()))
    assert [(line["class_key"], int(line["n_selected"])) for line in lines] == [
        (row["class_key"], row["n_selected"]) for row in rows
    ]
    assert json.loads(arboretum("species", "--taxa", "Aves", "--json").out)["species"] == rows


def test_what_species_refuses(arboretum, folder):
    assert arboretum("species", "-o", "s.txt").code == 2
    (folder / "mine.csv").write_text("mine")
    assert arboretum("species", "-o", "mine.csv").code == 3
    assert (folder / "mine.csv").read_text() == "mine"
