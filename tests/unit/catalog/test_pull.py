"""Pulling from a hub on loopback, with the real huggingface_hub in a process of its own."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest

from arboretum_metadata.sample import catalog_path
from arboretum_tools.catalog import open_catalog


class Outcome(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


COMMIT = "c0ffee" + "0" * 34


@pytest.fixture(scope="module")
def server():
    """Serves one dataset with the sample twice and a text, as the hub does."""
    data = (catalog_path() / "photos.parquet").read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def do_HEAD(self):
            self.do_GET(body=False)

        def do_GET(self, body=True):
            server.seen.append((self.command, self.path, self.headers.get("Range")))
            path = self.path.split("?")[0]
            if server.down:
                return self.send_error(500)
            if path.startswith("/api/datasets/org/data/revision/") or path == "/api/datasets/org/data":
                siblings = [
                    {"rfilename": name, "size": len(content)} for name, content in server.files.items()
                ]
                return self.answer(
                    json.dumps({"id": "org/data", "sha": COMMIT, "siblings": siblings}).encode(), body
                )
            prefix = f"/datasets/org/data/resolve/{COMMIT}/"
            content = server.files.get(path.removeprefix(prefix)) if path.startswith(prefix) else None
            if content is None:
                self.send_response(404)
                self.send_header("X-Error-Code", "RepoNotFound")
                self.send_header("Content-Length", "0")
                return self.end_headers()
            etag = server.etag or hashlib.sha256(content).hexdigest()
            return self.answer(content, body, ETag=f'"{etag}"', **{"X-Repo-Commit": COMMIT})

        def answer(self, content, body, **headers):
            start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
            self.send_response(206 if start else 200)
            headers |= {
                "Content-Length": str(len(content) - start),
                "Content-Type": "application/octet-stream",
            }
            if start:
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if body and content is server.cut and server.cut_after is not None:
                # The connection breaks in mid-file: fewer bytes than promised, and then the hub is down.
                self.wfile.write(content[start : server.cut_after])
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = server.down = True
            elif body:
                self.wfile.write(content[start:])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.data = data
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def hub(server):
    """The hub as it is: whole, up, and not asked for anything yet."""
    data = server.data
    server.files = {"BioTrove-Train/chunk_0.parquet": data, "chunk_1.parquet": data, "README.md": b"read me"}
    server.seen, server.cut, server.cut_after, server.down, server.etag = [], data, None, False, None
    return server


#: Does what a line says, a command and its folder, and tells what became of it. huggingface_hub reads its
#: variables when it is loaded, which takes longer than all of these downloads.
PULLING = """
import contextlib, io, json, os, sys
from arboretum_cli import main
for line in sys.stdin:
    folder, *arguments = json.loads(line)
    os.chdir(folder)
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main.run(["catalog", "pull", *arguments])
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""


@pytest.fixture(scope="module")
def puller(server, tmp_path_factory):
    """The command line in a process that has the hub on loopback for its hub."""
    hidden = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment |= {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}",
        "HF_HOME": str(tmp_path_factory.mktemp("home")),
        "HF_HUB_DISABLE_XET": "1",
    }
    with subprocess.Popen(
        [sys.executable, "-c", PULLING],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def pull(puller, hub, tmp_path):
    """Runs `catalog pull --repo org/data` with these arguments: exit code, output, complaint."""

    def run(*arguments, repo="org/data"):
        print(json.dumps([str(tmp_path), "--repo", repo, *arguments]), file=puller.stdin, flush=True)
        return Outcome(*json.loads(puller.stdout.readline()))

    return run


def test_size_first_then_files_then_nothing_again(hub, pull, tmp_path):
    dry = pull("--out", "raw", "--dry-run", "--json")
    assert dry.code == 0, dry.err
    message = json.loads(dry.out)
    assert message["files"] == ["BioTrove-Train/chunk_0.parquet", "chunk_1.parquet"]
    assert message["revision"] == COMMIT
    assert not (tmp_path / "raw").exists()
    done = pull("--out", "raw")
    assert done.code == 0, done.err
    assert len(open_catalog(tmp_path / "raw")) == 4008
    hub.seen.clear()
    assert pull("--out", "raw").code == 0
    assert not [seen for seen in hub.seen if seen[0] == "GET" and "resolve" in seen[1]]


def test_a_fetch_that_was_cut_off_in_mid_file_asks_for_the_rest_only(hub, pull, tmp_path):
    # Large enough for more than one chunk of huggingface_hub, 10 MB.
    table = pq.read_table(catalog_path() / "photos.parquet").slice(0, 1000)
    noise = np.random.default_rng(0).bytes(18 * 2**20)
    size = len(noise) // 1000
    table = table.append_column("noise", [[noise[n * size : (n + 1) * size] for n in range(1000)]])
    pq.write_table(table, tmp_path / "large.parquet", compression="none", use_dictionary=False)
    hub.cut = hub.files["chunk_1.parquet"] = (tmp_path / "large.parquet").read_bytes()
    hub.cut_after = 15 * 2**20
    first = pull("--include", "chunk_1*", "--out", "raw")
    assert first.code == 3, first.err
    assert "goes on where it stopped" in first.err
    assert not list((tmp_path / "raw").glob("*.parquet"))
    hub.seen.clear()
    hub.cut_after, hub.down = None, False
    second = pull("--include", "chunk_1*", "--out", "raw")
    assert second.code == 0, second.err
    asked = [given for method, path, given in hub.seen if method == "GET" and "resolve" in path]
    assert asked == [f"bytes={10 * 2**20}-"]
    assert (tmp_path / "raw" / "chunk_1.parquet").read_bytes() == hub.cut
    assert [path.name for path in (tmp_path / "raw").iterdir()] == ["chunk_1.parquet"]


def test_what_came_damaged_is_not_kept(hub, pull, tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    file = folder / "chunk_1.parquet"
    file.write_bytes(b"x" * len(hub.cut))  # as long, but something else: fetched again
    assert pull("--include", "chunk_1*", "--out", "raw").code == 0
    assert file.read_bytes() == hub.cut
    hub.etag, before = "0" * 64, file.read_bytes()
    bad = pull("--include", "chunk_1*", "--out", "raw")
    assert (bad.code, "its SHA-256 differs" in bad.err) == (3, True)
    assert [path.name for path in folder.iterdir()] == ["chunk_1.parquet"]
    assert file.read_bytes() == before


def test_what_is_not_there_is_one_error(hub, pull, tmp_path):
    none = pull("--include", "*.csv", "--out", "raw")
    assert (none.code, "no file of org/data matches" in none.err) == (3, True)
    absent = pull("--out", "raw", repo="org/absent")
    assert absent.code == 3
    assert "cannot be had from the hub" in absent.err
    assert "Traceback" not in absent.err
