"""Darwin Core archives by their descriptor: iNaturalist's own, GBIF's, those of other publishers."""

import csv
import io
import zipfile

import pyarrow.parquet as pq
import pytest

from arboretum_tools.catalog import open_catalog
from arboretum_tools.catalog.building.build import build_catalog
from arboretum_tools.catalog.layouts.built_files import REJECTED
from arboretum_tools.errors import CatalogError

DWC = "http://rs.tdwg.org/dwc/terms/"
DC = "http://purl.org/dc/terms/"
BUCKET = "https://inaturalist-open-data.s3.amazonaws.com/photos"

#: The columns of iNaturalist's own archive that matter, as its descriptor names them.
CORE = (
    None, DWC + "occurrenceID", DWC + "institutionCode", DWC + "catalogNumber", DWC + "occurrenceRemarks",
    DWC + "recordedBy", DWC + "eventDate", DWC + "decimalLatitude", DWC + "decimalLongitude", DWC + "taxonID",
    DWC + "scientificName", DWC + "taxonRank", DWC + "kingdom", DWC + "phylum", DWC + "class", DWC + "order",
    DWC + "family", DWC + "genus", DWC + "lifeStage",
)  # fmt: skip
MEDIA = (
    None,
    DC + "type",
    DC + "format",
    DC + "identifier",
    DC + "references",
    DC + "publisher",
    DC + "license",
)
UPPER = ("Animalia", "Chordata", "Aves", "Passeriformes", "Turdidae", "Turdus")
OCCURRENCES = [
    ("7", "https://www.inaturalist.org/observations/7", "iNaturalist", "7", 'a note,\nin "two" lines', "Ann",
     "2020-05-04T10:00:00Z", "1.5", "2.5", "12727", "Turdus migratorius", "species", *UPPER, "Imago"),
    ("8", "https://www.inaturalist.org/observations/8", "iNaturalist", "8", "", "Bob", "", "", "", "12728",
     "Turdus migratorius achrusterus", "subspecies", *UPPER, ""),
    ("9", "https://www.inaturalist.org/observations/9", "iNaturalist", "9", "", "Cy", "", "", "", "9",
     "Turdus migratorius × iliacus", "hybrid", *UPPER, ""),
    ("10", "https://www.inaturalist.org/observations/10", "iNaturalist", "10", "", "Di", "", "", "", "10",
     "Turdus migratorius", "hybrid", *UPPER, ""),
]  # fmt: skip
PHOTOS = [
    ("7", "StillImage", "image/jpeg", f"{BUCKET}/1/original.jpg", "https://www.inaturalist.org/photos/1",
     "iNaturalist", "http://creativecommons.org/licenses/by-nc/4.0/"),
    ("7", "StillImage", "image/jpeg", "", "https://www.inaturalist.org/photos/2", "iNaturalist", "CC0 4.0"),
    ("8", "StillImage", "image/png", f"{BUCKET}/3/original.png", "", "iNaturalist",
     "http://creativecommons.org/publicdomain/zero/1.0/"),
    ("9", "StillImage", "image/jpeg", f"{BUCKET}/4/original.jpeg", "", "iNaturalist", ""),
    ("10", "StillImage", "image/jpeg", f"{BUCKET}/6/original.jpg", "", "iNaturalist", ""),
    ("8", "Sound", "audio/mpeg", "https://static.inaturalist.org/sounds/5.mp3", "", "iNaturalist", ""),
    ("8", "StillImage", "image/jpeg", "https://museum.example/photos/55/x.jpg", "", "A Museum", ""),
]  # fmt: skip


def field(index, term):
    return f'<field index="{index}" term="{term}"/>' if term else ""


def descriptor(
    delimiter=",", quote="&quot;", names=("observations.csv", "media.csv"), media="Multimedia", constant=""
):
    form = (
        f'encoding="UTF-8" fieldsTerminatedBy="{delimiter}" linesTerminatedBy="\\n" '
        f'fieldsEnclosedBy="{quote}" ignoreHeaderLines="1"'
    )
    core = "".join(field(index, term) for index, term in enumerate(CORE))
    extension = "".join(field(index, term) for index, term in enumerate(MEDIA))
    return (
        '<?xml version="1.0"?><archive xmlns="http://rs.tdwg.org/dwc/text/" metadata="eml.xml">'
        f'<core {form} rowType="{DWC}Occurrence"><files><location>{names[0]}</location></files>'
        f'<id index="0"/>{core}{constant}</core>'
        f'<extension {form} rowType="http://rs.gbif.org/terms/1.0/{media}"><files><location>{names[1]}'
        f'</location></files><coreid index="0"/>{extension}</extension></archive>'
    )


def text(terms, rows, **form):
    """A text whose header says nothing of use."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n", **form)
    writer.writerow([f"column {index}" for index in range(len(terms))])
    writer.writerows(rows)
    return file.getvalue()


def archive(to, *, occurrences=OCCURRENCES, photos=PHOTOS, zipped=True, **described):
    names = described.get("names", ("observations.csv", "media.csv"))
    tab = {"delimiter": "\t", "quoting": csv.QUOTE_NONE, "quotechar": None, "escapechar": "\\"}
    form = tab if described.get("delimiter") == "\\t" else {}
    texts = {
        "meta.xml": descriptor(**described),
        names[0]: text(CORE, occurrences, **form),
        names[1]: text(MEDIA, photos, **form),
    }
    if zipped:
        with zipfile.ZipFile(to, "w") as file:
            for name, content in texts.items():
                file.writestr(name, content)
    else:
        to.mkdir()
        for name, content in texts.items():
            (to / name).write_text(content)
    return to


def rows_of(folder):
    table = open_catalog(folder).select(quality_grade="any").to_arrow()
    return {row["photo_id"]: row for row in table.to_pylist()}


@pytest.mark.parametrize("zipped", [True, False])
def test_the_archive_of_inaturalist_is_read_by_its_descriptor(tmp_path, zipped):
    source = archive(tmp_path / "gbif-observations-dwca.zip", zipped=zipped)
    report = build_catalog(source, tmp_path / "built")
    rows = rows_of(tmp_path / "built")
    assert sorted(rows) == [1, 2, 3, 4, 6]
    first = rows[1]
    assert (first["kingdom"], first["genus"], first["species"]) == ("Animalia", "Turdus", "migratorius")
    assert (first["scientific_name"], first["taxon_id"]) == ("Turdus migratorius", 12727)
    assert (first["life_stage"], first["license"], first["ext"]) == ("adult", "CC-BY-NC", "jpg")
    assert (first["observation_id"], first["observer_name"], str(first["observed_on"])) == (
        7,
        "Ann",
        "2020-05-04",
    )
    assert (first["latitude"], first["longitude"]) == (1.5, 2.5)
    # The page alone names the photo; no licence is `CC0 4.0`.
    assert (rows[2]["ext"], rows[2]["license"], rows[2]["observation_id"]) == ("jpg", None, 7)
    assert report.defects.unknown_values["license"] == {"CC0 4.0": 1}
    assert (rows[3]["species"], rows[3]["license"], rows[3]["ext"]) == ("migratorius", "CC0", "png")
    hybrids = open_catalog(tmp_path / "built").rows("SELECT class_key FROM photos WHERE hybrid ORDER BY 1")
    assert hybrids == [("Animalia|Turdus migratorius × iliacus",), ("Animalia|Turdus × migratorius",)]


def test_other_media_are_listed_by_publisher(tmp_path):
    source = archive(tmp_path / "dwca.zip")
    report = build_catalog(source, tmp_path / "built")
    assert report.defects.losses == {"not_a_photo": 1, "other_host": 1}
    table = (
        pq.read_table(tmp_path / "built" / REJECTED).select(["reason", "rows", "file", "detail"]).to_pylist()
    )
    assert [tuple(row.values()) for row in table] == [
        ("not_a_photo", 1, "dwca.zip!media.csv", "iNaturalist (static.inaturalist.org)"),
        ("other_host", 1, "dwca.zip!media.csv", "A Museum (museum.example)"),
    ]
    with pytest.raises(CatalogError, match=r"other host, such as dwca\.zip!media\.csv: A Museum"):
        build_catalog(source, tmp_path / "strict", strict=True)


def test_tabs_other_names_and_a_constant(tmp_path):
    constant = f'<field term="{DWC}specificEpithet" default="merula"/>'
    source = archive(
        tmp_path / "export",
        occurrences=[
            tuple(value.replace("\n", " ").replace('"', "") for value in row) for row in OCCURRENCES[:1]
        ],
        photos=PHOTOS[:1],
        zipped=False,
        delimiter="\\t",
        quote="",
        names=("a.txt", "b.txt"),
        constant=constant,
    )
    build_catalog(source, tmp_path / "built")
    assert rows_of(tmp_path / "built")[1]["species"] == "merula"


def test_an_archive_of_others_says_whose_photos_it_has(tmp_path):
    source = archive(tmp_path / "observation.zip", photos=PHOTOS[-1:])
    with pytest.raises(CatalogError, match=r"no photo of iNaturalist is in .*A Museum \(museum\.example\)"):
        build_catalog(source, tmp_path / "built")
    assert not (tmp_path / "built").exists()


BROKEN = {
    "no media": (
        lambda xml: xml.replace("1.0/Multimedia", "1.0/Distribution"),
        "has occurrences but no media",
    ),
    "no occurrences": (lambda xml: xml.replace("terms/Occurrence", "terms/Taxon"), "archive of taxon"),
    "a missing text": (
        lambda xml: xml.replace("media.csv", "gone.csv"),
        r"lacks gone\.csv, which its meta\.xml",
    ),
    "entities": (lambda xml: '<!DOCTYPE x [<!ENTITY a "b">]>' + xml, "not the descriptor"),
    "no XML": (lambda xml: xml[:50], "not the descriptor of a Darwin Core archive"),
    "an odd delimiter": (lambda xml: xml.replace('By=","', 'By="||"'), "written in a way that is not read"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_descriptor_is_one_error(tmp_path, what):
    change, message = BROKEN[what]
    source = archive(tmp_path / "dwca", zipped=False)
    (source / "meta.xml").write_text(change(descriptor()))
    with pytest.raises(CatalogError, match=message):
        build_catalog(source, tmp_path / "built")


def test_two_archives_are_one_catalogue(tmp_path):
    one = archive(tmp_path / "one.zip", photos=PHOTOS[:2])
    two = archive(tmp_path / "two.zip", photos=PHOTOS[1:4])
    report = build_catalog([two, one], tmp_path / "built")
    assert sorted(rows_of(tmp_path / "built")) == [1, 2, 3, 4]
    # The photo that both list is told, not lost without a word.
    assert report.defects.exact_duplicates == 1
