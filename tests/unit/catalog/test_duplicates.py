"""Duplicates, defects, counts and the fingerprint, by the definitions of docs/design.md."""

import random

import pytest

from arboretum_tools.catalog import open_catalog
from arboretum_tools.catalog.check import check_catalog
from arboretum_tools.events import Note
from arboretum_tools.stable_key import key, text_id


def test_each_kind_of_defect_is_counted_once(write_catalog, photos, taxa):
    robin, oak = taxa["robin"], taxa["oak"]
    rows = [
        *photos(robin, 1, 2, 3, observation_id=5),
        *photos(robin, 1, 1, observation_id=5),  # two exact duplicates
        *photos(robin, 2, observation_id=4),  # the same photo again, an earlier observation
        *photos(robin, 10, observation_id=1),
        *photos(oak, 10, observation_id=1),  # under two classes
        *photos(robin, 0, -7, None, observation_id=1),
        *photos(robin, 20, ext="tiff", observation_id=1),
        *photos(robin | {"kingdom": None}, 30, observation_id=1),
        *photos(oak | {"common_name": "white\x07oak"}, 40, observation_id=1),
    ]
    notes = []
    catalog = open_catalog(write_catalog(rows), on_event=notes.append)
    found = catalog.defects
    assert (found.rows, found.photos, len(catalog)) == (len(rows), 5, 5)
    assert found.exact_duplicates == 2
    assert found.repeated_photo_id == 1
    assert (found.conflicting_rows, found.conflicting_photos) == (2, 1)
    assert found.bad_photo_id == 3
    assert found.bad_extension == 1
    assert found.no_class == 1
    assert found.control_characters == 1
    table = catalog.select().to_arrow()
    assert dict(zip(table["photo_id"].to_pylist(), table["observation_id"].to_pylist(), strict=True))[2] == 4
    assert table["common_name"].to_pylist()[-1] == "white oak"
    assert [type(note) for note in notes] == [Note]
    assert "; 9 rows are left out, 2 kept with a defect (`arboretum catalog check`" in notes[0].text
    assert "2 exact duplicates: left out" in found.sentences
    assert "2 listed under two or more classes (1 photo): left out" in found.sentences
    findings = {found.name: f"{found.count} {found.what}" for found in check_catalog(catalog).findings}
    assert findings["exact_duplicates"] == "2 rows there already: one is kept"
    assert findings["no_class"].startswith("1 photo without kingdom")


def test_a_catalogue_without_defects_says_nothing(write_catalog, photos, taxa):
    notes = []
    assert len(open_catalog(write_catalog(photos(taxa["robin"], 1, 2)), on_event=notes.append)) == 2
    assert notes == []


def test_of_repeated_rows_the_smallest_observation_and_address_stays(write_catalog, photos, taxa):
    base = "https://static.inaturalist.org/photos/1/"
    rows = [
        photos(taxa["robin"], 1, observation_id=o, photo_url=base + name)[0] | {"ext": None}
        for o, name in ((None, "a.jpg"), (9, "z.jpg"), (9, "b.jpg"))
    ]
    for shuffled in (rows, rows[::-1]):
        table = open_catalog(write_catalog(shuffled, name=f"c{id(shuffled)}")).select().to_arrow()
        assert table["observation_id"].to_pylist() == [9]
        assert table["photo_url"].to_pylist() == [base + "b.jpg"]


def test_the_fingerprint_is_the_documented_sum(write_catalog, photos, taxa):
    rows = photos(taxa["robin"], 1, 2**40) + photos(taxa["oak"] | {"species": None}, 5)
    catalog = open_catalog(write_catalog(rows))
    expected = sum(
        key(photo_id, "fingerprint", 0) * (key(text_id(class_key), "fingerprint", 0) | 1)
        for photo_id, class_key in (
            (1, "Animalia|Turdus migratorius"),
            (2**40, "Animalia|Turdus migratorius"),
            (5, ""),
        )
    )
    assert catalog.fingerprint == f"{expected % 2**64:016x}"


def test_order_files_threads_duplicates_and_added_columns_change_nothing(write_catalog, photos, taxa):
    rows = [
        row
        for number, taxon in enumerate(taxa.values())
        for row in photos(taxon, *range(number * 100 + 1, number * 100 + 40), observation_id=number)
    ]
    shuffled = random.Random(1).sample([*rows, *rows[:5]], k=len(rows) + 5)
    one = open_catalog(write_catalog(rows))
    two = open_catalog(
        write_catalog([row | {"license": "CC0"} for row in shuffled], files=7, name="two"), threads=1
    )
    assert one.fingerprint == two.fingerprint
    assert len(one) == len(two)
    assert one.select().to_arrow()["photo_id"] == two.select().to_arrow()["photo_id"]
    assert one.select(limit=17).to_arrow()["photo_id"] == two.select(limit=17).to_arrow()["photo_id"]


def test_two_photos_that_change_places_change_the_fingerprint(write_catalog, photos, taxa):
    one = open_catalog(write_catalog(photos(taxa["robin"], 1) + photos(taxa["oak"], 2)))
    two = open_catalog(write_catalog(photos(taxa["robin"], 2) + photos(taxa["oak"], 1), name="two"))
    assert one.fingerprint != two.fingerprint


def test_the_lineage_of_a_class_is_its_most_frequent_one(write_catalog, photos, taxa):
    robin = taxa["robin"]
    rows = [
        *photos(robin, 1, 2),
        *photos(robin | {"family": None}, 3),
        *photos(robin | {"common_name": None}, 4, 5, 6, 7),
        *photos(robin | {"scientific_name": "Turdus migratorius achrusterus"}, 8),
    ]
    catalog = open_catalog(write_catalog(rows))
    (row,) = catalog.table("SELECT * FROM classes").to_pylist()
    assert row["family"] == "Turdidae"
    assert row["common_name"] == "American Robin"
    assert row["scientific_name"] == "Turdus migratorius"
    assert row["n_catalog"] == 8


@pytest.mark.parametrize("files", [1, 3])
def test_a_repeat_is_found_across_files(write_catalog, photos, taxa, files):
    rows = photos(taxa["robin"], *range(1, 10)) * 3
    assert open_catalog(write_catalog(rows, files=files)).defects.exact_duplicates == 18


def test_spellings_of_one_name_are_one_class(write_catalog, photos, taxa):
    robin = taxa["robin"]
    names = ("caf\u00e9", "cafe\u0301", "Turdus caf\u00e9")
    rows = [row | {"species": name} for name, row in zip(names, photos(robin, 1, 2, 3), strict=True)]
    catalog = open_catalog(write_catalog(rows))
    assert catalog.rows("SELECT class_key, n_catalog FROM classes") == [("Animalia|Turdus caf\u00e9", 3)]


def test_a_hybrid_is_not_counted_under_a_parent(write_catalog, photos, taxa):
    robin = taxa["robin"]
    names = ("Turdus migratorius", "Turdus iliacus × Turdus migratorius", "Turdus iliacus X migratorius")
    rows = [row | {"scientific_name": name} for name, row in zip(names, photos(robin, 1, 2, 3), strict=True)]
    catalog = open_catalog(write_catalog(rows))
    assert catalog.rows("SELECT n_catalog FROM classes WHERE class_key = 'Animalia|Turdus migratorius'") == [
        (1,)
    ]
    assert catalog.rows("SELECT photo_id FROM photos WHERE hybrid ORDER BY 1") == [(2,), (3,)]
