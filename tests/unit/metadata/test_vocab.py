"""The vocabularies: what a licence permits, which taxa the groups are, how they refer to each other."""

from arboretum_metadata.vocab import (
    EXTENSIONS,
    FEW_BELOW,
    GROUPS,
    LICENSE_PRESETS,
    LICENSES,
    LIFE_STAGES,
    MANY_ABOVE,
    PHOTO_SIZES,
    QUALITY_GRADES,
    RANKS,
)


def test_ranks_go_from_the_broadest_to_the_narrowest():
    assert list(RANKS) == ["kingdom", "phylum", "class", "order", "family", "genus", "species"]
    levels = [rank.level for rank in RANKS.values()]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] == 70
    assert levels[-1] == 10


def test_the_seven_groups_are_taxa_of_a_rank():
    assert set(GROUPS) == {"Aves", "Arachnida", "Insecta", "Reptilia", "Plantae", "Fungi", "Mollusca"}
    assert all(group.rank in RANKS for group in GROUPS.values())


def test_a_common_name_means_one_group():
    names = [name for group in GROUPS.values() for name in group.common_names]
    assert len(names) == len(set(names))
    assert all(name == name.lower() for name in names)


def test_the_eight_licences_of_open_data_are_known():
    assert set(LICENSES) == {
        "CC0", "PD", "CC-BY", "CC-BY-SA", "CC-BY-NC", "CC-BY-NC-SA", "CC-BY-ND", "CC-BY-NC-ND",
    }  # fmt: skip


def test_what_a_licence_permits_agrees_with_its_name():
    for name, licence in LICENSES.items():
        parts = name.split("-")
        assert licence.name == name
        assert licence.derivatives == ("ND" not in parts)
        assert licence.commercial == ("NC" not in parts)
        assert licence.share_alike == ("SA" in parts)
        assert licence.attribution == ("BY" in parts)
        assert licence.url.startswith("https://")


def test_no_preset_holds_a_licence_without_derivatives():
    assert set(LICENSE_PRESETS) == {"open", "non-commercial-ok"}
    for names in LICENSE_PRESETS.values():
        assert all(LICENSES[name].derivatives for name in names)


def test_the_open_preset_is_all_that_permits_commerce_and_change():
    permitted = {name for name, licence in LICENSES.items() if licence.derivatives and licence.commercial}
    assert set(LICENSE_PRESETS["open"]) == permitted
    assert set(LICENSE_PRESETS["non-commercial-ok"]) == {n for n, x in LICENSES.items() if x.derivatives}


def test_life_stages_have_numbers_of_their_own():
    numbers = [stage.inat_value_id for stage in LIFE_STAGES.values()]
    assert len(numbers) == len(set(numbers))
    assert {"adult", "egg", "larva", "pupa", "nymph", "juvenile"} <= set(LIFE_STAGES)


def test_small_vocabularies_are_what_the_hosts_serve():
    assert QUALITY_GRADES[0] == "research"
    assert all(ext == ext.lower() for ext in EXTENSIONS)
    assert list(PHOTO_SIZES.values()) == sorted(PHOTO_SIZES.values(), reverse=True)
    assert FEW_BELOW < MANY_ABOVE
