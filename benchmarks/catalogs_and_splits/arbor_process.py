"""Counting and capping a million rows: arbor-process, the authors' own tool, against this one.

arbor-process pins old pandas and pyarrow, so it lives in an environment of its own, whose Python is named:

    uv venv arbor && VIRTUAL_ENV=arbor uv pip install arbor-process==0.1.1
    python benchmarks/catalogs_and_splits/arbor_process.py arbor/bin/python

Its step 1 counts photos by group and species and writes a CSV; ours counts photos by species and writes one.
Its step 2 drops species under 30 photos, caps the others at 1,000, shuffles, and rewrites all columns in
small files; ours draws the same from the raw files as a split without hold-out and writes its manifest. That
is less writing, and an exact cap: theirs drops later rows of a species altogether, so the photos that each
keeps are printed. Every run is a fresh process; seconds include imports.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from selection_and_split import make_catalogue

_RARE, _CAP = 30, 1000

_THEIRS_1 = """
import sys
from arbor_process import MetadataProcessor
MetadataProcessor(source_folder=sys.argv[1], destination_folder=sys.argv[2] + "/counts").process_all_files()
"""
_THEIRS_2 = """
import sys
from arbor_process import GenShuffledChunks
to = sys.argv[2]
GenShuffledChunks(
    species_count_data=to + "/counts/combined_sample_counts_per_species.csv", directory=sys.argv[1],
    rare_threshold=30, cap_threshold=1000, part_size=500, rare_dir=to + "/rare",
    cap_filtered_dir_train=to + "/train", capped_dir=to + "/capped", merged_dir=to + "/merged",
    files_per_chunk=10, random_seed=42,
).process_files()
"""
_OURS_1 = """
import sys
from arboretum_tools import open_catalog
open_catalog(sys.argv[1]).select().species_counts().to_csv(sys.argv[2] + "/ours.csv", index=False)
"""
_OURS_2 = """
import sys
from arboretum_tools import make_split, open_catalog
split = make_split(
    open_catalog(sys.argv[1]).select(), profile="natural", min_per_class=30, max_per_class=1000,
    val_per_class=0, test_per_class=0,
)
split.save(sys.argv[2] + "/split")
"""


def run(python: str, code: str, folder: Path, to: Path) -> tuple[float, float]:
    """Seconds and peak MB of a process."""
    started = time.perf_counter()
    child = subprocess.Popen(
        [python, "-c", code, str(folder), str(to)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    complaint = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(complaint.decode()[-2000:])
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def kept(to: Path) -> dict[str, int]:
    """Photos that each keeps for training."""
    import pyarrow.parquet as pq

    theirs = sum(pq.ParquetFile(file).metadata.num_rows for file in (to / "train").glob("*.parquet"))
    return {"arbor-process": theirs, "ours": pq.ParquetFile(to / "split" / "train.parquet").metadata.num_rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("python", help="Python of an environment with arbor-process")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as position:
        folder, to = Path(position, "source"), Path(position, "out")
        to.mkdir()
        make_catalogue(folder, arguments.rows, files=4)
        found = {}
        for step, theirs, ours in (
            ("1: count by species", _THEIRS_1, _OURS_1),
            (f"2: species of {_RARE} or more, at most {_CAP} photos each", _THEIRS_2, _OURS_2),
        ):
            (seconds, peak), (own, own_peak) = (
                run(python, code, folder, to)
                for python, code in ((arguments.python, theirs), (sys.executable, ours))
            )
            found[step] = {"arbor_s": seconds, "arbor_mb": peak, "ours_s": own, "ours_mb": own_peak}
            print(
                f"{step}: arbor-process {seconds:.1f} s, {peak:.0f} MB; ours {own:.1f} s, {own_peak:.0f} MB; "
                f"{seconds / own:.1f} times faster",
                flush=True,
            )
        photos = kept(to)
        print("photos kept: " + ", ".join(f"{name} {count:,}" for name, count in photos.items()))
        if arguments.json:
            arguments.json.write_text(json.dumps({**found, "kept": photos}, indent=1), "utf-8")


if __name__ == "__main__":
    main()
