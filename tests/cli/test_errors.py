"""Bad input: one clear error with its exit code and the next step, and nothing half-written."""

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arboretum_metadata.sample import catalog_path
from arboretum_tools.split import open_split
from arboretum_tools.testing.faults import Fault
from arboretum_tools.testing.origin import Origin


def everything_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if "catalog" not in str(path))


BAD = [
    (["make-split", "--lt-ratio", "0"], 2, "above 0"),
    (["make-split", "--lt-ratio", "-3"], 2, "above 0"),
    (["make-split", "--lt-ratio", "nan"], 2, "above 0"),
    (["make-split", "--lt-ratio", "many"], 2, "Usage:"),
    (["make-split", "--taxa", "Mollusca", "--lt-ratio", "100"], 3, "two classes of it could carry is"),
    (["make-split", "--max-per-class", "290"], 3, "--max-per-class 200 and 300"),
    (["make-split", "--images", "catalog"], 3, "not an image store"),
    (["select", "--taxa", "Avess"], 5, "did you mean Aves"),
    (["download", "--taxa", "Dinosauria"], 5, "no taxon called 'Dinosauria'"),
    (["download", "--taxa", "Laelia"], 5, "Plantae>genus:Laelia"),
    (["select", "--life-stage", "puppy"], 2, "known: egg"),
    (["select", "--license", "MIT"], 2, "known: CC0"),
    (["select", "--photo-ids", "nowhere.txt"], 3, "nowhere.txt"),
    (["download", "--taxa", ""], 2, "taxa is given without a value"),
    (["make-split", "--taxa", "Aves", "--license", " , "], 2, "license is given without a value"),
    (["audit-split", "nowhere"], 3, "there is no split nowhere"),
    (["audit-split", "catalog"], 3, "it has no split.json"),
    (["demo", "--out", "catalog"], 3, "--out"),
    (["select", "--bbox", "1,2"], 2, "west,south,east,north"),
    (["select", "--limit", "0"], 2, "1 or more"),
    (["select", "--catalog", "nowhere"], 3, "--catalog"),
    (["download", "--taxa", "Aves", "--size", "huge"], 2, "original"),
    (["download", "--taxa", "Aves", "--split", "x"], 2, "leave the selection flags out"),
    (["download", "--taxa", "Aves", "--origin", "nonsense"], 2, "origin"),
    (["download", "--taxa", "Aves", "--filter", "lanczos"], 2, "without resize"),
    (["download", "--taxa", "Aves", "--min-photos", "99999"], 3, "leaves none of 1,500 photos (class Aves)"),
    (["download", "--taxa", "Aves", "--min-photos", "99999", "--dry-run"], 3, "--allow-empty"),
    (["download", "--taxa", "Aves", "--min-photos", "99999", "--plan-only"], 3, "no photo is selected"),
    (["select", "--taxa", "Aves", "--min-photos", "99999", "-o", "x.csv"], 3, "nothing was written"),
    (["make-split", "--taxa", "Aves", "--min-photos", "99999"], 3, "no photo is selected"),
    (["make-split", "--taxa", "Aves", "--min-photos", "99999", "--no-split"], 3, "no photo is selected"),
    (["download", "--taxa", "9" * 5000], 5, "no taxon called"),
    (["make-split", "--seed", "9" * 5000], 2, "seed"),
    (["download", "--taxa", "Aves", "--connections", "0"], 2, "1 to 256"),
    (["download", "--split", "nowhere"], 3, "there is no split nowhere"),
    (["download", "--taxa", "Aves", "--images", "catalog"], 3, "something else"),
    (["status", "--images", "nowhere"], 3, "there is no image store nowhere"),
    (["status", "--images", "catalog"], 3, "not an image store"),
    (["export", "nowhere", "--out", "x"], 3, "there is no split nowhere"),
    (["export", "catalog", "--out", "x"], 3, "split.json"),
    (["export", "--taxa", "Aves", "--out", "x", "--images", "nowhere"], 3, "there is no image store"),
    (["export", "--taxa", "Aves"], 2, "--out"),
    (["train", "nowhere", "--out", "x"], 3, "there is no split nowhere"),
    (["train", "nowhere"], 2, "--out"),
    (["train", "nowhere", "--out", "x", "--epochs", "0"], 2, "epochs must be 1"),
    (["train", "nowhere", "--out", "x", "--method", "magic"], 2, "no method 'magic'"),
    (["make-split", "--preset", "arboretum-40"], 2, "Did you mean arboretum-40m?"),
    (["make-split", "--benchmark", "life-stage", "--stages", "larv=3"], 2, "Did you mean larva?"),
    (["catalog", "annotate", "--from", "x.csv", "--column", "lifestage"], 2, "Did you mean life_stage?"),
    (["export", "--taxa", "Aves", "--out", "x", "--format", "webdatset"], 2, "Did you mean webdataset?"),
    (
        ["export", "--taxa", "Aves", "--out", "x", "--format", "csv", "--captions", "sci_con"],
        2,
        "mean sci_com?",
    ),
    (["train", "nowhere", "--out", "x", "--method", "mdc"], 2, "Did you mean mdcs?"),
    (["frobnicate"], 2, "No such command"),
    (["select", "birds"], 2, "Taxa are named by the option --taxa."),
    (["make-split", "birds"], 2, "taxa with --taxa"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), BAD, ids=lambda value: str(value)[:50])
def test_bad_input_is_one_error(arboretum, workdir, arguments, code, message):
    outcome = arboretum(*arguments)
    assert outcome.code == code
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert everything_in(workdir) == []


def test_a_catalogue_without_the_needed_columns(arboretum, workdir):
    pq.write_table(pa.table({"photo_id": [1], "species": ["x"]}), "bad.parquet")
    outcome = arboretum("select", "--catalog", "bad.parquet")
    assert outcome.code == 3
    assert "bad.parquet lacks the columns scientific_name or scientificName, kingdom" in outcome.err


def test_a_corrupt_catalogue_and_an_empty_one(arboretum, workdir):
    (workdir / "bad").mkdir()
    assert "is empty" in arboretum("select", "--catalog", "bad").err
    (workdir / "bad" / "x.parquet").write_bytes(b"PAR1nonsensePAR1")
    outcome = arboretum("select", "--catalog", "bad")
    assert outcome.code == 3
    assert "x.parquet is not a whole Parquet file" in outcome.err


def test_a_column_that_the_catalogue_lacks(arboretum, workdir):
    table = pq.read_table("catalog/photos.parquet").drop_columns(["life_stage", "license"])
    pq.write_table(table, "bare.parquet")
    for flags, source in ((["--life-stage", "adult"], "GBIF"), (["--license", "open"], "Open Data")):
        outcome = arboretum("select", "--catalog", "bare.parquet", *flags)
        assert outcome.code == 3
        assert source in outcome.err


def test_a_target_that_holds_something_else_is_left_alone(arboretum, workdir):
    (workdir / "mine").mkdir()
    (workdir / "mine" / "thesis.tex").write_text("precious")
    flags = ("--taxa", "Mollusca", "--lt-ratio", "2", "--val-per-class", "1", "--test-per-class", "1")
    assert arboretum("make-split", *flags, "--name", "s").code == 0
    assert arboretum("download", "--split", "splits/s", "--size", "square").code == 0
    for command in (
        ["make-split", *flags, "--out", "mine"],
        ["export", "splits/s", "--out", "mine"],
        ["download", "--split", "splits/s", "--images", "mine"],
        ["demo", "--out", "mine"],
    ):
        outcome = arboretum(*command)
        assert outcome.code == 3
        assert "nothing was written" in outcome.err
    assert [path.name for path in (workdir / "mine").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    "command",
    [
        ["select", "--taxa", "Aves", "--out"],
        ["catalog", "check", "--out"],
        ["catalog", "check", "--rejected"],
    ],
    ids=" ".join,
)
def test_no_file_is_replaced_that_was_not_named_as_replaceable(arboretum, workdir, command):
    mine = workdir / "mine.parquet"
    mine.write_text("precious")
    outcome = arboretum(*command, mine)
    assert (outcome.code, mine.read_text()) == (3, "precious")
    assert "mine.parquet is there already; nothing was written" in outcome.err
    table = pq.read_table("catalog/photos.parquet")
    (workdir / "raw").mkdir()
    pq.write_table(table, "raw/photos.parquet")
    for inside in ("raw/photos.parquet", "raw/new.parquet"):
        named = ["raw"] if command[0] == "catalog" else ["--catalog", "raw"]
        at = 2 if command[0] == "catalog" else 1
        outcome = arboretum(*command[:at], *named, *command[at:], inside, "--overwrite")
        assert outcome.code == 3
        assert "lies in" in outcome.err
    assert pq.read_table("raw/photos.parquet").equals(table)
    assert not (workdir / "raw" / "new.parquet").exists()
    assert arboretum(*command, mine, "--overwrite").code == 0
    assert mine.read_bytes() != b"precious"


def test_figures_weights_and_lists_replace_nothing_either(arboretum, workdir):
    assert arboretum("make-split", "--taxa", "Aves", "--out", "s").code == 0
    (workdir / "raw").mkdir()
    pq.write_table(pq.read_table("catalog/photos.parquet"), "raw/photos.parquet")
    (workdir / "mine").mkdir()
    for name in ("groups.png", "s.png", "class_weights.json"):
        (workdir / "mine" / name).write_text("precious")
    (workdir / "ids.csv").write_text("photo_id\n9000000001\n")
    before = {file: file.read_bytes() for file in workdir.rglob("*") if file.is_file()}
    for command, message in (
        (["stats", "--catalog", "raw", "--figures", "mine"], "groups.png is there already"),
        (["stats", "--catalog", "raw", "--figures", "raw", "--overwrite"], "lies in raw"),
        (["stats", "s", "--weights", "mine"], "class_weights.json is there already"),
        (["stats", "s", "--figures", "new", "--weights", "mine"], "class_weights.json is there already"),
        (["stats", "s", "--weights", "s", "--overwrite"], "lies in s"),
        (["stats", "s", "--figures", "s", "--overwrite"], "lies in s"),
        (["select", "--photo-ids", "ids.csv", "--out", "ids.csv", "--overwrite"], "lies in ids.csv"),
    ):
        outcome = arboretum(*command)
        assert (outcome.code, message in outcome.err) == (3, True), outcome
        assert {file: file.read_bytes() for file in workdir.rglob("*") if file.is_file()} == before
    assert arboretum("catalog", "check", "--out", "f", "--rejected", "./f").code == 2
    assert arboretum("stats", "s", "--weights", "mine", "--overwrite").code == 0


def test_a_family_is_refused_as_a_whole(arboretum, workdir):
    (workdir / "family" / "aves-lt20").mkdir(parents=True)
    (workdir / "family" / "aves-lt20" / "thesis.tex").write_text("precious")
    outcome = arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "10,20", "--out", "family")
    assert outcome.code == 3
    assert "nothing was written" in outcome.err
    assert [path.name for path in (workdir / "family").iterdir()] == ["aves-lt20"]


def test_a_ratio_below_1_is_told_as_what_it_is_read_as(arboretum, workdir):
    outcome = arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "0.05", "--out", "s")
    assert outcome.code == 0
    assert "the ratio 0.05 is read as 20" in outcome.err
    assert "ratio 20" in outcome.out


@pytest.mark.parametrize(
    "command",
    [
        ["demo", "--out", "file/x"],
        ["catalog", "build", "catalog", "--out", "file/x"],
        ["select", "--taxa", "Aves", "--out", "file/x.parquet"],
        ["catalog", "check", "--rejected", "/proc/x.parquet"],
        ["make-split", "--taxa", "Aves", "--out", "/proc/x"],
    ],
    ids=" ".join,
)
def test_what_the_system_refuses_is_told_as_that(arboretum, workdir, command):
    (workdir / "file").write_text("precious")
    outcome = arboretum(*command)
    assert outcome.code == 3, outcome.err
    assert "defect of arboretum" not in outcome.err
    assert (workdir / "file").read_text() == "precious"


@pytest.mark.parametrize("command", [["select"], ["stats"], ["taxa"], ["catalog", "check"]], ids=" ".join)
def test_a_closed_output_is_no_defect_of_ours(workdir, command):
    line = shlex.join([sys.executable, "-m", "arboretum_cli", *command]) + " >&-"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "standard output is closed" in done.stderr


@pytest.mark.parametrize("flag", ["--version", "--help"])
def test_help_onto_a_full_disk_is_no_defect_of_ours(workdir, flag):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "arboretum_cli", flag],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "No space left on device" in done.stderr
    assert "defect of arboretum" not in done.stderr


@pytest.mark.parametrize(
    "command", [["select"], ["catalog", "check"], ["catalog", "build", "-o", "built"]], ids=" ".join
)
def test_a_column_that_stands_twice_is_named(arboretum, workdir, command):
    table = pq.read_table("catalog/photos.parquet")
    pq.write_table(table.append_column("photo_id", table["photo_id"]), "twice.parquet")
    named = ["--catalog", "twice.parquet"] if command == ["select"] else ["twice.parquet"]
    outcome = arboretum(*command, *named)
    assert outcome.code == 3, outcome
    assert "twice.parquet has more than one column photo_id" in outcome.err


def test_the_suffix_decides_how_a_selection_is_saved(arboretum, workdir):
    flags = ("select", "--taxa", "Aves", "--limit", "5", "--out")
    assert arboretum(*flags, "ids.csv").code == 0
    header, *rows = (workdir / "ids.csv").read_text().splitlines()
    assert header.startswith('"photo_id"')
    assert len(rows) == 5
    outcome = arboretum(*flags, "ids.xlsx")
    assert outcome.code == 2
    assert "neither .parquet nor .csv" in outcome.err


def test_a_saved_selection_has_no_cell_that_a_spreadsheet_runs(arboretum, workdir):
    table = pq.read_table("catalog/photos.parquet").slice(100, 3)
    names = pa.array(["=HYPERLINK(1)", "＠SUM(1)", "A-1"])
    table = table.set_column(table.column_names.index("common_name"), "common_name", names)
    pq.write_table(table, "hostile.parquet")
    assert arboretum("select", "--catalog", "hostile.parquet", "-o", "ids.csv").code == 0
    text = (workdir / "ids.csv").read_text()
    assert all(cell in text for cell in ('"\'=HYPERLINK(1)"', '"\'＠SUM(1)"', '"A-1"'))
    assert arboretum("select", "--catalog", "hostile.parquet", "--photo-ids", "ids.csv").code == 0
    assert arboretum("select", "--catalog", "hostile.parquet", "-o", "ids.parquet").code == 0
    assert "=HYPERLINK(1)" in pq.read_table("ids.parquet")["common_name"].to_pylist()


def test_too_little_memory_is_not_called_damage(arboretum, workdir, monkeypatch):
    monkeypatch.setenv("ARBORETUM_MEMORY_LIMIT", "1MB")
    outcome = arboretum("select", "--taxa", "Aves")
    assert outcome.code == 3
    assert "out of memory" in outcome.err
    assert "damaged" not in outcome.err
    assert "ARBORETUM_MEMORY_LIMIT" in outcome.err


def test_too_many_failures_are_exit_4_and_what_came_is_kept(arboretum, workdir, monkeypatch):
    ids = pq.read_table("catalog/photos.parquet", filters=[("class", "=", "Reptilia")])[
        "photo_id"
    ].to_pylist()
    with Origin(workdir / "catalog", faults=dict.fromkeys(ids[::2], Fault("forbidden"))) as origin:
        monkeypatch.setenv("ARBORETUM_ORIGIN", origin.url)
        outcome = arboretum("download", "--taxa", "Reptilia", "--size", "square")
        assert outcome.code == 4
        assert "forbidden; most often: HTTP 403)" in outcome.err
        assert "photos asked for" in outcome.out
        again = arboretum("download", "--taxa", "Reptilia", "--size", "square", "--json")
        assert again.code == 4
        assert json.loads(again.out)["failure_rate"] > 0.05
        held = json.loads(arboretum("status", "--json").out)["photos"]
        assert held["ok"] > 10
        assert held["forbidden"] > 10
        lenient = arboretum("download", "--taxa", "Reptilia", "--size", "square", "--max-failure-rate", "1")
        assert lenient.code == 0


def test_photos_that_are_missing_are_counted_by_reason(arboretum, workdir):
    assert arboretum("make-split", "--taxa", "Aves").code == 0
    assert arboretum("download", "--taxa", "Aves", "--limit", "20", "--size", "square").code == 0
    outcome = arboretum("export", "splits/aves-lt100", "--out", "x")
    assert outcome.code == 3
    assert "pending" in outcome.err
    assert "arboretum download --split" in outcome.err
    assert not (workdir / "x").exists()


@pytest.mark.parametrize(
    ("sent", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_an_interrupted_download_keeps_its_state_and_goes_on(
    workdir, process, arboretum, monkeypatch, sent, code, word
):
    with Origin(workdir / "catalog", faults={}) as origin:
        flags = ("--taxa", "Aves", "--limit", "200", "--size", "thumb", "--connections", "2")
        running = process("download", *flags, cwd=workdir, ARBORETUM_ORIGIN=origin.url)
        deadline = time.monotonic() + 60
        while len(origin.requests) < 60 and time.monotonic() < deadline:
            time.sleep(0.01)
        running.send_signal(sent)
        _, err = running.communicate(timeout=60)
        assert running.returncode == code, err
        assert word in err
        assert "goes on from there" in err
        assert "Traceback" not in err
        before = len(origin.requests)
        assert before < 200
        monkeypatch.setenv("ARBORETUM_ORIGIN", origin.url)
        again = arboretum("download", *flags, "--json")
        assert again.code == 0, again.err
        assert json.loads(again.out)["by_status"]["ok"] == 200
        # At most what was in flight is asked for twice.
        assert len(origin.requests) <= 200 + 4


def everything_but_images(folder):
    return [name for name in everything_in(folder) if not name.startswith("images")]


@pytest.mark.parametrize(
    ("command", "limit"),
    [
        (["make-split", "--taxa", "Reptilia", "--no-split", "--name", "s"], 2_000),
        (["export", "--taxa", "Reptilia", "--out", "x"], 4_000),
        (["export", "--taxa", "Reptilia", "--out", "x", "--format", "hf"], 4_000),
        (["select", "--taxa", "Reptilia", "-o", "sel.parquet"], 1_000),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_full_disk_is_one_error_and_leaves_nothing(workdir, process, arboretum, command, limit):
    """A file size limit in a child process is what a full disk looks like to it."""
    assert arboretum("download", "--taxa", "Reptilia", "--size", "square").code == 0
    running = process(*command, cwd=workdir, limit=limit)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 3, err
    assert "no room left" in err
    assert "Traceback" not in err
    assert [name for name in everything_but_images(workdir) if name != "splits"] == []
    again = arboretum(*command)
    assert again.code == 0, again.err


@pytest.mark.parametrize("wait", [0.3, 0.5, 0.7, 0.8, 0.9, 1.1])
def test_ctrl_c_at_any_time_leaves_a_split_whole_or_not_there(workdir, process, wait):
    running = process("make-split", "--taxa", "Aves", "--out", "s", cwd=workdir)
    time.sleep(wait)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    # While modules load, the signal itself ends the process, which a shell shows as 130 too.
    assert running.returncode in (130, -signal.SIGINT, 0), err
    assert "Traceback" not in err
    assert "internal error" not in err
    if (workdir / "s").exists():
        assert open_split(workdir / "s").num_classes == 21
    assert [name for name in everything_in(workdir) if ".partial-" in name] == []


def test_ctrl_c_that_a_module_swallows_while_it_loads_is_still_one(arboretum, workdir, monkeypatch):
    """As pandas does: its C code drops the KeyboardInterrupt, and what it was loading is half there."""
    import arboretum_tools.catalog

    def half_loaded(*_, **__):
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise AttributeError("partially initialized module 'pandas' has no attribute 'x'")

    monkeypatch.setattr(arboretum_tools.catalog, "open_catalog", half_loaded)
    outcome = arboretum("select")
    assert outcome.code == 130
    assert "interrupted." in outcome.err
    assert "internal error" not in outcome.err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_reader_that_has_enough_is_no_error(workdir, process):
    running = process("select", "--explain", cwd=workdir)
    running.stdout.close()
    running.stdout = None
    _, err = running.communicate(timeout=60)
    assert running.returncode in (0, 141)
    assert "Traceback" not in err


def test_output_that_cannot_be_written_is_no_defect_of_ours(workdir):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "arboretum_cli", "select", "--json"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 3
    assert "the result cannot be printed: No space left on device" in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_terminal_that_knows_no_unicode_gets_what_it_can_show(workdir, tmp_path, form):
    catalogue = tmp_path / "catalogue-\u00fc"
    shutil.copytree(workdir / "catalog", catalogue)
    done = subprocess.run(
        [sys.executable, "-m", "arboretum_cli", "catalog", "check", str(catalogue), *form],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert ("catalogue-\\u00fc" if form else "catalogue-?") in done.stdout


def test_a_defect_of_ours_says_so_without_a_traceback(arboretum, workdir, monkeypatch):
    import arboretum_tools.catalog

    def broken(*_, **__):
        raise ZeroDivisionError("boom")

    monkeypatch.setattr(arboretum_tools.catalog, "open_catalog", broken)
    outcome = arboretum("select")
    assert outcome.code == 1
    assert "defect of arboretum" in outcome.err
    assert "Traceback" not in outcome.err


def test_an_error_cannot_move_the_cursor(arboretum, workdir):
    outcome = arboretum("select", "--taxa", "Aves\x1b[2J")
    assert outcome.code == 5
    assert "\x1b" not in outcome.err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("make-split", "--val-per-class", "0.5"), "'--val-per-class': '0.5' is not a whole number"),
        (("make-split", "--seed", "9" * 5000), "is not a whole number"),
        (("download", "--max-failure-rate", "few"), "'few' is not a number"),
        (("select", "--limit", ""), "'' is not a whole number"),
        (("select", "--bbox", "47,-122,48,-121"), "With latitude first it would be -122,47,-121,48."),
        (("select", "--bbox", "1,95,2,96"), "longitude first"),
        (("select", "--bbox", "nan,0,1,1"), "west nan"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else None,
)
def test_a_number_that_is_none_is_named(arboretum, workdir, flags, said):
    outcome = arboretum(*flags)
    assert outcome.code == 2
    assert said in " ".join(outcome.err.split())
    assert len(outcome.err) < 600


def test_no_folder_is_put_into_what_is_being_read(arboretum, workdir):
    shutil.copytree(catalog_path(), "own")
    made = ("make-split", "--catalog", "own", "--taxa", "Mollusca", "--lt-ratio", "2")
    made += ("--val-per-class", "1", "--test-per-class", "1", "--out")
    assert arboretum(*made, "split").code == 0
    assert arboretum("download", "--split", "split", "--size", "thumb").code == 0
    before = sorted(workdir.rglob("*"))
    for command in (
        (*made, "own/split"),
        ("browse", "split", "--out", "split/page"),
        ("browse", "split", "--out", "images/page"),
        ("browse", "images", "--out", "images/page"),
        ("store", "merge", "images", "--out", "images/all"),
    ):
        outcome = arboretum(*command)
        assert outcome.code in (2, 3), outcome
        assert "which is being read" in outcome.err or "into itself" in outcome.err
    assert sorted(workdir.rglob("*")) == before
