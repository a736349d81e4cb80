"""Sources with numbers, nesting and shapes that cannot be meant: one error, or rows that are listed."""

import json
import zipfile

import pytest

from arboretum_tools.catalog import open_catalog
from arboretum_tools.catalog.building.build import build_catalog
from arboretum_tools.catalog.building.losses import Loss
from arboretum_tools.catalog.building.rejected import of_rows
from arboretum_tools.errors import ArboretumError, CatalogError
from arboretum_tools.photos.photo_ids import photo_id_of, read_photo_ids
from arboretum_tools.tabular.query import connect, rows

META = (
    '<archive xmlns="http://rs.tdwg.org/dwc/text/">'
    '<core rowType="http://rs.tdwg.org/dwc/terms/Occurrence" ignoreHeaderLines="{lines}" encoding="utf-8">'
    '<files><location>a.csv</location></files><id index="{id}"/>'
    '<field index="{field}" term="http://rs.tdwg.org/dwc/terms/genus"/></core>'
    '<extension rowType="http://rs.gbif.org/terms/1.0/Multimedia">'
    '<files><location>b.csv</location></files><coreid index="0"/></extension></archive>'
)
NUMBERS = ["-1", "x", "", "1.5", "1e3", "٣", "99999999999", "9" * 5000, "0x10", " 1"]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda text: text[:12])
@pytest.mark.parametrize("name", ["lines", "id", "field"])
def test_a_number_of_a_descriptor_is_a_small_whole_number(tmp_path, name, number):
    if (name, number) == ("lines", ""):
        return  # left empty, as some archives do
    source = tmp_path / "dwca.zip"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("meta.xml", META.format(**({"lines": 1, "id": 0, "field": 1} | {name: number})))
        archive.writestr("a.csv", "id,genus\n1,Turdus\n")
        archive.writestr("b.csv", "id\n1\n")
    with pytest.raises(CatalogError, match="whole number from 0 to") as raised:
        build_catalog(source, tmp_path / "built")
    assert len(str(raised.value)) < 500


GOOD = {
    "id": 7,
    "quality_grade": "research",
    "taxon": {"id": 1, "rank": "species", "name": "Turdus merula"},
    "photos": [{"id": 1, "url": "https://inaturalist-open-data.s3.amazonaws.com/photos/1/square.jpg"}],
}
SHAPES = [
    {"user": "ann"},
    {"photos": "1"},
    {"photos": [3]},
    {"photos": {"id": 1}},
    {"taxon": [1]},
    {"taxon": {"ancestor_ids": 4}},
    {"identifications": 5},
    {"identifications": ["x"]},
    {"annotations": [None]},
    {"annotations": 1},
    {"photos": [{"url": 5, "original_dimensions": [1, 2]}]},
]


@pytest.mark.parametrize("form", ["lines", "list"])
@pytest.mark.parametrize("wrong", SHAPES, ids=str)
def test_an_observation_of_another_shape_is_left_out_and_listed(tmp_path, wrong, form):
    source = tmp_path / "api.json"
    both = [GOOD, {"id": 8, **wrong}]
    source.write_text(json.dumps(both) if form == "list" else "".join(json.dumps(one) + "\n" for one in both))
    report = build_catalog(source, tmp_path / "built")
    assert len(open_catalog(tmp_path / "built")) == 1
    assert sum(report.defects.losses.values()) == 1


@pytest.mark.parametrize("begin", ["[", '{"results": [', '{"id": 1}\n'])
def test_nesting_without_an_end_is_damage(tmp_path, begin):
    source = tmp_path / "api.json"
    source.write_text(begin + "[" * 200_000)
    with pytest.raises(ArboretumError, match=r"api\.json|no photo of iNaturalist"):
        build_catalog(source, tmp_path / "built")


def test_short_lines_take_no_longer_for_standing_together(tmp_path):
    source = tmp_path / "api.jsonl"
    # Of each line all that was read was copied: 100,000 lines took a minute.
    source.write_text(json.dumps(GOOD) + "\n" + '{"id":1}\n' * 100_000)
    report = build_catalog(source, tmp_path / "built")
    assert report.defects.losses == {"no_address": 100_000}


def test_ten_thousand_lost_rows_are_listed_in_moments():
    losses = [Loss("malformed_row", 1, "a.csv", line, f"row {line}") for line in range(1, 10_001)]
    with connect() as connection:
        connection.execute("CREATE TABLE source (photo_id BIGINT, scientific_name VARCHAR, ext VARCHAR)")
        connection.execute(
            "CREATE TABLE repeated_rows (photo_id BIGINT, class_key VARCHAR, scientific_name VARCHAR, "
            "copies BIGINT)"
        )
        connection.execute("CREATE TABLE conflicting (photo_id BIGINT)")
        of_rows(connection, [*losses, Loss("not_a_photo", 5, "b.csv")])
        found = rows(connection, "SELECT reason, rows, file, line, detail FROM rejected ORDER BY line")
    assert found[:-1] == [(one.reason, one.rows, one.file, one.line, one.detail) for one in losses]
    assert found[-1] == ("not_a_photo", 5, "b.csv", None, None)


@pytest.mark.parametrize(
    "text", ["9" * 5000, "9" * 20, f"https://www.inaturalist.org/photos/{'9' * 5000}", "9" * 5000 + ".0"]
)
def test_more_digits_than_an_id_has_are_none(tmp_path, text):
    assert photo_id_of(text) is None
    (tmp_path / "ids.txt").write_text(f"5\n{text}\n")
    with pytest.raises(ArboretumError, match="line 2"):
        read_photo_ids(tmp_path / "ids.txt")


def test_a_built_catalogue_says_no_impossible_number_of_parts(tmp_path):
    source = tmp_path / "api.json"
    source.write_text(json.dumps([GOOD]))
    build_catalog(source, tmp_path / "built")
    file = tmp_path / "built" / "catalog.json"
    meta = json.loads(file.read_text())
    for parts in (10**18, -1, 1e300, "9" * 5000, None, []):
        file.write_text(json.dumps(meta | {"parts": parts}))
        with pytest.raises(CatalogError, match=r"catalog\.json"):
            open_catalog(tmp_path / "built")


@pytest.mark.parametrize("column", ["latitude", "longitude"])
def test_half_a_position_is_none(tmp_path, column):
    source = tmp_path / "photos.csv"
    header = ["photo_id", "kingdom", "phylum", "class", "order", "family", "genus", "species"]
    header += ["scientific_name", "ext", column]
    names = "Animalia,Chordata,Aves,Passeriformes,Turdidae,Turdus,merula,Turdus merula"
    source.write_text(f"{','.join(header)}\n1,{names},jpg,1.5\n")
    build_catalog(source, tmp_path / "built")
    [row] = open_catalog(tmp_path / "built").select(quality_grade="any").to_arrow().to_pylist()
    assert (row["latitude"], row["longitude"]) == (None, None)


def test_a_text_that_lacks_columns_is_named_as_it_was_given(tmp_path):
    source = tmp_path / "photos.csv"
    source.write_text("photo_id,genus\n1,Turdus\n")
    with pytest.raises(CatalogError, match=r"photos\.csv lacks the columns") as raised:
        build_catalog(source, tmp_path / "built")
    assert "spool" not in str(raised.value)
