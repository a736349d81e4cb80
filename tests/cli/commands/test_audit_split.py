"""audit-split as it is typed: a table, a file, and exit 6."""

import json
from pathlib import Path

import pyarrow.parquet as pq


def test_it_prints_a_table_and_writes_the_report(arboretum, workdir):
    assert arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "20").code == 0
    outcome = arboretum("audit-split", "splits/aves-lt20")
    assert outcome.code == 0
    assert "parts disjoint by observation" in outcome.out
    assert json.loads(Path("splits/aves-lt20/audit.json").read_text())["verdict"] == "kept"
    # The report changes nothing for whoever makes the split once more.
    assert "nothing written" in arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "20").out


def test_a_broken_promise_is_exit_6(arboretum, workdir):
    assert arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "20").code == 0
    path = Path("splits/aves-lt20/train.parquet")
    pq.write_table(pq.read_table(path).slice(1), path)
    outcome = arboretum("audit-split", "splits/aves-lt20", "--json")
    assert outcome.code == 6
    assert json.loads(outcome.out)["verdict"] == "broken"
    assert "hash of train" in outcome.err
    assert arboretum("audit-split", "nowhere").code == 3


def test_the_hash_that_a_paper_prints_is_compared(arboretum, workdir):
    assert arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "20").code == 0
    printed = json.loads(Path("splits/aves-lt20/split.json").read_text())["split_sha256"]
    assert f"split_sha256 {printed}" in arboretum("stats", "splits/aves-lt20").out
    outcome = arboretum("audit-split", "splits/aves-lt20", "--expect", printed)
    assert outcome.code == 0
    assert printed in outcome.out
    other = printed[::-1]
    outcome = arboretum("audit-split", "splits/aves-lt20", "--expect", other)
    assert outcome.code == 6
    assert f"; {other} was expected" in outcome.out
    assert "Compare recipe and rows_sha256" in outcome.err
    # That another split was expected is no flaw of this one.
    report = json.loads(Path("splits/aves-lt20/audit.json").read_text())
    assert report["verdict"] == "kept"
    assert "expected" not in json.dumps(report)
    outcome = arboretum("audit-split", "splits/aves-lt20", "--expect", other, "--json")
    assert outcome.code == 6
    assert json.loads(outcome.out)["as_expected"]["outcome"] == "broken"
    assert arboretum("audit-split", "splits/aves-lt20", "--expect", printed[:12]).code == 2


def test_a_split_that_cannot_be_written_to_is_audited_and_printed(arboretum, workdir):
    assert arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "20").code == 0
    # Root may write to what is read-only; nobody can replace a folder by a file.
    Path("splits/aves-lt20/audit.json").mkdir()
    outcome = arboretum("audit-split", "splits/aves-lt20")
    assert outcome.code == 0
    assert "nothing written" in outcome.out
    assert "warning: the report is not written" in outcome.err
    outcome = arboretum("audit-split", "splits/aves-lt20", "--out", "report.json")
    assert outcome.code == 0
    assert json.loads(Path("report.json").read_text())["verdict"] == "kept"
    assert arboretum("audit-split", "splits/aves-lt20", "--out", "report.json").code == 3
    assert arboretum("audit-split", "splits/aves-lt20", "--out", "report.json", "--overwrite").code == 0
    own = ("--out", "splits/aves-lt20/train.parquet", "--overwrite")
    assert arboretum("audit-split", "splits/aves-lt20", *own).code == 3


def test_a_catalogue_is_compared_where_it_is_named(arboretum, workdir):
    assert arboretum("make-split", "--taxa", "Aves", "--lt-ratio", "20").code == 0
    outcome = arboretum("audit-split", "splits/aves-lt20", "--catalog", "catalog")
    assert outcome.code == 0
    assert "drawing the split again puts every photo into the same part" in outcome.out
    assert arboretum("audit-split", "splits/aves-lt20", "--photo-ids", "x").code == 2
    assert arboretum("audit-split", "splits/aves-lt20", "--catalog", "nowhere").code == 3
