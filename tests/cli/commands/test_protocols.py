"""Splits by place, time and person, and few-shot episodes, as they are typed."""

import json
from pathlib import Path

from arboretum_tools.split import open_split

SIZES = ("--lt-ratio", "5", "--val-per-class", "2", "--test-per-class", "4")


def test_a_split_by_cells_says_what_lies_where_and_what_is_left_out(arboretum, workdir):
    flags = ("--split-by", "region:5", "--test-share", "30", "--val-share", "15")
    outcome = arboretum("make-split", "--taxa", "Aves", *flags, *SIZES)
    assert outcome.code == 0
    sides = open_split("splits/aves-region5-lt5").meta["sides"]
    assert f"train {sides['photos']['train']:,} in {sides['units']['train']:,} cells" in outcome.out
    assert f"{sides['without_position']} photos without position" in outcome.out
    assert "too few photos on a side" in outcome.out
    assert arboretum("audit-split", "splits/aves-region5-lt5", "--catalog", "catalog").code == 0
    again = arboretum("make-split", "--from", "splits/aves-region5-lt5")
    assert again.code == 0
    assert "the same split" in again.out
    Path("r.toml").write_text('taxa = ["Aves"]\nsplit-by = "observer"\ntest-share = 30\nname = "people"\n')
    assert arboretum("make-split", "--recipe", "r.toml", *SIZES).code == 0
    recipe = open_split("splits/people").meta["recipe"]
    assert (recipe["split_by"], recipe["test_share"], recipe["val_share"]) == ("observer", 30, 10)


def test_what_no_rule_is_has_exit_2_and_what_the_photos_do_not_carry_3(arboretum, workdir):
    outcome = arboretum("make-split", "--taxa", "Aves", "--split-by", "region:7")
    assert (outcome.code, "180 is a multiple of it" in outcome.err) == (2, True)
    outcome = arboretum("make-split", "--taxa", "Aves", "--split-by", "time:1980-01-01")
    assert (outcome.code, "Take another date" in outcome.err) == (3, True)
    assert not Path("splits").exists()


def test_episodes_are_written_once_and_audited(arboretum, workdir):
    assert arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "20").code == 0
    words = (
        "episodes",
        "splits/aves-lt20",
        "--ways",
        "4",
        "--queries",
        "3",
        "--episodes",
        "9",
        "-o",
        "e.parquet",
    )
    outcome = arboretum(*words, "--seed", "2", "--json")
    assert outcome.code == 0
    report = json.loads(outcome.out)
    assert (report["episodes"], report["ways"], report["shots"], report["queries"]) == (9, 4, 1, 3)
    assert arboretum(*words).code == 3
    outcome = arboretum(*words, "--overwrite", "--part", "val")
    assert "9 episodes of 4 classes" in outcome.out
    outcome = arboretum("audit-split", "splits/aves-lt20", "--episodes", "e.parquet")
    assert outcome.code == 0
    assert "classes and photos are those of seed 0" in outcome.out
    outcome = arboretum("episodes", "splits/aves-lt20", "--shots", "40", "-o", "f.parquet")
    assert (outcome.code, "are asked for" in outcome.err) == (3, True)
    assert arboretum("audit-split", "splits/aves-lt20", "--episodes", "splits/aves-lt20/split.json").code == 3
