"""Families, ranks, observers and the other profiles, on photos."""

import itertools
from collections import defaultdict

import pytest

from arboretum_tools.errors import RecipeError, SelectionError
from arboretum_tools.split.make import make_family, make_split, whole


def ids(split, part):
    return set(split.part(part)["photo_id"].to_pylist())


def by_key(split):
    return dict(zip(split.classes["class_key"].to_pylist(), split.class_counts, strict=True))


@pytest.mark.parametrize("profile", ["exp", "step", "pareto"])
@pytest.mark.parametrize("group_by", ["photo", "observation", "observer-per-species"])
def test_the_members_of_a_family_are_nested_over_one_class_list(birds_with_observers, profile, group_by):
    arguments = {"val_per_class": 2, "test_per_class": 3, "profile": profile, "group_by": group_by}
    members = list(make_family(birds_with_observers, lt_ratios=[20, 2, 4], **arguments))
    assert [split.meta["ratio_achieved"] for split in members] == [2, 4, 20]
    suffix = "" if profile == "exp" else f"-{profile}"
    assert [split.name for split in members] == [f"all{suffix}-lt{ratio}" for ratio in (2, 4, 20)]
    first = members[0]
    for lower, higher in itertools.pairwise(members):
        assert ids(higher, "train") < ids(lower, "train")
        assert higher.meta["M"] == lower.meta["M"]
        for part in ("val", "test"):
            assert ids(higher, part) == ids(first, part)
        assert set(by_key(higher)) == set(by_key(first))


def test_members_are_what_one_of_them_alone_would_be(birds_with_observers):
    members = list(make_family(birds_with_observers, lt_ratios=[10, 2]))
    assert members[0].meta["recipe"]["lt_ratios"] == [2, 10]
    assert members[0].meta["recipe_sha256"] != members[1].meta["recipe_sha256"]
    named = list(make_family(birds_with_observers, lt_ratios=[10, 2], name="birds"))
    assert [split.name for split in named] == ["birds-lt2", "birds-lt10"]
    with pytest.raises(RecipeError, match="no imbalance ratio"):
        list(make_family(birds_with_observers, lt_ratios=[10, 2], profile="natural"))


def test_nobodys_photos_of_a_species_are_in_two_parts(birds_with_observers):
    split = make_split(
        birds_with_observers, lt_ratio=5, val_per_class=3, test_per_class=4, group_by="observer-per-species"
    )
    parts = defaultdict(set)
    unknown = defaultdict(int)
    for part in split.parts:
        table = split.part(part)
        for label, observer in zip(table["label"].to_pylist(), table["observer_id"].to_pylist(), strict=True):
            if observer is None:
                unknown[part] += 1
            else:
                parts[label, observer].add(part)
    assert all(len(found) == 1 for found in parts.values())
    assert unknown["train"] > 0
    people = defaultdict(set)
    for (_, observer), found in parts.items():
        people[observer] |= found
    assert any(len(found) > 1 for found in people.values()), "of different species they may be"
    assert split.class_counts[0] == 5 * split.class_counts[-1]


def test_grouping_by_observer_needs_the_column(write_catalog, photos, taxa):
    from arboretum_tools.catalog import open_catalog

    catalog = open_catalog(write_catalog(photos(taxa["robin"], 1, 2)))
    with pytest.raises(SelectionError, match="observer_id") as caught:
        make_split(catalog, group_by="observer-per-species")
    assert "Open Data" in caught.value.hint


@pytest.mark.parametrize(
    ("rank", "expected"),
    [
        (
            "genus",
            {
                "Animalia|genus|Turdus": 420,
                "Animalia|genus|Sialia": 80,
                "Animalia|genus|Corvus": 60,
                "Animalia|genus|Picus": 40,
                "Animalia|genus|Dryocopus": 25,
            },
        ),
        (
            "family",
            {
                "Animalia|family|Turdidae": 500,
                "Animalia|family|Corvidae": 60,
                "Animalia|family|Picidae": 65,
            },
        ),
        ("order", {"Animalia|order|Passeriformes": 560, "Animalia|order|Piciformes": 65}),
    ],
)
def test_classes_may_be_of_a_higher_rank(birds_with_observers, rank, expected):
    split = make_split(birds_with_observers, profile="natural", rank=rank, val_per_class=0, test_per_class=0)
    assert by_key(split) == expected
    assert set(split.classes["rank"].to_pylist()) == {rank}
    assert split.classes["species"].null_count == split.num_classes
    assert split.classes["n_catalog"].to_pylist() == sorted(expected.values(), reverse=True)
    assert split.name == f"all-{rank}-natural"
    first = split.classes.slice(0, 1).to_pylist()[0]
    assert first["class"] == "Aves"
    assert first["scientific_name"] == first["class_key"].rsplit("|")[-1]
    assert (first["genus"] is None) == (rank != "genus")


def test_photos_identified_to_a_genus_only_are_in_its_class(write_catalog, photos, taxa):
    from arboretum_tools.catalog import open_catalog

    oak = taxa["oak"]
    rows = photos(oak, *range(1, 11)) + photos(oak | {"species": None}, *range(20, 30))
    rows += photos(taxa["robin"], *range(50, 60)) + photos(oak | {"genus": None}, 90)
    split = make_split(
        open_catalog(write_catalog(rows)), profile="natural", rank="genus", val_per_class=0, test_per_class=0
    )
    assert by_key(split) == {"Plantae|genus|Quercus": 20, "Animalia|genus|Turdus": 10}
    assert split.meta["counts"]["no_class"] == 1


def test_natural_takes_classes_as_found_with_cap_and_least(birds_with_observers):
    split = make_split(
        birds_with_observers,
        profile="natural",
        min_per_class=40,
        max_per_class=100,
        val_per_class=1,
        test_per_class=1,
        group_by="photo",
    )
    assert split.class_counts == [100, 100, 78, 58, 38]
    assert split.meta["ratio_asked"] is None
    assert len(split.unused_classes) == 1
    capped = ids(split, "train")
    more = make_split(birds_with_observers, profile="natural", val_per_class=1, test_per_class=1)
    assert more.num_classes == 6
    assert capped <= ids(more, "train") | ids(more, "val") | ids(more, "test") | capped


def test_balanced_gives_every_class_the_same(birds_with_observers):
    split = make_split(birds_with_observers, profile="balanced", num_classes=6)
    assert len(set(split.class_counts)) == 1
    assert split.meta["ratio_achieved"] == 1
    assert split.name == "all-balanced"


def test_subspecies_are_counted_where_they_are_rolled_up(birds_with_observers):
    split = make_split(birds_with_observers, lt_ratio=5)
    expected = sum(-(-count // 11) for count in (300, 120, 80, 60, 40, 25))
    assert split.meta["photos_rolled_up"] == expected


def test_nothing_of_a_class_is_one_error(birds_with_observers):
    with pytest.raises(SelectionError, match="no photo is selected: the filter 'among 1 listed photo'"):
        whole(birds_with_observers.select(photo_ids=[99999]))
