"""Input that no catalogue should be made of, or only with care: one clear error, or data taken as data."""

import contextlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arboretum_tools.catalog import open_catalog
from arboretum_tools.catalog.annotate import annotate_catalog
from arboretum_tools.catalog.building.build import build_catalog
from arboretum_tools.catalog.check import check_catalog
from arboretum_tools.errors import CatalogError, TaxonError


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"photo_id": pa.string()}, r"b\.parquet: column photo_id is string, expected int64"),
        ({"photo_id": pa.null()}, r"b\.parquet: column photo_id is null, expected int64"),
        ({"kingdom": pa.int64()}, r"b\.parquet: column kingdom is int64, expected string"),
        ({"license": pa.int64()}, r"b\.parquet: column license is int64, expected string"),
        ({"genus": None}, r"b\.parquet lacks the column genus"),
    ],
    ids=str,
)
def test_a_schema_that_drifts_between_files_is_named(write_catalog, photos, taxa, change, message, tmp_path):
    folder = write_catalog(photos(taxa["robin"], 1, license="CC0"))
    table = pq.read_table(folder / "part-0.parquet")
    for name, kind in change.items():
        workdir = table.schema.get_field_index(name)
        if kind is None:
            table = table.remove_column(workdir)
        else:
            table = table.set_column(workdir, name, pa.nulls(table.num_rows, kind))
    pq.write_table(table, folder / "b.parquet")
    for read in (open_catalog, lambda path: build_catalog(path, tmp_path / "built")):
        with pytest.raises(CatalogError, match=message):
            read(folder)
    assert not (tmp_path / "built").exists()


def test_files_that_differ_in_width_and_order_of_columns_are_read_together(write_catalog, photos, taxa):
    folder = write_catalog(photos(taxa["robin"], 1, license="CC0"))
    table = pq.read_table(folder / "part-0.parquet")
    other = table.select(table.column_names[::-1]).drop_columns("license")
    other = other.set_column(other.schema.get_field_index("photo_id"), "photo_id", pa.array([2], pa.uint16()))
    pq.write_table(other, folder / "b.parquet")
    found = open_catalog(folder).select().to_arrow()
    assert (found["photo_id"].to_pylist(), found["license"].to_pylist()) == ([1, 2], ["CC0", None])


def test_rows_without_names_are_kept_and_counted_in_both_layouts(write_catalog, photos, taxa, tmp_path):
    bare = dict.fromkeys(taxa["robin"])
    source = write_catalog(photos(taxa["robin"], 1) + photos(bare, 2) + photos(bare | {"genus": "Turdus"}, 3))
    build_catalog(source, tmp_path / "built")
    for path in (source, tmp_path / "built"):
        catalog = open_catalog(path)
        assert (len(catalog), catalog.defects.no_class, catalog.num_classes) == (3, 2, 1)
        assert {f.name: f.count for f in check_catalog(catalog).findings}["no_class"] == 2
        assert catalog.select("Turdus").count() == 2


_SQL = st.sampled_from(
    ["'; DROP TABLE taxa; --", '"; --', "?", "$1", "%_*[a]", "a=b/", "' OR '1'='1", "\\", "{0}"]
)
_NAME = st.one_of(
    _SQL, st.text(st.characters(blacklist_categories=("Cs", "Cc", "Z")), min_size=1, max_size=12)
)


@settings(max_examples=4)
@given(genus=_NAME, epithet=_NAME, common=_NAME, file=_SQL)
def test_what_looks_like_sql_is_data_in_names_paths_and_values(
    tmp_path_factory, taxa, genus, epithet, common, file
):
    workdir = tmp_path_factory.mktemp("sql")
    row = taxa["robin"] | {
        "photo_id": 1, "ext": "jpg", "genus": genus, "species": epithet, "common_name": common,
        "scientific_name": f"{genus} {epithet}",
    }  # fmt: skip
    rows = [row, taxa["oak"] | {"photo_id": 2, "ext": "jpg"}]
    folder = workdir / file.replace("/", "_")
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(rows), folder / f"{file.replace('/', '_')}.parquet")
    build_catalog(folder, workdir / f"built {file.replace('/', '_')}")
    built = workdir / f"built {file.replace('/', '_')}"
    stages = workdir / f"{file.replace('/', '_')}.csv"
    stages.write_text("photo_id,life_stage\n1,'; DROP TABLE taxa; --\n2,adult\n")
    report = annotate_catalog(built, stages, source=file)
    assert list(report.unmapped) == ["'; DROP TABLE taxa; --"]
    catalog = open_catalog(built)
    found = {photo["photo_id"]: photo for photo in catalog.select().to_arrow().to_pylist()}
    assert [found[1][name] for name in ("genus", "species", "common_name")] == [genus, epithet, common]
    assert found[2]["life_stage_source"] == file
    for name in (common, f"genus:{genus}", genus, epithet):
        with contextlib.suppress(TaxonError, ValueError):
            assert catalog.select([name]).count() <= 2
    assert check_catalog(catalog).sound
