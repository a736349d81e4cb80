"""What a download costs beside other programs and beside the limit: CPU seconds per 1,000 photos, and ratios.

    python benchmarks/download.py [--photos 4000] [--rounds 3] [--tls] [--marginal 20000]

nginx (Debian: nginx-light) serves JPEGs of 500 x 375 pixels and about 90 kB, made by this script; where it is
missing, the server of benchmarks/download_memory.py does, and the output says so. Each program fetches the
same list in a process group of its own, in turn, for so many rounds; the figures are medians. CPU time and
memory are those of the client, all its processes together. The file system's cache is warm.

- `bare`: an aiohttp loop of 32 connections that throws the bodies away; with `--marginal`, the baseline.
- `arboretum`: verified, hashed, indexed, in tar shards. nginx sends no MD5 as ETag, so none is compared
  here; what one costs is printed apart.
- peers, each where it is installed in a virtual environment of its own: `benchmarks/.venvs/img2dataset`
  (`pip install img2dataset`), and `curl --parallel`.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import multiprocessing
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from download_memory import serve

HERE = Path(__file__).resolve().parent
DATA = HERE / ".data" / "photos"
PEER = HERE / ".venvs" / "img2dataset" / "bin" / "img2dataset"

BARE = """
import asyncio, ssl, sys
import aiohttp

async def main(urls):
    context = ssl.create_default_context(cafile=sys.argv[2]) if len(sys.argv) > 2 else None
    connector = aiohttp.TCPConnector(limit=32, ssl=context) if context else aiohttp.TCPConnector(limit=32)
    async with aiohttp.ClientSession(connector=connector) as session:
        left = iter(urls)

        async def work():
            for url in left:
                async with session.get(url) as response:
                    await response.read()

        await asyncio.gather(*(work() for _ in range(32)))

asyncio.run(main(open(sys.argv[1]).read().split()))
"""

OURS = """
import sys
import pyarrow.parquet as pq
from arboretum_tools.download import download
from arboretum_tools.requests import Requests

plan, images, origin = sys.argv[1:]
download(Requests(pq.read_table(plan).to_batches, {}), images=images, size="medium", origin=origin)
"""


def draw(count: int) -> None:
    """Makes `count` JPEGs of about 90 kB, `DATA/<id>/medium.jpg`, as far as they are not there."""
    from PIL import Image

    noise = Image.frombytes("RGB", (900, 700), os.urandom(900 * 700 * 3)).resize((1100, 900))
    for photo_id in range(1, count + 1):
        path = DATA / str(photo_id) / "medium.jpg"
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        left, upper = photo_id % 590, photo_id // 590 % 500
        buffer = io.BytesIO()
        noise.crop((left, upper, left + 500, upper + 375)).save(buffer, "JPEG", quality=80)
        path.write_bytes(buffer.getvalue())


@contextmanager
def nginx(folder: Path, *, tls: bool) -> Iterator[tuple[str, Path | None]]:
    """An nginx that serves `DATA` on loopback: its origin, and its certificate."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    certificate, extra = None, ""
    if tls:
        certificate = folder / "certificate.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        command += ["-keyout", str(folder / "key.pem"), "-out", str(certificate)]
        subprocess.run(command, check=True, capture_output=True)
        extra = f"ssl_certificate {certificate}; ssl_certificate_key {folder / 'key.pem'};"
    (folder / "nginx.conf").write_text(
        f"""
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr error;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; keepalive_requests 1000000; types {{ image/jpeg jpg; }}
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  server {{ listen 127.0.0.1:{port}{" ssl" if tls else ""}; {extra} location /photos/ {{ alias {DATA}/; }} }}
}}
""",
        "utf-8",
    )
    process = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")])
    try:
        while True:
            with socket.socket() as asking:
                if asking.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http{'s' if tls else ''}://127.0.0.1:{port}", certificate
    finally:
        process.terminate()
        process.wait()


@contextmanager
def python_server() -> Iterator[str]:
    """The server of download_memory.py, which sends an MD5 as ETag: its origin."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    server = spawn.Process(target=serve, args=(90_000, there), daemon=True)
    server.start()
    yield f"http://127.0.0.1:{here.recv()}"
    server.terminate()


def measure(command: list[str], environment: dict[str, str]) -> tuple[float, float, float]:
    """CPU seconds and peak bytes of a command with all its children, and wall seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    process = subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    peak = 0

    def watch() -> None:
        nonlocal peak
        while process.poll() is None:
            peak = max(peak, _resident(process.pid))
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    complaint = process.communicate()[1]
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{command[:3]} ended with {process.returncode}: {complaint.decode()[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, peak, time.monotonic() - began


def _resident(pid: int) -> int:
    """Resident bytes of a process and its descendants; Linux only, else 0."""
    total = 0
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        total += pages * resource.getpagesize()
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            total += _resident(int(child))
    except (OSError, IndexError):
        pass
    return total


def commands(folder: Path, photos: int, origin: str, certificate: Path | None) -> dict[str, list[str]]:
    """Every program that is installed, by name; each writes into a fresh folder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from arboretum_metadata.schema import REQUEST
    from arboretum_tools.tables import arrow_schema

    urls = [f"{origin}/photos/{photo_id}/medium.jpg" for photo_id in range(1, photos + 1)]
    (folder / "urls.txt").write_text("\n".join(urls) + "\n")
    ids = list(range(1, photos + 1))
    columns = {"photo_id": ids, "ext": ["jpg"] * photos, "url": [None] * photos}
    pq.write_table(pa.table(columns, schema=arrow_schema(REQUEST)), folder / "plan.parquet")
    out = Path(tempfile.mkdtemp(dir=folder))
    found = {
        "bare": [
            sys.executable,
            "-c",
            BARE,
            str(folder / "urls.txt"),
            *([str(certificate)] if certificate else []),
        ],
        "arboretum": [sys.executable, "-c", OURS, str(folder / "plan.parquet"), str(out / "images"), origin],
    }
    if shutil.which("curl"):
        lines = [f'url = "{url}"\noutput = "{out}/curl/{n}.jpg"' for n, url in enumerate(urls)]
        (folder / "curl.txt").write_text("\n".join(lines))
        found["curl --parallel"] = ["curl", "--parallel", "--parallel-max", "32", "--create-dirs", "-s", "-S"]
        found["curl --parallel"] += ["--config", str(folder / "curl.txt")]
    if PEER.exists():
        found["img2dataset"] = [str(PEER), "--url_list", str(folder / "urls.txt"), "--output_folder"]
        found["img2dataset"] += [str(out / "i2d"), "--output_format", "webdataset", "--resize_mode", "no"]
        found["img2dataset"] += [
            "--processes_count",
            "1",
            "--thread_count",
            "32",
            "--disallowed_header_directives",
            "[]",
        ]
    return found


def compare(
    title: str,
    make: Callable[[Path], dict[str, list[str]]],
    photos: int,
    rounds: int,
    environment: dict[str, str],
) -> dict[str, float]:
    """Runs every program in turn, prints a table, and gives the median CPU seconds of each."""
    runs: dict[str, list[tuple[float, float, float]]] = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="arboretum-benchmark-") as name:
            for program, command in make(Path(name)).items():
                runs.setdefault(program, []).append(measure(command, environment))
    cpu = {program: statistics.median(run[0] for run in found) for program, found in runs.items()}
    ours = cpu.get("arboretum", next(iter(cpu.values())))
    print(f"\n{title}: {photos} photos, medians of {rounds}")
    print(
        f"{'program':<18} {'CPU s / 1,000':>13} {'photos/s':>9} {'peak MB':>8} {'x bare':>7} "
        f"{'arboretum is x':>15}"
    )
    for program, found in runs.items():
        peak = statistics.median(run[1] for run in found) / 1e6
        rate = photos / statistics.median(run[2] for run in found)
        print(
            f"{program:<18} {cpu[program] * 1000 / photos:>13.2f} {rate:>9.0f} {peak:>8.0f} "
            f"{cpu[program] / cpu['bare']:>7.2f} {ours / cpu[program]:>15.2f}",
            flush=True,
        )
    return cpu


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tls", action="store_true", help="also over TLS, with a certificate made here")
    parser.add_argument("--marginal", type=int, help="also so many photos, and the difference")
    options = parser.parse_args()
    most = max(options.photos, options.marginal or 0)
    began = time.process_time()
    for _ in range(1000):
        hashlib.md5(bytes(90_000))
    print(f"MD5 of 90 kB: {time.process_time() - began:.2f} CPU s per 1,000 photos")
    if shutil.which("nginx") is None:
        print("nginx is not installed: served by Python, with an MD5 as ETag")
        with python_server() as origin:
            compare(
                "HTTP",
                lambda at: commands(at, options.photos, origin, None),
                options.photos,
                options.rounds,
                {},
            )
        return
    draw(most)
    for tls in (False, True)[: 1 + options.tls]:
        with (
            tempfile.TemporaryDirectory(prefix="arboretum-nginx-") as name,
            nginx(Path(name), tls=tls) as served,
        ):
            origin, certificate = served
            # OpenSSL's variable is read by arboretum and img2dataset.
            trust = {"SSL_CERT_FILE": str(certificate), "CURL_CA_BUNDLE": str(certificate)} if tls else {}
            title = "TLS" if tls else "HTTP"

            def of(photos: int) -> Callable[[Path], dict[str, list[str]]]:
                return lambda at: commands(at, photos, origin, certificate)  # noqa: B023 - used within the loop

            few = compare(title, of(options.photos), options.photos, options.rounds, trust)
            if options.marginal:
                many = compare(title, of(options.marginal), options.marginal, options.rounds, trust)
                more = options.marginal - options.photos
                marginal = {name: (many[name] - few[name]) * 1000 / more for name in many}
                print(f"\n{title}, marginal CPU s / 1,000 photos: " + json.dumps(marginal))


if __name__ == "__main__":
    main()
