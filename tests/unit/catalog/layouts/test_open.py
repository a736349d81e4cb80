"""What is a catalogue, and what one error says where it is none."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arboretum_tools.catalog import open_catalog
from arboretum_tools.catalog.building.build import build_catalog
from arboretum_tools.errors import CatalogError
from arboretum_tools.split.make import make_split


def test_no_catalogue_says_how_to_name_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CatalogError, match="no catalogue at catalog") as caught:
        open_catalog()
    assert "--catalog" in caught.value.hint


def test_the_environment_names_the_default(write_catalog, photos, taxa, monkeypatch):
    folder = write_catalog(photos(taxa["robin"], 1, 2))
    monkeypatch.setenv("ARBORETUM_CATALOG", str(folder))
    assert len(open_catalog()) == 2


def test_an_empty_folder_and_an_empty_table_are_empty_catalogues(tmp_path, write_catalog, photos, taxa):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(CatalogError, match="empty"):
        open_catalog(tmp_path / "nothing")
    folder = write_catalog(photos(taxa["robin"], 1))
    file = folder / "part-0.parquet"
    pq.write_table(pq.read_table(file).slice(0, 0), file)
    with pytest.raises(CatalogError, match="no rows"):
        open_catalog(folder)


def test_missing_columns_are_all_named(write_catalog, photos, taxa):
    rows = [{k: v for k, v in row.items() if k not in ("genus", "ext")} for row in photos(taxa["robin"], 1)]
    with pytest.raises(CatalogError, match=r"part-0.parquet lacks the columns genus, photo_url or ext"):
        open_catalog(write_catalog(rows))


def test_a_column_of_another_type_is_named_with_both_types(write_catalog, photos, taxa):
    rows = [row | {"photo_id": str(row["photo_id"])} for row in photos(taxa["robin"], 1)]
    with pytest.raises(CatalogError, match="photo_id is string, expected int64"):
        open_catalog(write_catalog(rows, photo_id=pa.string()))


def test_a_file_that_is_no_parquet_is_named(write_catalog, photos, taxa):
    folder = write_catalog(photos(taxa["robin"], 1))
    (folder / "x.parquet").write_bytes(b"PAR1 but not really PAR1")
    with pytest.raises(CatalogError, match=r"x.parquet is not a whole Parquet file"):
        open_catalog(folder)


def test_a_truncated_file_is_named(write_catalog, photos, taxa):
    file = write_catalog(photos(taxa["robin"], *range(1, 500))) / "part-0.parquet"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CatalogError, match=r"part-0.parquet is not a whole Parquet file"):
        open_catalog(file)


def test_damage_inside_a_file_is_one_error_at_the_first_question(write_catalog, photos, taxa):
    file = write_catalog(photos(taxa["robin"], *range(1, 2000))) / "part-0.parquet"
    data = bytearray(file.read_bytes())
    data[4:200] = b"\xff" * 196
    file.write_bytes(bytes(data))
    catalog = open_catalog(file)
    with pytest.raises(CatalogError, match="cannot be read") as caught:
        len(catalog)
    assert "damaged" in caught.value.hint


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("photo_id\n1\n")
    with pytest.raises(CatalogError, match="not a whole Parquet file"):
        open_catalog(tmp_path / "a.csv")


def test_names_that_look_like_patterns_or_sql_are_just_names(tmp_path, write_catalog, photos, taxa):
    folder = write_catalog(photos(taxa["robin"], 1, 2))
    for name in ("year=2024", "[ab]*?", "it's; DROP TABLE photos --"):
        (folder / name).mkdir()
        pq.write_table(pa.Table.from_pylist(photos(taxa["oak"], 10 + len(name))), folder / name / "x.parquet")
    catalog = open_catalog(folder)
    assert len(catalog) == 5
    assert catalog.select("Quercus alba").count() == 3


def test_a_link_to_a_file_is_followed_wherever_it_leads(tmp_path, write_catalog, photos, taxa):
    outside = write_catalog(photos(taxa["oak"], 9), name="outside")
    folder = write_catalog(photos(taxa["robin"], 1))
    (folder / "link.parquet").symlink_to(outside / "part-0.parquet")
    assert len(open_catalog(folder)) == 2


@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "link to a folder", "link to nothing"])
def test_what_is_no_file_is_named_and_not_waited_for(tmp_path, write_catalog, photos, taxa, kind):
    folder = write_catalog(photos(taxa["robin"], 1))
    if kind == "link to a folder":
        (tmp_path / "other").mkdir()
    elif kind != "link to nothing":
        os.mkfifo(folder / "x.parquet" if kind == "pipe" else tmp_path / "other")
    if kind != "pipe":
        (folder / "x.parquet").symlink_to(tmp_path / "other")
    message = "not a regular file" if kind == "pipe" else "a link that leads to no file"
    for path in (folder, folder / "x.parquet") if kind.endswith("pipe") else (folder,):
        with pytest.raises(CatalogError, match=f"x.parquet is {message}"):
            open_catalog(path)


def test_what_systems_leave_beside_files_is_passed_over(write_catalog, photos, taxa):
    folder = write_catalog(photos(taxa["robin"], 1))
    for name in ("._part-0.parquet", ".DS_Store", "Thumbs.db"):
        (folder / name).write_bytes(b"\0\5\x16\7")
    assert len(open_catalog(folder)) == 1


def test_both_spellings_are_read_also_side_by_side(tmp_path, write_catalog, photos, taxa):
    old = [
        {("scientificName" if k == "scientific_name" else k): v for k, v in row.items() if k != "ext"}
        | {"photo_url": f"http://inaturalist-open-data.s3.amazonaws.com/photos/{row['photo_id']}/medium.JPG"}
        for row in photos(taxa["robin"], 1, 2)
    ]
    folder = write_catalog(old)
    pq.write_table(pa.Table.from_pylist(photos(taxa["robin"], 3)), folder / "new.parquet")
    table = open_catalog(folder).select().to_arrow()
    assert table["scientific_name"].to_pylist() == ["Turdus migratorius"] * 3
    assert table["ext"].to_pylist() == ["JPG", "JPG", "jpg"]
    assert table["photo_url"].to_pylist() == [None] * 3


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://inaturalist-open-data.s3.amazonaws.com/photos/7/original.jpeg", False),
        ("http://inaturalist-open-data.s3.amazonaws.com/photos/8/medium.jpeg", True),
        ("https://static.inaturalist.org/photos/7/medium.jpeg", True),
        ("https://static.inaturalist.org/photos/7/medium.jpeg?1234", True),
    ],
)
def test_only_an_address_that_cannot_be_derived_is_kept(write_catalog, photos, taxa, url, kept):
    row = {k: v for k, v in photos(taxa["robin"], 7)[0].items() if k != "ext"} | {"photo_url": url}
    table = open_catalog(write_catalog([row])).select().to_arrow()
    assert table["ext"].to_pylist() == ["jpeg"]
    assert table["photo_url"].to_pylist() == [url if kept else None]


def test_an_observation_uuid_is_its_first_eight_bytes(write_catalog, photos, taxa):
    uuid = "f1e2d3c4-b5a6-4789-8abc-def012345678"
    rows = photos(taxa["robin"], 1, observation_id=uuid) + photos(taxa["robin"], 2, observation_id="77")
    table = open_catalog(write_catalog(rows, observation_id=pa.string())).select().to_arrow()
    assert table["observation_id"].to_pylist() == [0x71E2D3C4B5A64789, 77]


def test_optional_numbers_that_pandas_made_floats_are_read(write_catalog, photos, taxa):
    rows = photos(taxa["robin"], 1, taxon_id=12727.0) + photos(taxa["robin"], 2, taxon_id=None)
    table = open_catalog(write_catalog(rows, taxon_id=pa.float64())).select().to_arrow()
    assert table["taxon_id"].to_pylist() == [12727, None]


def test_what_the_finder_leaves_beside_the_chunks_is_passed_over(write_catalog, photos, taxa):
    folder = write_catalog(photos(taxa["robin"], 1, 2))
    for name in ("._part-0.parquet", ".DS_Store", "Thumbs.db"):
        (folder / name).write_bytes(b"\x00\x05\x16\x07")
    assert len(open_catalog(folder)) == 2


@pytest.mark.parametrize("name", ["chunk_0.parquet", "chunk_0.csv"])
def test_a_pointer_of_git_lfs_says_what_it_is(tmp_path, name):
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    (tmp_path / name).write_text(text)
    with pytest.raises(CatalogError, match="pointer of git-lfs") as caught:
        build_catalog(tmp_path / name, tmp_path / "built")
    assert "git lfs pull" in caught.value.hint


def test_the_simple_download_of_gbif_says_which_one_has_photos(tmp_path):
    (tmp_path / "0005901.csv").write_text("gbifID\tdatasetKey\tspecies\n1\tx\tTurdus migratorius\n")
    with pytest.raises(CatalogError, match="simple download") as caught:
        build_catalog(tmp_path / "0005901.csv", tmp_path / "built")
    assert "Darwin Core Archive" in caught.value.hint


@pytest.mark.parametrize("layout", ["raw", "built"])
def test_negative_numbers_are_unknown(tmp_path, write_catalog, photos, taxa, layout):
    rows = [
        row
        for photo, number in enumerate((-1, -1, -2, -(2**63), 7, 7, 0), start=1)
        for row in photos(taxa["robin"], photo, observation_id=number, observer_id=number, taxon_id=number)
    ]
    folder = write_catalog(rows)
    if layout == "built":
        build_catalog(folder, tmp_path / "built")
        folder = tmp_path / "built"
    catalog = open_catalog(folder)
    for column in ("observation_id", "observer_id"):
        found = catalog.rows(f"SELECT {column} FROM photos ORDER BY photo_id")
        assert [number for (number,) in found] == [None, None, None, None, 7, 7, 0]
    # A split by observation keeps what is known together, and each photo of an unknown one by itself.
    everything = catalog.select(quality_grade="any")
    split = make_split(
        everything, profile="natural", val_per_class=1, test_per_class=3, group_by="observation"
    )
    held = [set(split.part(part)["photo_id"].to_pylist()) for part in split.parts]
    assert sum(bool({5, 6} & part) for part in held) <= 1
    assert sum(bool({1, 2, 3, 4} & part) for part in held) >= 2
