import re
from pathlib import Path

import pytest

import arboretum_cli
import arboretum_tools
from arboretum_tools.wording import counted, does, plural


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "photo", "0 photos"),
        (1, "photo", "1 photo"),
        (1_436, "train photo", "1,436 train photos"),
        (1, "class", "1 class"),
        (2, "class", "2 classes"),
        (3, "taxon", "3 taxa"),
        (3, "species", "3 species"),
    ],
)
def test_a_number_has_its_noun(number, noun, text):
    assert counted(number, noun) == text
    assert text.endswith(plural(number, noun))


def test_a_verb_follows_its_number():
    assert [does(n, verb) for verb in ("take", "have", "are", "were") for n in (1, 2)] == [
        "takes", "take", "has", "have", "is", "are", "was", "were",
    ]  # fmt: skip


# A number of thousands with a plural behind it, written by hand: right for 2 and wrong for 1.
BY_HAND = re.compile(r"\{[^{}]*:,\} (photos|classes|files|images|rows|shards|samples|taxa)\b")


def test_no_message_counts_by_hand():
    found = []
    for package in (arboretum_tools, arboretum_cli):
        for path in sorted(Path(package.__file__).parent.rglob("*.py")):
            for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
                if BY_HAND.search(line):
                    found.append(f"{path.name}:{number}: {line.strip()}")
    assert found == []
