"""evaluate as it is typed."""

import json
from pathlib import Path

import pyarrow.parquet as pq


def test_it_prints_the_table_and_writes_the_report(arboretum, workdir, monkeypatch):
    monkeypatch.setenv("MPLCONFIGDIR", str(workdir / "mpl"))
    assert arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "20").code == 0
    test = pq.read_table("splits/aves-lt20/test.parquet").select(["photo_id", "label"])
    pq.write_table(test, "mine.parquet")
    outcome = arboretum("evaluate", "splits/aves-lt20", "mine.parquet")
    assert outcome.code == 0
    assert "| top-1 | 100.0" in outcome.out
    assert sorted(path.name for path in Path("mine-report").iterdir()) == [
        "report.json",
        "report.md",
        "report.png",
    ]
    # Beside the predictions, so that runs in folders of their own do not replace each other's report.
    run = Path("runs/one")
    run.mkdir(parents=True)
    pq.write_table(test, run / "mine.parquet")
    assert arboretum("evaluate", "splits/aves-lt20", run / "mine.parquet").code == 0
    assert (run / "mine-report" / "report.json").is_file()
    pq.write_table(test.slice(1), "mine.parquet")
    outcome = arboretum("evaluate", "splits/aves-lt20", "mine.parquet", "--out", "other")
    assert outcome.code == 3
    assert "--missing wrong" in outcome.err
    assert not Path("other").exists()
    outcome = arboretum("evaluate", "splits/aves-lt20", "mine.parquet", "--missing", "wrong", "--json")
    assert json.loads(outcome.out)["missing"] == 1
    assert arboretum("evaluate", "splits/aves-lt20", "mine.parquet", "--part", "dev").code == 3


def test_a_report_that_has_no_place_is_printed_all_the_same(arboretum, workdir):
    assert arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "20").code == 0
    pq.write_table(pq.read_table("splits/aves-lt20/test.parquet"), "mine.parquet")
    # Root may write to what is read-only; nobody can make a folder where a link leads nowhere.
    Path("mine-report").symlink_to("nowhere")
    outcome = arboretum("evaluate", "splits/aves-lt20", "mine.parquet")
    assert outcome.code == 0
    assert "| top-1 | 100.0" in outcome.out
    assert "warning: the report is not written" in outcome.err
    assert arboretum("evaluate", "splits/aves-lt20", "mine.parquet", "--out", "mine-report").code == 3
