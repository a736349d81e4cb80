"""What the command line tells about a store: status, verify, doctor."""

import json
import signal
import time

import pytest

from arboretum_tools.store import ImageStore
from arboretum_tools.store.shards import layout


@pytest.fixture
def filled(workdir, arboretum):
    assert arboretum("download", "--taxa", "Reptilia", "--size", "thumb", "--limit", 12).code == 0
    return workdir / "images"


def test_verify_says_whole_and_finds_damage_with_code_6(filled, arboretum):
    outcome = arboretum("verify", "--decode")
    assert outcome.code == 0
    assert "12 images" in outcome.out
    assert "all whole" in outcome.out
    assert "not seen by decoding" in outcome.out
    tar = layout.tar_path(filled, 0)
    data = bytearray(tar.read_bytes())
    data[700] ^= 1
    tar.write_bytes(data)
    outcome = arboretum("verify", "--json")
    assert outcome.code == 6
    [found] = json.loads(outcome.out)["damages"]
    assert found["shard"] == tar.name
    assert "run the download again" in outcome.err
    assert f"photo {found['photo_id']}" in arboretum("verify").out


def test_status_tells_the_story_of_a_photo_and_counts_hosts(filled, arboretum):
    photo = ImageStore.open(filled).index(0)["photo_id"][0].as_py()
    outcome = arboretum("status", "--photo", photo)
    assert f"photo {photo} in images: ok" in outcome.out
    assert "asked for by plan" in outcome.out
    told = json.loads(arboretum("status", "--photo", photo, "--json").out)
    assert [row["status"] for row in told["rows"]] == ["ok"]
    assert "unknown" in arboretum("status", "--photo", 999_999_999).out
    [host] = json.loads(arboretum("status", "--json").out)["hosts"]
    assert host["host"] == "inaturalist-open-data.s3.amazonaws.com"
    assert host["photos"] == {"ok": 12}


def test_doctor_says_what_is_well_and_exits_with_3_where_something_is_not(filled, arboretum, monkeypatch):
    outcome = arboretum("doctor")
    assert outcome.code == 0
    assert "12 photos were tried, none failed" in outcome.out
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    outcome = arboretum("doctor", "--json")
    assert outcome.code == 3
    assert json.loads(outcome.out)["level"] == "problem"


def test_a_plan_is_saved_and_its_shares_are_fetched(workdir, arboretum):
    outcome = arboretum(
        "download", "--taxa", "Reptilia", "--limit", 9, "--size", "thumb", "--plan-only", "--json"
    )
    assert outcome.code == 0
    plan = json.loads(outcome.out)["plan_id"]
    reports = [
        json.loads(arboretum("download", "--plan", plan, "--task-id", task, "--num-tasks", 2, "--json").out)
        for task in range(2)
    ]
    assert sum(report["fetched"] for report in reports) == 9
    assert json.loads(arboretum("download", "--plan", plan, "--json").out)["tried"] == 0
    for other in (("--size", "large"), ("--size", "thumb", "--resize", 32)):
        for share in ((), ("--task-id", 0, "--num-tasks", 2)):
            outcome = arboretum("download", "--plan", plan, *share, *other)
            assert outcome.code == 3
            assert "holds photos of size thumb, and size" in outcome.err
    assert arboretum("download", "--plan", plan, "--size", "thumb").code == 0
    assert arboretum("download", "--plan", plan, "--taxa", "Aves").code == 2
    assert arboretum("download", "--taxa", "Aves", "--plan-only", "--dry-run").code == 2
    assert arboretum("download", "--task-id", 1, "--num-tasks", 2).code == 2
    assert arboretum("download", "--plan", "nowhere").code == 3


def test_a_dry_run_of_a_share_fetches_nothing(workdir, arboretum, origin):
    flags = ("--taxa", "Reptilia", "--limit", 9, "--size", "thumb", "--json")
    plan = json.loads(arboretum("download", *flags, "--plan-only").out)["plan_id"]
    before = len(origin.requests)
    shares = [
        json.loads(
            arboretum(
                *("download", "--plan", plan, "--task-id", task, "--num-tasks", 2), "--dry-run", "--json"
            ).out
        )
        for task in range(2)
    ]
    assert sum(share["to_fetch"] for share in shares) == 9
    assert len(origin.requests) == before
    assert json.loads(arboretum("status", "--json").out)["photos"]["pending"] == 9


def test_a_dry_run_tells_classes_and_licences_of_a_selection_and_of_a_split(workdir, arboretum):
    flags = ("download", "--size", "thumb", "--dry-run", "--json")
    told = json.loads(arboretum(*flags, "--taxa", "Reptilia").out)
    assert told["classes"] > 1
    assert sum(told["licenses"].values()) == told["requested"]
    assert arboretum("make-split", "--taxa", "Aves", "--lt-ratio", 5, "--out", "split").code == 0
    split = json.loads(arboretum(*flags, "--split", "split").out)
    assert split["classes"] > 1
    assert sum(split["licenses"].values()) == split["requested"]
    assert "licences: " in arboretum("download", "--taxa", "Reptilia", "--dry-run").out


def test_photos_are_resized_as_they_come_and_every_command_says_so(workdir, arboretum):
    flags = ("download", "--taxa", "Reptilia", "--limit", 6, "--size", "small", "--resize", 64, "--json")
    dry = json.loads(arboretum(*flags, "--dry-run").out)
    assert dry["kept_bytes"] < dry["photo_bytes"]
    assert json.loads(arboretum(*flags).out)["by_status"]["ok"] == 6
    assert "resized to 64 (area, JPEG quality 90)" in arboretum("status").out
    assert arboretum("verify", "--decode").code == 0
    outcome = arboretum(*flags[:-3], "--json")
    assert outcome.code == 3
    assert "go on with --size small --resize 64 --filter area" in outcome.err
    # The plan of the store needs no flags: size and resize are settled.
    [plan] = [path.stem for path in (workdir / "images" / "requests").glob("*.json")]
    assert json.loads(arboretum("download", "--plan", plan, "--json").out)["tried"] == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_all_processes_with_the_state_kept(workdir, process, arboretum, number, code):
    flags = ("download", "--taxa", "Aves", "--size", "thumb", "--processes", 2, "--connections", 4)
    started = process(*flags, cwd=workdir)
    images = workdir / "images"
    while started.poll() is None and len(list(images.glob("*.journal"))) < 2:
        time.sleep(0.01)
    started.send_signal(number)
    _, message = started.communicate(timeout=60)
    assert started.returncode == code, message
    assert "the same command goes on from there" in message
    status = json.loads(arboretum("status", "--json").out)
    assert (status["open_shards"], status["shards"]) == (0, 2)
    assert status["photos"]["pending"] > 0
    assert arboretum(*flags).code == 0
    assert json.loads(arboretum("status", "--json").out)["photos"]["pending"] == 0
    assert arboretum("verify").code == 0


def test_tasks_and_processes_exclude_each_other(workdir, arboretum):
    flags = ("download", "--plan", "x", "--task-id", 0, "--num-tasks", 2, "--processes", 2)
    assert arboretum(*flags).code == 2


def test_without_a_split_what_was_asked_for_and_has_come_is_exported(filled, arboretum):
    exported = arboretum("export", "--format", "lists", "--out", "lists", "--json")
    assert exported.code == 0, exported.err
    assert json.loads(exported.out)["photos"] == {"train": 12}


def test_an_empty_selection_makes_a_store_only_where_it_is_meant(arboretum, workdir):
    nothing = ("--taxa", "Aves", "--min-photos", 99_999)
    assert arboretum("download", *nothing).code == 3
    assert not (workdir / "images").exists()
    assert arboretum("download", *nothing, "--allow-empty").code == 0
    assert (workdir / "images" / "store.json").is_file()
    saved = arboretum("select", *nothing, "--allow-empty", "-o", "none.csv")
    assert saved.code == 0
    assert "leaves none of" in saved.out
    assert (workdir / "none.csv").read_text().count("\n") == 1


def test_a_plan_is_fetched_as_its_store_resizes_or_not_at_all(arboretum, workdir):
    flags = ("--taxa", "Testudines", "--size", "small")
    planned = json.loads(arboretum("download", *flags, "--resize", 64, "--plan-only", "--json").out)
    plan = ("download", "--plan", planned["plan_id"])
    other = arboretum(*plan, "--filter", "lanczos")
    assert other.code == 3
    assert "lanczos" in other.err
    assert arboretum(*plan, "--filter", "area", "--json").code == 0
    planned = json.loads(arboretum("download", *flags, "--images", "full", "--plan-only", "--json").out)
    unused = arboretum("download", "--plan", planned["plan_id"], "--images", "full", "--filter", "area")
    assert (unused.code, "filter is given without resize" in unused.err) == (2, True)
