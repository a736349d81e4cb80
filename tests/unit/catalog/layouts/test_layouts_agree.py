"""One suite, asked of the raw and the built catalogue of the same rows: the answers are the same."""

import dataclasses
import datetime as dt
import json
import shutil

import pytest

from arboretum_metadata.sample import catalog_path
from arboretum_tools.catalog import open_catalog
from arboretum_tools.catalog.building.build import build_catalog
from arboretum_tools.catalog.check import check_catalog
from arboretum_tools.catalog.layouts import layout
from arboretum_tools.errors import (
    AmbiguousTaxonError,
    ArboretumError,
    CatalogError,
    SeveralTaxaError,
    UnknownTaxonError,
)
from arboretum_tools.photos.photo_ids import PhotoIds
from arboretum_tools.split.make import make_split, whole


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    """The bundled sample in both layouts; several parts."""
    folder = tmp_path_factory.mktemp("layouts") / "catalog"
    build_catalog(catalog_path(), folder, bucket_photos=700)
    return open_catalog(catalog_path()), open_catalog(folder)


SELECTIONS = [
    {},
    {"quality_grade": "any"},
    {"taxa": "Aves"},
    {"taxa": "birds,Quercus", "exclude_taxa": "Passeridae"},
    {"taxa": "Plantae>Laelia", "quality_grade": "any"},
    {"taxa": "Trifolium", "quality_grade": "any"},
    {"exclude_taxa": "Trifolium", "quality_grade": "any"},
    {"rarity": "rare"},
    {"rarity": "few,many", "taxa": "Insecta"},
    {"min_photos": 10, "max_photos": 60},
    {"life_stage": "adult,larva"},
    {"life_stage": "larva", "life_stage_unknown": "include", "taxa": "Lepidoptera"},
    {"life_stage_unknown": "only"},
    {"life_stage_unknown": "exclude"},
    {"license": "open", "taxa": "Fungi"},
    {"bbox": "-20,30,40,60"},
    {"since": dt.date(2015, 1, 1), "until": dt.date(2020, 6, 30), "rarity": "many"},
    {"photos_per_observation": 1, "taxa": "Aves"},
    {"limit": 100},
    {"photo_ids": range(9_000_000_100, 9_000_000_300)},
    {"observation_ids": range(7_000_000_001, 7_000_000_300)},
]


@pytest.mark.parametrize("criteria", SELECTIONS, ids=str)
def test_selections_agree(layouts, criteria):
    raw, built = (catalog.select(**criteria) for catalog in layouts)
    assert built.count() == raw.count() > 0
    assert built.summary() == raw.summary()
    assert built.species_table().equals(raw.species_table())
    assert built.species(7) == raw.species(7)
    assert built.species(7, last=True) == raw.species(7, last=True)
    assert built.to_arrow().equals(raw.to_arrow())
    assert built.english == raw.english
    assert built.recipe() == raw.recipe()


def test_the_species_at_both_ends_are_those_of_the_table(layouts):
    for catalog in layouts:
        for selection in (catalog.select(quality_grade="any"), catalog.select("Insecta")):
            rows = [tuple(row.values()) for row in selection.species_table().to_pylist()]
            assert [dataclasses.astuple(one) for one in selection.species(5)] == rows[:5]
            assert [dataclasses.astuple(one) for one in selection.species(5, last=True)] == rows[-5:]
            assert selection.species_counts()["n_selected"].tolist() == [row[3] for row in rows]


def test_several_criteria_agree(layouts):
    raw, built = (
        catalog.selection(*catalog.select("Aves").criteria, *catalog.select("Fungi", limit=7).criteria)
        for catalog in layouts
    )
    assert built.summary() == raw.summary()
    assert built.to_arrow().equals(raw.to_arrow())


def test_counts_fingerprints_and_classes_agree(layouts):
    raw, built = layouts
    assert (len(built), built.num_classes, built.fingerprint) == (len(raw), raw.num_classes, raw.fingerprint)
    assert built.count_fingerprint() == built.fingerprint
    assert built.defects == raw.defects
    question = (
        'SELECT class_key, n_catalog, kingdom, phylum, class, "order", family, genus, species, '
        "scientific_name, common_name, taxon_id FROM classes ORDER BY class_key"
    )
    assert built.table(question).equals(raw.table(question))


@pytest.mark.parametrize(
    "name",
    ["Aves", "birds", "house sparrows", "Laelia", "species:Laelia rosea", "Quercos", "order:Aves", "tribe:x",
     "owlz", "genus:Quercsu", "Plantae>Laelya", "house sparow"],
)  # fmt: skip
def test_names_agree(layouts, name):
    answers = []
    for catalog in layouts:
        try:
            answers.append(catalog.taxon(name))
        except ArboretumError as error:
            answers.append((type(error), str(error)))
    assert answers[0] == answers[1]


def test_suggestions_can_be_given_as_they_stand(layouts):
    for catalog in layouts:
        for wrong in ("owlz", "genus:Quercsu", "Plantae>Laelya", "house sparow", "brds", "plants>Laelya"):
            with pytest.raises(UnknownTaxonError) as caught:
                catalog.taxon(wrong)
            assert catalog.taxon(caught.value.suggestions[0])


def test_every_name_that_fails_is_told_of_in_one_error(layouts):
    with pytest.raises(SeveralTaxaError) as caught:
        layouts[1].select("Quercos,birds,Laelia,owlz")
    assert [type(error) for error in caught.value.errors] == [
        UnknownTaxonError,
        AmbiguousTaxonError,
        UnknownTaxonError,
    ]
    assert str(caught.value).count("did you mean") == 2
    assert "Plantae>genus:Laelia" in str(caught.value)
    assert caught.value.exit_code == 5


@pytest.mark.parametrize(
    ("criteria", "recipe"),
    [
        ({"taxa": "Aves"}, {"lt_ratio": 50}),
        ({"taxa": "Aves"}, {"lt_ratio": 10, "group_by": "photo", "seed": 7}),
        ({}, {"lt_ratio": 20, "val_per_class": 1, "test_per_class": 2}),
        ({}, {"profile": "natural", "rank": "genus", "hybrids": True, "max_per_class": 20}),
        ({"quality_grade": "any"}, {"lt_ratio": 5, "group_by": "observer-per-species"}),
        ({"limit": 2000}, {"lt_ratio": 5, "val_per_class": 0}),
        ({"photos_per_observation": 1}, {"lt_ratio": 5, "group_by": "photo"}),
        ({}, {"lt_ratio": 5, "store": PhotoIds.of(range(9_000_000_000, 9_000_002_000))}),
    ],
    ids=str,
)
def test_splits_agree(layouts, criteria, recipe):
    raw, built = (make_split(catalog.select(**criteria), **recipe) for catalog in layouts)
    assert built.meta["sha256"] == raw.meta["sha256"]
    assert built.meta["counts"] == raw.meta["counts"]
    assert built.classes.equals(raw.classes)
    for part in raw.parts:
        assert built.part(part).equals(raw.part(part))


def test_whole_selections_as_splits_agree(layouts):
    raw, built = (whole(catalog.select("Fungi")) for catalog in layouts)
    assert built.meta["sha256"] == raw.meta["sha256"]


def test_a_built_catalogue_opens_the_files_of_the_asked_taxa_alone(layouts, tmp_path):
    _, built = layouts
    assert len(built.meta["part_taxa"]) == built.meta["parts"] > 3
    birds = built.select("Aves", since="2015-01-01")
    assert birds.source("photos").startswith("photos_")
    assert built.select("Animalia,Plantae,Fungi").source("photos") == "photos"
    assert built.select(exclude_taxa="Aves").source("photos_alone") == "photos_alone"
    # A catalogue of a build that did not say which part holds what gives the same answers.
    older = tmp_path / "older"
    shutil.copytree(built.path, older)
    message = json.loads((older / "catalog.json").read_text())
    del message["part_taxa"]
    (older / "catalog.json").write_text(json.dumps(message))
    same = open_catalog(older).select("Aves", since="2015-01-01")
    assert same.source("photos") == "photos"
    assert same.to_arrow().equals(birds.to_arrow())


def test_part_taxa_that_cannot_be_are_refused_or_found(layouts, tmp_path):
    wrong = tmp_path / "wrong"
    shutil.copytree(layouts[1].path, wrong)
    message = json.loads((wrong / "catalog.json").read_text())
    first, *others = message["part_taxa"]
    (wrong / "catalog.json").write_text(json.dumps(message | {"part_taxa": others}))
    with pytest.raises(CatalogError, match="which taxa they hold"):
        open_catalog(wrong)
    (wrong / "catalog.json").write_text(json.dumps(message | {"part_taxa": "all"}))
    with pytest.raises(CatalogError, match="cannot be read"):
        open_catalog(wrong)
    (wrong / "catalog.json").write_text(json.dumps(message | {"part_taxa": [[first[0], first[0]], *others]}))
    found = [f for f in check_catalog(open_catalog(wrong)).findings if f.count]
    assert [(f.name, f.examples) for f in found if f.fatal] == [("wrong_part_taxa", ("part-00000.parquet",))]


def test_only_questions_about_single_photos_read_photos(layouts):
    _, built = layouts
    assert built.select("Aves", license="open", rarity="many").tally("*")[0] == "counts"
    for criteria in ({"limit": 3}, {"since": "2020-01-01"}, {"photo_ids": [9_000_000_100]}):
        assert built.select(**criteria).tally("*")[0] == "photos"


def test_another_layout_is_a_class_and_a_line(tmp_path, monkeypatch, write_catalog, photos, taxa):
    """One that keeps its files a folder deeper, beside a file that says so."""

    class Nested(layout.RawLayout):
        name = "nested"

        @classmethod
        def open(cls, root):
            return super().open(root / "rows") if (root / "nested.txt").is_file() else None

    monkeypatch.setattr(layout, "LAYOUTS", (Nested, *layout.LAYOUTS))
    (tmp_path / "nested").mkdir()
    (tmp_path / "nested" / "nested.txt").touch()
    write_catalog([*photos(taxa["robin"], 1, 2), *photos(taxa["moth"], 3)], name="nested/rows")
    catalog = open_catalog(tmp_path / "nested")
    assert catalog.layout == "nested"
    assert catalog.select("Aves").count() == 2
    assert check_catalog(catalog).sound
    assert whole(catalog).meta["catalog"]["layout"] == "nested"
    assert open_catalog(tmp_path / "nested" / "rows").layout == "raw"
