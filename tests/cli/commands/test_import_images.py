"""`arboretum import-images` as it is typed."""

import io
import json
import signal
import time
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def traps(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, photos in (("Vulpes vulpes", 6), ("Meles meles", 3)):
        for number in range(photos):
            path = tmp_path / "traps" / name / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 24), (number * 20, 90, photos * 20)).save(path)
    return tmp_path / "traps"


def test_what_it_prints_leads_to_the_split(traps, arboretum):
    (traps / "notes.txt").write_text("rain")
    outcome = arboretum("import-images", "traps", "-o", "photos.parquet", "--left-out", "left-out.csv")
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert lines[0] == "10 files in traps: 9 images in images, of 2 classes"
    assert lines[4].split() == ["invalid", "1", "in", "no", "folder", "of", "a", "class", "notes.txt"]
    assert Path("left-out.csv").read_text().splitlines()[1:] == [
        '"notes.txt","invalid","in no folder of a class"'
    ]
    words = lines[-1].split()[1:]
    words[words.index("--lt-ratio") + 1] = "2"
    split = arboretum(*words, "--val-per-class", 0, "--test-per-class", 1, "--name", "traps")
    assert (split.code, split.out.splitlines()[-1]) == (0, "written to splits/traps")
    assert "of which images holds the photos" in split.out.splitlines()[0]
    exported = arboretum("export", "splits/traps", "--format", "csv", "--out", "csv")
    assert exported.code == 0, exported.err


def test_the_usual_store_is_the_default_where_it_holds_files_too(traps, arboretum):
    assert arboretum("import-images", "traps", "-o", "photos.parquet").code == 0
    sizes = ("--lt-ratio", 2, "--val-per-class", 0, "--test-per-class", 1)
    split = arboretum("make-split", "--catalog", "photos.parquet", *sizes, "--name", "one")
    assert "of which images holds the photos" in split.out.splitlines()[0], split.err
    whole = arboretum(
        "make-split", "--catalog", "photos.parquet", *sizes, "--name", "two", "--images", "none"
    )
    assert whole.out.startswith("from the catalogue at photos.parquet: "), whole.err


def test_labels_need_a_rank_and_the_error_says_which(traps, arboretum):
    assert arboretum("import-images", "traps", "-o", "photos.parquet", "--names", "labels").code == 0
    split = arboretum("make-split", "--catalog", "photos.parquet", "--lt-ratio", 2)
    assert split.code != 0
    assert "--rank genus" in split.err


def test_a_catalogue_that_may_not_be_replaced_does_not_hide_what_was_imported(traps, arboretum):
    assert arboretum("import-images", "traps", "-o", "photos.parquet").code == 0
    (folder,) = (path for path in traps.iterdir() if path.name == "Vulpes vulpes")
    Image.new("RGB", (30, 20), (1, 2, 3)).save(folder / "new.jpg")
    before = Path("photos.parquet").read_bytes()
    again = arboretum("import-images", "traps", "-o", "photos.parquet")
    assert again.code == 3
    assert "the images are imported, and the catalogue was not written" in again.err
    assert "--overwrite" in again.err
    assert Path("photos.parquet").read_bytes() == before


def test_labels_have_their_line_and_json_has_everything(traps, arboretum):
    (traps / "Vulpes vulpes").rename(traps / "fox")
    outcome = arboretum("import-images", "traps", "-o", "photos.parquet")
    assert (outcome.code, "--names labels" in outcome.err, Path("images").exists()) == (3, True, False)
    outcome = arboretum("import-images", "traps", "-o", "photos.parquet", "--names", "Labels")
    assert "--rank genus" in outcome.out.splitlines()[-1]
    told = json.loads(
        arboretum("import-images", "traps", "-o", "photos.parquet", "--names", "labels", "--json").out
    )
    assert (told["images"], told["stored"], told["catalog"], told["left_out"]) == (9, 0, "photos.parquet", [])
    assert arboretum("import-images", "traps").code == 2
    assert arboretum("download", "--catalog", "photos.parquet").code == 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_what_was_imported_and_the_same_command_goes_on(
    traps, process, arboretum, number, code
):
    file = io.BytesIO()
    Image.effect_noise((1_500, 1_500), 90).save(file, "PNG")
    for copy in range(150):
        (traps / "Meles meles" / f"large{copy}.png").write_bytes(file.getvalue())
    command = ("import-images", "traps", "-o", "photos.parquet", "--check", "decode")
    started = process(*command, cwd=traps.parent)
    until = time.monotonic() + 60
    # A journal has a line once a photo is in the shard.
    while not any(file.stat().st_size for file in Path().glob("images/*.journal")):
        assert started.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    started.send_signal(number)
    _, said = started.communicate(timeout=60)
    assert started.returncode == code, said
    assert not Path("photos.parquet").exists()
    assert arboretum("verify").code == 0
    told = json.loads(arboretum(*command, "--json").out)
    assert told["images"] == 159
    assert 0 < told["stored"] < 159


def test_an_audit_of_equal_images_says_how_a_split_keeps_them_together(traps, arboretum):
    (folder,) = (path for path in traps.iterdir() if path.name == "Vulpes vulpes")
    first, *others = sorted(folder.iterdir())
    for path in others:
        path.write_bytes(first.read_bytes())
    assert arboretum("import-images", "traps", "-o", "photos.parquet").code == 0
    sizes = ("--lt-ratio", 2, "--val-per-class", 0, "--test-per-class", 1)
    split = arboretum("make-split", "--catalog", "photos.parquet", *sizes, "--name", "s", "--images", "none")
    assert split.code == 0, split.err
    audit = arboretum("audit-split", "splits/s", "--images", "images")
    assert (audit.code, "make-split --images STORE" in audit.err) == (6, True), audit.err
