"""Each command on the bundled sample: what it prints, for people and for machines."""

import json

import pyarrow.parquet as pq

from arboretum_tools.exporting import FORMATS


def test_select_counts_explains_and_saves(arboretum, workdir):
    outcome = arboretum("select", "--taxa", "birds", "--license", "open", "--explain", "-o", "sel.parquet")
    assert outcome.code == 0
    assert outcome.out.startswith("class Aves; licence open; research grade\n")
    assert "SQL: SELECT photo_id FROM photos WHERE" in outcome.out
    assert "saved to sel.parquet" in outcome.out
    assert "10 rows are left out, 21 kept with a defect" in outcome.err
    message = json.loads(arboretum("select", "--taxa", "birds", "--license", "open", "--json").out)
    assert message["photos"] == pq.read_metadata("sel.parquet").num_rows > 100


def test_select_without_flags_shows_what_there_is(arboretum, workdir):
    outcome = arboretum("select")
    assert "House Sparrow" in outcome.out
    assert "more" in outcome.out


def test_download_says_first_and_fetches_then(arboretum, workdir, origin):
    flags = ("--taxa", "Mollusca", "--size", "thumb")
    dry = arboretum("download", *flags, "--dry-run")
    assert dry.code == 0
    assert "nothing was fetched" in dry.out
    assert not (workdir / "images").exists()
    first = json.loads(arboretum("download", *flags, "--json").out)
    assert first["fetched"] == first["requested"] == first["by_status"]["ok"] > 20
    origin.clear()
    again = arboretum("download", *flags)
    assert "0 tried, 0 fetched" in again.out
    assert origin.requests == []
    status = json.loads(arboretum("status", "--json").out)
    assert status["photos"]["ok"] == first["requested"]
    assert "ok" in arboretum("status").out


def test_a_split_is_made_downloaded_exported_and_made_again(arboretum, workdir):
    made = arboretum(
        "make-split", "--taxa", "Mollusca", "--lt-ratio", "4", "--val-per-class", "1", "--test-per-class", "1"
    )
    assert made.code == 0, made.err
    assert made.out.splitlines()[0].startswith("from the catalogue at catalog: phylum Mollusca")
    assert "written to splits/mollusca-lt4" in made.out
    again = arboretum(
        "make-split", "--taxa", "Mollusca", "--lt-ratio", "4", "--val-per-class", "1", "--test-per-class", "1"
    )
    assert "the same split; nothing written" in again.out
    split = "splits/mollusca-lt4"
    assert arboretum("download", "--split", split, "--size", "thumb").code == 0
    for form in FORMATS:
        outcome = arboretum("export", split, "--format", form, "--out", form)
        assert outcome.code == 0, outcome.err
        assert "written:" in outcome.out
        assert "nothing written" in arboretum("export", split, "--format", form, "--out", form).out
    titled = arboretum("export", split, "--format", "csv", "--captions", "com", "--out", "titled")
    assert titled.code == 0, titled.err
    assert "with common name" not in (workdir / "titled" / "train.csv").read_text("utf-8")
    small = arboretum("export", split, "--format", "hf", "--shard-bytes", "20000", "--out", "small")
    assert small.code == 0, small.err
    assert len(list((workdir / "small" / "data").glob("train-*.parquet"))) > 2


def test_a_selection_is_exported_without_a_split(arboretum, workdir):
    flags = ("--taxa", "Insecta", "--life-stage", "larva", "--license", "non-commercial-ok")
    assert arboretum("download", *flags, "--size", "thumb").code == 0
    outcome = arboretum("export", *flags, "--out", "larvae", "--json")
    assert outcome.code == 0, outcome.err
    message = json.loads(outcome.out)
    assert list(message["photos"]) == ["train"]
    assert message["photos"]["train"] == json.loads(arboretum("select", *flags, "--json").out)["photos"] > 0
    photo = pq.read_table("larvae/ATTRIBUTION.parquet")["photo_id"][0].as_py()
    lists = {"ids.csv": f"id\n{photo}\n", "page.txt": f"https://www.inaturalist.org/photos/{photo}\n"}
    for name, content in lists.items():
        (workdir / name).write_text(content)
    without = arboretum("export", *flags, "--exclude", "page.txt", "--out", "without")
    assert "1 photo of the selection kept out" in without.err
    assert photo not in pq.read_table("without/ATTRIBUTION.parquet")["photo_id"].to_pylist()
    for name, message in {
        "ids.csv": "none of the columns photo_id",
        "no.txt": "there is no file no.txt",
    }.items():
        for command in (("export", *flags), ("make-split", "--taxa", "Insecta")):
            refused = arboretum(
                *command, "--exclude", name, "--name" if command[0] == "make-split" else "--out", "x"
            )
            assert (refused.code, message in refused.err) == (3, True)
    assert not (workdir / "x").exists()
    none = arboretum("contact-sheet", "--taxa", "Aves", "--images", "images", "-o", "sheet.png")
    assert none.code == 3
    assert "holds none of the photos to show; nothing was written" in none.err


def test_the_source_of_a_split_is_said_on_its_first_line(arboretum, workdir):
    assert arboretum("make-split", "--lt-ratio", "20").out.startswith("from the whole catalogue at catalog: ")
    arboretum("download", "--taxa", "Aves", "--size", "square", "--limit", "600")
    small = ("--lt-ratio", "5", "--val-per-class", "1", "--test-per-class", "1")
    assert arboretum("make-split", *small).out.startswith(
        "from the photos downloaded into images: class Aves"
    )
    assert (workdir / "splits" / "aves-lt5" / "left_out.parquet").exists()
    assert arboretum("make-split", *small, "--images", "none").out.startswith(
        "from the catalogue at catalog: "
    )
    assert (workdir / "splits" / "all-lt5").exists()


def test_no_split_is_one_part(arboretum, workdir):
    outcome = arboretum("make-split", "--taxa", "Fungi", "--no-split", "--name", "fungi", "--json")
    message = json.loads(outcome.out)
    assert message["path"] == "splits/fungi"
    assert set(message["sha256"]) == {"train", "classes"}


def test_json_is_all_that_stands_on_stdout(arboretum, workdir):
    for command in (
        ["select", "--taxa", "Aves"],
        ["download", "--taxa", "Fungi", "--limit", "3", "--size", "square"],
        ["status"],
        ["make-split", "--taxa", "Aves", "--lt-ratio", "50"],
    ):
        outcome = arboretum(*command, "--json")
        assert outcome.code == 0, outcome.err
        json.loads(outcome.out)


def test_names_from_the_metadata_cannot_move_the_cursor():
    from arboretum_cli.printing.output import printable

    assert printable("a\x1b[2Jb\u202ec\nd") == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}c\nd"


def test_an_export_says_what_it_left_out_and_repeated(arboretum, workdir):
    arboretum("download", "--taxa", "Mollusca", "--size", "thumb")
    (workdir / "captions.toml").write_text('txt = "one $genus"\n')
    flags = ("--taxa", "Mollusca", "--even", "drop", "--world-size", "2", "--workers", "2")
    outcome = arboretum("export", *flags, "--caption-template", "captions.toml", "--out", "wds")
    assert outcome.code == 0, outcome.err
    assert "photos left out, 0 repeated" in outcome.out
    assert len(list((workdir / "wds").glob("train-*.tar"))) % 4 == 0
    message = json.loads((workdir / "wds" / "export.json").read_text())
    assert message["options"]["templates"] == {"txt": ["one $genus"]}
    wrong = arboretum("export", "--taxa", "Mollusca", "--format", "hf", "--even", "drop", "--out", "hf")
    assert wrong.code == 2
    assert "the format hf has no option even" in wrong.err


def test_a_build_says_what_it_left_out_and_refuses_it_if_strict(arboretum, workdir):
    strict = arboretum("catalog", "build", "catalog", "--out", "built", "--strict")
    assert strict.code == 3
    assert "photos.parquet, row" in strict.err
    assert not (workdir / "built").exists()
    assert arboretum("catalog", "build", "catalog", "--out", "built", "--observation-uuid").code == 2
    outcome = arboretum("catalog", "build", "catalog", "--out", "built")
    assert (outcome.code, "listed in built/rejected.parquet" in outcome.out) == (0, True)
    assert "  of 4,018 rows:\n    3 exact duplicates: left out\n" in outcome.out
    for path in ("catalog", "built"):
        assert arboretum("catalog", "check", path, "--rejected", f"{path}.rejected.parquet").code == 0
    lists = [pq.read_table(workdir / f"{path}.rejected.parquet") for path in ("catalog", "built")]
    assert lists[0].equals(lists[1])
    assert lists[0].num_rows == 10
