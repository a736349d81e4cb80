"""What a photo costs from a bucket, against the same store in a folder; needs the extra `cloud` and nginx.

    python benchmarks/exports/object_storage.py [--photos 1500]

nginx on loopback serves the store as a public bucket does: ranges of objects, HEAD, and one list that never
changes. `Subset.read_many`, 256 photos in random order at a time, raw and decoded to 224 x 224, the cache
off. One process; the two take turns, and the least CPU time of --rounds counts. nginx's own is not counted.
"""

from __future__ import annotations

import argparse
import io
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import photos
from PIL import Image

from arboretum_tools.subset import Subset, load_subset

_CONFIG = """daemon off; worker_processes 1; pid {root}/pid; error_log {root}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off; keepalive_requests 100000; sendfile on;
  server {{
    listen 127.0.0.1:{port}; root {root};
    location = /photos {{ types {{}} default_type application/xml; try_files /list.xml =404; }}
  }}
}}"""


@contextmanager
def bucket(root: Path) -> Iterator[str]:
    """Serves `root/photos/images` as s3://photos/images; gives the server's address."""
    objects = [path for path in sorted((root / "photos" / "images").iterdir()) if path.name[0] != "."]
    listed = "".join(
        f"<Contents><Key>images/{path.name}</Key><LastModified>2026-11-28T00:00:00.000Z</LastModified>"
        f'<ETag>"{number}"</ETag><Size>{path.stat().st_size}</Size></Contents>'
        for number, path in enumerate(objects)
        if path.is_file()
    )
    head = '<?xml version="1.0"?><ListBucketResult><Name>photos</Name><IsTruncated>false</IsTruncated>'
    (root / "list.xml").write_text(f"{head}{listed}</ListBucketResult>")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (root / "nginx.conf").write_text(_CONFIG.format(root=root, port=port))
    server = subprocess.Popen(["nginx", "-c", str(root / "nginx.conf")])
    try:
        time.sleep(1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def raw(data: bytes) -> None:
    assert data


def decoded(data: bytes) -> None:
    Image.open(io.BytesIO(data)).convert("RGB").resize((224, 224))


def cost(subset: Subset, batches: list[np.ndarray], use: Callable[[bytes], None]) -> float:
    """CPU seconds of this process a photo."""
    began = time.process_time()
    for batch in batches:
        for data in subset.read_many(batch):
            use(data)
    return (time.process_time() - began) / len(subset)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=1_500)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        split = photos.make_split(given.photos)
        images = root / "photos" / "images"
        photos.make_store(images, split, photos.pictures())
        saved = split.save(root / "split")
        with bucket(root) as server:
            os.environ |= {
                "AWS_ENDPOINT_URL": server,
                "AWS_SKIP_SIGNATURE": "true",
                "AWS_REGION": "us-east-1",
                "ARBORETUM_CACHE": str(root / "cache"),
                "ARBORETUM_CACHE_BYTES": "0",
            }
            subsets = {
                "folder": load_subset(saved, images=images),
                "bucket": load_subset(saved, images="s3://photos/images"),
            }
            order = np.random.default_rng(0).permutation(given.photos)
            batches = [order[start : start + 256] for start in range(0, len(order), 256)]
            for use in (raw, decoded):
                least = dict.fromkeys(subsets, float("inf"))
                for _ in range(given.rounds):
                    for name, subset in subsets.items():
                        least[name] = min(least[name], cost(subset, batches, use))
                figures = ", ".join(f"{name} {took * 1e6:,.0f}" for name, took in least.items())
                rate = least["folder"] / least["bucket"]
                print(f"{use.__name__}, CPU us per photo: {figures}; {rate:.0%} of the folder's rate")


if __name__ == "__main__":
    main()
