import pytest

from arboretum_tools.errors import AmbiguousTaxonError, UnknownTaxonError, UsageError
from arboretum_tools.taxa import taxonomy
from arboretum_tools.taxa.taxonomy import Candidate, Known, Taxon, decide, parse_term

ORCHID = Candidate("genus", "Laelia", ("Plantae", "Tracheophyta"), "Plantae", 10, 2, shared=True)
MOTH = Candidate("genus", "Laelia", ("Animalia", "Arthropoda"), "Animalia", 90, 3, shared=True)
FAMILY = Candidate("family", "Laelia", ("Animalia",), "Animalia", 1, 1)


def test_a_term_is_taken_apart():
    assert parse_term(" Turdus   migratorius ") == taxonomy.Term(
        " Turdus   migratorius ", "Turdus migratorius"
    )
    assert parse_term("Genus:Morus").rank == "genus"
    assert (parse_term("Plantae>Morus").parent, parse_term("Plantae>genus:Morus").rank) == (
        "Plantae",
        "genus",
    )


@pytest.mark.parametrize("text", ["", "  ", "tribe:x", "genus:", "Plantae>"])
def test_a_malformed_term_is_a_usage_error(text):
    with pytest.raises(UsageError):
        parse_term(text)


def test_one_candidate_needs_no_kingdom():
    assert decide(parse_term("laelia"), [FAMILY], []) == Taxon("family", "Laelia")


def test_homonyms_are_listed_with_the_term_that_names_each():
    with pytest.raises(AmbiguousTaxonError) as caught:
        decide(parse_term("Laelia"), [ORCHID, MOTH, FAMILY], [])
    assert caught.value.exit_code == 5
    terms = [line.split("  ")[0] for line in caught.value.candidates]
    assert terms == ["Animalia>genus:Laelia", "Plantae>genus:Laelia", "family:Laelia"]
    found = [decide(parse_term(term), [ORCHID, MOTH, FAMILY], []) for term in terms]
    assert found == [
        Taxon("genus", "Laelia", "Animalia"),
        Taxon("genus", "Laelia", "Plantae"),
        Taxon("family", "Laelia"),
    ]
    assert [taxon.term for taxon in found] == terms


def test_a_homonym_has_its_lineage_and_counts():
    with pytest.raises(AmbiguousTaxonError, match=r"\(Animalia > Arthropoda; 90 photos of 3 species\)"):
        decide(parse_term("Laelia"), [ORCHID, MOTH], [])


def test_a_parent_may_be_an_everyday_name():
    assert decide(parse_term("plants>Laelia"), [ORCHID, MOTH], []).kingdom == "Plantae"


KNOWN = [
    *(Known(name, rank, name) for name, rank in (("Araneae", "order"), ("Araneidae", "family"))),
    *(Known(name, rank, name) for name, rank in (("Aves", "class"), ("Quercus", "genus"))),
    Known("Turdus migratorius", "species", "Turdus migratorius"),
    Known("American Robin", "species", "Turdus migratorius"),
    *(Known(name, "class", "Aves") for name in ("bird", "birds")),
    Known("dragonflies and damselflies", "order", "Odonata"),
]


@pytest.mark.parametrize(
    ("text", "suggested"),
    [
        ("Aranaea", ["Araneae", "Araneidae"]),
        ("family:Aranaeidae", ["family:Araneidae"]),
        ("Animalia>order:Aranaea", ["Animalia>order:Araneae"]),
        ("americn robn", ["American Robin"]),
        ("brids", ["birds"]),
        ("damselfly", ["dragonflies and damselflies"]),
        ("zzzzqqqq", []),
    ],
)
def test_a_typing_error_is_suggested_and_nonsense_is_not(text, suggested):
    with pytest.raises(UnknownTaxonError) as caught:
        decide(parse_term(text), [], KNOWN)
    assert caught.value.exit_code == 5
    assert list(caught.value.suggestions) == suggested


def test_a_wrong_rank_says_which_the_catalogue_has():
    with pytest.raises(UnknownTaxonError, match="has it as genus"):
        decide(parse_term("order:Laelia"), [MOTH], [])


def test_groups_have_everyday_names():
    assert taxonomy.group_of("Birds") == Taxon("class", "Aves")
    assert taxonomy.group_of("plants") == Taxon("kingdom", "Plantae")
    assert taxonomy.group_of("Turdus") is None
