import pytest

from arboretum_metadata.vocab import LICENSES
from arboretum_tools.photos.credit import credit_line


@pytest.mark.parametrize(
    ("observer", "license_name", "line"),
    [
        ("Ada Sample", "CC0", "Ada Sample, no rights reserved (CC0)"),
        ("Ada Sample", "CC-BY", "(c) Ada Sample, some rights reserved (CC BY)"),
        ("ada", "CC-BY-NC-SA", "(c) ada, some rights reserved (CC BY-NC-SA)"),
        ("ada", "PD", "ada, no known copyright restrictions (public domain)"),
        (None, "CC-BY-NC", "(c) unknown observer, some rights reserved (CC BY-NC)"),
        ("  \t", "CC-BY-NC", "(c) unknown observer, some rights reserved (CC BY-NC)"),
        ("two\nlines", "CC-BY", "(c) two lines, some rights reserved (CC BY)"),
    ],
)
def test_the_credit_line_is_the_one_inaturalist_shows(
    observer: str | None, license_name: str, line: str
) -> None:
    assert credit_line(observer, license_name) == line


@pytest.mark.parametrize("license_name", [None, "", "cc-by", "all rights reserved"])
def test_an_unknown_licence_gives_no_credit_line(license_name: str | None) -> None:
    assert credit_line("Ada Sample", license_name) is None


def test_every_licence_of_the_vocabulary_has_a_credit_line() -> None:
    lines = {credit_line("Ada Sample", name) for name in LICENSES}
    assert None not in lines
    assert len(lines) == len(LICENSES)
