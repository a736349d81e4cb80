"""What it takes to ask an image store of many shards: status, one photo's story, a dry run, verify.

    python benchmarks/downloads/many_shards.py [--shards 1000 10000] [--rows 20]

Makes stores of shards that are small in everything but their number: 20 rows each, one of which failed,
images of some 600 bytes; and a plan of all their photos and as many again. Each command runs as a process of
its own; printed are seconds, CPU seconds and peak resident memory. The file system's cache is warm.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from arboretum_metadata.schema import INDEX, REQUEST
from arboretum_tools.imaging import image_format
from arboretum_tools.photos import photo_plan
from arboretum_tools.store.shards import layout, tar
from arboretum_tools.store.shards.layout import StoreConfig
from arboretum_tools.store.storage.folder import Folder
from arboretum_tools.tabular.tables import arrow_schema


def make(store: Path, shards: int, rows: int) -> str:
    """A store of so many shards of so many rows; gives the id of its plan."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "green").save(out, "JPEG")
    jpeg = out.getvalue()
    info, digest = image_format.inspect(jpeg), hashlib.sha256(jpeg).hexdigest()
    store.mkdir(parents=True)
    layout.write_config(Folder(store), StoreConfig())
    schema, now = arrow_schema(INDEX), datetime.now(UTC)
    for shard in range(shards):
        first = 1 + shard * rows
        entries, found = [], []
        for photo_id in range(first, first + rows):
            row = dict.fromkeys(INDEX.names) | {"photo_id": photo_id, "fetched_at": now, "attempts": 1}
            row["url"] = f"https://inaturalist-open-data.s3.amazonaws.com/photos/{photo_id}/medium.jpg"
            if photo_id == first:
                found.append(row | {"status": "failed", "error": "HTTP 500", "http_status": 500})
                continue
            member = f"{photo_id}.jpg"
            at = len(entries) * tar.entry_bytes(len(jpeg)) + tar.BLOCK
            found.append(
                row
                | {"status": "ok", "http_status": 200, "member": member, "offset": at, "format": info.format}
                | {"size_bytes": len(jpeg), "sha256": digest, "source_bytes": len(jpeg)}
                | {"source_sha256": digest, "width": info.width, "height": info.height}
            )
            entries.append(tar.header(member, len(jpeg)) + jpeg + tar.padding(len(jpeg)))
        layout.tar_path(store, shard).write_bytes(b"".join(entries) + tar.END)
        pq.write_table(
            pa.Table.from_pylist(found, schema=schema), layout.index_path(store, shard), compression="zstd"
        )
    photos = 2 * shards * rows
    columns = {"photo_id": range(1, photos + 1), "ext": ["jpg"] * photos, "url": [None] * photos}
    table = pa.table({name: list(values) for name, values in columns.items()}, schema=arrow_schema(REQUEST))
    plan = photo_plan.PhotoPlan(table.to_batches, {"kind": "list", "english": "a list"})
    return photo_plan.write(plan, store / layout.REQUESTS).id


def measure(*command: object) -> tuple[float, float, int]:
    """Seconds, CPU seconds and peak bytes of the command line."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "arboretum_cli", *map(str, command)],
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise SystemExit(f"{command} ended with {process.returncode}: {errors.read()[-2000:].decode()}")
    return time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shards", type=int, nargs="+", default=(1_000, 10_000))
    parser.add_argument("--rows", type=int, default=20)
    options = parser.parse_args()
    print(f"{'shards':>7} {'command':<28} {'s':>7} {'CPU s':>7} {'peak MB':>8}")
    for shards in options.shards:
        with tempfile.TemporaryDirectory(prefix="arboretum-shards-") as name:
            store = Path(name, "images")
            plan = make(store, shards, options.rows)
            commands: tuple[tuple[object, ...], ...] = (
                ("status", "--images", store),
                ("status", "--images", store, "--photo", shards * options.rows // 2),
                ("download", "--plan", plan, "--images", store, "--dry-run"),
                ("verify", "--images", store),
            )
            for command in commands:
                seconds, cpu, peak = measure(*command)
                words = " ".join(word for word in map(str, command) if not word.startswith(("/", plan)))
                print(
                    f"{shards:>7} {words[:28]:<28} {seconds:>7.1f} {cpu:>7.1f} {peak / 1e6:>8.0f}", flush=True
                )


if __name__ == "__main__":
    main()
