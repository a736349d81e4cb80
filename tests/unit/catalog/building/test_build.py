"""Building: what comes out, whatever the files look like, whoever interrupts, and whatever is there."""

import json
import random
import shutil
import subprocess
import sys

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from arboretum_metadata.sample import catalog_path
from arboretum_tools.catalog import open_catalog
from arboretum_tools.catalog.building import build
from arboretum_tools.catalog.building.build import build_catalog
from arboretum_tools.catalog.check import check_catalog
from arboretum_tools.catalog.layouts.built_files import find_built
from arboretum_tools.errors import CatalogError, OutOfSpaceError, TargetExistsError, UsageError
from arboretum_tools.events import StageStarted, UnitDone


def content(folder):
    """Rows of all parts, taxa and counts, as they stand."""
    files = find_built(folder)
    return (
        pa.concat_tables([pq.read_table(part) for part in files.parts]).to_pylist(),
        *(
            pq.read_table(folder / name).to_pylist()
            for name in ("taxa.parquet", "counts.parquet", "classes.parquet")
        ),
        files.meta["fingerprint"],
        files.meta["coverage"],
    )


@pytest.fixture
def sample_rows():
    return pq.read_table(catalog_path() / "photos.parquet").to_pylist()


def test_the_same_content_for_any_order_of_rows_files_and_threads(tmp_path, sample_rows, write_catalog):
    one = tmp_path / "one"
    build_catalog(catalog_path(), one)
    shuffled = random.Random(3).sample(sample_rows, k=len(sample_rows))
    source = write_catalog(shuffled, files=5, name="source", height=pa.int32(), width=pa.int32())
    build_catalog(sorted(source.iterdir(), reverse=True), tmp_path / "two", threads=1)
    assert content(one) == content(tmp_path / "two")


def test_parts_follow_each_other_in_the_order_of_tax(tmp_path):
    build_catalog(catalog_path(), tmp_path / "one")
    report = build_catalog(catalog_path(), tmp_path / "many", bucket_photos=300)
    assert len(find_built(tmp_path / "many").parts) > 8
    assert content(tmp_path / "one") == content(tmp_path / "many")
    rows = content(tmp_path / "many")[0]
    positions = [(row["tax"], row["photo_id"]) for row in rows]
    assert positions == sorted(set(positions))
    assert report.photos == len(rows) == 4008
    assert check_catalog(open_catalog(tmp_path / "many")).sound


def test_a_clade_is_a_range(tmp_path):
    build_catalog(catalog_path(), tmp_path / "built")
    taxa = content(tmp_path / "built")[1]
    for rank, name in (("class", "Aves"), ("kingdom", "Plantae"), ("family", "Passeridae")):
        numbers = [row["tax"] for row in taxa if row[rank] == name]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_csv_and_parquet_give_the_same(tmp_path, photos, taxa, write_catalog):
    rows = photos(taxa["robin"], 1, 2, 2, latitude=1.5, longitude=2.5) + photos(taxa["oak"], 5)
    rows[0]["common_name"] = 'American, "Robin"'
    source = write_catalog(rows)
    (tmp_path / "csv").mkdir()
    pacsv.write_csv(pq.read_table(source / "part-0.parquet"), tmp_path / "csv" / "a.csv")
    build_catalog(source, tmp_path / "one")
    build_catalog(tmp_path / "csv", tmp_path / "two")
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_a_build_replaces_a_built_catalogue_and_nothing_else(tmp_path, photos, taxa, write_catalog):
    target = tmp_path / "catalog-built"
    build_catalog(write_catalog(photos(taxa["robin"], 1)), target)
    build_catalog(write_catalog(photos(taxa["oak"], 1, 2), name="other"), target)
    assert len(open_catalog(target)) == 2
    (target / "notes.txt").write_text("mine")
    with pytest.raises(TargetExistsError, match=r"notes\.txt"):
        build_catalog(write_catalog(photos(taxa["oak"], 1), name="third"), target)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x").touch()
    with pytest.raises(TargetExistsError, match="other than a built catalogue"):
        build_catalog(write_catalog(photos(taxa["oak"], 1), name="fourth"), tmp_path / "folder")
    assert len(open_catalog(target)) == 2


def test_source_and_target_may_not_lie_in_each_other(write_catalog, photos, taxa):
    source = write_catalog(photos(taxa["robin"], 1))
    with pytest.raises(UsageError, match="one inside the other"):
        build_catalog(source, source / "built")


def test_nothing_is_left_beside_the_catalogue(tmp_path, write_catalog, photos, taxa):
    folder = tmp_path / "place"
    folder.mkdir()
    build_catalog(write_catalog(photos(taxa["robin"], 1)), folder / "catalog")
    assert [path.name for path in folder.iterdir()] == ["catalog"]
    files = sorted(path.name for path in (folder / "catalog").rglob("*") if path.is_file())
    assert files == [
        "catalog.json",
        "classes.parquet",
        "counts.parquet",
        "part-00000.parquet",
        "taxa.parquet",
    ]


_KILLED = """
import os, sys
from arboretum_tools.catalog.building.build import build_catalog
from arboretum_tools.events import UnitDone, StageStarted
stage = []
def watch(event):
    if isinstance(event, StageStarted): stage.append(event.stage)
    if isinstance(event, UnitDone) and stage[-1] == "sorting and writing":
        stage.append(stage[-1])
        if len(stage) > 6: os.kill(os.getpid(), 9)
build_catalog(sys.argv[1], sys.argv[2], bucket_photos=500, on_event=watch)
"""


def test_a_killed_build_goes_on_and_leaves_the_old_catalogue_whole(tmp_path, write_catalog, photos, taxa):
    target = tmp_path / "catalog-built"
    build_catalog(write_catalog(photos(taxa["robin"], 1)), target)
    killed = subprocess.run([sys.executable, "-c", _KILLED, catalog_path(), target], check=False)
    assert killed.returncode == -9
    assert len(open_catalog(target)) == 1
    report = build_catalog(catalog_path(), target, bucket_photos=500)
    assert report.resumed_parts >= 3
    build_catalog(catalog_path(), tmp_path / "fresh", bucket_photos=500)
    assert content(target) == content(tmp_path / "fresh")
    assert not (tmp_path / ".catalog-built.building").exists()


def test_each_stage_of_a_build_counts_to_its_total_as_it_goes(tmp_path):
    counted: dict[str, list[int]] = {}
    totals: dict[str, int | None] = {}

    def watch(event):
        if isinstance(event, StageStarted):
            totals[event.stage] = event.total
            counted[event.stage] = []
        elif isinstance(event, UnitDone):
            counted[list(totals)[-1]].append(event.count)

    build_catalog(catalog_path(), tmp_path / "built", on_event=watch)
    for stage in ("counting names and duplicates", "partitioning photos into buckets"):
        assert sum(counted[stage]) == totals[stage]
    # It is seen to move before it is over.
    assert len(counted["counting names and duplicates"]) > 3


def test_another_source_does_not_go_on_from_what_is_there(tmp_path, write_catalog, photos, taxa):
    target = tmp_path / "catalog-built"
    subprocess.run([sys.executable, "-c", _KILLED, catalog_path(), target], check=False)
    report = build_catalog(write_catalog(photos(taxa["robin"], 1, 2)), target, bucket_photos=500)
    assert (report.photos, report.resumed_parts) == (2, 0)


_HELD_UP = """
import sys
from arboretum_tools.catalog.building.build import build_catalog
from arboretum_tools.events import StageStarted
def watch(event):
    if isinstance(event, StageStarted) and event.stage == "sorting and writing":
        print("writing", flush=True)
        sys.stdin.readline()
build_catalog(sys.argv[1], sys.argv[2], bucket_photos=500, on_event=watch)
"""


def test_of_two_processes_that_build_one_catalogue_the_second_is_refused(
    tmp_path, write_catalog, photos, taxa
):
    target = tmp_path / "catalog-built"
    source = write_catalog(photos(taxa["robin"], 1))
    build_catalog(source, target)
    first = subprocess.Popen(
        [sys.executable, "-c", _HELD_UP, catalog_path(), target],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert first.stdout.readline() == "writing\n"
        before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
        second = subprocess.run(
            [sys.executable, "-m", "arboretum_cli", "catalog", "build", source, "--out", target],
            check=False,
            capture_output=True,
            text=True,
        )
        assert second.returncode == 3
        assert f"another build of {target} is running: process {first.pid} on " in second.stderr
        assert "nothing was changed" in second.stderr
        after = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
        assert after == before, "neither the catalogue nor what the first has made"
        assert len(open_catalog(target)) == 1
        _, error = first.communicate("go on\n", timeout=60)
        assert first.returncode == 0, error
    finally:
        first.kill()
        first.wait()
    build_catalog(catalog_path(), tmp_path / "fresh", bucket_photos=500)
    assert content(target) == content(tmp_path / "fresh")


def test_a_full_disk_leaves_the_old_catalogue_whole(tmp_path, write_catalog, photos, taxa):
    target = tmp_path / "catalog-built"
    build_catalog(write_catalog(photos(taxa["robin"], 1)), target)
    code = (
        "import resource, signal, sys\n"
        "from arboretum_tools.catalog.building.build import build_catalog\n"
        "from arboretum_tools.errors import OutOfSpaceError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try: build_catalog(sys.argv[1], sys.argv[2])\n"
        "except OutOfSpaceError as error: print(error); sys.exit(3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, catalog_path(), target], check=False, capture_output=True, text=True
    )
    assert done.returncode == 3, done.stderr
    assert "no room left" in done.stdout
    assert len(open_catalog(target)) == 1
    assert OutOfSpaceError.exit_code == 3


@pytest.mark.parametrize("damage", ["truncated", "inside", "other"])
def test_a_damaged_source_is_one_error_and_nothing_is_changed(tmp_path, write_catalog, photos, taxa, damage):
    source = write_catalog(photos(taxa["robin"], *range(1, 3000)))
    file = source / "part-0.parquet"
    data = bytearray(file.read_bytes())
    if damage == "inside":
        data[4:300] = b"\xff" * 296
    file.write_bytes(b"not parquet" if damage == "other" else data[:-50] if damage == "truncated" else data)
    with pytest.raises(CatalogError) as caught:
        build_catalog(source, tmp_path / "built")
    assert "fetch it again" in str(caught.value).lower()
    assert not (tmp_path / "built").exists()


def test_a_name_of_ten_kilobytes_is_refused_with_file_and_row(tmp_path, write_catalog, photos, taxa):
    rows = photos(taxa["robin"], 1, 2, 3)
    rows[2]["common_name"] = "x" * 10_000
    with pytest.raises(CatalogError, match=r"part-0\.parquet, row 3"):
        build_catalog(write_catalog(rows), tmp_path / "built")


def test_rows_that_are_all_unusable_make_no_catalogue(tmp_path, write_catalog, photos, taxa):
    with pytest.raises(CatalogError, match="nothing is left"):
        build_catalog(write_catalog(photos(taxa["robin"], 0, -1)), tmp_path / "built")


def test_positions_off_the_globe_are_unknown_in_both_layouts(tmp_path, write_catalog, photos, taxa):
    rows = [
        photos(taxa["robin"], n, latitude=latitude, longitude=longitude)[0]
        for n, (latitude, longitude) in enumerate([(1.0, 2.0), (91.0, 0.0), (0.0, 181.0), (5.0, None)], 1)
    ]
    source = write_catalog(rows)
    build_catalog(source, tmp_path / "built")
    for path in (source, tmp_path / "built"):
        table = open_catalog(path).select().to_arrow()
        assert table["latitude"].to_pylist() == [1.0, None, None, None]
        assert table["longitude"].to_pylist() == [2.0, None, None, None]
    report = check_catalog(open_catalog(source))
    assert [(f.name, f.count) for f in report.findings] == [("bad_position", 3)]


def test_files_of_two_builds_are_refused_together(tmp_path, write_catalog, photos, taxa):
    build_catalog(write_catalog(photos(taxa["robin"], 1)), tmp_path / "one")
    build_catalog(write_catalog(photos(taxa["oak"], 1), name="b"), tmp_path / "two")
    shutil.copy(tmp_path / "one" / "taxa.parquet", tmp_path / "two" / "taxa.parquet")
    with pytest.raises(CatalogError, match="belongs to another build"):
        open_catalog(tmp_path / "two")


def test_parts_that_are_gone_cut_off_or_of_another_build_are_refused(tmp_path, write_catalog, photos, taxa):
    build_catalog(write_catalog(photos(taxa["robin"], 1, 2)), tmp_path / "one")
    build_catalog(write_catalog(photos(taxa["oak"], 1, 2, 3), name="b"), tmp_path / "two")
    part, other = (tmp_path / name / "photos" / "part-00000.parquet" for name in ("one", "two"))
    shutil.copy(other, part)
    with pytest.raises(CatalogError, match=r"part-00000.parquet belongs to another build"):
        open_catalog(tmp_path / "one")
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(CatalogError, match=r"part-00000.parquet is not a whole Parquet file"):
        open_catalog(tmp_path / "one")
    part.unlink()
    with pytest.raises(CatalogError, match=r"part-00000.parquet is not a whole Parquet file"):
        open_catalog(tmp_path / "one")


def test_more_buckets_than_files_may_be_open_are_made_larger(
    tmp_path, write_catalog, photos, taxa, monkeypatch
):
    monkeypatch.setattr(build, "MOST_BUCKETS", 2)
    rows = [
        row for number, name in enumerate(("robin", "oak", "moth")) for row in photos(taxa[name], number + 1)
    ]
    build_catalog(write_catalog(rows), tmp_path / "built", bucket_photos=1)
    assert len(list((tmp_path / "built" / "photos").iterdir())) == 2
    assert open_catalog(tmp_path / "built").select(quality_grade="any").count() == 3


def test_a_newer_format_and_a_damaged_description_are_refused(tmp_path, write_catalog, photos, taxa):
    build_catalog(write_catalog(photos(taxa["robin"], 1)), tmp_path / "one")
    path = tmp_path / "one" / "catalog.json"
    message = json.loads(path.read_text())
    path.write_text(json.dumps(message | {"format_version": 99}))
    with pytest.raises(CatalogError, match="newer toolkit"):
        open_catalog(tmp_path / "one")
    for text in ("{", "[" * 100_000):
        path.write_text(text)
        with pytest.raises(CatalogError, match="cannot be read"):
            open_catalog(tmp_path / "one")


def test_check_finds_what_a_build_did_not_write(tmp_path):
    folder = tmp_path / "built"
    build_catalog(catalog_path(), folder)
    assert check_catalog(open_catalog(folder)).sound
    part = folder / "photos" / "part-00000.parquet"
    table = pq.read_table(part)
    pq.write_table(table.slice(0, table.num_rows - 1), part)
    report = check_catalog(open_catalog(folder))
    assert not report.sound
    assert {f.name for f in report.findings if f.fatal} == {"wrong_counts", "wrong_fingerprint"}
