import pytest
from hypothesis import given
from hypothesis import strategies as st

from arboretum_tools.errors import UsageError
from arboretum_tools.identity import class_key_sql, folder_name, slug, unique_names
from arboretum_tools.query import connect

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
        sql = f"SELECT {class_key_sql(rank)} FROM {VALUES} AS t(kingdom, genus, species, family)"
        assert [key for (key,) in connection.execute(sql).fetchall()] == keys


def test_other_ranks_are_no_classes():
    with pytest.raises(UsageError, match="phylum"):
        class_key_sql("phylum")


def test_names_that_two_classes_share_get_their_kingdom():
    names = unique_names(["Laelia rosea", "Laelia rosea", "Quercus alba"], ["Plantae", "Animalia", "Plantae"])
    assert names == ["Laelia rosea (Plantae)", "Laelia rosea (Animalia)", "Quercus alba"]


@given(st.integers(0, 99_999), st.text(max_size=200))
def test_a_folder_name_is_safe_everywhere(label, name):
    folder = folder_name(label, name)
    assert folder.startswith(f"{label:05d}_")
    assert len(folder) <= 80
    assert folder.isascii()
    assert all(c.isalnum() or c in "_-" for c in folder)


def test_a_folder_name_folds_accents_and_blanks():
    assert folder_name(7, "Crème brûlée (x) y") == "00007_Creme_brulee_x_y"


def test_a_slug_is_lower_case_words():
    assert slug("Turdus  migratorius") == "turdus-migratorius"
    assert slug("Étoile-Filante") == "etoile-filante"
