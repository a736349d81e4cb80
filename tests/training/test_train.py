"""Runs: each method, killed and resumed, on several processes, and with what cannot be trained on."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from arboretum_cli.main import app
from arboretum_cli.printing import errors
from arboretum_tools import evaluate, train
from arboretum_tools.errors import (
    ArboretumError,
    RecipeError,
    SplitError,
    TargetExistsError,
    TrainingError,
    UsageError,
)
from arboretum_tools.events import StepDone
from arboretum_tools.options.training import METHODS, TrainingRecipe, recipe
from arboretum_tools.split.files.manifest import open_split
from arboretum_tools.testing.tiny import COUNTS, tiny_split, tiny_store
from arboretum_tools.training.loop import memory_errors

# Processes that load torch, beside whatever else the machine does.
pytestmark = [pytest.mark.training, pytest.mark.timeout(900)]

SMALL = {"epochs": 2, "batch_size": 16, "arch": "resnet8", "image_size": 16}
OF = {
    "ldam-drw": {"sam": 0.05},
    "mdcs": {"accumulate": 2},
    "deit-lt": {"arch": "deit-nano", "ema": 0.5},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a split of four classes, one of them with two photos, and a store."""
    folder = tmp_path_factory.mktemp("training")
    split = tiny_split()
    split.save(folder / "split")
    tiny_store(folder / "images", split)
    return folder


@pytest.fixture(scope="module")
def runs(place):
    """One run of each method."""
    found = {}
    for method in METHODS:
        teacher = {"teacher": place / "ldam-drw"} if method == "deit-lt" else {}
        chosen = {**SMALL, **OF.get(method, {}), **teacher}
        found[method] = train(
            place / "split", images=place / "images", method=method, out=place / method, **chosen
        )
    return found


def run_json(folder):
    return json.loads((folder / "run.json").read_text())


def log(folder):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "photos_s")} for line in lines]


def weights(folder):
    return torch.load(folder / "model.pt", weights_only=True)


def test_tensorboard_shows_what_the_log_has(runs, place):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(place / "ce" / "tensorboard"))
    events.Reload()
    lines = log(place / "ce")
    assert {"loss", "lr", "val_top1"} <= set(events.Tags()["scalars"])
    for name in ("loss", "val_top1"):
        assert [scalar.step for scalar in events.Scalars(name)] == [1, 2]
        shown = [scalar.value for scalar in events.Scalars(name)]
        assert shown == pytest.approx([line[name] for line in lines])


@pytest.mark.parametrize("method", METHODS)
def test_a_run_ends_with_predictions_and_their_report(runs, place, method):
    folder, split = place / method, open_split(place / "split")
    assert [line["epoch"] for line in log(folder)] == [1, 2]
    assert {"loss", "lr", "val_top1", "val_class_balanced"} < log(folder)[0].keys()
    heads = {"mdcs": ["experts.0", "experts.1", "experts.2"], "deit-lt": ["cls", "dist"]}.get(method, [])
    for part in ("val", "test"):
        ids = split.part(part)["photo_id"].to_pylist()
        for head in ["", *heads]:
            table = pq.read_table(folder / (f"{part}.{head}.parquet" if head else f"{part}.parquet"))
            assert table.column_names == ["photo_id", "label_1", "label_2", "label_3", "label_4"]
            assert table["photo_id"].to_pylist() == ids
        again = evaluate(split, folder / f"{part}.parquet", part=part)
        assert runs[method].evaluations[part] == again
        assert json.loads((folder / f"{part}-report" / "report.json").read_text())["top1"]["overall"][
            "value"
        ] == pytest.approx(again.top1.overall.value)
    assert {head for _, head in runs[method].heads} == set(heads)
    assert not (folder / "checkpoint.pt").exists()


def test_a_run_says_what_it_takes_to_do_it_again(runs, place, tmp_path):
    said = run_json(place / "mdcs")
    assert said["split"]["sha256"] == open_split(place / "split").sha256
    assert said["versions"]["torch"] == torch.__version__
    again = TrainingRecipe.from_json(said["recipe"]).to_json()
    method = again.pop("method")
    train(place / "split", images=place / "images", out=tmp_path / "again", method=method, **again)
    assert log(tmp_path / "again") == log(place / "mdcs")
    assert all(
        torch.equal(one, other)
        for one, other in zip(
            weights(tmp_path / "again").values(), weights(place / "mdcs").values(), strict=True
        )
    )
    # A run that is over is not trained again.
    before = (place / "ce" / "model.pt").stat().st_mtime_ns
    report = train(place / "split", images=place / "images", out=place / "ce", **SMALL)
    assert report.evaluations == runs["ce"].evaluations
    assert (place / "ce" / "model.pt").stat().st_mtime_ns == before


def command(place, out, *more):
    arguments = ["train", place / "split", "--images", place / "images", "--out", out]
    return [str(one) for one in [*arguments, *more]]


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def here(arguments):
    """Runs the command in this process."""
    assert errors.run(app, [str(one) for one in arguments]) == 0


DEIT = [
    "--method",
    "deit-lt",
    "--arch",
    "deit-nano",
    "--image-size",
    "16",
    "--batch-size",
    "16",
    "--ema",
    "0.5",
]


def test_killed_and_called_again_it_comes_to_the_same(runs, place, tmp_path, capsys):
    """Everything that has a state: AdamW, an average of the weights, dropped layers, Mixup, two workers."""
    flags = [*DEIT, "--teacher", place / "ldam-drw", "--epochs", "8"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    here(command(place, whole, *flags))
    again = command(place, killed, *flags, "--workers", "2")
    running = subprocess.Popen(
        [sys.executable, "-m", "arboretum_cli", *again],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while not (killed / "log.jsonl").is_file() or len(log(killed)) < 2:
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert (killed / "checkpoint.pt").is_file()
    assert not (killed / "model.pt").exists()
    capsys.readouterr()
    here(again)
    assert "going on after epoch" in capsys.readouterr().err
    assert log(killed) == log(whole)
    for (name, one), other in zip(weights(killed).items(), weights(whole).values(), strict=True):
        assert torch.equal(one, other), name
    assert (killed / "test.parquet").read_bytes() == (whole / "test.parquet").read_bytes()


def test_two_processes_take_the_steps_of_one(runs, place, tmp_path):
    """Without what looks at a batch as a whole; a step then is the mean over the same photos."""
    alone = ["--mixup", "0", "--cutmix", "0", "--drop-path", "0", "--optimizer", "sgd", "--lr", "0.01"]
    flags = [*DEIT, "--teacher", place / "ldam-drw", "--epochs", "2", *alone, "--drw-epoch", "9"]
    one, two, parts = tmp_path / "one", tmp_path / "two", tmp_path / "parts"
    here(command(place, one, *flags))
    here(command(place, parts, *flags, "--accumulate", "4"))
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "arboretum_cli"]
    call = [sys.executable, "-m", *torchrun, *command(place, two, *flags)]
    both = subprocess.run(call, check=False, capture_output=True, text=True, env=environment())
    assert both.returncode == 0, both.stderr
    for other in (two, parts):
        for name, value in weights(one).items():
            torch.testing.assert_close(weights(other)[name], value, rtol=1e-4, atol=1e-6)
        ids = [pq.read_table(run / "test.parquet")["photo_id"] for run in (one, other)]
        assert ids[0] == ids[1]
    assert run_json(two)["processes"] == 2
    assert len(log(two)) == 2


def test_events_say_how_far_it_is_and_what_the_loss_is(place, tmp_path):
    events = []
    train(place / "split", images=place / "images", out=tmp_path / "run", on_event=events.append, **SMALL)
    steps = [event for event in events if isinstance(event, StepDone)]
    (started,) = [
        event for event in events if getattr(event, "stage", "") == "train" and hasattr(event, "total")
    ]
    assert sum(event.count for event in steps) == started.total == 2 * (58 // 16) * 16
    assert all(0 < event.loss < 100 for event in steps)


def refused(place, out, error, text, *, split=None, **changed):
    with pytest.raises(error, match=text) as caught:
        train(split or place / "split", images=place / "images", out=out, **{**SMALL, **changed})
    return caught.value


def test_a_teacher_of_another_split_is_refused_by_its_hashes(runs, place, tmp_path):
    deit = {"method": "deit-lt", "arch": "deit-nano"}
    other = tiny_split({**COUNTS, "train": (41, 12, 4, 2)})
    other.save(tmp_path / "other")
    tiny_store(tmp_path / "images", other)
    train(tmp_path / "other", images=tmp_path / "images", out=tmp_path / "teacher", **SMALL)
    error = refused(place, tmp_path / "x", SplitError, "class list", teacher=tmp_path / "teacher", **deit)
    theirs, ours = other.sha256["classes"], open_split(place / "split").sha256["classes"]
    assert theirs[:12] in error.message
    assert ours[:12] in error.message
    # The same classes and counts, other photos.
    said = run_json(tmp_path / "teacher")
    said["split"]["sha256"]["classes"] = ours
    (tmp_path / "teacher" / "run.json").write_text(json.dumps(said))
    refused(place, tmp_path / "x", SplitError, "train part", teacher=tmp_path / "teacher", **deit)
    refused(place, tmp_path / "x", UsageError, "needs a teacher", **deit)
    refused(place, tmp_path / "x", UsageError, "has no teacher", teacher=place / "ce")
    refused(place, tmp_path / "x", TrainingError, "no readable run.json", teacher=place / "split", **deit)
    refused(place, tmp_path / "x", TrainingError, "a flat CNN", teacher=place / "deit-lt", **deit)
    (tmp_path / "teacher" / "model.pt").unlink()
    said["split"]["sha256"] = open_split(place / "split").sha256
    (tmp_path / "teacher" / "run.json").write_text(json.dumps(said))
    refused(place, tmp_path / "x", TrainingError, "is not over", teacher=tmp_path / "teacher", **deit)
    assert not (tmp_path / "x").exists()


def test_splits_that_cannot_be_trained_on(place, tmp_path):
    whole = tiny_split()
    no_val = replace(whole, tables={k: v for k, v in whole.tables.items() if k != "val"})
    refused(place, tmp_path / "x", SplitError, "no val part", split=no_val)
    one = tiny_split({part: counts[:1] for part, counts in COUNTS.items()})
    refused(place, tmp_path / "x", SplitError, "one class", split=one)
    empty = tiny_split({**COUNTS, "train": (40, 12, 4, 0)})
    refused(place, tmp_path / "x", ArboretumError, "no train photos|lacks", split=empty)
    refused(place, tmp_path / "x", TrainingError, "no device 'cuda:77'|no device 'xla'", device="cuda:77")
    assert not (tmp_path / "x").exists()


def test_a_folder_of_another_run_is_left_alone(runs, place, tmp_path):
    refused(place, place / "ce", TargetExistsError, "its recipe is not the same", lr=0.5)
    (tmp_path / "thesis.tex").write_text("precious")
    refused(place, tmp_path, TargetExistsError, "nothing was written")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_photos(place, tmp_path):
    out = tmp_path / "run"
    error = refused(
        place,
        out,
        TrainingError,
        "(the loss|output) is (nan|inf|no number)",
        lr=1e6,
        epochs=5,
        warmup_epochs=0,
    )
    ids = set(open_split(place / "split").part("train")["photo_id"].to_pylist())
    bad = [int(line) for line in (out / "bad-batch-0.txt").read_text().split()]
    assert bad
    ids |= set(open_split(place / "split").part("val")["photo_id"].to_pylist())
    assert set(bad) <= ids
    assert all(str(photo_id) in error.message for photo_id in bad)
    assert "--lr" in error.hint


def test_out_of_memory_says_what_to_lower():
    made = recipe("ce", accumulate=2)
    with pytest.raises(TrainingError, match="128 photos of 224 pixels") as caught, memory_errors(made, 128):
        torch.empty(2**56)
    assert "--accumulate 4" in caught.value.hint
    with pytest.raises(RuntimeError, match="size"), memory_errors(made, 128):
        torch.zeros(2) @ torch.zeros(3)


def test_without_torch_it_says_which_extra_to_install(place, tmp_path):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from arboretum_cli.main import main\n"
        f"main({command(place, tmp_path / 'x')!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert ".[train]" in done.stderr
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("method", "changed", "error", "text"),
    [
        ("ce", {"arch": "deit-nano"}, RecipeError, "does not train"),
        ("mdcs", {"mixup": 0.2}, RecipeError, "one true class"),
        ("mdcs", {"experts": (1.0,)}, RecipeError, "two experts"),
        ("mdcs", {"experts": "1,x"}, UsageError, "numbers with commas"),
        ("ce", {"batch_size": 10, "accumulate": 3}, RecipeError, "3 equal parts"),
        ("ce", {"epochs": 0}, UsageError, "epochs must be 1"),
        ("ce", {"lr": float("nan")}, UsageError, "lr must be"),
        ("ce", {"arch": "resnet33"}, UsageError, "Did you mean resnet3"),
        ("ce", {"learning_rate": 1.0}, UsageError, "no hyper-parameter 'learning_rate'"),
        ("sgd", {}, UsageError, "no method 'sgd'"),
    ],
)
def test_recipes_that_are_refused(method, changed, error, text):
    with pytest.raises(error, match=text):
        recipe(method, **changed)


def test_the_recipes_of_the_papers_and_how_they_are_scaled():
    mdcs = recipe("mdcs", arch="resnet32")
    assert (mdcs.epochs, mdcs.batch_size, mdcs.lr, mdcs.weight_decay) == (400, 64, 0.1, 5e-4)
    assert (mdcs.milestones, mdcs.warmup_epochs, mdcs.consistency_warmup) == ((200, 320, 380), 20, 20)
    large = recipe("mdcs")
    assert (large.arch, large.batch_size, large.lr, large.milestones) == (
        "resnet50",
        512,
        0.2,
        (200, 300, 380),
    )
    deit = recipe("deit-lt")
    assert (deit.arch, deit.epochs, deit.drw_epoch, deit.lr) == ("deit-base", 1000, 900, 5e-4)
    short = recipe("deit-lt", epochs=100, batch_size=128)
    assert (short.drw_epoch, short.lr, short.warmup_epochs) == (90, 1.25e-4, 0.5)
    assert recipe("deit-lt", epochs=100, drw_epoch=5).drw_epoch == 5
    assert recipe("ldam-drw", arch="resnet32").drw_epoch == 160


def test_the_examples_of_the_help_run(place, tmp_path, monkeypatch, capsys):
    """At a size for a test: later flags win."""
    page = (Path(__file__).parents[2] / "docs/reference/commands/train.md").read_text()
    lines = page.partition("Examples:")[2].splitlines()
    examples = [line.split()[1:] for line in lines if line.startswith("arboretum train")]
    assert len(examples) == 3
    monkeypatch.chdir(tmp_path)
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "aves-lt20").symlink_to(place / "split")
    (tmp_path / "images").symlink_to(place / "images")
    for example in examples:
        arch = "deit-nano" if "deit-lt" in example else "resnet8"
        here([*example, "--arch", arch, "--epochs", "1", "--batch-size", "16", "--image-size", "16"])
    out = capsys.readouterr().out
    assert out.count("# split, test\n") == 3
    assert "| dist |" in out
    here(["compare", "splits/aves-lt20", *sorted(Path("runs").iterdir())])
    assert "| minus deit-lt |" in capsys.readouterr().out
