"""A download under everything at once, as long as told: faults of the host, signals, killed processes.

    nice python benchmarks/reliability/soak.py --minutes 10 [--photos 1500] [--seed 0]

An origin on loopback misbehaves in every way it knows for one photo in eight: it refuses, throttles, resets,
truncates, stalls, drips, lies about type and length. Rounds follow each other, each with a new store: plain
or resized, one process or several, chosen by the seed. The command line downloads into it, and every few
seconds the command, or one of its processes, gets a SIGKILL, SIGTERM or SIGINT; then it is started again,
until it ends by itself. A round ends by `verify --decode`, by a search for anything left over, and by
comparing the store with one that was filled undisturbed: the same photos, states and bytes.

Exits with 1 at the first thing that is not as it should be, and leaves that store where it is.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow as pa

from arboretum_metadata.schema import REQUEST
from arboretum_tools.downloading import save_plan
from arboretum_tools.photos.photo_plan import PhotoPlan
from arboretum_tools.store import ImageStore, inventory
from arboretum_tools.store.verify import verify_store
from arboretum_tools.tabular.tables import arrow_schema
from arboretum_tools.testing.faults import Fault
from arboretum_tools.testing.origin import Origin

# What one photo in eight gets, in turn. `times=1` is a fault that passes; the others stay.
FAULTS = (
    Fault("not_found"),
    Fault("forbidden"),
    Fault("throttled", times=1, retry_after=1),
    Fault("unavailable", times=1),
    Fault("server_error"),
    Fault("server_error", times=2),
    Fault("truncated"),
    Fault("truncated", times=1),
    Fault("no_length"),
    Fault("no_length_truncated"),
    Fault("no_end"),
    Fault("damaged"),
    Fault("damaged", times=1),
    Fault("wrong_content"),
    Fault("wrong_type"),
    Fault("multipart_etag"),
    Fault("gzip"),
    Fault("oversize"),
    Fault("slow_drip"),
    Fault("stall"),
    Fault("stall", times=1),
    Fault("stall_before_headers"),
    Fault("reset"),
    Fault("reset", times=1),
    Fault("reset_midway", times=1),
    Fault("redirect", to="https://example.org/photos/1/small.jpg"),
    Fault("redirect", to="/photos/999999999/small.jpg"),
)
# Of one round: what the host never gives is tried again by each run, and takes each run half a minute.
DISTURBANCES = 12
SIGNALS = {signal.SIGKILL: 137, signal.SIGTERM: 143, signal.SIGINT: 130}


def serve(photos: int, told: Connection) -> None:
    """The origin, in a process of its own, until the pipe is closed."""
    faults = {photo_id: FAULTS[photo_id // 8 % len(FAULTS)] for photo_id in range(8, photos + 1, 8)} | {
        photos: Fault("oversize_no_length")
    }
    # Clients that are killed in the middle of an answer are what is wanted here, and no news.
    logging.disable()
    with Origin(faults=faults) as origin:
        told.send(origin.url)
        try:
            told.recv()
        except EOFError:
            return


def family(pid: int) -> list[int]:
    """A process and all that it started, itself first."""
    found = [pid]
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in task.joinpath("children").read_text().split():
                found += family(int(child))
    except OSError:
        pass
    return found


def resident(pids: list[int]) -> int:
    """Resident bytes of processes; pages that they share are counted for each."""
    total = 0
    for pid in pids:
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
        except (OSError, IndexError):
            continue
    return total


class Soak:
    """Rounds of downloads, and what was counted."""

    def __init__(self, folder: Path, origin: str, photos: int, seed: int) -> None:
        self.folder, self.origin, self.photos = folder, origin, photos
        self.chance = random.Random(seed)
        self.counted: Counter[str] = Counter()
        self.peak = 0

    def requests(self) -> PhotoPlan:
        """All photos."""
        ids = list(range(1, self.photos + 1))
        columns = {"photo_id": ids, "ext": ["jpg"] * len(ids), "url": [None] * len(ids)}
        table = pa.table(columns, schema=arrow_schema(REQUEST))
        return PhotoPlan(table.to_batches, {"kind": "list", "english": "a list"})

    def make(self, name: str, resize: int | None) -> tuple[Path, str]:
        """An empty store with a plan: its folder, and the id of the plan."""
        images = self.folder / name
        plan = save_plan(self.requests(), images=images, size="small", resize=resize, origin=self.origin)
        return images, plan.plan_id

    def start(self, images: Path, plan: str, processes: int) -> subprocess.Popen[str]:
        """Starts the command line on a store."""
        command = [sys.executable, "-m", "arboretum_cli", "download", "--plan", plan]
        command += ["--images", str(images), "--origin", self.origin, "--json", "--deadline", "8"]
        command += ["--attempts", "3", "--max-failure-rate", "1", "--processes", str(processes)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, process: subprocess.Popen[str], *allowed: int) -> dict[str, Any] | None:
        """Waits for a run; its report if it ended by itself."""
        out, err = process.communicate(timeout=600)
        code = process.returncode if process.returncode >= 0 else 128 - process.returncode
        if code == 0:
            return dict(json.loads(out))
        if code == 3 and "another command writes" in err:
            # Started at once after a kill, while the processes of the dead one were still ending.
            self.counted["refused, started too soon"] += 1
            time.sleep(0.2)
            return None
        if code not in allowed:
            raise SystemExit(f"a run ended with {code}: {err}\n{out}")
        return None

    def disturbed(self, images: Path, plan: str, processes: int, until: float) -> None:
        """Runs until one ends by itself, which it may after enough signals, or when no time is left."""
        left = DISTURBANCES
        while True:
            self.counted["runs"] += 1
            process = self.start(images, plan, processes)
            allowed: tuple[int, ...] = ()
            next_at = time.monotonic() + self.chance.uniform(0.5, 12)
            while process.poll() is None:
                time.sleep(0.05)
                now = time.monotonic()
                pids = family(process.pid)
                self.peak = max(self.peak, resident(pids))
                if now < next_at or now > until or not left:
                    continue
                left -= 1
                next_at = now + self.chance.uniform(0.5, 12)
                number = self.chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
                others = pids[1:]
                if others and self.chance.random() < 0.5:
                    os.kill(self.chance.choice(others), signal.SIGKILL)
                    self.counted["SIGKILL to one of its processes"] += 1
                else:
                    process.send_signal(number)
                    allowed = (SIGNALS[number],)
                    self.counted[f"{number.name} to the command"] += 1
                    break
            if self.finish(process, *allowed) is not None:
                return

    def round(self, number: int, until: float) -> None:
        """Fills a store under everything, and compares it with one that was left in peace."""
        resize = self.chance.choice([None, 128])
        processes = self.chance.choice([1, 2, 3])
        images, plan = self.make(f"round-{number}", resize)
        self.disturbed(images, plan, processes, until)
        whole, plan = self.make(f"whole-{number}", resize)
        self.finish(self.start(whole, plan, 1))
        # A loaded machine may miss a deadline; what failed is tried again, as a user would.
        for _ in range(3):
            if inventory.contents(ImageStore.open(images)).equals(inventory.contents(ImageStore.open(whole))):
                break
            for store in (images, whole):
                self.counted["runs once more for what failed"] += 1
                self.finish(self.start(store, plan, 1))
        self.check(images, whole)
        self.counted["rounds"] += 1
        self.counted["photos"] += self.photos

    def check(self, images: Path, whole: Path) -> None:
        """Reads a store again, and looks for what should not be there."""
        found = verify_store(images, decode=True)
        self.counted["images verified, pixels too"] += found.photos
        store = ImageStore.open(images)
        if not inventory.contents(store).equals(inventory.contents(ImageStore.open(whole))):
            raise SystemExit(f"{images} and {whole} are not equal")
        status = inventory.status(images)
        left = {name.name for name in images.iterdir() if name.name.startswith("shard-")}
        expected = {f"shard-{shard:06d}.{kind}" for shard in store.shards() for kind in ("tar", "parquet")}
        hidden = [path for path in images.rglob(".*") if not path.name.startswith(".lock")]
        if status.photos["pending"] or status.open_shards or left != expected or hidden:
            raise SystemExit(f"{images} has something left over: {left - expected} {hidden} {status}")
        self.counted["shards"] += status.shards
        for state, photos in status.photos.items():
            self.counted[f"photos {state}"] += photos


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--photos", type=int, default=1_500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began = time.monotonic()
    until = began + options.minutes * 60
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    server = spawn.Process(target=serve, args=(options.photos, there), daemon=True)
    server.start()
    folder = Path(tempfile.mkdtemp(prefix="arboretum-soak-"))
    soak = Soak(folder, here.recv(), options.photos, options.seed)
    number = 0
    while time.monotonic() < until:
        soak.round(number, until)
        for name in (f"round-{number}", f"whole-{number}"):
            subprocess.run(["rm", "-r", str(folder / name)], check=True)
        number += 1
        print(f"{(time.monotonic() - began) / 60:.1f} min: round {number} is whole", flush=True)
    here.close()
    server.terminate()
    folder.rmdir()
    print(f"\nsoak of {(time.monotonic() - began) / 60:.1f} min, seed {options.seed}: every store is equal")
    for name, count in soak.counted.items():
        print(f"{count:>9,} {name}")
    print(f"{soak.peak / 1e6:>9.0f} MB at most, all processes of a run together")


if __name__ == "__main__":
    main()
