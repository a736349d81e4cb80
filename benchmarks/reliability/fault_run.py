"""4,000 photos, a quarter of which misbehave in 19 ways: how long they take, and whether all come that can.

    python benchmarks/reliability/fault_run.py [--photos 4000] [--seed 0] [--connections 32]
                                                  [--peer img2dataset=VENV]

The origin of the test kit plays the faults on loopback, in a process of its own. Every option of the download
is its default. A photo can be had if its fault ends after a request or two, or spoils nothing; each of those
has to come, and each of the others has to end in a state that says why.

img2dataset, installed in an environment of its own, downloads the same list right after, with as many
threads, as many requests for one photo (`--retries 4`) and no resize. What it stores is looked at: how many
of its files are whole images.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import random
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa

from arboretum_metadata.schema import REQUEST
from arboretum_tools.downloading import download
from arboretum_tools.events import Note
from arboretum_tools.imaging.image_format import NotWholeError, inspect
from arboretum_tools.photos.photo_plan import PhotoPlan
from arboretum_tools.tabular.tables import arrow_schema
from arboretum_tools.testing.faults import Fault
from arboretum_tools.testing.origin import Origin

#: Faults after which a photo can be had, and those after which it cannot.
OBTAINABLE = (
    Fault("throttled", times=1, retry_after=1),
    Fault("unavailable", times=2),
    Fault("server_error", times=1),
    Fault("truncated", times=1),
    Fault("damaged", times=1),
    Fault("reset", times=1),
    Fault("reset_midway", times=2),
    Fault("no_length"),
)
LOST = (
    Fault("not_found"),
    Fault("forbidden"),
    Fault("throttled"),
    Fault("unavailable"),
    Fault("server_error"),
    Fault("truncated"),
    Fault("no_end"),
    Fault("wrong_content"),
    Fault("stall"),
    Fault("stall_before_headers"),
    Fault("slow_drip"),
)


def faults_of(photos: int, seed: int) -> dict[int, Fault]:
    """A quarter of the photos with a fault each, of every class as many; the order is the seed's."""
    chance = random.Random(seed)
    kinds = (*OBTAINABLE, *LOST)
    chosen = chance.sample(range(1, photos + 1), photos // 4)
    return {photo_id: kinds[at % len(kinds)] for at, photo_id in enumerate(chosen)}


def serve(photos: int, seed: int, end: Connection) -> None:
    """Serves until the other end closes."""
    with Origin(faults=faults_of(photos, seed)) as origin:
        end.send(origin.url)
        try:
            end.recv()
        except EOFError:
            return


def ours(url: str, photos: int, connections: int, folder: Path) -> Counter[str]:
    """The states to which a download of ours comes."""
    ids = list(range(1, photos + 1))
    columns = {"photo_id": ids, "ext": ["jpg"] * photos, "url": [None] * photos}
    table = pa.table(columns, schema=arrow_schema(REQUEST))

    def tell(event: object) -> None:
        if isinstance(event, Note):
            print(f"  {event.text}")

    report = download(
        PhotoPlan(table.to_batches, {"kind": "list", "english": "a list"}),
        images=folder / "images",
        size="small",
        origin=url,
        connections=connections,
        max_failure_rate=1,
        on_event=tell,
    )
    return Counter({state: n for state, n in report.by_status.items() if n})


def img2dataset(venv: Path, url: str, photos: int, connections: int, folder: Path) -> Counter[str]:
    """What img2dataset says of each photo, and how many of the files that it stored are whole."""
    listed = folder / "addresses.txt"
    listed.write_text("".join(f"{url}/photos/{n}/small.jpg\n" for n in range(1, photos + 1)), "utf-8")
    command = [str(venv / "bin" / "img2dataset"), "--url_list", str(listed), "--resize_mode", "no"]
    command += ["--output_folder", str(folder / "i2d"), "--output_format", "webdataset"]
    command += ["--processes_count", "1", "--thread_count", str(connections), "--retries", "4"]
    command += ["--enable_wandb", "False"]
    subprocess.run(command, check=True, capture_output=True)
    found: Counter[str] = Counter()
    for shard in sorted((folder / "i2d").glob("*.tar")):
        with tarfile.open(shard) as tar:
            for member in tar:
                data = tar.extractfile(member)
                assert data is not None
                if member.name.endswith(".json"):
                    found[f"it says {json.load(io.TextIOWrapper(data, 'utf-8'))['status']}"] += 1
                elif member.name.endswith(".jpg"):
                    try:
                        inspect(data.read())
                        found["whole images"] += 1
                    except NotWholeError:
                        found["stored, and no whole image"] += 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=4_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--peer", metavar="img2dataset=VENV")
    options = parser.parse_args()
    faults = faults_of(options.photos, options.seed)
    lost = sum(fault in LOST for fault in faults.values())
    print(f"{options.photos} photos, {len(faults)} with a fault; {options.photos - lost} can be had")
    spawn = multiprocessing.get_context("spawn")
    runs = {"arboretum": ours}
    if options.peer:
        venv = Path(options.peer.partition("=")[2]).resolve()
        runs["img2dataset"] = lambda *arguments: img2dataset(venv, *arguments)
    for name, run in runs.items():
        here, there = spawn.Pipe()
        server = spawn.Process(target=serve, args=(options.photos, options.seed, there), daemon=True)
        server.start()
        there.close()
        with tempfile.TemporaryDirectory(prefix="arboretum-faults-") as folder:
            url = here.recv()
            began = time.monotonic()
            found = run(url, options.photos, options.connections, Path(folder))
            print(f"{name}: {time.monotonic() - began:.1f} s, {dict(found)}")
        here.close()
        server.join()
        if name == "arboretum" and found["ok"] != options.photos - lost:
            sys.exit(f"{options.photos - lost} photos can be had, and {found['ok']} came")


if __name__ == "__main__":
    main()
