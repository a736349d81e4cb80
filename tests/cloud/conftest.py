"""Tests of object storage: `pytest -m cloud tests/cloud`, where obstore and moto are installed.

The server speaks S3 over HTTP, on loopback.
"""

import io
import random
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from arboretum_tools.testing.meddler import Meddler

# Without them nothing here can be imported; asked for by name there is then nothing to run, which fails.
collect_ignore_glob = [] if find_spec("obstore") and find_spec("moto") else ["test_*.py"]

KEY, SECRET = "AKIDNOTREALEXAMPLE00", "a-secret-that-nobody-may-see"


@pytest.fixture(scope="session")
def server():
    """The address of the S3 server, without a bucket."""
    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture(autouse=True)
def _environment(server, tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("home")
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "ARBORETUM_CACHE": str(home / "cache"),
        "ARBORETUM_SCRATCH": str(home / "scratch"),
        "HOME": str(home),
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def client(server):
    """Another program's client of the same server, which fills the buckets."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=server,
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
    )


@pytest.fixture(scope="session")
def upload(client):
    """Copies a folder into a bucket of its own and gives its address, with a prefix."""

    def copy(folder: Path, bucket: str) -> str:
        client.create_bucket(Bucket=bucket)
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                client.upload_file(str(path), bucket, f"some/prefix/{path.relative_to(folder)}")
        return f"s3://{bucket}/some/prefix"

    return copy


@pytest.fixture
def meddler(server, monkeypatch):
    """Stands between this process and the S3 server."""
    with Meddler(server) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
        yield running


@pytest.fixture
def image():
    def draw(photo_id: int) -> bytes:
        buffer = io.BytesIO()
        Image.new("RGB", (20 + photo_id % 7, 16), (photo_id * 37 % 256, 9, 9)).save(buffer, "jpeg")
        return buffer.getvalue()

    return draw


@pytest.fixture
def images(client, request):
    """The address of a place in a bucket of its own where nothing is."""
    name = (
        re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:50].strip("-") + f"-{random.getrandbits(24)}"
    )
    client.create_bucket(Bucket=name)
    return f"s3://{name}/aves"


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """Makes this process another machine: of another scratch folder."""

    def move(name: str = "elsewhere") -> None:
        monkeypatch.setenv("ARBORETUM_SCRATCH", str(tmp_path / name))

    return move
