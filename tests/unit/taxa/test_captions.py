import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arboretum_metadata.vocab import LIFE_STAGES, RANKS
from arboretum_tools.errors import BadInputError, SplitError, UsageError
from arboretum_tools.taxa.captions import ARBORETUM_CAPTIONS, CAPTION_TYPES, Names, Templates, captions

ROBIN = {
    "label": 0,
    "scientific_name": "Turdus migratorius",
    "common_name": "American Robin",
    "kingdom": "Animalia",
    "phylum": "Chordata",
    "class": "Aves",
    "order": "Passeriformes",
    "family": "Turdidae",
    "genus": "Turdus",
    "species": "migratorius",
}

quick = settings(deadline=None, derandomize=True)


def caption_of(kind: str, **changes: object) -> str:
    return captions(Names.of(ROBIN | changes))[kind]  # type: ignore[index]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("com", "a photo of American Robin."),
        ("common_name", "American Robin."),
        ("sci", "a photo of Turdus migratorius."),
        ("sci_com", "a photo of Turdus migratorius with common name American Robin."),
        ("scientific_name", "Turdus migratorius."),
        ("taxon", "a photo of Animalia Chordata Aves Passeriformes Turdidae Turdus migratorius."),
        (
            "taxonTag",
            (
                "a photo of kingdom Animalia phylum Chordata class Aves order Passeriformes family Turdidae "
                "genus Turdus species migratorius."
            ),
        ),
        (
            "taxonTag_com",
            (
                "a photo of kingdom Animalia phylum Chordata class Aves order Passeriformes family Turdidae "
                "genus Turdus species migratorius with common name American Robin."
            ),
        ),
        (
            "taxon_com",
            (
                "a photo of Animalia Chordata Aves Passeriformes Turdidae Turdus migratorius "
                "with common name American Robin."
            ),
        ),
        ("taxonomic_name", "Animalia Chordata Aves Passeriformes Turdidae Turdus migratorius."),
    ],
)
def test_the_ten_captions_read_as_published(kind: str, text: str) -> None:
    assert caption_of(kind) == text


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("com", "a photo of American Robin juvenile."),
        ("common_name", "American Robin juvenile."),
        ("sci", "a photo of Turdus migratorius juvenile."),
        ("sci_com", "a photo of Turdus migratorius juvenile with common name American Robin."),
        ("scientific_name", "Turdus migratorius juvenile."),
        ("taxon", "a photo of Animalia Chordata Aves Passeriformes Turdidae Turdus migratorius juvenile."),
        (
            "taxonTag",
            (
                "a photo of kingdom Animalia phylum Chordata class Aves order Passeriformes family Turdidae "
                "genus Turdus species migratorius life stage juvenile."
            ),
        ),
    ],
)
def test_a_class_that_is_a_life_stage_says_so(kind: str, text: str) -> None:
    stage = {"rank": "life stage", "class_key": "Animalia|Turdus migratorius|juvenile"}
    assert caption_of(kind, **stage) == text
    assert "juvenile" not in caption_of(kind, **stage | {"rank": "species"})


def test_the_stages_of_a_species_have_captions_of_their_own() -> None:
    message = [
        captions(
            Names.of(ROBIN | {"rank": "life stage", "class_key": f"Animalia|Turdus migratorius|{stage}"})
        )
        for stage in LIFE_STAGES
    ]
    for kind in CAPTION_TYPES:
        assert len({of_stage[kind] for of_stage in message}) == len(LIFE_STAGES)


def test_there_are_ten_types_and_arboretums_five_are_among_them() -> None:
    assert len(CAPTION_TYPES) == 10
    assert set(ARBORETUM_CAPTIONS) < set(CAPTION_TYPES)
    assert list(captions(Names.of(ROBIN))) == list(CAPTION_TYPES) == sorted(CAPTION_TYPES)


@pytest.mark.parametrize("nothing", [None, "", "  ", "nan", "NaN", "None", "null", "<NA>", float("nan")])
@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("com", "a photo of Turdus migratorius."),
        ("common_name", "Turdus migratorius."),
        ("sci_com", "a photo of Turdus migratorius."),
        ("taxon_com", "a photo of Animalia Chordata Aves Passeriformes Turdidae Turdus migratorius."),
    ],
)
def test_without_a_common_name_a_caption_falls_back(kind: str, text: str, nothing: object) -> None:
    assert caption_of(kind, common_name=nothing) == text


def test_a_missing_rank_goes_with_the_word_for_it() -> None:
    assert "order" not in caption_of("taxonTag", order=None)
    assert "class Aves family Turdidae" in caption_of("taxonTag", order=None)
    assert caption_of("taxon", order=None).endswith("Chordata Aves Turdidae Turdus migratorius.")


def test_a_class_without_any_rank_is_called_by_its_scientific_name() -> None:
    bare = dict.fromkeys(RANKS)
    assert caption_of("taxon", **bare) == "a photo of Turdus migratorius."
    assert caption_of("taxonTag", **bare) == "a photo of Turdus migratorius."
    assert caption_of("taxonomic_name", **bare) == "Turdus migratorius."


def test_a_genus_as_class_has_no_species_in_its_captions() -> None:
    genus = {"scientific_name": "Turdus", "species": None, "common_name": "True Thrushes"}
    assert caption_of("taxonTag", **genus).endswith("genus Turdus.")
    assert caption_of("sci_com", **genus) == "a photo of Turdus with common name True Thrushes."


def test_a_class_without_scientific_name_is_refused() -> None:
    with pytest.raises(SplitError, match="class 0"):
        Names.of(ROBIN | {"scientific_name": " nan "})


possible_names = st.none() | st.sampled_from(["nan", "None", "NaN", "", " ", "null"]) | st.text(max_size=20)


@quick
@given(
    scientific=st.text(st.characters(categories=["Lu", "Ll"]), min_size=1, max_size=10).filter(
        lambda name: name.lower() not in {"nan", "none", "null"}
    ),
    common=possible_names,
    ranks=st.fixed_dictionaries(dict.fromkeys(RANKS, possible_names)),
)
def test_no_caption_ever_holds_nothing_said_aloud(
    scientific: str, common: str | None, ranks: dict[str, str | None]
) -> None:
    message = Names.of({"scientific_name": scientific, "common_name": common, **ranks})
    for value in (message.common_name, *(name for _, name in message.ranks)):
        assert value is None or value.lower() not in {"", "nan", "none", "null"}
    for text in captions(message).values():
        assert text == " ".join(text.split())
        assert text.isprintable()
        assert re.fullmatch(r"(a photo of )?\S.*\.", text)
        text.encode("utf-8")


@quick
@given(st.fixed_dictionaries(dict.fromkeys(RANKS, st.none() | st.sampled_from(["Aves", "Turdus"]))))
def test_rank_words_and_names_come_in_pairs(ranks: dict[str, str | None]) -> None:
    text = captions(Names.of({"scientific_name": "Turdus migratorius", "common_name": None, **ranks}))[
        "taxonTag"
    ]
    present = [(rank, ranks[rank]) for rank in RANKS if ranks[rank]]
    if present:
        assert text == "a photo of " + " ".join(f"{rank} {name}" for rank, name in present) + "."


def own(forms: dict[str, tuple[str, ...]], **changes: object) -> dict[str, str]:
    return Templates(forms).captions(Names.of(ROBIN | changes))


def test_a_template_is_filled_with_the_names_of_the_class() -> None:
    assert own({"txt": ("$common_name,  of the ${family}.",)}) == {"txt": "American Robin, of the Turdidae."}
    assert own({"price": ("$$5 for $genus",)}) == {"price": "$5 for Turdus"}


def test_the_first_form_whose_names_are_all_there_is_taken() -> None:
    forms = {"txt": ("$common_name of $family", "one of $family", "$genus")}
    assert own(forms)["txt"] == "American Robin of Turdidae"
    assert own(forms, common_name="nan")["txt"] == "one of Turdidae"
    assert own(forms, common_name=None, family=None)["txt"] == "Turdus"
    assert own(forms, common_name=None, family=None, genus=None)["txt"] == "a photo of Turdus migratorius."
    stage = {"rank": "life stage", "class_key": "Animalia|Turdus migratorius|egg"}
    of_stages = {"txt": ("an $life_stage of $common_name", "$common_name")}
    assert own(of_stages, **stage)["txt"] == "an egg of American Robin"
    assert own(of_stages)["txt"] == "American Robin"


@pytest.mark.parametrize(
    ("forms", "message"),
    [
        ({"txt": ("$habitat",)}, r"\$habitat, which no class has"),
        ({"txt": ("5 $ each",)}, "begins no name"),
        ({"a.b": ("x",)}, "name of a caption"),
        ({"": ("x",)}, "name of a caption"),
        ({"one": ("x",), "ONE": ("y",)}, "name of a caption"),
        ({"txt": ()}, "no form"),
        ({"txt": (" ",)}, "says nothing"),
        ({"txt": ("${genus.__class__}",)}, "begins no name"),
    ],
)
def test_a_template_that_cannot_be_is_refused(forms: dict[str, tuple[str, ...]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Templates(forms)


def test_templates_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "captions.toml"
    path.write_text('txt = ["$common_name.", "$scientific_name."]\nmine = "a $class"\n')
    assert Templates.read(path).forms == {
        "txt": ("$common_name.", "$scientific_name."),
        "mine": ("a $class",),
    }
    path.write_text("txt = 5\n")
    with pytest.raises(UsageError, match="neither a text nor a list"):
        Templates.read(path)
    for nothing in ("", "# only a remark\n"):
        path.write_text(nothing)
        with pytest.raises(BadInputError, match="names no caption"):
            Templates.read(path)
    path.write_text("txt = \n")
    with pytest.raises(BadInputError, match="cannot be read"):
        Templates.read(path)
    with pytest.raises(BadInputError, match="cannot be read"):
        Templates.read(tmp_path / "none.toml")
