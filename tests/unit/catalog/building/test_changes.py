"""What is new in a catalogue since an older one, against a second wording of the rules."""

from __future__ import annotations

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import arboretum_tools as at
from arboretum_metadata.schema import CHANGES
from arboretum_tools.errors import CatalogError, TargetExistsError, UsageError


@pytest.fixture
def two(write_catalog, photos, taxa):
    """An older and a newer catalogue."""
    robin, oak = taxa["robin"], taxa["oak"]
    genus = oak | {"species": None, "scientific_name": "Quercus"}
    old = [
        *photos(robin, 1, 2, 3, license="CC-BY"),
        *photos(oak, 4, license="CC0"),
        *photos(genus, 5, 6, license="CC0"),
        *photos(robin | {"scientific_name": "Turdus migratorius nigrideus"}, 7, license="CC-BY"),
    ]
    new = [
        *photos(robin, 2, 7, license="CC-BY"),
        *photos(robin, 3),
        *photos(taxa["orchid"], 4, license="CC-BY-NC"),
        *photos(genus, 5, license="CC0"),
        *photos(genus | {"genus": "Castanea", "scientific_name": "Castanea"}, 6, license="CC0"),
        *photos(robin, 8, 9, license="CC0"),
    ]
    return write_catalog(old, name="old"), write_catalog(new, files=2, name="new")


def test_what_came_went_and_changed_is_counted_and_listed(tmp_path, two):
    out = tmp_path / "changes.parquet"
    report = at.catalog_changes(*two, out=out)
    assert report.changes == {"added": 2, "removed": 1, "relabelled": 2, "relicensed": 2}
    assert (report.photos_before, report.photos, report.unchanged) == (7, 8, 3)
    table = pq.read_table(out)
    assert table.column_names == list(CHANGES.names)
    assert [(row["photo_id"], row["change"]) for row in table.to_pylist()] == [
        (1, "removed"),
        (3, "relicensed"),
        (4, "relabelled"),
        (4, "relicensed"),
        (6, "relabelled"),
        (8, "added"),
        (9, "added"),
    ]
    of_oak = table.to_pylist()[2]
    assert (of_oak["old_class_key"], of_oak["new_class_key"]) == (
        "Plantae|Quercus alba",
        "Plantae|Laelia rosea",
    )
    assert (of_oak["old_license"], of_oak["new_license"]) == ("CC0", "CC-BY-NC")
    assert (table.to_pylist()[4]["old_name"], table.to_pylist()[4]["new_name"]) == ("Quercus", "Castanea")


def test_both_layouts_and_both_formats_say_the_same(tmp_path, two):
    for name, path in zip(("old", "new"), two, strict=True):
        at.build_catalog(path, tmp_path / f"built-{name}")
    tables = []
    for number, (old, new) in enumerate(
        [two, (tmp_path / "built-old", tmp_path / "built-new"), (two[0], tmp_path / "built-new")]
    ):
        at.catalog_changes(at.open_catalog(old), new, out=tmp_path / f"{number}.csv")
        tables.append(pyarrow.csv.read_csv(tmp_path / f"{number}.csv"))
    assert tables[0].num_rows == 7
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])


def test_licences_are_compared_where_both_have_them(write_catalog, photos, taxa):
    old = write_catalog(photos(taxa["robin"], 1, 2), name="old")
    new = write_catalog(photos(taxa["robin"], 1, 3, license="CC0"), name="new")
    report = at.catalog_changes(old, new)
    assert report.changes == {"added": 1, "removed": 1, "relabelled": 0, "relicensed": 0}
    assert not report.licenses_compared


@settings(max_examples=20)
@given(
    *[st.dictionaries(st.integers(1, 12), st.sampled_from(["robin", "oak", "moth"]), min_size=1)] * 2,
)
def test_counts_follow_a_second_wording(tmp_path_factory, taxa_of_old, taxa_of_new):
    folder = tmp_path_factory.mktemp("two")
    for name, found in (("old", taxa_of_old), ("new", taxa_of_new)):
        rows = [
            {"photo_id": i, "genus": kind.title(), "species": "alba", "kingdom": "X"}
            for i, kind in found.items()
        ]
        empty = dict.fromkeys(("scientific_name", "phylum", "class", "order", "family"), None)
        pq.write_table(
            pyarrow.Table.from_pylist([row | empty | {"ext": "jpg"} for row in rows]),
            folder / f"{name}.parquet",
        )
    report = at.catalog_changes(folder / "old.parquet", folder / "new.parquet")
    both = taxa_of_old.keys() & taxa_of_new.keys()
    relabelled = sum(taxa_of_old[i] != taxa_of_new[i] for i in both)
    assert report.changes == {
        "added": len(taxa_of_new.keys() - both),
        "removed": len(taxa_of_old.keys() - both),
        "relabelled": relabelled,
        "relicensed": 0,
    }
    assert report.unchanged == len(both) - relabelled


def test_what_cannot_be_compared_or_written_is_refused(tmp_path, two):
    old, new = two
    there = tmp_path / "there.csv"
    there.write_text("mine")
    with pytest.raises(UsageError, match="both the older and the newer"):
        at.catalog_changes(old, old)
    with pytest.raises(CatalogError, match="no catalogue at"):
        at.catalog_changes(old, tmp_path / "nowhere")
    with pytest.raises(UsageError, match="ends in neither"):
        at.catalog_changes(old, new, out="changes.txt")
    for out in (old / "changes.parquet", new / "changes.parquet"):
        with pytest.raises(TargetExistsError, match="which is being read"):
            at.catalog_changes(old, new, out=out)
    with pytest.raises(TargetExistsError, match="there already"):
        at.catalog_changes(old, new, out=there)
    assert there.read_text() == "mine"
    at.catalog_changes(old, new, out=there, overwrite=True)
    assert there.read_text().startswith('"photo_id"')


def test_the_command_says_it(tmp_path, two, arboretum, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = arboretum("catalog", "update", "old", "new", "--out", "changes.csv")
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[0] == "7 photos in old, 8 in new; 3 unchanged"
    assert outcome.out.splitlines()[-1] == "listed in changes.csv"
