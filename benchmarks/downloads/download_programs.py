"""What download.py compares: programs that each fetch one list of photos, as child processes.

    python benchmarks/downloads/download_programs.py bare|raw ADDRESSES.txt FOLDER
    python benchmarks/downloads/download_programs.py arboretum PLAN.parquet FOLDER ORIGIN SIZE

Imports stand inside the functions, because each program is measured from its start and pays for its own only.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

CONNECTIONS = 32


def bare(addresses: list[str], _: Path) -> None:
    """The loop that everybody writes: aiohttp, bodies thrown away."""
    import asyncio

    import aiohttp

    async def main() -> None:
        left = iter(addresses)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as session:

            async def work() -> None:
                for address in left:
                    async with session.get(address) as response:
                        await response.read()

            await asyncio.gather(*(work() for _ in range(CONNECTIONS)))

    asyncio.run(main())


def raw(addresses: list[str], folder: Path) -> None:
    """About the least that asyncio can do with the same work: a protocol that believes the server.

    Each body is looked at (format, start, end, size), hashed, and written into one tar. No redirect, no
    error, no timeout, no journal, no index.
    """
    import asyncio
    import hashlib
    import os
    import ssl
    from urllib.parse import urlsplit

    from arboretum_tools.imaging import image_format
    from arboretum_tools.store.shards import tar

    parts = urlsplit(addresses[0])
    left = iter(addresses)
    folder.mkdir(parents=True)
    out = os.open(folder / "photos.tar", os.O_WRONLY | os.O_CREAT)
    digests: list[str] = []

    class Reader(asyncio.Protocol):
        def __init__(self, ended: asyncio.Future[None]) -> None:
            self._ended = ended

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self._transport = transport
            self._ask()

        def _ask(self) -> None:
            address = next(left, None)
            if address is None:
                self._transport.close()
                self._ended.set_result(None)
                return
            self._photo_id = address.split("/")[-2]
            self._pieces: list[bytes] = []
            self._missing = -1
            path = address[address.index("/", 8) :]
            self._transport.write(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())

        def data_received(self, data: bytes) -> None:
            if self._missing < 0:
                head, _, data = data.partition(b"\r\n\r\n")
                self._missing = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
            self._pieces.append(data)
            self._missing -= len(data)
            if self._missing == 0:
                body = b"".join(self._pieces)
                digests.append(hashlib.sha256(body).hexdigest())
                name = f"{self._photo_id}.{image_format.inspect(body).ext}"
                os.writev(out, (tar.header(name, len(body)), body, tar.padding(len(body))))
                self._ask()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        context = ssl.create_default_context() if parts.scheme == "https" else None
        ends = [loop.create_future() for _ in range(CONNECTIONS)]
        for ended in ends:
            await loop.create_connection(
                lambda ended=ended: Reader(ended),  # type: ignore[misc]
                parts.hostname,
                parts.port,
                ssl=context,
            )
        await asyncio.gather(*ends)

    asyncio.run(main())
    os.fsync(out)
    assert len(digests) == len(addresses)


def arboretum(plan: Path, folder: Path, origin: str, size: str) -> None:
    """Ours, from a plan to a finished store; run again on a full store, it has nothing to do."""
    # As the command `arboretum download` does before anything is loaded.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    from functools import partial

    import pyarrow.parquet as pq

    from arboretum_tools.downloading import download
    from arboretum_tools.photos.photo_plan import PhotoPlan

    with pq.ParquetFile(plan) as file:
        photos = file.metadata.num_rows
        batches = partial(file.iter_batches, batch_size=10_000)
        plan_of = PhotoPlan(batches, {"kind": "list", "english": "a list"})
        report = download(plan_of, images=folder, size=size, origin=origin)
    assert report.by_status["ok"] == photos
    if not report.tried:
        assert "aiohttp" not in sys.modules, "aiohttp was imported for nothing"


def main() -> None:
    name, listed, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if name == "arboretum":
        arboretum(listed, folder, *sys.argv[4:])
    else:
        {"bare": bare, "raw": raw}[name](listed.read_text("utf-8").split(), folder)


if __name__ == "__main__":
    main()
