"""A split and an image store of many photos of about 90 KB, for the benchmarks of exports and subsets."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from arboretum_metadata.schema import CLASSES, PART
from arboretum_metadata.vocab import RANKS
from arboretum_tools.split.files.content_hashes import hashed
from arboretum_tools.split.files.manifest import Split
from arboretum_tools.store.shards.layout import StoreConfig
from arboretum_tools.store.writer import StoreWriter
from arboretum_tools.tabular.tables import arrow_schema
from arboretum_tools.taxa.bands import shot_band

#: Distinct pictures; every photo is one of them with a comment of its own, so that no two bytes are alike.
PICTURES = 16


def pictures(size: tuple[int, int] = (500, 375), target_bytes: int = 90_000) -> list[bytes]:
    """JPEGs of the long edge of a `medium` photo, textured so that each has about `target_bytes`."""
    made = []
    for seed in range(PICTURES):
        random = np.random.default_rng(seed)
        coarse = Image.fromarray(random.integers(0, 255, (12, 16, 3), np.uint8)).resize(size)
        noise = random.normal(0, 24, (size[1], size[0], 3))
        image = Image.fromarray(np.clip(np.asarray(coarse) + noise, 0, 255).astype(np.uint8))
        # The quality whose length is nearest to the one asked for.
        tries = []
        for quality in range(40, 96, 5):
            out = io.BytesIO()
            image.save(out, "JPEG", quality=quality)
            tries.append(out.getvalue())
        made.append(min(tries, key=lambda jpeg: abs(len(jpeg) - target_bytes)))
    return made


def make_split(photos: int, classes: int = 200) -> Split:
    """A split of one part `train` with an exponential tail, ratio 100, photo ids spread over 9 digits."""
    weights = 100.0 ** -(np.arange(classes) / (classes - 1))
    counts = np.maximum(1, np.floor(weights / weights.sum() * photos)).astype(int)
    counts[0] += photos - counts.sum()
    labels = np.repeat(np.arange(classes, dtype=np.int32), counts)
    ids = 100_000_000 + np.random.default_rng(0).permutation(photos * 7)[:photos].astype(np.int64)
    order = np.lexsort((ids, labels))
    columns: dict[str, object] = {
        name: pa.nulls(photos, arrow_schema(PART).field(name).type) for name in PART.names
    }
    columns |= {
        "photo_id": pa.array(ids[order]),
        "label": pa.array(labels[order]),
        "ext": pa.array(["jpg"] * photos),
        "license": pa.array(["CC-BY-NC"] * photos),
        "observer_name": pa.array([f"observer {number % 997}" for number in range(photos)]),
    }
    train = pa.table(columns, schema=arrow_schema(PART))
    rows = [
        {
            "label": label,
            "class_key": f"Animalia|Genus{label} epithet",
            "name": f"Genus{label} epithet",
            "folder": f"{label:05d}_Genus{label}_epithet",
            "rank": "species",
            "taxon_id": label,
            "scientific_name": f"Genus{label} epithet",
            "common_name": f"Common Name {label}",
            **dict.fromkeys(RANKS, "Passeriformes"),
            "genus": f"Genus{label}",
            "species": "epithet",
            **dict.fromkeys(("n_catalog", "n_selected", "n_available", "n_train"), int(count)),
            "n_val": 0,
            "n_test": 0,
            "shot": shot_band(int(count)),
        }
        for label, count in enumerate(counts)
    ]
    table = pa.Table.from_pylist(rows, schema=arrow_schema(CLASSES))
    recipe = {"profile": "benchmark"}
    meta = {
        "format_version": 1,
        "toolkit_version": "0",
        "recipe": recipe,
        "catalog": {"layout": "raw", "rows": photos, "fingerprint": "0"},
        "counts": {"train": photos},
    }
    parts = {"train": train}
    return Split(name="benchmark", classes=table, tables=parts, meta=hashed(meta, table, parts))


def make_store(path: Path, split: Split, jpegs: list[bytes]) -> int:
    """Fills a store with a photo for every row of the split; returns the bytes of all images together."""
    total = 0
    ids = split.part("train")["photo_id"].to_numpy()
    with StoreWriter.create(path, StoreConfig(size="medium"), shard_photos=2_000) as writer:
        # In no order of the split, as a download leaves them.
        for photo_id in np.random.default_rng(1).permutation(ids).tolist():
            jpeg = jpegs[photo_id % len(jpegs)]
            # A comment segment (FF FE, length, text) after the first marker.
            data = jpeg[:2] + b"\xff\xfe" + (22).to_bytes(2, "big") + b"%020d" % photo_id + jpeg[2:]
            writer.add_image(photo_id, data)
            total += len(data)
    return total
