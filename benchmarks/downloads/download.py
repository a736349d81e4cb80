"""What a download costs beside other programs and beside the limit: CPU time, speed, memory, and ratios.

    python benchmarks/downloads/download.py [--tls] [--photos 4000] [--marginal 20000] [--rounds 3]
                                  [--programs bare,raw,arboretum,curl] [--peer img2dataset=VENV] ...
    python benchmarks/downloads/download.py --memory 2000 200000
    python benchmarks/downloads/download.py --nothing-to-do 10000

A server on loopback (photo_server.py; nginx where it is installed) gives out JPEGs of 500 x 375
pixels and about 90 kB. Each program fetches the same list in a process of its own, in turn, so many times;
the figures are medians. CPU time and memory are those of the client, all its processes together. The server's
files are in the cache of the file system; what comes is written below `--scratch`.

With `--marginal`, each is run with so many photos too; the difference is the cost without the start.

- `bare`: an aiohttp loop of 32 connections that throws the bodies away.
- `raw`: a protocol of asyncio with the same work as ours (looked at, hashed, written into a tar), which
  believes the server in everything: about the least that is possible.
- `arboretum`: verified, hashed, journalled, indexed, in tar shards. nginx sends no MD5 as ETag, so none is
  compared here; what one costs is printed apart.
- `curl`: `curl --parallel`, loose files, nothing verified.
- peers, given by `--peer NAME=VENV`, each installed in a virtual environment of its own, because they pin old
  releases of what we use: `img2dataset` and `arbor-process`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import photo_server
import pyarrow as pa
import pyarrow.parquet as pq

from arboretum_metadata.schema import REQUEST
from arboretum_tools.tabular.tables import arrow_schema

HERE = Path(__file__).resolve().parent
CONNECTIONS = 32

# The package's own class, with as many downloads at a time as the others.
ARBOR_PROCESS = f"""
import asyncio, sys
from arbor_process.get_imgs import GetImages
images = GetImages(sys.argv[1], sys.argv[2], concurrent_downloads={CONNECTIONS})
asyncio.run(images.download_images())
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run of a program cost.

    Attributes:
        cpu_s: of all its processes together.
        seconds: from start to end.
        peak_bytes: resident, all processes together.
    """

    cpu_s: float
    seconds: float
    peak_bytes: int


def measure(command: Sequence[str], environment: dict[str, str]) -> Cost:
    """Runs a command to its end.

    Raises:
        SystemExit: it fails.
    """
    began = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            list(command), env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=errors
        )
        peaks = [0]

        def watch() -> None:
            while not ended.wait(0.02):
                peaks.append(_resident(process.pid))

        ended = threading.Event()
        watcher = threading.Thread(target=watch)
        watcher.start()
        # With its children, as far as it has waited for them.
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        ended.set()
        watcher.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise SystemExit(
                f"{' '.join(command)} ended with {process.returncode}:\n{errors.read()[-2000:].decode()}"
            )
    return Cost(used.ru_utime + used.ru_stime, seconds, max(peaks))


def _resident(pid: int) -> int:
    """Resident bytes of a process and its descendants, what they share counted once; Linux only, else 0.

    A process alone tells its peak so far, so that nothing between two samples is lost. (The system's
    `ru_maxrss` of a child is at least what this process had when it started it.)
    """
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if not children:
            status = Path(f"/proc/{pid}/status").read_text()
            return 1024 * int(status.partition("VmHWM:")[2].split(None, 1)[0])
        # Proportional: a page that several processes share counts for each in part.
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        own = 1024 * int(rollup.partition("\nPss:")[2].split(None, 1)[0])
        return own + sum(_resident(int(child)) for child in children)
    except (OSError, IndexError, ValueError):
        return 0


def commands(
    folder: Path, photos: int, served: photo_server.Served, peers: dict[str, Path], size: str = "medium"
) -> dict[str, list[str]]:
    """Every program that is installed, by name; each writes into a folder of its own below `folder`."""
    ids = photo_server.photo_ids(photos)
    addresses = [f"{served.origin}/photos/{photo_id}/{size}.jpg" for photo_id in ids]
    text = folder / "addresses.txt"
    text.write_text("\n".join(addresses) + "\n", "utf-8")
    plan = folder / "plan.parquet"
    columns = {"photo_id": ids, "ext": ["jpg"] * photos, "url": [None] * photos}
    pq.write_table(pa.table(columns, schema=arrow_schema(REQUEST)), plan, row_group_size=100_000)
    ours = [sys.executable, str(HERE / "download_programs.py")]
    found = {
        "bare": [*ours, "bare", str(text), str(folder / "bare")],
        "raw": [*ours, "raw", str(text), str(folder / "raw")],
        "arboretum": [*ours, "arboretum", str(plan), str(folder / "arboretum"), served.origin, size],
    }
    if curl := shutil.which("curl"):
        lines = [f'url = "{url}"\noutput = "{folder}/curl/{n}.jpg"\n' for n, url in enumerate(addresses)]
        (folder / "curl.txt").write_text("".join(lines), "utf-8")
        found["curl"] = [curl, "--parallel", "--parallel-max", str(CONNECTIONS), "--create-dirs", "-sS"]
        found["curl"] += ["--config", str(folder / "curl.txt")]
    if (peer := peers.get("img2dataset")) is not None:
        found["img2dataset"] = [str(peer / "bin" / "img2dataset"), "--url_list", str(text)]
        found["img2dataset"] += ["--output_folder", str(folder / "i2d"), "--output_format", "webdataset"]
        found["img2dataset"] += ["--resize_mode", "no", "--processes_count", "1"]
        found["img2dataset"] += ["--thread_count", str(CONNECTIONS), "--enable_wandb", "False"]
    if (peer := peers.get("arbor-process")) is not None:
        listed = folder / "listed"
        listed.mkdir()
        pq.write_table(pa.table({"photo_url": addresses}), listed / "photos.parquet")
        found["arbor-process"] = [str(peer / "bin" / "python"), "-c", ARBOR_PROCESS]
        found["arbor-process"] += [str(listed), str(folder / "arbor")]
    return found


def compare(
    options: argparse.Namespace, served: photo_server.Served, *counts: int
) -> list[dict[str, list[Cost]]]:
    """Runs every program in turn over each number of photos; the costs by number and program, in rounds.

    The numbers take turns as the programs do, so that a machine that is faster at one time than at another
    is so for all of them.
    """
    runs: list[dict[str, list[Cost]]] = [{} for _ in counts]
    for _ in range(options.rounds):
        for photos, found in zip(counts, runs, strict=True):
            with tempfile.TemporaryDirectory(prefix="arboretum-benchmark-", dir=options.scratch) as name:
                for program, command in commands(Path(name), photos, served, options.peers).items():
                    if not options.programs or program in options.programs:
                        found.setdefault(program, []).append(measure(command, served.trust))
    return runs


def medians(runs: dict[str, list[Cost]]) -> dict[str, Cost]:
    """The median of each part of the costs of each program."""
    return {
        program: Cost(
            statistics.median(cost.cpu_s for cost in costs),
            statistics.median(cost.seconds for cost in costs),
            round(statistics.median(cost.peak_bytes for cost in costs)),
        )
        for program, costs in runs.items()
    }


def show(title: str, costs: dict[str, Cost], photos: int) -> None:
    """Prints a table: cost of a photo, and ratios to the baseline and to ours."""
    print(f"\n{title}")
    print(
        f"{'program':<14} {'CPU s / 1,000':>13} {'photos/s':>9} {'peak MB':>8} {'x bare':>7} {'ours is x':>9}"
    )
    for program, cost in costs.items():
        ratios = [
            f"{a.cpu_s / b.cpu_s:.3g}" if a and b and b.cpu_s > 0 else ""
            for a, b in ((cost, costs.get("bare")), (costs.get("arboretum"), cost))
        ]
        peak = f"{cost.peak_bytes / 1e6:.0f}" if cost.peak_bytes else ""
        print(
            f"{program:<14} {cost.cpu_s * 1000 / photos:>13.3f} {photos / cost.seconds:>9.0f} {peak:>8} "
            f"{ratios[0]:>7} {ratios[1]:>9}",
            flush=True,
        )


def speed(options: argparse.Namespace, served: photo_server.Served) -> None:
    """What the programs cost beside each other."""
    began = time.process_time()
    for _ in range(1_000):
        hashlib.md5(bytes(90_000), usedforsecurity=False)
    print(f"MD5 of 90 kB, where an ETag is one: {time.process_time() - began:.3f} CPU s per 1,000 photos")
    wire = f"{'HTTPS' if served.certificate else 'HTTP'} from {served.by}, medians of {options.rounds}"
    counts = [options.photos, *([options.marginal] if options.marginal else [])]
    runs = compare(options, served, *counts)
    for photos, found in zip(counts, runs, strict=True):
        show(f"{photos} photos, start-up included; {wire}", medians(found), photos)
    if options.marginal:
        few, many = runs
        # Of the runs of one round, which were made in the same minute.
        marginal = {
            name: [
                Cost(b.cpu_s - a.cpu_s, b.seconds - a.seconds, 0)
                for a, b in zip(few[name], many[name], strict=True)
            ]
            for name in few
        }
        more = options.marginal - options.photos
        show(f"marginal, {options.marginal} less {options.photos} photos; {wire}", medians(marginal), more)


def memory(options: argparse.Namespace, served: photo_server.Served) -> None:
    """Whether the peak of ours depends on the number of photos; they are of 1 kB."""
    print(f"{'photos':>8} {'peak MB':>8} {'CPU s':>7} {'photos/s':>9}")
    peaks = []
    for photos in options.memory:
        with tempfile.TemporaryDirectory(prefix="arboretum-benchmark-", dir=options.scratch) as name:
            command = commands(Path(name), photos, served, {}, "small")["arboretum"]
            cost = measure(command, served.trust)
        peaks.append(cost.peak_bytes)
        rate = photos / cost.seconds
        print(f"{photos:>8} {cost.peak_bytes / 1e6:>8.1f} {cost.cpu_s:>7.2f} {rate:>9.0f}", flush=True)
    print(f"difference of the peaks: {(max(peaks) - min(peaks)) / 1e6:.1f} MB")


def nothing_to_do(options: argparse.Namespace, served: photo_server.Served) -> None:
    """What a run costs that finds everything there; the program checks that aiohttp was not imported."""
    with tempfile.TemporaryDirectory(prefix="arboretum-benchmark-", dir=options.scratch) as name:
        command = commands(Path(name), options.nothing_to_do, served, {}, "small")["arboretum"]
        measure(command, served.trust)
        costs = [measure(command, served.trust) for _ in range(options.rounds)]
    cpu_s, seconds = (statistics.median(getattr(c, n) for c in costs) for n in ("cpu_s", "seconds"))
    print(f"{options.nothing_to_do} photos, all there: {seconds:.2f} s, {cpu_s:.2f} CPU s")


def _peer(text: str) -> tuple[str, Path]:
    name, _, venv = text.partition("=")
    if name not in ("img2dataset", "arbor-process") or not Path(venv, "bin").is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not img2dataset=VENV or arbor-process=VENV")
    return name, Path(venv).resolve()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=4_000)
    parser.add_argument("--marginal", type=int, help="also so many photos, and the difference")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tls", action="store_true", help="over TLS, with a certificate made here")
    parser.add_argument("--programs", type=lambda text: text.split(","), help="only these, by comma")
    parser.add_argument("--peer", type=_peer, action="append", default=[], metavar="NAME=VENV")
    parser.add_argument("--scratch", type=Path, help="a folder for what comes; default the system's")
    parser.add_argument("--no-nginx", action="store_true", help="serve by asyncio though nginx is there")
    parser.add_argument(
        "--memory", type=int, nargs="+", metavar="PHOTOS", help="instead: peak memory of ours"
    )
    parser.add_argument("--nothing-to-do", type=int, metavar="PHOTOS", help="instead: all photos are there")
    options = parser.parse_args()
    options.peers = dict(options.peer)
    photo_server.draw(photo_server.PHOTOS)
    print(f"load of the machine before: {os.getloadavg()[0]:.2f}, {os.cpu_count()} cores")
    with (
        tempfile.TemporaryDirectory(prefix="arboretum-benchmark-") as name,
        photo_server.serve(
            photo_server.PHOTOS, Path(name), tls=options.tls, nginx=not options.no_nginx
        ) as served,
    ):
        if options.memory:
            memory(options, served)
        elif options.nothing_to_do:
            nothing_to_do(options, served)
        else:
            speed(options, served)


if __name__ == "__main__":
    main()
