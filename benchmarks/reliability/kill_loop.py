"""Downloads that are killed at random moments, again and again: what is in the store after each kill.

    nice python benchmarks/reliability/kill_loop.py [--kills 200] [--photos 1500] [--seed 0]

An origin on loopback gives every photo. The command line downloads them, one process or two, stored as they
come or resized, and gets a SIGKILL (with all its processes) at a moment between its start and the time that
an undisturbed download takes. After each kill, every finished shard is read and verified, and every photo
that was found in an earlier look must be there still, with the same bytes. The next run goes on; when one
ends by itself, the store must hold exactly what an undisturbed one holds, pixels decoded, and nothing else
may lie in it. Then the next store begins, until so many kills were done.

Exits with 1 at the first thing that is not as it should be, and leaves that store where it is.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa

from arboretum_metadata.schema import REQUEST
from arboretum_tools.downloading import save_plan
from arboretum_tools.photos.photo_plan import PhotoPlan
from arboretum_tools.store import ImageStore, inventory
from arboretum_tools.store.verify import verify_store
from arboretum_tools.tabular.tables import arrow_schema
from arboretum_tools.testing.origin import Origin


def serve(told: Connection) -> None:
    """The origin, in a process of its own, until the pipe is closed."""
    logging.disable()  # Clients that are killed in the middle of an answer are no news here.
    with Origin() as origin:
        told.send(origin.url)
        try:
            told.recv()
        except EOFError:
            return


def planned(images: Path, photos: int, resize: int | None, origin: str) -> str:
    """An empty store with a plan of all photos; the id of the plan."""
    ids = list(range(1, photos + 1))
    columns = {"photo_id": ids, "ext": ["jpg"] * photos, "url": [None] * photos}
    table = pa.table(columns, schema=arrow_schema(REQUEST))
    asked = PhotoPlan(table.to_batches, {"kind": "list", "english": "a list"})
    return save_plan(asked, images=images, size="small", resize=resize, origin=origin).plan_id


def start(images: Path, plan: str, origin: str, processes: int) -> subprocess.Popen[str]:
    """The command line on a store, in a process group of its own."""
    command = [sys.executable, "-m", "arboretum_cli", "download", "--plan", plan, "--images", str(images)]
    command += ["--origin", origin, "--processes", str(processes), "--json"]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def stored(images: Path) -> dict[int, str]:
    """The SHA-256 of each image of a store, by photo, after all of it was read again."""
    verify_store(images)
    rows = inventory.contents(ImageStore.open(images)).to_pylist()
    return {row["photo_id"]: row["sha256"] for row in rows if row["status"] == "ok"}


def kill_until_whole(
    images: Path, plan: str, origin: str, processes: int, latest_s: float, chance: random.Random
) -> Counter[str]:
    """Kills runs on a store, within so many seconds, until one ends by itself before its moment."""
    counted = Counter[str]()
    found: dict[int, str] = {}
    while True:
        run = start(images, plan, origin, processes)
        try:
            _, message = run.communicate(timeout=chance.uniform(0, latest_s))
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
            counted["kills"] += 1
        else:
            if run.returncode:
                raise SystemExit(f"a run ended with {run.returncode}: {message}")
            return counted
        now = stored(images)
        lost = {photo for photo, sha256 in found.items() if now.get(photo) != sha256}
        if lost:
            raise SystemExit(f"{images} lost {len(lost)} photos by a kill, such as {min(lost)}")
        counted["kills after which more was finished"] += len(now) > len(found)
        found = now


def check(images: Path, whole: Path) -> None:
    """Compares a store with one that nothing disturbed, and looks for what is left over."""
    verify_store(images, decode=True)
    store = ImageStore.open(images)
    if not inventory.contents(store).equals(inventory.contents(ImageStore.open(whole))):
        raise SystemExit(f"{images} and {whole} are not equal")
    expected = {f"shard-{shard:06d}.{kind}" for shard in store.shards() for kind in ("tar", "parquet")}
    left = {path.name for path in images.iterdir() if path.name.startswith("shard-")} - expected
    hidden = [path for path in images.rglob(".*") if not path.name.startswith(".lock")]
    if left or hidden:
        raise SystemExit(f"{images} has something left over: {left} {hidden}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--photos", type=int, default=1_500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance, counted, began = random.Random(options.seed), Counter[str](), time.monotonic()
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    server = spawn.Process(target=serve, args=(there,), daemon=True)
    server.start()
    origin = here.recv()
    folder = Path(tempfile.mkdtemp(prefix="arboretum-kills-"))
    undisturbed: dict[int | None, tuple[Path, float]] = {}
    while counted["kills"] < options.kills:
        resize, processes = chance.choice([None, 64]), chance.choice([1, 2])
        if resize not in undisturbed:
            whole, at = folder / f"whole-{resize}", time.monotonic()
            run = start(whole, planned(whole, options.photos, resize, origin), origin, 1)
            _, message = run.communicate()
            undisturbed[resize] = whole, time.monotonic() - at
            if run.returncode:
                raise SystemExit(f"an undisturbed run ended with {run.returncode}: {message}")
        images = folder / f"images-{counted['stores']}"
        plan = planned(images, options.photos, resize, origin)
        whole, took_s = undisturbed[resize]
        counted += kill_until_whole(images, plan, origin, processes, took_s, chance)
        check(images, whole)
        subprocess.run(["rm", "-r", str(images)], check=True)
        counted["stores"] += 1
        print(f"{time.monotonic() - began:.0f} s: {counted['kills']} kills", flush=True)
    here.close()
    server.terminate()
    subprocess.run(["rm", "-r", str(folder)], check=True)
    print(f"\n{time.monotonic() - began:.0f} s, seed {options.seed}: no photo lost, every store equal")
    for name, count in counted.items():
        print(f"{count:>9,} {name}")


if __name__ == "__main__":
    main()
