"""No source loses a row without a word: what no photo is made of is counted and listed with its place."""

import contextlib
import json

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arboretum_tools.catalog import open_catalog
from arboretum_tools.catalog.building import losses
from arboretum_tools.catalog.building.build import build_catalog
from arboretum_tools.catalog.check import check_catalog
from arboretum_tools.catalog.layouts.built_files import REJECTED
from arboretum_tools.errors import CatalogError

ROBIN = ("Animalia", "Chordata", "Aves", "Passeriformes", "Turdidae", "Turdus")
RANKS = ("kingdom", "phylum", "class", "order", "family", "genus")
BUCKET = "https://inaturalist-open-data.s3.amazonaws.com/photos"


def lines(*rows, delimiter="\t"):
    return "".join(delimiter.join(map(str, row)) + "\n" for row in rows)


def uuid(number):
    return f"{number:08x}-1111-4222-8333-444444444444"


def open_data(folder, photos, *, bad=()):
    """A dump of photos; `bad` names texts that get a row of one field too many before their last row."""
    folder.mkdir(exist_ok=True)
    texts = {
        "photos.csv": [
            ("photo_uuid", "photo_id", "observation_uuid", "observer_id", "extension", "license", "position"),
            *(("p", photo, uuid(5), 5, "jpg", "CC0", 0) for photo in photos),
        ],
        "observations.csv": [
            ("observation_uuid", "observer_id", "latitude", "longitude", "positional_accuracy", "taxon_id",
             "quality_grade", "observed_on"),
            (uuid(5), 5, 1.5, 2.5, 10, 17, "research", "2020-05-04"),
        ],
        "taxa.csv": [
            ("taxon_id", "ancestry", "rank", "name", "active"),
            (1, "48460", "kingdom", "Animalia", "true"),
            (16, "48460/1", "genus", "Turdus", "true"),
            (17, "48460/1/16", "species", "Turdus migratorius", "true"),
        ],
        "observers.csv": [("observer_id", "login", "name"), (5, "ann", "Ann")],
    }  # fmt: skip
    for name, rows in texts.items():
        extra = [(*rows[-1], "one too many")] if name in bad else []
        (folder / name).write_text(lines(*rows[:-1], *extra, rows[-1]))
    return folder


def listed(catalog):
    return [tuple(row.values()) for row in pq.read_table(catalog / REJECTED).to_pylist()]


def test_a_row_of_nine_fields_is_listed_and_the_others_are_built(tmp_path):
    source = open_data(tmp_path / "dump", [1, 2, 3], bad=["observations.csv"])
    report = build_catalog(source, tmp_path / "built")
    assert (report.photos, report.defects.losses) == (3, {"malformed_row": 1})
    assert any("1 row with a wrong number of fields" in line for line in report.defects.sentences)
    ((reason, *nothing, rows, file, line, detail),) = listed(tmp_path / "built")
    assert (reason, nothing, rows, file, line) == ("malformed_row", [None] * 3, 1, "dump/observations.csv", 2)
    assert detail.startswith("9 fields instead of 8: '00000005-1111")
    catalog = open_catalog(tmp_path / "built")
    assert len(catalog) == 3
    (finding,) = (found for found in check_catalog(catalog).findings if found.name == "malformed_row")
    assert finding.count == 1
    assert finding.examples[0].startswith("dump/observations.csv, line 2: 9 fields")
    with pytest.raises(
        CatalogError, match=r"dump/observations\.csv, line 2: 9 fields instead of 8"
    ) as caught:
        build_catalog(source, tmp_path / "strict", strict=True)
    assert "1 malformed row" in str(caught.value)
    assert not (tmp_path / "strict").exists()


def test_rows_of_a_joined_source_are_listed_as_well(tmp_path, write_catalog, photos, taxa):
    published = write_catalog(photos(taxa["robin"], 1, 2))
    source = open_data(tmp_path / "dump", [1, 2], bad=["photos.csv", "taxa.csv"])
    report = build_catalog([published, source], tmp_path / "built")
    assert (report.photos, report.defects.losses) == (2, {"malformed_row": 2})
    assert [row[5] for row in listed(tmp_path / "built")] == ["dump/photos.csv", "dump/taxa.csv"]
    with pytest.raises(CatalogError, match="rows of published metadata and iNaturalist Open Data would"):
        build_catalog([published, source], tmp_path / "strict", strict=True)


def test_a_text_of_which_no_row_fits_is_refused(tmp_path):
    source = open_data(tmp_path / "dump", [1])
    (source / "observers.csv").write_text("observer_id\tlogin\tname\n5\tann\n6\tbob\n")
    with pytest.raises(CatalogError, match=r"observers\.csv: none of its 2 rows has the 3 fields"):
        build_catalog(source, tmp_path / "built")


def test_beyond_a_number_rows_are_listed_together(tmp_path, monkeypatch):
    monkeypatch.setattr(losses, "LISTED", 3)
    source = open_data(tmp_path / "dump", [1])
    with (source / "photos.csv").open("a") as file:
        file.write("short\n" * 10)
    assert build_catalog(source, tmp_path / "built").defects.losses == {"malformed_row": 10}
    found = listed(tmp_path / "built")
    assert [(row[4], row[6]) for row in found] == [(1, 3), (1, 4), (1, 5), (7, None)]


GOOD = st.integers(1, 30).map(lambda n: ("good", n))
#: What a text may hold besides photos, by source.
ODD = {
    "open data": ["malformed", "bad id", "bad extension"],
    "published": ["malformed", "bad id", "bad extension"],
    "export": ["malformed", "no address", "other host", "lost digits", "bad extension"],
    "api": ["malformed", "no address", "other host", "lost digits", "bad extension"],
    "darwin core": ["malformed", "sound", "other host", "no address", "no occurrence", "bad extension"],
}


def write(source, folder, rows):
    """A source of these rows; each is one line of the text that lists photos."""
    if source == "open data":
        open_data(folder, [])
        odd = {"malformed": ("x",), "bad id": ("p", "1e8", uuid(5), 5, "jpg", "", 0),
               "bad extension": ("p", 77, uuid(5), 5, "tiff", "", 0)}  # fmt: skip
        with (folder / "photos.csv").open("a") as file:
            for kind, number in rows:
                file.write(lines(odd.get(kind, ("p", number, uuid(5), 5, "jpg", "", 0))))
    elif source == "published":
        folder.mkdir(exist_ok=True)
        names = ("Turdus migratorius", *ROBIN, "migratorius", "jpg")
        odd = {"malformed": ("x",), "bad id": ("1e8", *names), "bad extension": (77, *names[:-1], "tiff")}
        header = ("photo_id", "scientific_name", *RANKS, "species", "ext")
        every = [header, *(odd.get(kind, (number, *names)) for kind, number in rows)]
        (folder / "photos.csv").write_text(lines(*every, delimiter=","))
    elif source in ("export", "api"):
        addresses = {"no address": "", "other host": "https://museum.example/photos/55/x.jpg",
                     "bad extension": f"{BUCKET}/77/medium.tiff"}  # fmt: skip
        every = [
            {
                "id": "1.23457E+08" if kind == "lost digits" else 5,
                "scientific_name": "Turdus migratorius",
                "iconic_taxon_name": "Aves",
                "image_url": addresses.get(kind, f"{BUCKET}/{number or 1}/medium.jpg?1545"),
            }
            for kind, number in rows
        ]
        folder.mkdir(exist_ok=True)
        if source == "export":
            texts = ["x\n" if kind == "malformed" else lines(row.values(), delimiter=",")
                     for (kind, _), row in zip(rows, every, strict=True)]  # fmt: skip
            header = lines(("id", "scientific_name", "iconic_taxon_name", "image_url"), delimiter=",")
            (folder / "observations-1.csv").write_text(header + "".join(texts))
            return
        texts = []
        for (kind, _), row in zip(rows, every, strict=True):
            taxon = {"name": row["scientific_name"], "iconic_taxon_name": "Aves"}
            photos = [{"url": row["image_url"]}] if row["image_url"] else []
            one = json.dumps({"id": row["id"], "taxon": taxon, "photos": photos})
            texts.append('{"id": 5, "pho\n' if kind == "malformed" else f"{one}\n")
        (folder / "observations.jsonl").write_text("".join(texts))
    else:
        folder.mkdir(exist_ok=True)
        (folder / "occurrence.txt").write_text(
            lines(("gbifID", *RANKS, "specificEpithet", "publisher"), ("g1", *ROBIN, "migratorius", "Museum"))
        )
        odd = {
            "malformed": ("x",),
            "sound": ("g1", f"{BUCKET}/1/original.jpg", "Sound"),
            "other host": ("g1", "https://museum.example/photos/55/large.jpg", "StillImage"),
            "no address": ("g1", "", "StillImage"),
            "no occurrence": ("g2", f"{BUCKET}/1/original.jpg", "StillImage"),
            "bad extension": ("g1", f"{BUCKET}/77/original.tiff", "StillImage"),
        }
        every = [
            odd.get(kind, ("g1", f"{BUCKET}/{number}/original.jpg", "StillImage")) for kind, number in rows
        ]
        (folder / "multimedia.txt").write_text(lines(("gbifID", "identifier", "type"), *every))


@pytest.mark.parametrize("source", ODD)
def test_rows_in_are_rows_kept_and_rows_listed(source, tmp_path_factory):
    @settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rows=st.lists(GOOD | st.sampled_from([(kind, 0) for kind in ODD[source]]), max_size=25))
    def holds(rows):
        folder = tmp_path_factory.mktemp("property")
        write(source, folder / "source", rows)
        kept = {number for kind, number in rows if kind == "good"}
        if not kept:
            with contextlib.suppress(CatalogError):
                build_catalog(folder / "source", folder / "built")
            assert not (folder / "built").exists()
            return
        report = build_catalog(folder / "source", folder / "built")
        rejected = listed(folder / "built") if (folder / "built" / REJECTED).exists() else []
        assert report.defects.rows == len(rows) == len(kept) + sum(row[4] for row in rejected)
        assert report.photos == len(kept) == len(open_catalog(folder / "built"))

    holds()
