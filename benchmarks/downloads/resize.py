"""What shrinking photos as they come costs beside img2dataset, and how near each comes to the mean of areas.

    python benchmarks/downloads/resize.py [--photos 4000] [--rounds 3] [--peer PYTHON]

nginx on loopback (photo_server.py) gives out JPEGs of 500 x 375 pixels and about 90 kB, 400
different ones, made by this script, whose detail is that of photos. Each program fetches the same list and
keeps it at 256 pixels on the shorter side, as JPEG of quality 90, by the mean of areas; each in a process
group of its own, in turn. CPU time is that of all its processes, start-up included. The peer is img2dataset
in a virtual environment of its own, whose Python is named.

Then 100 of the photos that each stored are compared with an exact mean of areas in double precision: PSNR in
dB, the mean over photos, and beside them the exact one as JPEG of quality 90, which none can beat by much.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from photo_server import PHOTOS, file_of, photo_ids, serve
from PIL import Image

from arboretum_metadata.schema import REQUEST
from arboretum_tools.store import ImageStore
from arboretum_tools.tabular.tables import arrow_schema

SIDE = 256
FILES = 400
#: The photos, beside those of the other benchmarks, where a server of another user may read them.
TEXTURED = PHOTOS.with_name("textured")

OURS = """
import json, sys
import pyarrow.parquet as pq
from arboretum_tools.downloading import download
from arboretum_tools.photos.photo_plan import PhotoPlan

plan, images, origin, more = sys.argv[1:]
with pq.ParquetFile(plan) as file:
    requests = PhotoPlan(file.iter_batches, {"kind": "list", "english": "a list"})
    report = download(requests, images=images, origin=origin, **json.loads(more))
assert report.by_status["ok"] == report.requested
"""


def draw(number: int) -> bytes:
    """A JPEG whose detail falls off with its frequency as in photos (amplitude 1/f, Field 1987)."""
    random = np.random.default_rng(number)
    across, down = np.fft.fftfreq(500)[None, :], np.fft.fftfreq(375)[:, None]
    frequency = np.hypot(across, down)
    frequency[0, 0] = 1.0
    shared = random.normal(size=(375, 500))
    planes = []
    for _ in range(3):
        noise = np.fft.fft2(shared + 0.3 * random.normal(size=(375, 500))) / frequency
        plane = np.real(np.fft.ifft2(noise))
        planes.append((plane - plane.mean()) / plane.std())
    image = Image.fromarray(np.clip(128 + 50 * np.stack(planes, axis=2), 0, 255).astype(np.uint8))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=83)
    return out.getvalue()


def write_plan(path: Path, ids: list[int]) -> None:
    """A plan of these photos."""
    columns = {"photo_id": ids, "ext": ["jpg"] * len(ids), "url": [None] * len(ids)}
    pq.write_table(pa.table(columns, schema=arrow_schema(REQUEST)), path)


def measure(command: list[str]) -> tuple[float, float]:
    """CPU seconds of a command with all that it waited for, and wall seconds."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise SystemExit(
                f"{command[:4]} ended with {process.returncode}: {errors.read()[-2000:].decode()}"
            )
    return used.ru_utime + used.ru_stime, time.monotonic() - began


def ours(plan: Path, images: Path, origin: str, **more: object) -> list[str]:
    """The command that downloads a plan."""
    return [sys.executable, "-c", OURS, str(plan), str(images), origin, json.dumps(more)]


def peer(python: Path, folder: Path, ids: list[int], origin: str) -> list[str]:
    """The command by which img2dataset does the same."""
    listed = folder / "urls.txt"
    listed.write_text("".join(f"{origin}/photos/{number}/medium.jpg\n" for number in ids))
    command = [str(python.parent / "img2dataset"), "--url_list", str(listed), "--output_format", "webdataset"]
    command += ["--output_folder", str(folder / "img2dataset"), "--processes_count", "1"]
    command += ["--thread_count", "32", "--disallowed_header_directives", "[]", "--image_size", str(SIDE)]
    command += ["--resize_mode", "keep_ratio", "--resize_only_if_bigger", "True", "--encode_quality", "90"]
    return [*command, "--downscale_interpolation", "area"]


def exact(image: Image.Image) -> npt.NDArray[np.float64]:
    """The mean of areas at `SIDE`, in double precision."""
    scale = SIDE / min(image.size)
    pixels = np.asarray(image.convert("RGB"), dtype=np.float64)
    for axis, side in enumerate((image.height, image.width)):
        count = round(side * scale)
        edges = np.arange(count + 1) * side / count
        sums = np.concatenate([np.zeros_like(pixels.take([0], axis)), pixels.cumsum(axis)], axis)
        low = np.minimum(edges.astype(int), side - 1)
        share = (edges - low).reshape([-1, 1, 1] if axis == 0 else [1, -1, 1])
        at = sums.take(low, axis) * (1 - share) + sums.take(low + 1, axis) * share
        pixels = np.diff(at, axis=axis) * count / side
    return pixels


def psnr(made: bytes, expected: npt.NDArray[np.float64]) -> float:
    """Peak signal-to-noise ratio of a JPEG, dB."""
    error = np.asarray(Image.open(io.BytesIO(made)).convert("RGB"), dtype=np.float64) - expected
    return float(10 * np.log10(255**2 / np.mean(error**2)))


def jpeg_of(pixels: npt.NDArray[np.float64]) -> bytes:
    """The JPEG of quality 90 of exact pixels."""
    out = io.BytesIO()
    Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8)).save(out, "JPEG", quality=90)
    return out.getvalue()


def stored_by_peer(folder: Path) -> dict[int, bytes]:
    """What img2dataset stored, by photo id."""
    found = {}
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as archive:
            members = {member.name: archive.extractfile(member) for member in archive}
            for name, file in members.items():
                if name.endswith(".json") and file is not None:
                    image = members[name.replace(".json", ".jpg")]
                    assert image is not None
                    found[int(json.load(file)["url"].split("/")[-2])] = image.read()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", type=Path, help="the Python of an environment with img2dataset")
    options = parser.parse_args()
    TEXTURED.mkdir(parents=True, exist_ok=True)
    files = [file_of(TEXTURED, number) for number in range(FILES)]
    for number, path in enumerate(files):
        if not path.exists():
            path.write_bytes(draw(number))
    print(f"{FILES} JPEGs of {statistics.mean(path.stat().st_size for path in files) / 1000:.0f} kB")
    ids = photo_ids(options.photos, FILES)
    runs: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="arboretum-resize-") as name, ExitStack() as serving:
        folder = Path(name)
        origin = serving.enter_context(serve(TEXTURED, folder, tls=False)).origin
        plan = folder / "plan.parquet"
        write_plan(plan, ids)
        for number in range(options.rounds):
            at = folder / str(number)
            at.mkdir()
            todo: dict[str, Callable[[], list[str]]] = {
                "arboretum": lambda at=at: ours(plan, at / "area", origin, resize=SIDE),  # type: ignore[misc]
                "arboretum, lanczos": lambda at=at: ours(  # type: ignore[misc]
                    plan, at / "lanczos", origin, resize=SIDE, resize_filter="lanczos"
                ),
                "arboretum, as they came": lambda at=at: ours(plan, at / "whole", origin),  # type: ignore[misc]
            }
            if options.peer:
                todo["img2dataset"] = lambda at=at: peer(options.peer, at, ids, origin)  # type: ignore[misc]
            for program, command in todo.items():
                runs.setdefault(program, []).append(measure(command()))
        store, theirs = ImageStore.open(folder / "0" / "area"), stored_by_peer(folder / "0" / "img2dataset")
        lanczos = ImageStore.open(folder / "0" / "lanczos")
        compared: dict[str, list[float]] = {}
        for photo_id in ids[:100]:
            expected = exact(Image.open(file_of(TEXTURED, photo_id)))
            found = {"exact, as JPEG": jpeg_of(expected), "arboretum": store.bytes_of(photo_id)}
            found["arboretum, lanczos"] = lanczos.bytes_of(photo_id)
            if photo_id in theirs:
                found["img2dataset"] = theirs[photo_id]
            for program, made in found.items():
                compared.setdefault(program, []).append(psnr(made, expected))
    costs = {program: statistics.median(run[0] for run in found) for program, found in runs.items()}
    print(f"{options.photos} photos, medians of {options.rounds}")
    for program, found in runs.items():
        seconds = statistics.median(run[1] for run in found)
        ratio = f"{costs['arboretum'] / costs[program]:.2f}"
        print(
            f"{program:<24} {costs[program] * 1000 / options.photos:>6.2f} CPU s / 1,000 "
            f"{options.photos / seconds:>5.0f} photos/s   arboretum is x {ratio}"
        )
    print("\nPSNR against the exact mean of areas, dB")
    for program, found in compared.items():
        print(f"{program:<24} {statistics.mean(found):>6.2f}")


if __name__ == "__main__":
    main()
