"""`check_catalog` tells of spellings that the reader mends, so that they can be mended in the files too."""

import unicodedata

from arboretum_tools import build_catalog, check_catalog, open_catalog


def findings(catalog):
    return {found.name: (found.count, found.examples) for found in check_catalog(catalog).findings}


def test_spellings_that_are_read_as_one_are_told_of(write_catalog, photos, taxa, tmp_path):
    robin, oak = taxa["robin"], taxa["oak"]
    decomposed = unicodedata.normalize("NFD", "Cœlacanthe à bec")
    rows = (
        photos(robin | {"common_name": decomposed}, 1, 2)
        + photos(robin | {"common_name": unicodedata.normalize("NFC", decomposed)}, 3)
        + photos(oak | {"species": oak["scientific_name"]}, 4)
        + photos(oak | {"scientific_name": "Quercus X robur", "species": "robur"}, 5)
    )
    folder = write_catalog([row | {"quality_grade": None} for row in rows])
    found = findings(open_catalog(folder))
    assert found["not_nfc"] == (1, (decomposed,))
    assert found["binomial_species"] == (1, (oak["scientific_name"],))
    assert found["hybrids"] == (1, ("Quercus X robur",))
    assert found["empty_columns"] == (1, ("quality_grade",))
    build_catalog(folder, tmp_path / "built")
    built = findings(open_catalog(tmp_path / "built"))
    assert built.keys() & {"not_nfc", "binomial_species", "empty_columns", "hybrids"} == {"hybrids"}


def test_a_catalogue_without_them_is_told_of_none(write_catalog, photos, taxa):
    found = findings(open_catalog(write_catalog(photos(taxa["robin"], 1, 2, quality_grade="research"))))
    assert not found.keys() & {"not_nfc", "binomial_species", "hybrids", "empty_columns"}
