"""Values of closed lists as sources spell them."""

import pytest

from arboretum_metadata.vocab import LICENSES
from arboretum_tools.catalog import open_catalog
from arboretum_tools.catalog.building.build import build_catalog
from arboretum_tools.catalog.building.spellings import value_sql
from arboretum_tools.catalog.check import check_catalog
from arboretum_tools.events import Note
from arboretum_tools.tabular.query import connect, literal, rows

SPELLED = [
    ("license", "cc-by", "CC-BY"),
    ("license", "CC-BY-4.0", "CC-BY"),
    ("license", "CC_BY_NC_4_0", "CC-BY-NC"),
    ("license", "CC BY-NC-SA 3.0", "CC-BY-NC-SA"),
    ("license", "CC0_1_0", "CC0"),
    ("license", "http://creativecommons.org/publicdomain/zero/1.0/legalcode", "CC0"),
    ("license", "https://www.creativecommons.org/licenses/by-nd/2.5/us/", "CC-BY-ND"),
    ("license", "CC0 1.0", "CC0"),
    ("license", "CC0 4.0", None),
    ("license", "http://creativecommons.org/publicdomain/zero/4.0/", None),
    ("license", "CC-BY 4.5", None),
    ("license", "all rights reserved", None),
    ("license", "CC-BY-NC-9", None),
    ("life_stage", "Adult", "adult"),
    ("life_stage", " Imago ", "adult"),
    ("life_stage", "Spring", None),
    ("quality_grade", "Research", "research"),
    ("quality_grade", "Needs ID", "needs_id"),
    ("iucn", "vu", "VU"),
]


@pytest.mark.parametrize(("column", "text", "value"), SPELLED)
def test_a_spelling_is_the_value_it_stands_for(column, text, value):
    assert rows(connect(), f"SELECT {value_sql(column, literal(text))}") == [(value,)]


def test_the_address_of_every_licence_is_that_licence():
    for name, known in LICENSES.items():
        assert rows(connect(), f"SELECT {value_sql('license', literal(known.url))}") == [(name,)]


def spelled_rows(photos, taxa):
    values = (("cc-by", "Adult", "Research"), ("CC-BY-4.0", "Imago", "research"), ("mine", "Spring", "Best"))
    return [
        row | {"license": license_, "life_stage": stage, "quality_grade": grade}
        for row, (license_, stage, grade) in zip(photos(taxa["robin"], 1, 2, 3), values, strict=True)
    ]


def test_filters_take_values_as_sources_spell_them(write_catalog, photos, taxa, tmp_path):
    raw = write_catalog(spelled_rows(photos, taxa))
    build_catalog(raw, tmp_path / "built")
    for path in (raw, tmp_path / "built"):
        catalog = open_catalog(path)
        assert catalog.select(license="CC-BY").count() == 2
        assert catalog.select(life_stage="adult").count() == 2
        assert catalog.select(quality_grade="any", life_stage_unknown="only").count() == 1


def test_unknown_spellings_are_counted_and_told(write_catalog, photos, taxa, tmp_path):
    raw, told = write_catalog(spelled_rows(photos, taxa)), []
    report = build_catalog(raw, tmp_path / "built", on_event=told.append)
    assert report.defects.unknown_values == {
        "license": {"mine": 1}, "life_stage": {"Spring": 1}, "quality_grade": {"Best": 1}
    }  # fmt: skip
    assert any("'mine' (1)" in sentence for sentence in report.defects.sentences)
    for path in (raw, tmp_path / "built"):
        findings = {finding.name: finding for finding in check_catalog(open_catalog(path)).findings}
        assert findings["unknown_license"].examples == ("mine (1)",)
        assert findings["unknown_quality_grade"].count == 1
    open_catalog(raw, on_event=told.append).select().count()
    assert any("kept with a defect" in event.text for event in told if isinstance(event, Note))
