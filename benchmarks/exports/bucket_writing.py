"""What a photo costs to write into a bucket, against a folder; needs the extra `cloud` and moto[server].

    python benchmarks/exports/bucket_writing.py [--photos 4000] [--shard-photos 1000] [--rounds 3]

moto on loopback, a process of its own, is the bucket: an S3 server in Python, slower than a real one. Photos
of 90 kB, added as fast as the writer takes them, by one process; folder and bucket take turns. The least
seconds and their CPU count; moto's CPU is not counted. Peak memory is that of the process that writes.
"""

from __future__ import annotations

import argparse
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import photos

from arboretum_tools.store.storage import is_address
from arboretum_tools.store.verify import verify_store
from arboretum_tools.store.writer import StoreWriter

_SERVER = """
import logging, sys, time
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").disabled = True
server = ThreadedMotoServer(ip_address="127.0.0.1", port=int(sys.argv[1]), verbose=False)
server.start()
time.sleep(100_000)
"""


def written(images: str, count: int, shard_photos: int, pictures: list[bytes]) -> tuple[float, float]:
    """Seconds and CPU seconds of filling a store."""
    began, cpu = time.monotonic(), time.process_time()
    with StoreWriter.create(images, shard_photos=shard_photos) as writer:
        for photo_id in range(1, count + 1):
            writer.add_image(photo_id, pictures[photo_id % len(pictures)])
            if writer.full:
                writer.roll(wait=False)
    return time.monotonic() - began, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=4_000)
    parser.add_argument("--shard-photos", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-c", _SERVER, str(port)], stderr=subprocess.DEVNULL)
    try:
        with tempfile.TemporaryDirectory() as folder:
            os.environ |= {
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
                "AWS_ACCESS_KEY_ID": "key",
                "AWS_SECRET_ACCESS_KEY": "secret",
                "AWS_REGION": "us-east-1",
                "ARBORETUM_CACHE": str(Path(folder, "cache")),
                "ARBORETUM_SCRATCH": str(Path(folder, "scratch")),
            }
            time.sleep(5)
            import boto3

            boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).create_bucket(Bucket="photos")
            pictures = photos.pictures()
            least: dict[str, tuple[float, float]] = {}
            for round_ in range(given.rounds):
                for name, images in (("folder", f"{folder}/{round_}"), ("bucket", f"s3://photos/{round_}")):
                    took = written(images, given.photos, given.shard_photos, pictures)
                    least[name] = min(took, least.get(name, took))
                    if is_address(images) and not round_:
                        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                        assert verify_store(images).photos == given.photos
            for name, (seconds, cpu) in least.items():
                rate = given.photos / seconds
                print(f"{name}: {rate:,.0f} photos/s, {cpu / given.photos * 1e6:,.0f} us of CPU a photo")
            print(f"bucket: {least['folder'][0] / least['bucket'][0]:.0%} of the folder's rate")
            print(f"peak memory after the first bucket: {peak:,.0f} MB")
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main()
