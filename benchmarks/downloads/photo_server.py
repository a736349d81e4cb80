"""Photos for the benchmarks of downloads, and a server on loopback that gives them out.

`/photos/<id>/medium.jpg` is a JPEG of 500 x 375 pixels and about 90 kB, one of 4,000 by the last four digits
of the id (see `photo_ids`); `/photos/<id>/small.jpg` is one of 1 kB, the same for every id. nginx serves them
(Debian: nginx-light); where it is missing, a server of asyncio does.
"""

from __future__ import annotations

import asyncio
import io
import multiprocessing
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

#: Where `draw` leaves its photos, for the next run too.
PHOTOS = Path(__file__).resolve().parents[1] / ".data" / "photos"
FILES = 4_000
TINY = "tiny.jpg"


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs.

    Attributes:
        origin: scheme, host and port.
        certificate: of https, its own issuer; None for http.
        by: the program.
    """

    origin: str
    certificate: Path | None
    by: str

    @property
    def trust(self) -> dict[str, str]:
        """The environment in which a client trusts it: OpenSSL's variable and curl's.

        The file that they name holds what this system trusts as well, as the file of a user does: a client
        that reads it often should take as long here.
        """
        if self.certificate is None:
            return {}
        bundle = self.certificate.with_name("bundle.pem")
        return {"SSL_CERT_FILE": str(bundle), "CURL_CA_BUNDLE": str(bundle)}


def photo_ids(count: int, files: int = FILES) -> list[int]:
    """The first `count` ids that have a file: 10000 to 13999, 20000 to 23999, and so on, for 4,000 files."""
    return [10_000 * (1 + number // files) + number % files for number in range(count)]


def file_of(folder: Path, photo_id: int) -> Path:
    """The file that is given out as `medium` for a photo."""
    return folder / f"{photo_id % 10_000:04}.jpg"


def draw(folder: Path) -> None:
    """Makes the JPEGs, as far as they are not there: cuts of a noise that is smooth like a photo."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    noise = Image.frombytes("RGB", (900, 700), os.urandom(900 * 700 * 3)).resize((1100, 900))
    for number in range(FILES):
        path = file_of(folder, number)
        if path.exists():
            continue
        left, upper = number % 590, number // 590 * 20
        buffer = io.BytesIO()
        noise.crop((left, upper, left + 500, upper + 375)).save(buffer, "JPEG", quality=70)
        path.write_bytes(buffer.getvalue())
    Image.new("RGB", (75, 56), "green").save(folder / TINY, "JPEG")


@contextmanager
def serve(photos: Path, scratch: Path, *, tls: bool, nginx: bool = True) -> Iterator[Served]:
    """Serves `photos` until it is left.

    Args:
        photos: folder of the JPEGs, `0000.jpg` and so on: those of `draw`, or others.
        scratch: folder for the server's own files.
        tls: whether over https.
        nginx: whether to use nginx where it is installed.
    """
    certificate = _certificate(scratch) if tls else None
    # In /usr/sbin, which a user's PATH may lack.
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    program = shutil.which("nginx", path=path) if nginx else None
    scheme = "https" if tls else "http"
    if program is None:
        spawn = multiprocessing.get_context("spawn")
        here, there = spawn.Pipe()
        server = spawn.Process(target=_serve, args=(photos, certificate, there), daemon=True)
        server.start()
        try:
            yield Served(f"{scheme}://127.0.0.1:{here.recv()}", certificate, "asyncio, not nginx")
        finally:
            server.terminate()
            server.join()
        return
    port = _free_port()
    (scratch / "nginx.conf").write_text(_nginx(photos, scratch, port, certificate), "utf-8")
    process = subprocess.Popen([program, "-p", str(scratch), "-c", str(scratch / "nginx.conf")])
    try:
        while True:
            with socket.socket() as asking:
                if asking.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None:
                raise SystemExit("nginx does not start")
            time.sleep(0.05)
        yield Served(f"{scheme}://127.0.0.1:{port}", certificate, "nginx")
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1; beside it its key, and it with all that this system trusts."""
    path = folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    trusted = ssl.get_default_verify_paths().cafile
    (folder / "bundle.pem").write_text(
        (Path(trusted).read_text("utf-8") if trusted else "") + path.read_text("utf-8"), "utf-8"
    )
    return path


def _nginx(photos: Path, scratch: Path, port: int, certificate: Path | None) -> str:
    secret = f"ssl_certificate {certificate}; ssl_certificate_key {scratch}/key.pem;" if certificate else ""
    return rf"""
daemon off; worker_processes 1; pid {scratch}/pid; error_log stderr error;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; keepalive_requests 10000000; types {{ image/jpeg jpg; }}
  client_body_temp_path {scratch}/1; proxy_temp_path {scratch}/2; fastcgi_temp_path {scratch}/3;
  uwsgi_temp_path {scratch}/4; scgi_temp_path {scratch}/5;
  server {{
    listen 127.0.0.1:{port}{" ssl" if certificate else ""}; {secret}
    location ~ "^/photos/\d+(\d\d\d\d)/medium\.jpg$" {{ alias {photos}/$1.jpg; }}
    location ~ "^/photos/\d+/small\.jpg$" {{ alias {photos}/{TINY}; }}
  }}
}}
"""


class _Photos(asyncio.Protocol):
    """Answers every GET with the file that the address names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._asked = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._asked += data
        while (end := self._asked.find(b"\r\n\r\n")) >= 0:
            _, _, photo_id, name = self._asked.split(b" ", 2)[1].decode().split("/")
            self._asked = self._asked[end + 4 :]
            path = self._folder / (TINY if name == "small.jpg" else f"{photo_id[-4:]}.jpg")
            found = path.exists()
            body = path.read_bytes() if found else b"not there"
            head = f"HTTP/1.1 {'200 OK' if found else '404 Not Found'}\r\nContent-Type: image/jpeg\r\n"
            self._transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


def _serve(folder: Path, certificate: Path | None, told: Connection) -> None:
    async def run() -> None:
        context = None
        if certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate, certificate.with_name("key.pem"))
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Photos(folder), "127.0.0.1", 0, ssl=context)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())
