"""The audit of a split of a million photos, from its files and against its catalogue: seconds, memory.

Makes its own catalogue (long-tailed, with observers, licences, days and places; no network) and a split of
nearly all of it, then audits that in processes of their own, so that peak memory is that of the audit.

    python benchmarks/catalogs_and_splits/audit.py
    python benchmarks/catalogs_and_splits/audit.py --rows 200_000 --layout raw
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from catalogue import peak_mb
from selection_and_split import make_catalogue

FILES, CATALOG, DRAWN = "audit-split", "audit-split --catalog", "make-split --profile natural"


def with_people(folder: Path) -> None:
    """Adds to the files of a catalogue who took each photo, when, where and under which licence."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    for file in sorted(folder.glob("*.parquet")):
        table = pq.read_table(file)
        # An observation is of one person, day and place.
        observation = table["observation_id"].to_numpy()
        observer = observation % 49_999
        licences = np.array(["CC0", "CC-BY", "CC-BY-NC"])[observer % 3]
        more = {
            "observer_id": observer,
            "observer_name": [f"observer{number}" for number in observer.tolist()],
            "license": licences,
            "observed_on": (15_000 + observation % 5_000).astype("datetime64[D]"),
            "latitude": observation % 140 - 60 + 0.25,
            "longitude": observation % 360 - 180 + 0.125,
        }
        for name, values in more.items():
            table = table.append_column(name, pa.array(values))
        pq.write_table(table, file, compression="snappy")


def child(what: str, folder: Path, layout: str) -> dict[str, float | str]:
    """Does one of the three in this process: seconds without imports, and peak memory with them."""
    import arboretum_tools.split.against_catalog
    import arboretum_tools.split.audit
    import arboretum_tools.split.make
    from arboretum_tools import make_split, open_catalog

    started, before = time.monotonic(), time.process_time()
    if what == DRAWN:
        split = make_split(open_catalog(folder / layout), profile="natural", val_per_class=2)
        split.save(folder / "split")
        answer = f"{sum(map(split.num_photos, split.parts)):,} photos, {split.num_classes:,} classes"
    else:
        found = list(arboretum_tools.split.audit.audit_split(folder / "split").checks)
        if what == CATALOG:
            catalog = open_catalog(folder / layout)
            found += arboretum_tools.split.against_catalog.against_catalog(folder / "split", catalog)
        broken = [check.name for check in found if check.outcome == "broken"]
        answer = f"{len(found)} checks, broken: {', '.join(broken) or 'none'}"
    taken = {"seconds": time.monotonic() - started, "cpu": time.process_time() - before}
    return {**taken, "peak_mb": peak_mb(), "answer": answer}


def measure(what: str, folder: Path, layout: str) -> dict[str, float | str]:
    command = [sys.executable, __file__, "--child", what, str(folder), "--layout", layout]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=lambda text: int(text.replace("_", "")), default=1_100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--layout", choices=("raw", "built"), default="built")
    parser.add_argument("--folder", type=Path, help="keep what is made here, and take what is there")
    parser.add_argument("--child", nargs=2, metavar=("WHAT", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        what, folder = arguments.child
        print(json.dumps(child(what, Path(folder), arguments.layout)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        if not (folder / "split").is_dir():
            from arboretum_tools.catalog.building.build import build_catalog

            make_catalogue(folder / "raw", arguments.rows)
            with_people(folder / "raw")
            build_catalog(folder / "raw", folder / "built")
            made = measure(DRAWN, folder, arguments.layout)
            print(f"{DRAWN}: {made['answer']}; {made['seconds']:.1f} s, {made['peak_mb']:.0f} MB")
        for what in (FILES, CATALOG):
            runs = [measure(what, folder, arguments.layout) for _ in range(arguments.rounds)]
            seconds = statistics.median(float(run["seconds"]) for run in runs)
            peak = max(float(run["peak_mb"]) for run in runs)
            cpu = statistics.median(float(run["cpu"]) for run in runs)
            took = f"{seconds:.1f} s, {cpu:.1f} s of the processor, {peak:.0f} MB"
            print(f"{what} ({arguments.layout}): {took}; {runs[0]['answer']}")


if __name__ == "__main__":
    main()
