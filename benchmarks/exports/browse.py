"""How soon the page stands over a store of a million photos, and what its questions cost.

    python benchmarks/exports/browse.py [--photos 1000000] [--classes 10000] [--folder DIR]

The index and the split are synthetic: rows of the right form whose images do not exist, so that whatever
reads an image fails.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from arboretum_metadata.schema import CLASSES, INDEX, PART
from arboretum_tools.store.shards.layout import StoreConfig, write_config
from arboretum_tools.store.storage import storage_at
from arboretum_tools.system.atomic_files import write_json
from arboretum_tools.tabular.tables import arrow_schema, write_table
from arboretum_tools.taxa.bands import shot_band

SHARD = 10_000

QUESTIONS = {
    "overview": "overview",
    "overview of a filter": "overview?license=CC-BY&band=few",
    "kingdoms": "taxa",
    "species of a genus": "taxa?parent=" + quote(json.dumps(["Animalia", "p", "c", "o1", "f1", "Genus1"])),
    "search": "search?q=species1",
    "first photos": "photos?count=200",
    "photos in the middle": "photos?count=200&start=500000",
    "photos of a filter": "photos?count=200&license=CC-BY&band=few",
    "one photo": "photo/{id}",
    "map": "places?degrees=1",
}


def make(folder: Path, photos: int, classes: int) -> None:
    """A store and a split over it, all in train."""
    rng = np.random.default_rng(0)
    ids = np.sort(rng.choice(photos * 20, photos, replace=False)) + 1
    store = folder / "images"
    store.mkdir(parents=True)
    write_config(storage_at(store), StoreConfig(size="small"))
    order = rng.permutation(photos)
    schema = arrow_schema(INDEX)
    for shard, start in enumerate(range(0, photos, SHARD)):
        some = np.sort(ids[order[start : start + SHARD]])
        count = len(some)
        ok = rng.random(count) < 0.98
        columns = {field.name: pa.nulls(count, field.type) for field in schema}
        columns |= {
            "photo_id": pa.array(some),
            "status": pa.array(np.where(ok, "ok", "gone")),
            "attempts": pa.array(np.ones(count, np.int32)),
            "url": pa.array(
                [f"https://inaturalist-open-data.s3.amazonaws.com/photos/{i}/small.jpg" for i in some]
            ),
            "error": pa.array(np.where(ok, None, "HTTP 404")),
            "offset": pa.array(np.where(ok, np.arange(count) * 20_480 + 512, 0), mask=~ok),
            "size_bytes": pa.array(rng.integers(9_000, 19_000, count), mask=~ok),
            "sha256": pa.array([f"{i:064x}" for i in some], mask=~ok),
            "width": pa.array(np.full(count, 240, np.int32), mask=~ok),
            "height": pa.array(np.full(count, 180, np.int32), mask=~ok),
            "format": pa.array(["jpeg"] * count, mask=~ok),
            "fetched_at": pa.array(np.full(count, np.datetime64("2026-01-01", "us"))).cast(
                schema.field("fetched_at").type
            ),
        }
        pq.write_table(
            pa.table(columns).cast(schema), store / f"shard-{shard:06d}.parquet", compression="zstd"
        )
        (store / f"shard-{shard:06d}.tar").touch()
    split = folder / "splits" / "million"
    split.mkdir(parents=True)
    weights = 1 / np.arange(1, classes + 1) ** 0.7
    labels = np.sort(rng.choice(classes, photos, p=weights / weights.sum()))
    counts = np.sort(np.bincount(labels, minlength=classes))[::-1]
    labels = np.repeat(np.arange(classes), counts).astype(np.int32)
    chosen = rng.permutation(ids)
    chosen = chosen[np.lexsort((chosen, labels))]
    columns = {field.name: pa.nulls(photos, field.type) for field in arrow_schema(PART)}
    columns |= {
        "photo_id": pa.array(chosen),
        "label": pa.array(labels),
        "ext": pa.array(["jpg"] * photos),
        "observation_id": pa.array(chosen // 2),
        "observer_id": pa.array(chosen % 20_000),
        "observer_name": pa.array(np.char.add("observer", (chosen % 20_000).astype(str))),
        "license": pa.array(np.array(["CC-BY-NC", "CC-BY", "CC0", None], object)[chosen % 4]),
        "observed_on": pa.array((chosen % 5_000 + 14_000).astype("int32")).cast(pa.date32()),
        "latitude": pa.array(rng.uniform(-60, 70, photos)),
        "longitude": pa.array(rng.uniform(-180, 180, photos)),
    }
    write_table(split / "train.parquet", pa.table(columns), PART, {})
    rows = [
        dict.fromkeys(arrow_schema(CLASSES).names)
        | {
            "label": label,
            "class_key": f"Animalia|Genus{label // 10} species{label}",
            "name": f"Genus{label // 10} species{label}",
            "folder": f"{label:05d}_x",
            "rank": "species",
            "scientific_name": f"Genus{label // 10} species{label}",
            "kingdom": "Animalia",
            "phylum": "p",
            "class": "c",
            "order": f"o{label // 1000}",
            "family": f"f{label // 100}",
            "genus": f"Genus{label // 10}",
            "species": f"species{label}",
            "n_catalog": n,
            "n_selected": n,
            "n_available": n,
            "n_train": n,
            "n_val": 0,
            "n_test": 0,
            "shot": shot_band(n),
        }
        for label, n in enumerate(counts.tolist())
    ]
    write_table(split / "classes.parquet", pa.Table.from_pylist(rows, arrow_schema(CLASSES)), CLASSES, {})
    meta = {"format_version": 1, "recipe": {"profile": "natural"}, "catalog": {"fingerprint": "0"}}
    meta |= {"sha256": {"train": "0"}, "recipe_sha256": "0", "split_sha256": "0", "counts": {"train": photos}}
    write_json(split / "split.json", meta)


SERVE = """
import resource, sys, time
import arboretum_tools as at
page = at.browse(sys.argv[1], images="images", port=0, open=False)
print(page.url, time.process_time(), flush=True)
print(page.ready().seconds, flush=True)
sys.stdin.readline()
page.close()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
"""


def main() -> None:
    """Makes the store, opens the page and asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="keep what is made here")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp())
    if not (folder / "images").exists():
        make(folder, asked.photos, asked.classes)
    started = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, "splits/million"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        url, cpu = process.stdout.readline().split()
        print(f"{time.monotonic() - started:.2f} s from the start of Python to an address, {cpu} s of CPU")
        for path in ("", "static/frame/app.js", "api/about"):
            urllib.request.urlopen(url + path).read()
        print(f"{time.monotonic() - started:.2f} s to the page with its long tail")
        urllib.request.urlopen(url + "api/photos?count=200").read()
        print(f"{time.monotonic() - started:.2f} s to the first 200 photos")
        print(f"{float(process.stdout.readline()):.2f} s of it to fill the tables")
        first = json.load(urllib.request.urlopen(url + "api/photos?count=1"))["photos"][0]["photo_id"]
        for name, path in QUESTIONS.items():
            seconds = []
            for _ in range(asked.rounds):
                begun = time.monotonic()
                urllib.request.urlopen(f"{url}api/{path.format(id=first)}").read()
                seconds.append(time.monotonic() - begun)
            print(f"{name}: {1000 * statistics.median(seconds):.0f} ms")
        process.stdin.write("\n")
        process.stdin.flush()
        print(f"{float(process.stdout.readline()):.0f} MB at most")


if __name__ == "__main__":
    main()
