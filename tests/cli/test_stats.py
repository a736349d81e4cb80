"""stats as it is typed."""

import json
from pathlib import Path


def test_it_prints_numbers_and_figure_and_writes_what_it_is_asked_for(arboretum, place, monkeypatch):
    monkeypatch.setenv("MPLCONFIGDIR", str(place / "mpl"))
    assert arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "20").code == 0
    outcome = arboretum("stats", "splits/aves-lt20", "--figure", "f.png", "--weights", "w")
    assert outcome.code == 0
    assert "ratio 20" in outcome.out
    assert "log axis" in outcome.out
    assert Path("f.png").stat().st_size > 1000
    assert len(json.loads(Path("w/cls_num_list.json").read_text())) > 2
    value = json.loads(arboretum("stats", "splits/aves-lt20", "--json", "--many-above", "50").out)
    assert value["many_above"] == 50
    assert sum(band["classes"] for band in value["bands"].values()) == value["classes"]
    assert arboretum("stats", "splits/aves-lt20", "--figure", "f.txt").code == 2
    assert arboretum("stats", "nowhere").code == 3
