"""Rows that are left out: counted, listed with the reason, the same for both layouts; refused if strict."""

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from arboretum_metadata.sample import catalog_path
from arboretum_tools.catalog import open_catalog
from arboretum_tools.catalog.annotate import annotate_catalog
from arboretum_tools.catalog.building.build import build_catalog
from arboretum_tools.catalog.check import check_catalog, write_rejected
from arboretum_tools.catalog.layouts.built_files import REJECTED
from arboretum_tools.errors import CatalogError


@pytest.fixture
def source(write_catalog, photos, taxa):
    robin, oak = taxa["robin"], taxa["oak"]
    rows = [
        *photos(robin, 1, 2, 3, observation_id=5),
        *photos(robin, 1, 1, observation_id=5),
        *photos(robin, 2, 2, observation_id=4),
        *photos(robin, 10, observation_id=1),
        *photos(oak, 10, 10, observation_id=1),
        *photos(robin, 0, -7, -7, None, observation_id=1),
        *photos(oak, 20, ext="tiff", observation_id=1),
    ]
    return write_catalog(rows, files=2)


ROBIN, OAK = "Animalia|Turdus migratorius", "Plantae|Quercus alba"
NOWHERE = (None, None, None)  # these reasons are told by photo
EXPECTED = [
    ("bad_extension", 20, None, "Quercus alba", 1, *NOWHERE),
    ("bad_photo_id", -7, None, "Turdus migratorius", 2, *NOWHERE),
    ("bad_photo_id", 0, None, "Turdus migratorius", 1, *NOWHERE),
    ("bad_photo_id", None, None, "Turdus migratorius", 1, *NOWHERE),
    ("conflicting_photos", 10, ROBIN, "Turdus migratorius", 1, *NOWHERE),
    ("conflicting_photos", 10, OAK, "Quercus alba", 1, *NOWHERE),
    ("exact_duplicates", 1, ROBIN, "Turdus migratorius", 2, *NOWHERE),
    ("exact_duplicates", 2, ROBIN, "Turdus migratorius", 1, *NOWHERE),
    ("exact_duplicates", 10, OAK, "Quercus alba", 1, *NOWHERE),
    ("repeated_photo_id", 2, ROBIN, "Turdus migratorius", 1, *NOWHERE),
]


def listed(file):
    return [tuple(row.values()) for row in pq.read_table(file).to_pylist()]


def test_each_row_that_is_left_out_is_listed_with_its_reason(source, tmp_path):
    built = tmp_path / "built"
    build_catalog(source, built)
    assert listed(built / REJECTED) == EXPECTED
    for path in (source, built):
        assert write_rejected(open_catalog(path), tmp_path / "list.parquet", overwrite=True) == len(EXPECTED)
        assert listed(tmp_path / "list.parquet") == EXPECTED
    catalog = open_catalog(built)
    assert sum(row[4] for row in EXPECTED) == catalog.defects.rows - len(catalog)


def test_check_names_the_same_photos_of_both_layouts(source, tmp_path):
    build_catalog(source, tmp_path / "built")
    raw, built = (check_catalog(open_catalog(path)) for path in (source, tmp_path / "built"))
    assert built.findings == raw.findings
    assert {f.name: f.examples for f in raw.findings} == {
        "exact_duplicates": ("1", "2", "10"),
        "repeated_photo_id": ("2",),
        "conflicting_photos": ("10",),
        "bad_photo_id": ("-7", "0", "(no number)"),
        "bad_extension": ("20",),
    }


def test_a_list_that_is_not_of_this_build_is_found(source, tmp_path):
    build_catalog(source, tmp_path / "built")
    file = tmp_path / "built" / REJECTED
    table = pq.read_table(file)
    pq.write_table(table.slice(1), file)
    assert [f.name for f in check_catalog(open_catalog(tmp_path / "built")).findings if f.fatal] == [
        "wrong_rejected"
    ]


def test_a_catalogue_without_defects_has_no_list_and_an_annotation_keeps_one(
    source, tmp_path, write_catalog, photos, taxa
):
    build_catalog(write_catalog(photos(taxa["robin"], 1, 2), name="clean"), tmp_path / "clean-built")
    assert not (tmp_path / "clean-built" / REJECTED).exists()
    assert check_catalog(open_catalog(tmp_path / "clean-built")).findings == ()
    build_catalog(source, tmp_path / "built")
    (tmp_path / "stages.csv").write_text("photo_id,life_stage\n1,adult\n")
    annotate_catalog(tmp_path / "built", tmp_path / "stages.csv")
    assert listed(tmp_path / "built" / REJECTED) == EXPECTED


def test_strict_refuses_and_names_file_and_row_of_each_kind(source, tmp_path):
    build_catalog(catalog_path(), tmp_path / "built")
    with pytest.raises(CatalogError) as caught:
        build_catalog(source, tmp_path / "built", strict=True)
    message = str(caught.value)
    assert "4 exact duplicates; 1 repeated photo id; 2 conflicting photos; 4 bad photo id" in message
    # The fixture deals its rows to two files in turn; of several rows the first file's is named.
    assert "bad extension, such as photo 20:" in message
    assert "part-0.parquet, row 8" in message.split("photo 20:")[1]
    assert "part-0.parquet, row 7" in message.split("photo -7:")[1]
    assert len(open_catalog(tmp_path / "built")) == 4008


def test_rows_of_csv_are_named_by_the_text(source, tmp_path, write_catalog, photos, taxa):
    rows = photos(taxa["robin"], *range(1, 200_000))
    rows[123_455]["photo_id"] = -1
    folder = tmp_path / "csv"
    folder.mkdir()
    pacsv.write_csv(pa.Table.from_pylist(rows), folder / "long.csv")
    with pytest.raises(CatalogError, match=r"long\.csv, row 123,456"):
        build_catalog(folder, tmp_path / "built", strict=True)


def test_ids_are_whole_numbers_or_listed_as_bad(write_catalog, photos, taxa, tmp_path):
    row = {key: value for key, value in photos(taxa["robin"], 1)[0].items() if value is not None}
    ids = ("12345.0", "12345.6", "1.23457E+08", "7")
    lines = [",".join(row), *(",".join({**row, "photo_id": text}.values()) for text in ids)]
    (tmp_path / "ids.csv").write_text("\n".join(lines) + "\n")
    build_catalog(tmp_path / "ids.csv", tmp_path / "built")
    floats = write_catalog(
        [{**row, "photo_id": value} for value in (12345.0, 12345.6, 2.0**60, 7.0)], photo_id=pa.float64()
    )
    for path in (tmp_path / "built", floats):
        catalog = open_catalog(path)
        assert catalog.rows("SELECT photo_id FROM photos ORDER BY 1") == [(7,), (12345,)]
        assert catalog.rows("SELECT sum(rows)::INT FROM rejected WHERE reason = 'bad_photo_id'") == [(2,)]
