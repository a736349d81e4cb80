"""make-split's families, recipes and --from, as they are typed."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arboretum_tools.split import open_split
from arboretum_tools.split.drawing.drawn_parts import DrawnParts
from arboretum_tools.split.files.part_files import SavedParts


def test_a_family_is_one_folder_a_ratio(arboretum, workdir):
    outcome = arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "10,50,100", "--json")
    assert outcome.code == 0
    family = json.loads(outcome.out)["family"]
    assert [one["path"] for one in family] == [f"splits/aves-lt{ratio}" for ratio in (10, 50, 100)]
    trains = [set(open_split(one["path"]).part("train")["photo_id"].to_pylist()) for one in family]
    assert trains[2] < trains[1] < trains[0]
    other = ("--profile", "step", "--rank", "family", "--out", "f", "--test-per-class", "2")
    outcome = arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "2,4", *other)
    assert sorted(path.name for path in Path("f").iterdir()) == [
        "aves-family-step-lt2",
        "aves-family-step-lt4",
    ]
    assert outcome.out.count("written to") == 2


def test_a_recipe_file_means_its_flags_and_flags_beside_it_win(arboretum, workdir):
    Path("r.toml").write_text('taxa = ["Aves"]\nlt-ratio = 20\nval-per-class = 2\nname = "from-file"\n')
    assert arboretum("make-split", "--recipe", "r.toml").code == 0
    flags = ("--taxa", "Aves", "--lt-ratio", "20", "--val-per-class", "2")
    assert arboretum("make-split", *flags, "--name", "from-flags").code == 0
    assert open_split("splits/from-file").sha256 == open_split("splits/from-flags").sha256
    assert arboretum("make-split", "--recipe", "r.toml", "--lt-ratio", "10", "--name", "ten").code == 0
    assert open_split("splits/ten").meta["ratio_asked"] == 10


def test_the_photos_of_a_split_are_never_in_memory_whole(arboretum, workdir, monkeypatch):
    """Made, made again where it is, counted and weighed: 100 bytes per photo would be gigabytes."""

    def refuse(*_):
        raise AssertionError("a part was read as a table")

    for kind in (DrawnParts, SavedParts):
        monkeypatch.setattr(kind, "_table", refuse)
    for message in ("written to splits/all-lt5", "nothing written"):
        assert message in arboretum("make-split", "--lt-ratio", "5").out
    assert "train" in arboretum("stats", "splits/all-lt5", "--weights", "w").out


def test_the_preset_takes_the_seven_groups(arboretum, workdir):
    outcome = arboretum("make-split", "--preset", "arboretum-40m", "--json")
    assert outcome.code == 0
    recipe = json.loads(outcome.out)["recipe"]
    assert (recipe["profile"], recipe["min_per_class"], recipe["max_per_class"]) == ("natural", 30, 50000)
    assert len(recipe["selection"]["any_of"][0]["taxa"]) == 7
    split = open_split(json.loads(outcome.out)["path"])
    assert min(split.classes["n_selected"].to_pylist()) >= 30


def test_a_split_is_made_again_from_its_json(arboretum, workdir):
    assert arboretum("make-split", "--taxa", "Aves", "--name", "first").code == 0
    outcome = arboretum("make-split", "--from", "splits/first/split.json", "--name", "second")
    assert outcome.code == 0
    assert "the same split, by all content hashes" in outcome.out
    assert open_split("splits/first").sha256 == open_split("splits/second").sha256
    outcome = arboretum("make-split", "--from", "splits/first", "--seed", "3")
    assert outcome.code == 2
    assert "--from takes everything" in outcome.err


def test_another_split_is_exit_6_names_the_hashes_and_is_kept_only_where_asked(arboretum, workdir):
    assert arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "10", "--name", "first").code == 0
    rows = pq.read_table("catalog").to_pylist()
    credited = [row | {"observer_name": "somebody else"} for row in rows]
    for name, other in (("credited", credited), ("fewer", rows[::2])):
        Path(name).mkdir()
        pq.write_table(pa.Table.from_pylist(other), f"{name}/p.parquet")
    before = sorted(Path("splits").rglob("*"))
    outcome = arboretum("make-split", "--from", "splits/first", "--catalog", "credited", "--name", "again")
    assert outcome.code == 6
    assert "rows_sha256 of train, rows_sha256 of val, rows_sha256 of test differ" in outcome.out
    assert "the catalogue has the same photos and classes" in outcome.out
    assert "Nothing was written" in outcome.err
    assert sorted(Path("splits").rglob("*")) == before
    fewer = ("make-split", "--from", "splits/first", "--catalog", "fewer", "--json")
    outcome = arboretum(*fewer, "--out", "now")
    assert outcome.code == 6
    found = json.loads(outcome.out)
    assert {"sha256 of train", "sha256 of classes"} <= set(found["differing"])
    assert (found["same"], found["catalog_changed"]) == (False, True)
    assert open_split("now").sha256 == found["sha256"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--lt-ratio", "10,x"], 2, "neither a ratio, such as 100"),
        (["--lt-ratio", "10,0"], 2, "above 0"),
        (["--lt-ratio", "10,2.5"], 3, "2 or 3"),
        (["--profile", "natural", "--lt-ratio", "10"], 3, "no imbalance ratio"),
        (["--no-split", "--test-per-class", "3"], 2, "--test-per-class: with --no-split"),
        (["--profile", "zipf"], 2, "known: exp"),
        (["--preset", "inat"], 2, "the presets are arboretum-40m"),
        (["--rank", "kingdom"], 2, "species, genus, family, order"),
        (["--recipe", "nowhere.toml"], 3, "nowhere.toml"),
        (["--from", "nowhere"], 3, "nowhere"),
        (["--benchmark", "confounding"], 3, "--preset arboretum-confounding"),
        (["--benchmark", "confounding", "--pairs", "nowhere"], 3, "nowhere cannot be read"),
        (["--benchmark", "unseen", "--test-per-class", "30"], 3, "--test-per-class 28 or less"),
        (["--benchmark", "unseen", "--lt-ratio", "10,20"], 3, "has no imbalance ratio"),
        (["--stages", "egg"], 3, "Add --benchmark life-stage"),
    ],
)
def test_bad_input_is_one_error_and_writes_nothing(arboretum, workdir, arguments, code, message):
    outcome = arboretum("make-split", *arguments)
    assert outcome.code == code
    assert message in outcome.err
    assert not Path("splits").exists()


def test_benchmarks_are_made_audited_counted_and_evaluated(arboretum, workdir):
    Path("pairs.txt").write_text("Harmonia axyridis, Adalia bipunctata  # ladybirds\n")
    Path("r.toml").write_text(
        'benchmark = "life-stage"\nstages = "larva=1,adult"\ntest-per-class = 4\nname = "ls"\n'
    )
    balanced = ("--test-per-class", "9", "--classes-per-group", "2", "--name", "balanced")
    for arguments in (
        ("--benchmark", "balanced", *balanced),
        ("--preset", "arboretum-unseen", "--name", "unseen"),
        ("--recipe", "r.toml"),
        (
            "--benchmark",
            "confounding",
            "--pairs",
            "pairs.txt",
            "--pair",
            "Popillia japonica / Phyllopertha horticola",
            "--test-per-class",
            "8",
            "--name",
            "pairs",
        ),
    ):
        outcome = arboretum("make-split", *arguments)
        assert outcome.code == 0, outcome.err
        assert "test photos in all" in outcome.out
    assert open_split("splits/ls").meta["recipe"]["stages"] == {"larva": 1, "adult": 4}
    assert len(open_split("splits/pairs").meta["pairs"]) == 2
    for name in ("balanced", "unseen", "ls", "pairs"):
        assert arboretum("audit-split", f"splits/{name}").code == 0
        assert "test photos per class" in arboretum("stats", f"splits/{name}").out
        outcome = arboretum(
            "evaluate", f"splits/{name}", f"splits/{name}/test.parquet", "--out", f"{name}-out"
        )
        assert outcome.code == 0
        assert "the split has no train part" in outcome.out
        assert ("taken for the other" in outcome.out) == (name == "pairs")
    again = arboretum("make-split", "--from", "splits/pairs", "--name", "again")
    assert "the same split, by all content hashes" in again.out


def test_benchmarks_are_kept_out_of_other_splits(arboretum, workdir):
    assert arboretum("make-split", "--preset", "arboretum-unseen", "--name", "unseen").code == 0
    Path("taxa.txt").write_text("Passer domesticus\n")
    both = ("--exclude", "splits/unseen", "--exclude", "taxa.txt")
    outcome = arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "10", *both, "--name", "clean")
    assert outcome.code == 0, outcome.err
    assert "kept out by --exclude" in outcome.out
    assert "Passer domesticus" not in open_split("splits/clean").classes["name"].to_pylist()
    assert arboretum("audit-split", "splits/clean", *both).code == 0
    assert arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "10").code == 0
    assert arboretum("audit-split", "splits/aves-lt10", *both).code == 6
    again = arboretum("make-split", "--from", "splits/clean/split.json", "--name", "again")
    assert "the same split, by all content hashes" in again.out
    Path("splits/clean/excluded.parquet").unlink()
    again = arboretum("make-split", "--from", "splits/clean", *both, "--name", "third")
    assert "the same split, by all content hashes" in again.out
    outcome = arboretum("make-split", "--from", "splits/clean", "--name", "fourth")
    assert outcome.code == 3
    assert "--exclude" in outcome.err


def test_a_ratio_that_is_not_whole_is_met_from_above_and_both_are_said(arboretum, workdir):
    outcome = arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "7.5", "--min-per-class", "3")
    assert outcome.code == 0
    assert "ratio 7.66667 (7.5 asked): 23 train photos" in outcome.out
    assert "asked" not in arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "10").out


def test_why_encounters_were_not_kept_together_is_said(arboretum, workdir):
    parts = ("--test-per-class", "2", "--lt-ratio", "5")
    Path("bare").mkdir()
    bare = pq.read_table("catalog").drop_columns(["observation_id"])
    pq.write_table(bare, "bare/p.parquet")
    outcome = arboretum("make-split", "--taxa", "Plantae", "--catalog", "bare", *parts, "--name", "bare")
    assert "grouped by photo, as no selected photo has an observation" in outcome.err
    for flags in (("--taxa", "Plantae"), ("--taxa", "Plantae", "--group-by", "photo")):
        outcome = arboretum("make-split", *flags, *parts, "--name", flags[1] + str(len(flags)))
        assert outcome.code == 0
        assert "grouped by photo, as" not in outcome.err
    # Some of these have no observation, and stand alone.
    assert open_split("splits/Plantae2").meta["group_by"] == "observation"


@pytest.mark.parametrize("name", ["a/b", "../../outside", "", "..", "a\nb", "\x1b[31m"])
def test_a_name_that_is_none_of_a_folder_is_refused(arboretum, workdir, name):
    outcome = arboretum("make-split", "--taxa", "Aves", "--name", name)
    assert outcome.code == 2
    assert "cannot be the name of a split" in outcome.err
    assert not Path("splits").exists()


def test_folders_that_cannot_be_made_are_one_error(arboretum, workdir):
    Path("file").write_text("in the way")
    outcome = arboretum("make-split", "--taxa", "Aves", "--out", "file/s")
    assert outcome.code == 3
    assert "file/s cannot be written: File exists (file); nothing was changed" in outcome.err
    assert arboretum("make-split", "--taxa", "Aves", "--name", "s").code == 0
    for command in (
        ("stats", "splits/s", "--weights", "file"),
        ("evaluate", "splits/s", "splits/s/test.parquet", "--out", "file/report"),
        ("evaluate", "splits/s", "splits/s/test.parquet", "--out", "x" * 300),
        ("make-split", "--taxa", "Aves", "--name", "x" * 300),
    ):
        outcome = arboretum(*command)
        assert outcome.code == 3, outcome.err
        assert "cannot be written" in outcome.err
