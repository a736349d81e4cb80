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
