"""Peak memory of a download of 2,000 photos against one of 20,000: it must not grow with their number.

    python benchmarks/download_memory.py [--photos 2000 20000] [--photo-bytes 20000]

A bare HTTP server in a process of its own serves bodies of 20 kB, each a whole JPEG that differs by photo id.
Each download runs in a fresh process, whose peak resident memory (`ru_maxrss`) and CPU time are printed.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import io
import multiprocessing
import resource
import sys
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path

from PIL import Image

from arboretum_tools import query
from arboretum_tools.download import download
from arboretum_tools.requests import Requests


def bodies(photo_bytes: int) -> tuple[bytes, bytes]:
    """Start and end of a JPEG; the 20 digits of a photo id between them are its comment."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "green").save(buffer, "JPEG")
    jpeg = buffer.getvalue()
    # Comments (FF FE) of at most 65,533 bytes fill the file up to the size that was asked for.
    filling = b""
    while len(jpeg) + len(filling) + 24 < photo_bytes:
        length = min(65_000, photo_bytes - len(jpeg) - len(filling) - 24)
        filling += b"\xff\xfe" + (length + 2).to_bytes(2) + bytes(length)
    return jpeg[:2] + filling + b"\xff\xfe" + (22).to_bytes(2), jpeg[2:]


class Photos(asyncio.Protocol):
    """Answers every GET of `/photos/<id>/...` with a photo of its own."""

    def __init__(self, start: bytes, end: bytes) -> None:
        self._start, self._end = start, end
        self._asked = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:  # noqa: D102
        assert self._transport is not None
        self._asked += data
        while (end := self._asked.find(b"\r\n\r\n")) >= 0:
            photo_id = int(self._asked.split(b"/", 3)[2])
            self._asked = self._asked[end + 4 :]
            body = b"%b%020d%b" % (self._start, photo_id, self._end)
            head = (
                "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n"
                f'Content-Length: {len(body)}\r\nETag: "{hashlib.md5(body).hexdigest()}"\r\n\r\n'
            )
            self._transport.write(head.encode() + body)


def serve(photo_bytes: int, told: Connection) -> None:
    async def run() -> None:
        start, end = bodies(photo_bytes)
        server = await asyncio.get_running_loop().create_server(lambda: Photos(start, end), "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def fetch(photos: int, port: int, told: Connection) -> None:
    columns = "i::BIGINT AS photo_id, 'jpg' AS ext, NULL::VARCHAR AS url"
    sql = f"SELECT {columns} FROM range(1, ? + 1) AS ids(i) ORDER BY i"
    connection = query.connect()
    plan = Requests(
        lambda: query.arrow_batches(connection, sql, [photos]), {"kind": "list", "english": "a list"}
    )
    with tempfile.TemporaryDirectory() as folder:
        report = download(
            plan, images=Path(folder, "images"), size="small", origin=f"http://127.0.0.1:{port}"
        )
    assert report.fetched == photos
    used = resource.getrusage(resource.RUSAGE_SELF)
    # Linux counts in KiB, macOS in bytes.
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    told.send((peak, used.ru_utime + used.ru_stime, report.seconds))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, nargs=2, default=(2_000, 20_000))
    parser.add_argument("--photo-bytes", type=int, default=20_000)
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    server = spawn.Process(target=serve, args=(options.photo_bytes, there), daemon=True)
    server.start()
    port = here.recv()
    peaks = []
    print(f"{'photos':>8} {'peak MB':>8} {'CPU s':>7} {'s':>7} {'photos/s':>9}")
    for photos in options.photos:
        child = spawn.Process(target=fetch, args=(photos, port, there))
        child.start()
        child.join()
        if child.exitcode:
            raise SystemExit(f"the download of {photos} photos ended with {child.exitcode}")
        peak, cpu_s, seconds = here.recv()
        peaks.append(peak)
        print(f"{photos:>8} {peak / 1e6:>8.1f} {cpu_s:>7.2f} {seconds:>7.2f} {photos / seconds:>9.0f}")
    print(f"difference of the peaks: {(peaks[1] - peaks[0]) / 1e6:.1f} MB")
    server.terminate()


if __name__ == "__main__":
    main()
