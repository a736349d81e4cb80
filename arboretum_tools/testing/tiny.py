"""A split of four classes and an image store that holds it, made in a moment: for tests of what reads them.

The classes are awkward on purpose: one has no common name, one lacks ranks, one has quotes, a colon and
letters beyond ASCII in its name. Some photos have no licence, no observer, no life stage.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image

from arboretum_metadata.schema import CLASSES, PART
from arboretum_metadata.vocab import RANKS
from arboretum_tools.split.files.content_hashes import hashed
from arboretum_tools.split.files.manifest import Split
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.store.shards.layout import StoreConfig
from arboretum_tools.store.shards.record import PhotoRecord
from arboretum_tools.store.writer import StoreWriter
from arboretum_tools.tabular.tables import arrow_schema
from arboretum_tools.taxa.bands import shot_band

_BIRD = {"kingdom": "Animalia", "phylum": "Chordata", "class": "Aves", "order": "Passeriformes"}

_TAXA: tuple[dict[str, str | None], ...] = (
    {**_BIRD, "family": "Turdidae", "genus": "Turdus", "species": "migratorius", "common": "American Robin"},
    {**_BIRD, "family": "Turdidae", "genus": "Turdus", "species": "merula", "common": None},
    {"kingdom": "Plantae", "genus": "Laelia", "species": "rosea", "common": 'Bird\'s "Rosé": Orchid – ʻōpua'},
    {**_BIRD, "order": None, "family": "Corvidae", "genus": "Corvus", "species": "corax", "common": "Raven"},
)

#: What must never run, whatever shows it.
MARKUP = "<script>window.pwned=1</script><img src=x onerror=window.pwned=1>\"'><b>"

#: Photos of each class in each part; class = position.
COUNTS = {"train": (40, 12, 4, 2), "val": (2, 2, 2, 1), "test": (3, 3, 3, 3)}


def tiny_split(counts: Mapping[str, tuple[int, ...]] = COUNTS, *, name: str = "tiny") -> Split:
    """A split in memory whose photo ids are spread widely and follow no label.

    Args:
        counts: photos by part and class; every part names the same classes, at most four.
        name: of the split.
    """
    (num_classes,) = {len(per_class) for per_class in counts.values()}
    number = 0
    parts: dict[str, list[dict[str, Any]]] = {}
    for part, per_class in counts.items():
        rows = []
        for label, photos in enumerate(per_class):
            for _ in range(photos):
                number += 1
                rows.append(_photo(number, label))
        parts[part] = sorted(rows, key=lambda row: (row["label"], row["photo_id"]))
    classes = pa.Table.from_pylist(
        [_class(label, taxon, counts) for label, taxon in enumerate(_TAXA[:num_classes])],
        schema=arrow_schema(CLASSES),
    )
    tables = {part: pa.Table.from_pylist(rows, schema=arrow_schema(PART)) for part, rows in parts.items()}
    recipe = {"profile": "natural", "seed": 0}
    meta = {
        "format_version": 1,
        "toolkit_version": "0",
        "recipe": recipe,
        "catalog": {"layout": "raw", "rows": number, "fingerprint": "0"},
        "counts": {part: len(rows) for part, rows in parts.items()},
    }
    return Split(name=name, classes=classes, tables=tables, meta=hashed(meta, classes, tables))


def with_markup(split: Split) -> Split:
    """The split with markup in every text of its photos and classes, as hostile metadata would have it."""

    def poisoned(table: pa.Table, kept: Collection[str]) -> pa.Table:
        columns = {
            name: pa.array([f"{MARKUP}{row}" for row in range(table.num_rows)])
            if pa.types.is_string(table.schema.field(name).type) and name not in kept
            else table[name]
            for name in table.column_names
        }
        return pa.table(columns)

    return dataclasses.replace(
        split,
        name=MARKUP,
        classes=poisoned(split.classes, ("shot", "rank")),
        tables={part: poisoned(table, ("ext",)) for part, table in split.tables.items()},
    )


def tiny_store(
    path: Path,
    split: Split,
    *,
    formats: Mapping[int, str] | None = None,
    gone: Collection[int] = (),
    pending: Collection[int] = (),
    shard_photos: int = 20,
) -> ImageStore:
    """A store at `path` with an image for each photo of the split.

    Args:
        path: the folder.
        split: gives the photo ids.
        formats: Pillow's name of the format of photos that are no JPEG.
        gone: photos that the store records as gone.
        pending: photos that the store knows nothing of.
        shard_photos: photos per shard.
    """
    formats = formats or {}
    ids = [photo for part in split.parts for photo in split.part(part)["photo_id"].to_pylist()]
    with StoreWriter.create(path, StoreConfig(size="small"), shard_photos=shard_photos) as writer:
        # Not in the order of any part, as a download would leave them.
        for photo_id in sorted(ids, key=lambda photo_id: photo_id % 1_009):
            if photo_id in gone:
                record = PhotoRecord(
                    photo_id=photo_id,
                    status="gone",
                    http_status=404,
                    error="404",
                    fetched_at=datetime.now(UTC),
                )
                writer.add(record)
            elif photo_id not in pending:
                writer.add_image(photo_id, tiny_image(photo_id, formats.get(photo_id, "JPEG")))
    return ImageStore.open(path)


def tiny_image(photo_id: int, format: str = "JPEG", size: tuple[int, int] = (32, 24)) -> bytes:  # noqa: A002
    """An image that no other photo id has: flat, but for a square in another colour; PNGs are half clear."""
    color = ((photo_id * 37) % 256, (photo_id * 91) % 256, (photo_id // 256) % 256)
    image = Image.new("RGBA" if format == "PNG" else "RGB", size, (*color, 128) if format == "PNG" else color)
    corner = photo_id % 16
    image.paste((255, 255, 255), (corner, corner // 2, corner + 8, corner // 2 + 8))
    out = io.BytesIO()
    # The id as a comment, so that two ids never share their bytes.
    image.save(out, format=format, comment=str(photo_id).encode())
    return out.getvalue()


def _photo(number: int, label: int) -> dict[str, Any]:
    return {
        # 2^31 is passed, so that nothing holds an id in 32 bits; 7919 scatters them.
        "photo_id": 2_147_483_000 + (number * 7_919) % 10_007,
        "label": label,
        "ext": "jpg",
        "url": None,
        "observation_id": number // 2,
        "observer_id": number % 5,
        "observer_name": None if number % 7 == 0 else f"Observer {number % 5}",
        "license": (None, "CC0", "CC-BY", "CC-BY-NC")[number % 4],
        "life_stage": None if number % 2 else "adult",
        "width": 2048,
        "height": 1536,
        "observed_on": None,
        "latitude": None,
        "longitude": None,
    }


def _class(
    label: int, taxon: Mapping[str, str | None], counts: Mapping[str, tuple[int, ...]]
) -> dict[str, Any]:
    name = f"{taxon['genus']} {taxon['species']}"
    numbers = {f"n_{part}": counts[part][label] if part in counts else 0 for part in ("train", "val", "test")}
    return {
        "label": label,
        "class_key": f"{taxon['kingdom']}|{name}",
        "name": name,
        "folder": f"{label:05d}_{name.replace(' ', '_')}",
        "rank": "species",
        "taxon_id": 1_000 + label,
        "scientific_name": name,
        "common_name": taxon["common"],
        **{rank: taxon.get(rank) for rank in RANKS},
        **dict.fromkeys(("n_catalog", "n_selected", "n_available"), sum(numbers.values())),
        **numbers,
        "shot": shot_band(numbers["n_train"]),
    }
