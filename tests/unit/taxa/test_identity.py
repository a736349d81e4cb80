import pytest
from hypothesis import given
from hypothesis import strategies as st

from arboretum_tools.errors import UsageError
from arboretum_tools.tabular.query import connect
from arboretum_tools.taxa.identity import class_key_sql, folder_names, joined_slugs, slug, unique_names

VALUES = (
    "(VALUES ('Animalia', 'Turdus', 'merula', 'Turdidae'), (NULL, 'a', 'b', 'c'), ('Fungi', NULL, 'b', NULL))"
)


@pytest.mark.parametrize(
    ("rank", "keys"),
    [
        ("species", ["Animalia|Turdus merula", None, None]),
        ("genus", ["Animalia|genus|Turdus", None, None]),
        ("family", ["Animalia|family|Turdidae", None, None]),
    ],
)
def test_a_class_key_needs_all_its_names(rank, keys):
    with connect() as connection:
        connection.execute("CREATE TABLE homonyms (name VARCHAR)")
        sql = f"SELECT {class_key_sql(rank)} FROM {VALUES} AS t(kingdom, genus, species, family)"
        assert [key for (key,) in connection.execute(sql).fetchall()] == keys


def test_other_ranks_are_no_classes():
    with pytest.raises(UsageError, match="phylum"):
        class_key_sql("phylum")


def test_names_that_two_classes_share_get_their_kingdom_or_family():
    kingdoms = ["Plantae", "Animalia", "Plantae", "Animalia", "Animalia"]
    names = unique_names(
        ["Laelia rosea", "Laelia rosea", "Quercus alba", "Mesotes", "Mesotes"],
        kingdoms,
        ["Orchidaceae", "Erebidae", None, "Tortricidae", "Dipsadidae"],
    )
    assert names == [
        "Laelia rosea (Plantae)",
        "Laelia rosea (Animalia)",
        "Quercus alba",
        "Mesotes (Tortricidae)",
        "Mesotes (Dipsadidae)",
    ]


@given(st.lists(st.text(max_size=200), min_size=1))
def test_folder_names_are_safe_everywhere(names):
    for label, folder in enumerate(folder_names(names)):
        assert folder.startswith(f"{label:05d}_")
        assert len(folder) <= 80
        assert folder.isascii()
        assert all(c.isalnum() or c in "_-" for c in folder)


def test_a_folder_name_folds_accents_and_blanks():
    assert folder_names(["a", "Crème brûlée (x) y"]) == ["00000_a", "00001_Creme_brulee_x_y"]


@pytest.mark.parametrize("classes", [1, 99_999, 100_000, 100_001])
def test_folders_sort_as_their_labels_whatever_their_number(classes):
    folders = folder_names(["Aa bb"] * classes)
    assert folders == sorted(folders)
    assert len(folders[0]) == (12 if classes > 100_000 else 11)


def test_a_slug_is_lower_case_words():
    assert slug("Turdus  migratorius") == "turdus-migratorius"
    assert slug("Étoile-Filante") == "etoile-filante"


def test_a_few_names_are_joined_and_of_many_the_first_stand_for_all():
    assert joined_slugs([]) == ""
    assert joined_slugs(["Aves", "Passer domesticus", "Aves"]) == "aves+passer-domesticus"
    seven = ["Aves", "Arachnida", "Insecta", "Reptilia", "Plantae", "Fungi", "Mollusca"]
    assert joined_slugs(seven) == "+".join(seven).lower()
    many = [
        "Actias luna",
        "Danaus plexippus",
        "Harmonia axyridis",
        "Hippodamia convergens",
        "Papilio machaon",
    ]
    # Written down here: folders of splits are called so.
    assert joined_slugs(many) == "actias-luna+danaus-plexippus+3-more-585507ec"


@given(
    st.lists(st.text("abc xyzÄ", max_size=90), max_size=40),
    st.lists(st.text("abc", max_size=30), max_size=40),
)
def test_a_joined_name_is_short_and_says_which_names_it_is_of(names, others):
    short = joined_slugs(names)
    assert len(short) <= 60
    assert short == joined_slugs([*names, *names])
    distinct = [list(dict.fromkeys(map(slug, one))) for one in (names, others)]
    assert (short == joined_slugs(others)) == ("+".join(distinct[0]) == "+".join(distinct[1]))
