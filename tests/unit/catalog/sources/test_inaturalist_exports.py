"""iNaturalist's CSV export, whatever a spreadsheet made of it, and answers of its API."""

import json
import zipfile

import pyarrow.parquet as pq
import pytest

from arboretum_tools.catalog import open_catalog
from arboretum_tools.catalog.building.build import build_catalog
from arboretum_tools.catalog.layouts.built_files import REJECTED
from arboretum_tools.errors import CatalogError

BUCKET = "https://inaturalist-open-data.s3.amazonaws.com/photos"
STATIC = "https://static.inaturalist.org/photos"
HEADER = (
    "id", "uuid", "observed_on", "user_id", "user_login", "quality_grade", "license", "image_url", "latitude",
    "longitude", "scientific_name", "common_name", "iconic_taxon_name", "taxon_id", "taxon_kingdom_name",
    "taxon_family_name", "taxon_genus_name", "taxon_species_name", "field:life stage",
)  # fmt: skip
ROBIN = ("American Robin", "Aves", "12727", "Animalia", "Turdidae", "Turdus", "Turdus migratorius")
ROWS = [
    ("7", "", "2020-05-04", "5", "ann", "research", "CC-BY", f"{BUCKET}/1/medium.jpg", "1.5", "2.5",
     "Turdus migratorius", *ROBIN, "Imago"),
    ("8.0", "", "", "6", "bob", "needs_id", "", f"{STATIC}/2/medium.jpeg?154536", "", "",
     "Turdus migratorius achrusterus", *ROBIN, ""),
    ("9", "", "", "6", "bob", "casual", "", f"{BUCKET}/3/medium.png", "", "", "Quercus alba", "", "Plantae",
     "", "", "", "", "", ""),
]  # fmt: skip
LOST = [
    (
        "1.23457E+08",
        "",
        "",
        "6",
        "bob",
        "casual",
        "",
        f"{BUCKET}/4/medium.jpg",
        "",
        "",
        "Quercus alba",
        *[""] * 8,
    ),
    ("11", "", "", "6", "bob", "casual", "", "", "", "", "Quercus alba", *[""] * 8),
    (
        "12",
        "",
        "",
        "6",
        "bob",
        "casual",
        "",
        "https://flickr.example/1/x.jpg",
        "",
        "",
        "Quercus alba",
        *[""] * 8,
    ),
]


def text(rows, header=HEADER, *, delimiter=",", end="\n", begin=""):
    return begin + "".join(delimiter.join(row) + end for row in [header, *rows])


def rows_of(folder):
    table = open_catalog(folder).select(quality_grade="any").to_arrow()
    return {row["photo_id"]: row for row in table.to_pylist()}


@pytest.mark.parametrize("form", ["plain", "spreadsheet", "zip"])
def test_an_export_is_read_with_every_column_that_it_has(tmp_path, form):
    source = tmp_path / "observations-12345.csv"
    if form == "spreadsheet":
        rows = [tuple(v.replace(".", ",") if i in (8, 9) else v for i, v in enumerate(row)) for row in ROWS]
        source.write_text(text(rows, delimiter=";", end="\r\n", begin="\ufeff"), newline="")
    elif form == "zip":
        source = tmp_path / "observations-12345.csv.zip"
        with zipfile.ZipFile(source, "w") as archive:
            archive.writestr("observations-12345.csv", text(ROWS))
    else:
        source.write_text(text(ROWS))
    report = build_catalog(source, tmp_path / "built")
    rows = rows_of(tmp_path / "built")
    assert sorted(rows) == [1, 2, 3]
    first = rows[1]
    assert (first["kingdom"], first["class"], first["family"]) == ("Animalia", "Aves", "Turdidae")
    assert (first["genus"], first["species"], first["taxon_id"]) == ("Turdus", "migratorius", 12727)
    assert (first["common_name"], first["observer_name"], first["observer_id"]) == (
        "American Robin",
        "ann",
        5,
    )
    assert (first["observation_id"], str(first["observed_on"])) == (7, "2020-05-04")
    assert (first["latitude"], first["longitude"], first["life_stage"]) == (1.5, 2.5, "adult")
    assert (rows[2]["observation_id"], rows[2]["ext"], rows[2]["species"]) == (8, "jpeg", "migratorius")
    # A name and a group are enough for a class.
    assert (rows[3]["kingdom"], rows[3]["genus"], rows[3]["species"]) == ("Plantae", "Quercus", "alba")
    assert [rows[n]["quality_grade"] for n in (1, 2, 3)] == ["research", "needs_id", "casual"]
    # The licence of an observation is not that of its photo.
    assert first["license"] is None
    assert "those of observations" in report.notes[0]


def test_what_no_photo_is_made_of_is_listed_with_its_line(tmp_path):
    source = tmp_path / "observations-1.csv"
    source.write_text(text([ROWS[0], *LOST[:2], ("one", "field too few"), ROWS[1], LOST[2]]))
    report = build_catalog(source, tmp_path / "built")
    assert report.photos == 2
    table = (
        pq.read_table(tmp_path / "built" / REJECTED).select(["reason", "file", "line", "detail"]).to_pylist()
    )
    assert [tuple(row.values())[:3] for row in table] == [
        ("bad_observation_id", source.name, 3),
        ("malformed_row", source.name, 5),
        ("no_address", source.name, 4),
        ("other_host", source.name, 7),
    ]
    assert table[0]["detail"] == "observation 1.23457E+08"
    with pytest.raises(CatalogError, match=r"observations-1\.csv, line 3: observation 1\.23457E\+08"):
        build_catalog(source, tmp_path / "strict", strict=True)


def test_the_address_alone_is_enough(tmp_path):
    (tmp_path / "mine.csv").write_text(f"image_url\n{BUCKET}/1/medium.jpg\n")
    report = build_catalog(tmp_path / "mine.csv", tmp_path / "built")
    assert (report.photos, report.defects.no_class) == (1, 1)


def test_a_folder_of_exports_is_one_source_and_a_note_beside_them_is_none(tmp_path):
    folder = tmp_path / "exports"
    folder.mkdir()
    for number, row in enumerate(ROWS):
        (folder / f"observations-{number}.csv").write_text(text([row]))
    (folder / "README.txt").write_text("exported for the thesis")
    build_catalog(folder, tmp_path / "built")
    assert sorted(rows_of(tmp_path / "built")) == [1, 2, 3]
    (folder / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(CatalogError, match=r"other\.csv has no column photo_id"):
        build_catalog(folder, tmp_path / "built")


def observation(number, *photos, **more):
    ancestors = [
        {"id": 1, "rank": "kingdom", "name": "Animalia"},
        {"id": 3, "rank": "class", "name": "Aves"},
        {"id": 15, "rank": "family", "name": "Turdidae"},
        {"id": 16, "rank": "genus", "name": "Turdus"},
    ]
    taxon = {
        "id": 17, "rank": "species", "name": "Turdus migratorius", "ancestor_ids": [1, 3, 15, 16, 17],
        "iconic_taxon_name": "Aves", "preferred_common_name": "American Robin",
    }  # fmt: skip
    other = {"id": 99, "rank": "family", "name": "Corvidae", "ancestor_ids": [1, 3, 99]}
    return {
        "id": number, "uuid": "u", "quality_grade": "research", "observed_on": "2020-05-04",
        "location": "1.5,2.5", "user": {"id": 5, "login": "ann", "name": None}, "taxon": taxon,
        "identifications": [{"taxon": other}, {"taxon": {**taxon, "ancestors": ancestors}}],
        "annotations": [{"controlled_attribute_id": 1, "controlled_value_id": 6, "vote_score": 0}],
        "photos": [
            {"id": photo, "url": f"{BUCKET}/{photo}/square.jpg", "license_code": code,
             "original_dimensions": {"width": 640, "height": 480}}
            for photo, code in photos
        ],
        **more,
    }  # fmt: skip


OBSERVATIONS = [observation(7, (1, "cc-by-nc"), (2, None)), observation(8, (3, "cc0"), location=[3.5, 4.5])]
FORMS = {
    "lines": lambda page: "".join(json.dumps(one) + "\n" for one in page),
    "list": lambda page: json.dumps(page),
    "page": lambda page: json.dumps({"total_results": 2, "page": 1, "per_page": 30, "results": page}),
    "indented": lambda page: json.dumps({"results": page, "total_results": 2}, indent=2) + "\n",
    "pages": lambda page: "\n".join(json.dumps({"total_results": 2, "results": [one]}) for one in page),
}


@pytest.mark.parametrize("form", FORMS)
def test_answers_of_the_api_are_read_in_every_form(tmp_path, form):
    source = tmp_path / "observations.json"
    source.write_text(FORMS[form](OBSERVATIONS))
    build_catalog(source, tmp_path / "built")
    rows = rows_of(tmp_path / "built")
    assert sorted(rows) == [1, 2, 3]
    first = rows[1]
    assert [first[rank] for rank in ("kingdom", "class", "family", "genus", "species")] == [
        "Animalia", "Aves", "Turdidae", "Turdus", "migratorius",
    ]  # fmt: skip
    assert [rows[n]["license"] for n in (1, 2, 3)] == ["CC-BY-NC", None, "CC0"]
    assert [rows[n]["observation_id"] for n in (1, 2, 3)] == [7, 7, 8]
    assert [rows[n]["latitude"] for n in (1, 3)] == [1.5, 3.5]
    assert (first["life_stage"], first["observer_name"], first["common_name"]) == (
        "larva",
        "ann",
        "American Robin",
    )
    assert (first["width"], first["height"], rows[2]["position"]) == (640, 480, 1)


def test_what_the_api_has_no_photo_of_is_listed(tmp_path):
    source = tmp_path / "observations.jsonl"
    bad = [observation(9), {"error": "Too many requests"}]
    source.write_text(FORMS["lines"]([*OBSERVATIONS, *bad]) + '{"id": 10, "pho\n')
    report = build_catalog(source, tmp_path / "built")
    assert report.defects.losses == {"malformed_row": 2, "no_address": 1}
    table = pq.read_table(tmp_path / "built" / REJECTED).select(["reason", "line", "detail"]).to_pylist()
    assert [(row["reason"], row["line"]) for row in table] == [
        ("malformed_row", 4),
        ("malformed_row", 5),
        ("no_address", 3),
    ]
    assert table[2]["detail"] == "observation 9"


def test_a_page_that_is_cut_off_is_damaged(tmp_path):
    source = tmp_path / "page.json"
    source.write_text(FORMS["page"](OBSERVATIONS)[:-200])
    with pytest.raises(CatalogError, match=r"page\.json is damaged or not whole: its list"):
        build_catalog(source, tmp_path / "built")
    source.write_text(FORMS["list"](OBSERVATIONS) + "{}")
    with pytest.raises(CatalogError, match="follows its observations"):
        build_catalog(source, tmp_path / "built")
