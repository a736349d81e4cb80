"""Annotating: what the table says, by the rules that the module states."""

import csv

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arboretum_tools.catalog import open_catalog
from arboretum_tools.catalog.annotate import annotate_catalog
from arboretum_tools.catalog.building.build import build_catalog
from arboretum_tools.catalog.check import check_catalog
from arboretum_tools.errors import BadInputError, CatalogError, UsageError


@pytest.fixture
def built(tmp_path, write_catalog, photos, taxa):
    """Six robins, of which two are adult; photos 1 to 3 are of one observation."""
    rows = photos(taxa["robin"], 1, 2, 3, observation_id=70) + photos(
        taxa["robin"], 4, 5, 6, observation_id=71
    )
    for row in rows[3:5]:
        row["life_stage"] = "adult"
    build_catalog(write_catalog(rows), tmp_path / "built", bucket_photos=1)
    return tmp_path / "built"


def write(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def stages(folder):
    table = open_catalog(folder).select().to_arrow()
    columns = (table[name].to_pylist() for name in ("photo_id", "life_stage", "life_stage_source"))
    return list(zip(*columns, strict=True))


def test_values_are_mapped_filled_and_named_by_their_source(tmp_path, built):
    message = [(1, " Larva "), (2, "Sapling"), (3, ""), (4, "adult"), (5, "egg"), (6, "pupa"), (99, "egg")]
    table = write(tmp_path / "stages.csv", [{"photo_id": p, "life_stage": s} for p, s in message])
    report = annotate_catalog(built, table)
    assert stages(built) == [
        (1, "larva", "stages.csv"),
        (2, None, None),
        (3, None, None),
        (4, "adult", None),
        (5, "adult", None),
        (6, "pupa", "stages.csv"),
    ]
    assert (report.rows, report.matched, report.filled, report.changed, report.kept) == (7, 4, 2, 0, 1)
    assert report.unmapped == {"Sapling": 1}
    assert (report.known_before, report.known) == (2, 4)
    catalog = open_catalog(built)
    assert check_catalog(catalog).sound
    assert catalog.meta["coverage"]["life_stage"] == {"published metadata": 2, "stages.csv": 2}
    assert catalog.select(life_stage="larva").count() == 1
    assert catalog.select(life_stage_unknown="only").count() == 2


def test_coverage_says_who_gave_what_after_several_tables(tmp_path, built):
    first = write(tmp_path / "first.csv", [{"photo_id": 1, "life_stage": "larva"}])
    second = write(tmp_path / "second.csv", [{"photo_id": p, "life_stage": "egg"} for p in (1, 2)])
    for table in (first, second, first):
        annotate_catalog(built, table)
    coverage = open_catalog(built).meta["coverage"]["life_stage"]
    assert coverage == {"published metadata": 2, "first.csv": 1, "second.csv": 1}
    annotate_catalog(built, second, overwrite=True)
    assert open_catalog(built).meta["coverage"]["life_stage"] == {"before": 2, "second.csv": 2}


def test_overwrite_lets_the_table_win(tmp_path, built):
    table = write(tmp_path / "s.csv", [{"photo_id": p, "life_stage": "egg"} for p in (4, 6)])
    report = annotate_catalog(built, table, overwrite=True, source="Ann's notes; DROP TABLE x --")
    assert (report.filled, report.changed, report.kept) == (1, 1, 0)
    assert stages(built)[3] == (4, "egg", "Ann's notes; DROP TABLE x --")


def test_rows_that_do_not_agree(tmp_path, built):
    rows = [(1, "egg"), (1, "egg"), (1, "larva"), (2, "egg"), (2, "larva"), (3, "egg"), (3, "no idea")]
    table = write(tmp_path / "s.csv", [{"photo_id": p, "life_stage": s} for p, s in rows])
    report = annotate_catalog(built, table)
    assert [stage for _, stage, _ in stages(built)][:3] == ["egg", None, "egg"]
    assert report.undecided == 1


def test_an_observation_stands_for_its_photos(tmp_path, built):
    pq.write_table(
        pa.table({"observation_id": [70, 71], "iucn": ["vu", "LC"], "other": [1, 2]}),
        tmp_path / "iucn.parquet",
    )
    report = annotate_catalog(built, tmp_path / "iucn.parquet", "iucn")
    assert (report.key, report.filled) == ("observation_id", 6)
    assert open_catalog(built).select(iucn="VU").count() == 3
    before = open_catalog(built).fingerprint
    annotate_catalog(built, tmp_path / "iucn.parquet", "iucn")
    assert open_catalog(built).fingerprint == before


def test_what_cannot_be_annotated_is_one_error(tmp_path, built, write_catalog, photos, taxa):
    table = write(tmp_path / "s.csv", [{"photo": 1, "life_stage": "egg"}])
    with pytest.raises(BadInputError, match="photo_id or observation_id"):
        annotate_catalog(built, table)
    with pytest.raises(UsageError, match="unknown column"):
        annotate_catalog(built, table, "latitude")
    with pytest.raises(BadInputError, match="there is no table"):
        annotate_catalog(built, tmp_path / "none.csv")
    (tmp_path / "x.parquet").write_bytes(b"no")
    with pytest.raises(BadInputError, match="neither a whole Parquet"):
        annotate_catalog(built, tmp_path / "x.parquet")
    with pytest.raises(CatalogError, match="not a built catalogue"):
        annotate_catalog(write_catalog(photos(taxa["robin"], 1), name="raw"), table)
    assert stages(built)[0] == (1, None, None)
