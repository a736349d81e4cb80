"""The numbers of a split against hand-worked cases, and its figures."""

import builtins

import pytest

from arboretum_tools.errors import BadInputError, UsageError
from arboretum_tools.split.stats import gini, save_figure, split_stats, text_figure
from arboretum_tools.testing.tiny import tiny_split


def test_the_numbers_of_a_hand_worked_split():
    stats = split_stats(tiny_split({"train": (101, 100, 20, 19), "val": (1, 1, 1, 1)}))
    assert (stats.largest, stats.smallest, stats.classes) == (101, 19, 4)
    assert stats.ratio == 101 / 19
    assert {name: band.classes for name, band in stats.bands.items()} == {"many": 1, "medium": 2, "few": 1}
    assert {name: band.photos for name, band in stats.bands.items()} == {
        "many": 101,
        "medium": 120,
        "few": 19,
    }
    assert stats.photos == {"train": 240, "val": 4}
    assert {name: band.classes for name, band in stats.groups.items()} == {"Aves": 3, "Plantae": 1}
    # Of the raven's order only its own lineage lacks the name.
    assert stats.ranks == {
        "kingdom": 2, "phylum": 1, "class": 1, "order": 1, "family": 2, "genus": 3, "species": 4
    }  # fmt: skip


def test_a_folder_stands_for_its_split(tmp_path):
    split = tiny_split()
    assert split_stats(split.save(tmp_path / "tiny")) == split_stats(split)
    assert split_stats(str(tmp_path / "tiny")) == split_stats(split)


def test_bounds_of_the_bands_can_be_set():
    stats = split_stats(tiny_split(), many_above=30, few_below=5)
    assert {name: band.classes for name, band in stats.bands.items()} == {"many": 1, "medium": 1, "few": 2}
    with pytest.raises(UsageError, match="no band between"):
        split_stats(tiny_split(), many_above=5, few_below=30)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([5, 5, 5], 0), ([1, 0], 0.5), ([0, 0, 0, 8], 0.75), ([1, 2, 3], 2 / 9), ([0], 0)],
)
def test_gini_is_half_the_relative_mean_difference(counts, expected):
    assert gini(counts) == pytest.approx(expected)
    if sum(counts):
        mean = sum(counts) / len(counts)
        differences = sum(abs(a - b) for a in counts for b in counts) / len(counts) ** 2
        assert gini(counts) == pytest.approx(differences / (2 * mean))


def test_the_plain_text_figure_shows_every_class_from_head_to_tail():
    lines = text_figure(split_stats(tiny_split({"train": (200, 50, 19, 1)})))
    assert lines[0].startswith("118 |####")
    assert [line.count(".") for line in lines[:-2]] == sorted(line.count(".") for line in lines[:-2])
    assert lines[-3].split("|")[1] == "####++++........"
    assert "4 classes; # many, + medium, . few" in lines[-1]
    wide = split_stats(tiny_split())
    assert max(map(len, text_figure(wide, width=2))) < 80


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_the_figure_is_the_same_file_twice(tmp_path, suffix, magic, monkeypatch):
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "mpl"))
    stats = split_stats(tiny_split({"train": (200, 50, 19, 1)}))
    one, two = (save_figure(stats, tmp_path / f"{n}{suffix}").read_bytes() for n in "ab")
    assert one.startswith(magic)
    assert one == two or suffix == ".svg"  # matplotlib draws the ids of an SVG by lot


def test_without_matplotlib_the_error_says_what_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **named):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(BadInputError, match="matplotlib") as caught:
        save_figure(split_stats(tiny_split()), tmp_path / "x.png")
    assert ".[plots]" in caught.value.hint
    with pytest.raises(UsageError, match="figure"):
        save_figure(split_stats(tiny_split()), tmp_path / "x.txt")
