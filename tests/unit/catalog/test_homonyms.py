"""Two genera of one name in a kingdom (iNaturalist has 53): each is a taxon and a class of its own."""

import pytest

from arboretum_tools import audit_split, build_catalog, make_split, open_catalog
from arboretum_tools.errors import AmbiguousTaxonError, RecipeError
from arboretum_tools.split.against_catalog import against_catalog

MOTH = {
    "kingdom": "Animalia",
    "phylum": "Arthropoda",
    "class": "Insecta",
    "order": "Lepidoptera",
    "family": "Tortricidae",
    "genus": "Mesotes",
    "species": "alba",
    "scientific_name": "Mesotes alba",
}
SNAKE = MOTH | {
    "phylum": "Chordata",
    "class": "Reptilia",
    "order": "Squamata",
    "family": "Dipsadidae",
    "species": "strigatus",
    "scientific_name": "Mesotes strigatus",
}
TERMS = ["Tortricidae>genus:Mesotes", "Dipsadidae>genus:Mesotes"]
KEYS = ["Animalia|genus|Mesotes (Tortricidae)", "Animalia|genus|Mesotes (Dipsadidae)"]


@pytest.fixture(params=["raw", "built"])
def catalog(request, write_catalog, photos, taxa, tmp_path):
    rows = (
        photos(MOTH, 1, 2, 3, 4)
        + photos(MOTH | {"species": None, "scientific_name": "Mesotes"}, 5, taxon_id=13)
        + photos(SNAKE, 6, 7, 8, 9, taxon_id=12)
        + photos(taxa["robin"], 20, 21, 22)
    )
    folder = write_catalog(rows)
    if request.param == "built":
        build_catalog(folder, tmp_path / "built")
        folder = tmp_path / "built"
    return open_catalog(folder)


def chosen(catalog, name):
    return catalog.select(name, quality_grade="any")


def test_the_path_decides_and_the_name_alone_is_ambiguous(catalog):
    for name in ("Mesotes", "genus:mesotes", "Animalia>Mesotes"):
        with pytest.raises(AmbiguousTaxonError) as caught:
            catalog.select(name)
        assert [line.split("  ")[0] for line in caught.value.candidates] == TERMS
        assert caught.value.exit_code == 5
    for name in ("Tortricidae>Mesotes", "Lepidoptera>genus:Mesotes", "Insecta>Mesotes", TERMS[0], "13"):
        assert chosen(catalog, name).count() == 5
        assert chosen(catalog, name).recipe()["any_of"][0]["taxa"] == TERMS[:1]
    for name in ("Squamata>genus:Mesotes", "Reptilia>Mesotes", TERMS[1]):
        assert chosen(catalog, name).count() == 4
    assert catalog.select(exclude_taxa=TERMS[1], quality_grade="any").count() == 8
    assert chosen(catalog, "Mesotes strigatus").count() == 4


def test_they_are_two_classes_of_two_names(catalog, tmp_path):
    options = {"rank": "genus", "profile": "natural", "val_per_class": 1, "test_per_class": 1}
    everything = catalog.select(quality_grade="any")
    split = make_split(everything, **options)
    split.save(tmp_path / "split")
    assert split.classes["class_key"].to_pylist() == [*KEYS, "Animalia|genus|Turdus"]
    names = split.classes["name"].to_pylist()
    assert names == ["Mesotes (Tortricidae)", "Mesotes (Dipsadidae)", "Turdus"]
    checks = [*audit_split(tmp_path / "split").checks, *against_catalog(tmp_path / "split", catalog)]
    assert not [check for check in checks if check.outcome == "broken"]
    assert not [check for check in checks if check.name.startswith("catalogue") and check.outcome != "kept"]

    (tmp_path / "list.csv").write_text("class_key\n" + "\n".join(KEYS))
    assert make_split(everything, **options, class_list=tmp_path / "list.csv").classes.num_rows == 2
    (tmp_path / "list.txt").write_text("Mesotes\nTurdus\n")
    with pytest.raises(RecipeError, match="have one name"):
        make_split(everything, **options, class_list=tmp_path / "list.txt")
    (tmp_path / "list.csv").write_text(f"class_key\n{KEYS[0]}\n")
    kept = make_split(everything, **options, exclude=tmp_path / "list.csv").classes["class_key"].to_pylist()
    assert kept == [KEYS[1], "Animalia|genus|Turdus"]


def test_a_genus_that_was_moved_or_is_misplaced_stays_one(write_catalog, photos, taxa):
    moved = taxa["robin"] | {"family": "Muscicapidae"}
    elsewhere = taxa["robin"] | {"order": "Piciformes", "family": "Picidae"}
    bare = taxa["robin"] | {"order": None, "family": None, "species": None, "scientific_name": "Turdus"}
    rows = [
        *photos(taxa["robin"], 1, 2),
        *photos(moved | {"species": "iliacus", "scientific_name": "Turdus iliacus"}, 3),
        *photos(elsewhere, 4),
        *photos(bare, 5),
    ]
    catalog = open_catalog(write_catalog(rows))
    assert chosen(catalog, "Turdus").count() == 5
    split = make_split(
        catalog.select(quality_grade="any"),
        rank="genus",
        profile="natural",
        val_per_class=1,
        test_per_class=1,
    )
    assert split.classes["class_key"].to_pylist() == ["Animalia|genus|Turdus"]


def test_the_number_of_a_homonym_means_that_one_alone(write_catalog, photos, taxa):
    orchid = taxa["orchid"] | {"species": None, "scientific_name": "Laelia", "taxon_id": 70}
    catalog = open_catalog(write_catalog(photos(orchid, 1, 2) + photos(taxa["moth"], 3, 4, 5)))
    assert chosen(catalog, "70").count() == 2
    assert chosen(catalog, "70").recipe()["any_of"][0]["taxa"] == ["Plantae>genus:Laelia"]
