"""Sources: iNaturalist Open Data and GBIF, alone and joined, as files, archives, and damaged ones."""

import gzip
import io
import tarfile
import zipfile

import pytest

from arboretum_tools.catalog import open_catalog
from arboretum_tools.catalog.building.build import build_catalog
from arboretum_tools.catalog.sources import containers
from arboretum_tools.errors import ArboretumError, CatalogError, UsageError

UUIDS = [f"{n:08x}-1111-4222-8333-444444444444" for n in (1, 2, 0xFFFFFFFF)]
NUMBERS = [int(uuid.replace("-", "")[:16], 16) & (2**63 - 1) for uuid in UUIDS]

TAXA = [
    ("1", "48460", "kingdom", "Animalia", "true"),
    ("2", "48460/1", "phylum", "Chordata", "true"),
    ("3", "48460/1/2", "class", "Aves", "true"),
    ("7251", "48460/1/2/3", "order", "Passeriformes", "true"),
    ("15", "48460\\1\\2\\3\\7251", "family", "Turdidae", "true"),
    ("16", "48460/1/2/3/7251/15", "genus", "Turdus", "true"),
    ("17", "48460/1/2/3/7251/15/16", "species", "Turdus migratorius", "true"),
    ("18", "48460/1/2/3/7251/15/16/17", "subspecies", "Turdus migratorius achrusterus", "true"),
    ("19", "48460/1/2/3/7251/15/16", "species", "Turdus iliacus", "false"),
]
PHOTOS = [
    ("p1", "1", UUIDS[0], "5", "jpg", "CC-BY", "2048", "1536", "0"),
    ("p2", "2", UUIDS[0], "5", "JPG", "CC0", "1024", "768", "1"),
    ("p3", "3", UUIDS[1], "6", "png", "", "", "", "0"),
    ("p3", "3", UUIDS[1], "6", "png", "", "", "", "0"),
    ("p4", "4", UUIDS[2], "7", "jpeg", "CC-BY-NC", "10", "20", "0"),
]
OBSERVATIONS = [
    (UUIDS[0], "5", "1.5", "2.5", "10", "17", "research", "2020-05-04"),
    (UUIDS[1], "6", "", "", "", "18", "needs_id", ""),
    (UUIDS[2], "7", "-3.25", "180", "", "19", "casual", "1999-12-31"),
]
OBSERVERS = [("5", "ann", 'Ann "the owl"'), ("6", "bob", ""), ("7", "cy", "Cy")]
OPEN_DATA = {
    "photos.csv": (
        ("photo_uuid", "photo_id", "observation_uuid", "observer_id", "extension", "license", "width",
         "height",
         "position"), PHOTOS,
    ),
    "observations.csv": (
        ("observation_uuid", "observer_id", "latitude", "longitude", "positional_accuracy", "taxon_id",
         "quality_grade", "observed_on"), OBSERVATIONS,
    ),
    "taxa.csv": (("taxon_id", "ancestry", "rank", "name", "active"), TAXA),
    "observers.csv": (("observer_id", "login", "name"), OBSERVERS),
}  # fmt: skip
OCCURRENCES = [
    ("g1", "100", "Adult", "VU", "Animalia", "Chordata", "Aves", "Passeriformes", "Turdidae", "Turdus",
     "migratorius", "Turdus migratorius", "9.0", "8.0", "2020-05-04T10:00:00", "Ann"),
    ("g2", "101", "Spring", "", "Animalia", "Chordata", "Aves", "Passeriformes", "Turdidae", "Turdus",
     "iliacus", "Turdus iliacus", "", "", "", ""),
]  # fmt: skip
MEDIA = [
    ("g1", "https://inaturalist-open-data.s3.amazonaws.com/photos/1/original.jpg",
     "http://creativecommons.org/licenses/by-nc/4.0/"),
    ("g1", "https://inaturalist-open-data.s3.amazonaws.com/photos/3/original.png",
     "http://creativecommons.org/publicdomain/zero/1.0/"),
    ("g2", "https://static.inaturalist.org/photos/4/original.jpeg?1", ""),
]  # fmt: skip
GBIF = {
    "occurrence.txt": (
        ("gbifID", "catalogNumber", "lifeStage", "iucnRedListCategory", "kingdom", "phylum", "class", "order",
         "family", "genus", "specificEpithet", "species", "decimalLatitude", "decimalLongitude", "eventDate",
         "recordedBy"), OCCURRENCES,
    ),
    "multimedia.txt": (("gbifID", "identifier", "license"), MEDIA),
}  # fmt: skip


def text(table):
    header, rows = table
    return "".join("\t".join(row) + "\n" for row in [header, *rows]).encode()


def folder_of(path, tables, *, packed=False):
    path.mkdir()
    for name, table in tables.items():
        file = path / (f"{name}.gz" if packed else name)
        file.write_bytes(gzip.compress(text(table)) if packed else text(table))
    return path


def tar_of(path, tables):
    with tarfile.open(path, "w:gz") as archive:
        for name, table in tables.items():
            data = gzip.compress(text(table))
            entry = tarfile.TarInfo(f"inaturalist-open-data-20261122/{name}.gz")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def zip_of(path, tables):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, table in tables.items():
            archive.writestr(name, text(table))
    return path


def rows_of(folder):
    table = open_catalog(folder).select(quality_grade="any").to_arrow()
    return {row["photo_id"]: row for row in table.to_pylist()}


@pytest.mark.parametrize("form", ["folder", "packed", "tar"])
def test_open_data_alone(tmp_path, form):
    if form == "tar":
        source = tar_of(tmp_path / "dump.tar.gz", OPEN_DATA)
    else:
        source = folder_of(tmp_path / "dump", OPEN_DATA, packed=form == "packed")
    report = build_catalog(source, tmp_path / "built")
    assert report.defects.exact_duplicates == 1
    assert "no longer active" in report.notes[0]
    rows = rows_of(tmp_path / "built")
    assert sorted(rows) == [1, 2, 3, 4]
    assert (rows[1]["kingdom"], rows[1]["family"], rows[1]["species"]) == (
        "Animalia",
        "Turdidae",
        "migratorius",
    )
    assert rows[1]["observer_name"] == 'Ann "the owl"'
    assert rows[3]["observer_name"] == "bob"
    assert (rows[2]["ext"], rows[2]["license"], rows[2]["position"]) == ("JPG", "CC0", 1)
    assert [rows[n]["observation_id"] for n in (1, 3, 4)] == NUMBERS
    assert (rows[3]["scientific_name"], rows[3]["species"]) == (
        "Turdus migratorius achrusterus",
        "migratorius",
    )
    assert (rows[4]["longitude"], str(rows[4]["observed_on"])) == (180.0, "1999-12-31")
    assert open_catalog(tmp_path / "built").select("Turdus").count() == 2
    assert open_catalog(tmp_path / "built").select("Turdus", quality_grade="needs_id").count() == 1


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_gbif_alone(tmp_path, form):
    source = zip_of(tmp_path / "g.zip", GBIF) if form == "zip" else folder_of(tmp_path / "g", GBIF)
    report = build_catalog(source, tmp_path / "built")
    assert "'Spring' (1)" in report.notes[0]
    rows = rows_of(tmp_path / "built")
    assert (rows[1]["life_stage"], rows[1]["iucn"], rows[1]["license"]) == ("adult", "VU", "CC-BY-NC")
    assert (rows[3]["ext"], rows[3]["license"], rows[3]["observation_id"]) == ("png", "CC0", 100)
    assert (rows[4]["life_stage"], rows[4]["license"]) == (None, None)
    assert rows[4]["scientific_name"] == "Turdus iliacus"


@pytest.fixture
def joined(tmp_path, write_catalog, photos, taxa):
    published = write_catalog(photos(taxa["robin"], 1, 2, 3, 9) + photos(taxa["oak"], 50))
    report = build_catalog(
        [zip_of(tmp_path / "g.zip", GBIF), published, folder_of(tmp_path / "dump", OPEN_DATA)],
        tmp_path / "built",
        bucket_photos=2,
    )
    return report, rows_of(tmp_path / "built")


def test_published_rows_gain_what_the_others_know(joined):
    report, rows = joined
    assert sorted(rows) == [1, 2, 3, 9, 50]
    # From Open Data where it has a value, else from GBIF.
    assert (rows[1]["license"], rows[3]["license"], rows[9]["license"]) == ("CC-BY", "CC0", None)
    assert (rows[1]["latitude"], rows[1]["longitude"]) == (1.5, 2.5)
    assert (rows[3]["latitude"], rows[3]["longitude"]) == (9.0, 8.0)
    assert (rows[1]["life_stage"], rows[1]["life_stage_source"]) == ("adult", "GBIF")
    assert (rows[1]["iucn"], rows[1]["observer_name"]) == ("VU", 'Ann "the owl"')
    assert rows[3]["common_name"] == "American Robin"
    assert report.coverage["license"] == {"iNaturalist Open Data": 2, "GBIF": 1}
    assert report.coverage["latitude"] == {"iNaturalist Open Data": 2, "GBIF": 1}
    assert report.coverage["life_stage"] == {"GBIF": 2}


def test_observation_ids_come_from_one_source(joined):
    report, rows = joined
    assert [rows[n]["observation_id"] for n in (1, 2, 3, 9)] == [NUMBERS[0], NUMBERS[0], NUMBERS[1], None]
    assert set(report.coverage["observation_id"]) == {"iNaturalist Open Data"}


def test_a_joined_catalogue_is_filtered_by_what_it_gained(joined, tmp_path):
    catalog = open_catalog(tmp_path / "built")
    assert catalog.select(iucn="vu", quality_grade="any").count() == 2
    assert catalog.select(quality_grade="needs_id", life_stage="adult").count() == 1
    assert catalog.meta["sources"][0]["kind"] == "published metadata"


def test_joined_sources_give_the_same_files_in_any_order(tmp_path, write_catalog, photos, taxa):
    published = write_catalog(photos(taxa["robin"], 1, 2, 3, 3, 9) + photos(taxa["oak"], 50), files=3)
    dump, gbif = tar_of(tmp_path / "dump.tar.gz", OPEN_DATA), zip_of(tmp_path / "g.zip", GBIF)
    build_catalog([published, dump, gbif], tmp_path / "one", bucket_photos=2)
    files = sorted(published.iterdir(), reverse=True)
    build_catalog([gbif, files[0], dump, *files[1:]], tmp_path / "two", bucket_photos=2, threads=1)
    names = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.parquet")]
    assert len(names) == 6
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_full_uuids_are_kept_on_demand(tmp_path, write_catalog, photos, taxa):
    dump = folder_of(tmp_path / "dump", OPEN_DATA)
    build_catalog(dump, tmp_path / "without")
    assert not open_catalog(tmp_path / "without").has("observation_uuid")
    report = build_catalog(dump, tmp_path / "alone", observation_uuid=True)
    rows = rows_of(tmp_path / "alone")
    assert [rows[n]["observation_uuid"] for n in (1, 2, 3, 4)] == [UUIDS[0], UUIDS[0], UUIDS[1], UUIDS[2]]
    assert [rows[n]["observation_id"] for n in (1, 3, 4)] == NUMBERS
    assert report.coverage["observation_uuid"] == {"iNaturalist Open Data": 4}
    published = write_catalog(photos(taxa["robin"], 1, 9))
    build_catalog([published, dump], tmp_path / "joined", observation_uuid=True)
    rows = rows_of(tmp_path / "joined")
    assert [rows[n]["observation_uuid"] for n in (1, 9)] == [UUIDS[0], None]
    with pytest.raises(UsageError, match="no source has the column observation_uuid"):
        build_catalog(published, tmp_path / "none", observation_uuid=True)


DAMAGE = {
    "no column": (
        "taxa.csv",
        lambda data: data.replace(b"ancestry", b"parents"),
        "lacks the column ancestry",
    ),
    "not UTF-8": ("observers.csv", lambda data: data.replace(b"Cy", b"\xff\xfe"), "damaged"),
    "empty": ("observations.csv", lambda data: b"", "is empty"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_text_is_one_error_with_its_place(tmp_path, what):
    name, damage, message = DAMAGE[what]
    source = folder_of(tmp_path / "dump", OPEN_DATA)
    (source / name).write_bytes(damage((source / name).read_bytes()))
    with pytest.raises(CatalogError, match=message) as caught:
        build_catalog(source, tmp_path / "built")
    assert name in str(caught.value)
    assert not (tmp_path / "built").exists()


def test_a_truncated_gzip_is_one_error(tmp_path):
    source = folder_of(tmp_path / "dump", OPEN_DATA, packed=True)
    data = (source / "photos.csv.gz").read_bytes()
    (source / "photos.csv.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(CatalogError, match=r"photos\.csv\.gz is damaged or not whole"):
        build_catalog(source, tmp_path / "built")


def test_a_zip_bomb_and_a_way_out_of_an_archive_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, "RATIO_FROM_BYTES", 1_000_000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("occurrence.txt", text(GBIF["occurrence.txt"]))
        archive.writestr("multimedia.txt", text(GBIF["multimedia.txt"]) + b"g9\t\t\n" * 500_000)
    with pytest.raises(CatalogError, match="unpacks to more than"):
        build_catalog(tmp_path / "bomb.zip", tmp_path / "built")
    with zipfile.ZipFile(tmp_path / "way.zip", "w") as archive:
        archive.writestr("../../occurrence.txt", b"x")
    with pytest.raises(CatalogError, match="leads out of it"):
        build_catalog(tmp_path / "way.zip", tmp_path / "built")


def test_a_gzip_bomb_and_a_way_out_of_a_tar_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, "RATIO_FROM_BYTES", 1_000_000)
    source = folder_of(tmp_path / "dump", OPEN_DATA, packed=True)
    (source / "observers.csv.gz").write_bytes(
        gzip.compress(text(OPEN_DATA["observers.csv"]) + b"9\t\t\n" * 900_000)
    )
    with pytest.raises(CatalogError, match=r"observers\.csv\.gz unpacks to more than"):
        build_catalog(source, tmp_path / "built")
    with tarfile.open(tmp_path / "way.tar", "w") as archive:
        entry = tarfile.TarInfo("../photos.csv")
        entry.size = 1
        archive.addfile(entry, io.BytesIO(b"x"))
    with pytest.raises(CatalogError, match="leads out of it"):
        build_catalog(tmp_path / "way.tar", tmp_path / "built")
    assert not (tmp_path.parent / "photos.csv").exists()


def test_a_long_name_and_a_bad_photo_of_open_data_are_named_by_source_and_photo(tmp_path):
    long = [(*row[:3], "x" * 10_000, row[4]) if row[0] == "19" else row for row in TAXA]
    tables = OPEN_DATA | {"taxa.csv": (OPEN_DATA["taxa.csv"][0], long)}
    source = folder_of(tmp_path / "dump", tables)
    with pytest.raises(CatalogError, match=r"10,000 characters .*dump, photo 4"):
        build_catalog(source, tmp_path / "built")
    bad = [(*row[:4], "tiff", *row[5:]) if row[1] == "2" else row for row in PHOTOS]
    source = folder_of(tmp_path / "other", OPEN_DATA | {"photos.csv": (OPEN_DATA["photos.csv"][0], bad)})
    with pytest.raises(CatalogError, match=r"bad extension, such as photo 2: \S*other, photo 2"):
        build_catalog(source, tmp_path / "built", strict=True)


def test_sources_that_are_not_there_or_incomplete(tmp_path):
    with pytest.raises(CatalogError, match="is not there"):
        build_catalog(tmp_path / "nowhere", tmp_path / "built")
    partial = {name: table for name, table in OPEN_DATA.items() if name != "taxa.csv"}
    with pytest.raises(CatalogError, match=r"lacks taxa\.csv"):
        build_catalog(folder_of(tmp_path / "dump", partial), tmp_path / "built")
    with pytest.raises(ArboretumError):
        build_catalog([], tmp_path / "built")


def test_ids_of_gbif_come_from_hosts_of_inaturalist_alone(tmp_path):
    header, rows = GBIF["multimedia.txt"]
    media = [
        *rows,
        ("g1", "https://observation.example/photos/55/large.jpg", ""),
        ("g1", "https://example.org/?u=https://static.inaturalist.org/photos/56/large.jpg", ""),
        ("g1", "s3://inaturalist-open-data/photos/57/original.jpg", ""),
        ("g1", "https://s3.amazonaws.com/inaturalist-open-data/photos/58/original.jpg?9", ""),
    ]
    for name, table in {**GBIF, "multimedia.txt": (header, media)}.items():
        (tmp_path / name).write_bytes(text(table))
    build_catalog(tmp_path, tmp_path.parent / "built-hosts")
    found = open_catalog(tmp_path.parent / "built-hosts").rows("SELECT photo_id FROM photos ORDER BY 1")
    assert [photo_id for (photo_id,) in found] == [1, 3, 4, 57, 58]


def test_hybrids_of_open_data_are_taxa_of_their_own(tmp_path):
    above = "48460/1/2/3/7251/15/16"
    taxa = [
        *TAXA,
        ("30", above, "species", "Turdus rubripes", "true"),
        ("31", above, "hybrid", "Turdus migratorius × Turdus rubripes", "true"),
        ("32", above, "hybrid", "Turdus hispanicus", "true"),
        ("33", f"{above}/31", "infrahybrid", "Turdus migratorius X rubripes", "true"),
        ("34", above, "species", "Turdus hispanicus", "true"),
    ]
    taxon_of = {101: "30", 102: "31", 103: "32", 104: "33", 105: "34"}
    uuid = {photo: f"{photo:08x}-1111-4222-8333-444444444444" for photo in taxon_of}
    rows = {
        "photos.csv": [("p", str(n), uuid[n], "5", "jpg", "CC0", "1", "1", "0") for n in taxon_of],
        "observations.csv": [
            (uuid[n], "5", "", "", "", taxon, "research", "") for n, taxon in taxon_of.items()
        ],
        "taxa.csv": taxa,
        "observers.csv": OBSERVERS,
    }
    folder = tmp_path / "source"
    folder.mkdir()
    for name, (header, _) in OPEN_DATA.items():
        (folder / name).write_bytes(text((header, rows[name])))
    build_catalog(folder, tmp_path / "built")
    catalog = open_catalog(tmp_path / "built")
    assert catalog.rows("SELECT photo_id, class_key, hybrid FROM photos ORDER BY 1") == [
        (101, "Animalia|Turdus rubripes", False),
        (102, "Animalia|Turdus migratorius × Turdus rubripes", True),
        (103, "Animalia|Turdus × hispanicus", True),
        (104, "Animalia|Turdus migratorius × rubripes", True),
        (105, "Animalia|Turdus hispanicus", False),
    ]
    assert catalog.select("Turdus rubripes").count() == 1


def test_several_dumps_of_open_data_are_one_catalogue(tmp_path, write_catalog, photos, taxa):
    header, rows = OPEN_DATA["photos.csv"]
    more = ("p9", "9", UUIDS[2], "7", "jpg", "CC0", "1", "1", "1")
    first = folder_of(tmp_path / "a", OPEN_DATA | {"photos.csv": (header, rows[:2])})
    second = tar_of(tmp_path / "b", OPEN_DATA | {"photos.csv": (header, [*rows[1:3], more])})
    report = build_catalog([first, second], tmp_path / "one", strict=False)
    assert sorted(rows_of(tmp_path / "one")) == [1, 2, 3, 9]
    assert report.defects.exact_duplicates == 1
    assert build_catalog([second, first], tmp_path / "two").fingerprint == report.fingerprint
    published = write_catalog(photos(taxa["robin"], 1, 9))
    build_catalog([second, published, first], tmp_path / "joined")
    assert [row["license"] for row in rows_of(tmp_path / "joined").values()] == ["CC-BY", "CC0"]


def test_several_archives_of_gbif_are_one_catalogue(tmp_path):
    header, rows = GBIF["multimedia.txt"]
    more = ("g2", "https://inaturalist-open-data.s3.amazonaws.com/photos/9/original.jpg", "")
    first = zip_of(tmp_path / "a.zip", GBIF | {"multimedia.txt": (header, rows[:2])})
    second = zip_of(tmp_path / "b.zip", GBIF | {"multimedia.txt": (header, [*rows[1:], more])})
    one = build_catalog([first, second], tmp_path / "one")
    two = build_catalog([second, first], tmp_path / "two")
    assert sorted(rows_of(tmp_path / "one")) == [1, 3, 4, 9]
    assert one.fingerprint == two.fingerprint
