"""Selections: what each criterion takes, what it says, and what it refuses."""

import datetime as dt
import json

import pyarrow.parquet as pq
import pytest

from arboretum_tools.catalog import open_catalog
from arboretum_tools.catalog.building.build import build_catalog
from arboretum_tools.errors import AmbiguousTaxonError, SelectionError, UnknownTaxonError, UsageError
from arboretum_tools.events import Note
from arboretum_tools.stable_key import key
from arboretum_tools.tabular.tables import provenance_of


@pytest.fixture
def catalog(write_catalog, photos, taxa):
    """40 robins, 10 oaks, 3 orchids, 2 moths; every optional column with gaps."""
    rows = []
    for name, count in (("robin", 40), ("oak", 10), ("orchid", 3), ("moth", 2)):
        for n in range(count):
            rows += photos(
                taxa[name],
                len(rows) + 1,
                license=("CC0", "CC-BY-NC", "CC-BY-ND", None)[n % 4],
                life_stage=("adult", "juvenile", None)[n % 3],
                quality_grade=("research", "research", "needs_id", "casual", None)[n % 5],
                observation_id=n // 3 if n % 7 else None,
                latitude=float(n),
                longitude=-170.0 if n % 2 else 170.0,
                observed_on=dt.date(2020, 1, 1) + dt.timedelta(days=n),
            )
    return open_catalog(write_catalog(rows, files=2))


def ids(selection):
    return selection.to_arrow()["photo_id"].to_pylist()


def everything(catalog, **criteria):
    return catalog.select(**{"quality_grade": "any", **criteria})


def test_research_grade_is_the_default_and_unknown_is_not_research(catalog):
    assert catalog.select().count() == 16 + 4 + 2 + 2
    assert "research grade" in catalog.select().english
    assert everything(catalog).count() == 55
    assert catalog.select(quality_grade="needs_id").count() == 8 + 2 + 1


def test_its_representation_asks_the_catalogue_nothing(write_catalog, photos, taxa):
    catalog = open_catalog(write_catalog(photos(taxa["robin"], 1, license="CC0")))
    assert repr(catalog) == f"Catalog({str(catalog.path)!r}, layout='raw')"
    selection = catalog.select(license="CC0")
    assert repr(selection) == f"Selection(catalog={str(catalog.path)!r}, any_of=[{{'license': ['CC0']}}])"
    assert "defects" not in vars(catalog)


def test_taxa_of_any_rank_are_joined_and_excluded(catalog):
    assert everything(catalog, taxa="Aves").count() == 40
    assert everything(catalog, taxa=["class:Aves", "oak, white oaks"][:1]).count() == 40
    assert everything(catalog, taxa="Aves,white oaks").count() == 50
    assert everything(catalog, exclude_taxa="birds").count() == 15
    assert everything(catalog, taxa="plants", exclude_taxa="Orchidaceae").count() == 10
    assert everything(catalog, taxa="turdus MIGRATORIUS").count() == 40


def test_a_row_without_the_rank_is_outside_and_not_lost(write_catalog, photos, taxa):
    rows = photos(taxa["robin"], 1, 2) + photos(taxa["robin"] | {"family": None}, 3)
    catalog = open_catalog(write_catalog(rows))
    assert ids(catalog.select("Turdidae")) == [1, 2]
    assert ids(catalog.select(exclude_taxa="Turdidae")) == [3]


def test_homonyms_must_be_told_apart(catalog):
    with pytest.raises(AmbiguousTaxonError) as caught:
        catalog.select("Laelia")
    assert [line.split("  ")[0] for line in caught.value.candidates] == [
        "Plantae>genus:Laelia",
        "Animalia>genus:Laelia",
    ]
    assert everything(catalog, taxa="Plantae>Laelia").count() == 3
    assert everything(catalog, taxa="Animalia>species:Laelia rosea").count() == 2


def test_an_unknown_taxon_has_suggestions(catalog):
    with pytest.raises(UnknownTaxonError, match="did you mean Turdus"):
        catalog.select("Turduss migratorius")


def test_rarity_and_counts_look_at_the_whole_catalogue(catalog):
    assert everything(catalog, rarity="rare").count() == 15
    assert everything(catalog, rarity="medium").count() == 40
    assert everything(catalog, min_photos=3, max_photos=10).count() == 13
    # Only 16 robins are research grade, and the species is not rare for that.
    assert catalog.select("Aves", rarity="rare").count() == 0


def test_licences_and_life_stages_never_pass_when_unknown(catalog):
    assert everything(catalog, taxa="Aves", license="CC0").count() == 10
    assert everything(catalog, taxa="Aves", license="non-commercial-ok").count() == 20
    assert everything(catalog, taxa="Aves", license="open").count() == 10
    assert everything(catalog, taxa="Aves", life_stage="adult,juvenile").count() == 14 + 13


def test_boxes_cross_the_date_line(catalog):
    assert everything(catalog, taxa="Aves", bbox="160,0,180,9").count() == 5
    assert everything(catalog, taxa="Aves", bbox=(160, 0, -160, 9)).count() == 10


def test_days_are_included_at_both_ends(catalog):
    assert everything(catalog, taxa="Aves", since="2020-01-02", until=dt.date(2020, 1, 4)).count() == 3


def test_a_limit_is_the_smallest_by_key_and_not_a_head(catalog):
    chosen = ids(everything(catalog, taxa="Aves", limit=7))
    expected = sorted(range(1, 41), key=lambda i: (key(i, "limit", 0), i))[:7]
    assert chosen == sorted(expected)
    assert everything(catalog, taxa="Aves", limit=1000).count() == 40


def test_photos_of_one_observation_are_capped(catalog):
    table = everything(catalog, taxa="Aves").to_arrow().to_pylist()
    groups = {}
    for row in table:
        group = row["observation_id"] if row["observation_id"] is not None else ("own", row["photo_id"])
        groups.setdefault(group, []).append(row["photo_id"])
    expected = sorted(
        i for members in groups.values() for i in sorted(members, key=lambda i: (key(i, "limit", 0), i))[:2]
    )
    assert max(map(len, groups.values())) == 3
    assert ids(everything(catalog, taxa="Aves", photos_per_observation=2)) == expected


def test_a_list_of_photos(catalog, tmp_path):
    (tmp_path / "ids.txt").write_text("1\n2\n45\n99999\n")
    assert ids(everything(catalog, photo_ids=tmp_path / "ids.txt")) == [1, 2, 45]
    assert ids(everything(catalog, photo_ids=[2, 1])) == [1, 2]


@pytest.mark.parametrize(
    ("criteria", "error", "message"),
    [
        ({"life_stage": "puppy"}, UsageError, "known: egg"),
        ({"license": "MIT"}, UsageError, "unknown licence"),
        ({"rarity": "very"}, UsageError, "rare"),
        ({"quality_grade": "best"}, UsageError, "research"),
        ({"bbox": "1,2,3"}, UsageError, "west,south,east,north"),
        ({"bbox": "0,50,10,40"}, UsageError, "must rise"),
        ({"since": "yesterday"}, UsageError, "2023-06-30"),
        ({"limit": 0}, UsageError, "1 or more"),
        ({"min_photos": 9, "max_photos": 3}, UsageError, "more than"),
        ({"since": "2021-01-01", "until": "2020-01-01"}, UsageError, "later"),
    ],
)
def test_a_value_that_is_none_is_refused_before_any_query(catalog, criteria, error, message):
    with pytest.raises(error) as caught:
        catalog.select(**criteria)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("criteria", "column", "source"),
    [
        ({"life_stage": "adult"}, "life_stage", "GBIF"),
        ({"license": "open"}, "license", "Open Data"),
        ({"bbox": "0,0,1,1"}, "latitude", "Open Data"),
        ({"since": "2020-01-01"}, "observed_on", "Open Data"),
        ({"photos_per_observation": 1}, "observation_id", "Open Data"),
    ],
)
def test_a_column_that_the_catalogue_lacks_is_named_with_its_source(
    write_catalog, photos, taxa, criteria, column, source
):
    catalog = open_catalog(write_catalog(photos(taxa["robin"], 1)))
    with pytest.raises(SelectionError, match=f"no column {column}") as caught:
        catalog.select(**criteria)
    assert source in caught.value.hint


def test_without_grades_everything_is_taken_and_it_says_so(write_catalog, photos, taxa):
    catalog = open_catalog(write_catalog(photos(taxa["robin"], 1, 2)))
    assert catalog.select().count() == 2
    assert "no grades" in catalog.select().english
    with pytest.raises(SelectionError, match="no quality_grade"):
        catalog.select(quality_grade="casual").count()


def test_a_selection_tells_sql_parameters_and_english(catalog):
    found = catalog.select("Aves", life_stage="adult", limit=3).explanation
    assert found.parameters == ("Aves", "adult", "research")
    assert found.sql.count("?") == 3
    assert "Aves" not in found.sql
    assert found.english == (
        "class Aves; life stage adult; research grade; at most 3 photos, chosen by their key"
    )


def test_a_recipe_holds_only_what_was_asked(catalog):
    assert catalog.select().recipe() == {"version": 1, "any_of": [{}]}
    recipe = catalog.select("birds", license="open", bbox="0,1,2,3", since="2020-01-01").recipe()
    assert recipe["any_of"] == [
        {
            "taxa": ["class:Aves"],
            "license": ["CC0", "PD", "CC-BY", "CC-BY-SA"],
            "bbox": [0.0, 1.0, 2.0, 3.0],
            "since": "2020-01-01",
        }
    ]
    json.dumps(recipe)


def test_several_criteria_are_their_union_without_repeats(catalog):
    parts = [everything(catalog, taxa="Aves", limit=5), everything(catalog, taxa="Aves", limit=9)]
    both = catalog.selection(*(one.criteria[0] for one in parts))
    assert ids(both) == ids(parts[1])
    assert both.label == "aves"
    assert catalog.selection(everything(catalog).criteria[0], parts[0].criteria[0]).label == "all"


def test_summary_and_counts(catalog):
    summary = everything(catalog, taxa="Aves").summary()
    assert (summary["photos"], summary["classes"], summary["no_license"]) == (40, 1, 10)
    counts = everything(catalog).species_counts()
    assert counts["n_selected"].tolist() == [40, 10, 3, 2]
    assert counts["class_key"].tolist()[2:] == ["Plantae|Laelia rosea", "Animalia|Laelia rosea"]


def test_a_saved_selection_says_how_it_was_made(catalog, tmp_path):
    selection = everything(catalog, taxa="Aves")
    assert selection.save(tmp_path / "sel.parquet") == 40
    message = provenance_of(tmp_path / "sel.parquet")
    assert message["english"] == "class Aves"
    assert message["catalog"]["fingerprint"] == catalog.fingerprint
    table = pq.read_table(tmp_path / "sel.parquet")
    assert table["photo_id"].to_pylist() == list(range(1, 41))
    assert len(open_catalog(tmp_path / "sel.parquet")) == 40


HOSTILE = ["x' OR 1=1 --", 'a"; DROP TABLE photos', "%", "\\", "?", "$name", "''"]


@pytest.mark.parametrize("name", HOSTILE)
def test_metacharacters_in_names_are_data(write_catalog, photos, taxa, name):
    hostile = taxa["robin"] | {"genus": name, "species": name, "common_name": name, "family": name}
    catalog = open_catalog(write_catalog(photos(taxa["robin"], 1) + photos(hostile, 2)))
    assert ids(catalog.select(f"family:{name}")) == [2]
    assert ids(catalog.select(exclude_taxa=f"family:{name}")) == [1]
    with pytest.raises(UnknownTaxonError):
        catalog.select(f"order:{name}")


def test_a_saved_selection_is_a_catalogue_with_the_same_photos(tmp_path, write_catalog, photos, taxa):
    catalog = open_catalog(write_catalog(photos(taxa["robin"], 1, 2, 3)))
    catalog.select().save(tmp_path / "saved.parquet")
    saved = open_catalog(tmp_path / "saved.parquet")
    assert not saved.has("quality_grade")
    assert saved.select().count() == 3
    build_catalog(tmp_path / "saved.parquet", tmp_path / "built")
    assert open_catalog(tmp_path / "built").select().count() == 3


def test_a_filter_that_removes_everything_is_named(write_catalog, photos, taxa):
    told = []
    rows = [row | {"license": "CC0"} for row in photos(taxa["robin"], 1, 2)]
    catalog = open_catalog(write_catalog(rows), on_event=told.append)
    assert catalog.select("Aves", license="CC-BY").count() == 0
    (note,) = [event.text for event in told if isinstance(event, Note)]
    assert "the filter 'licence CC-BY' leaves none of 2 photos" in note
