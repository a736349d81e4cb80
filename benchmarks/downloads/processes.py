"""What further processes of a download cost: CPU a photo beside one process, and memory of each.

    python benchmarks/downloads/processes.py [--photos 4000 16000] [--processes 1 2 4] [--rounds 2]

The photos and the server are those of download.py. CPU time is that of all processes of a
download, start-up included; `marginal` is the difference of the two numbers of photos, which leaves the
start-up out.
Memory is the peak of resident pages of each further process, those that it shares with others included.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

from photo_server import PHOTOS, draw, photo_ids, serve
from resize import ours, write_plan


def children(pid: int) -> list[int]:
    """Processes that a process has started and that still run."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(one) for task in tasks for one in task.joinpath("children").read_text().split()]
    except OSError:
        return []


def measure(command: list[str]) -> tuple[float, int]:
    """CPU seconds of a command with its children, and the peak bytes of the largest child."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peaks = [0]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            for child in children(process.pid):
                try:
                    stated = Path(f"/proc/{child}/status").read_text()
                    peaks.append(1024 * int(stated.partition("VmHWM:")[2].split(None, 1)[0]))
                except (OSError, IndexError):
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, status, used = os.wait4(process.pid, 0)
    ended.set()
    watcher.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[:3]} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime, max(peaks)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, nargs=2, default=(4_000, 16_000))
    parser.add_argument("--processes", type=int, nargs="+", default=(1, 2, 4))
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    few, many = options.photos
    runs: dict[tuple[int, int], list[tuple[float, int]]] = {}
    with tempfile.TemporaryDirectory(prefix="arboretum-processes-") as name, ExitStack() as serving:
        draw(PHOTOS)
        origin = serving.enter_context(serve(PHOTOS, Path(name), tls=False)).origin
        for photos in options.photos:
            write_plan(Path(name, f"{photos}.parquet"), photo_ids(photos))
        for _ in range(options.rounds):
            for photos in options.photos:
                for count in options.processes:
                    images = Path(name, "images")
                    command = ours(Path(name, f"{photos}.parquet"), images, origin, processes=count)
                    runs.setdefault((count, photos), []).append(measure(command))
                    shutil.rmtree(images)
    print(f"{'processes':>9} {few:>8} {many:>8} {'marginal':>9} {'x one':>6} {'peak MB of each further':>24}")
    base = None
    for count in options.processes:
        at_few, at_many = (statistics.median(run[0] for run in runs[count, n]) for n in options.photos)
        marginal = 1000 * (at_many - at_few) / (many - few)
        base = base or marginal
        peak = max(run[1] for run in runs[count, many]) / 1e6
        print(
            f"{count:>9} {1000 * at_few / few:>8.2f} {1000 * at_many / many:>8.2f} {marginal:>9.2f} "
            f"{marginal / base:>6.2f} {peak if count > 1 else 0:>24.0f}"
        )
    print("CPU seconds per 1,000 photos")


if __name__ == "__main__":
    main()
