"""What an image store offers to a split: the photos that it holds, and the selections asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from arboretum_tools.catalog import Catalog, Selection
from arboretum_tools.errors import StoreError
from arboretum_tools.photos.criteria import Criteria
from arboretum_tools.photos.photo_ids import PhotoIds, read_photo_ids
from arboretum_tools.store import ImageStore, plans
from arboretum_tools.store.shards.layout import is_store, read_config
from arboretum_tools.tabular import query
from arboretum_tools.tabular.arrays import from_numpy, text
from arboretum_tools.tabular.tables import read_columns
from arboretum_tools.wording import one_line

#: Columns of pairs of photos that show the same.
PAIR_FIELDS = {"by": pa.string(), "photo_id": pa.int64(), "other_id": pa.int64()}


def ok_photo_ids(store: ImageStore) -> PhotoIds:
    """The photos that a store holds whole: 8 bytes each in memory.

    Raises:
        StoreError: an index of the store cannot be read.
    """
    found = [pa.nulls(0, pa.int64())]
    for path in store.index_files():
        try:
            index = read_columns(path, ["photo_id", "status"])
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"the shard index {path} cannot be read: {one_line(error)}") from error
        found += index.filter(pc.equal(index["status"], text("ok")))["photo_id"].chunks
    return PhotoIds.of(pa.concat_arrays(found))


def images_of(store: ImageStore, photo_ids: PhotoIds) -> pa.Table:
    """Where some photos lie in a store: photo_id, shard, offset, size_bytes, sha256, in file order.

    Raises:
        StoreError: an index of the store cannot be read.
    """
    columns = ["photo_id", "offset", "size_bytes", "sha256"]
    found = []
    for shard in store.shards():
        index = store.index(shard)
        held = pc.and_(
            pc.equal(index["status"], text("ok")), pc.is_in(index["photo_id"], value_set=photo_ids.array)
        )
        rows = index.filter(held).select(columns)
        number = from_numpy(np.full(len(rows), shard, np.int64))
        found.append(rows.append_column("shard", number).sort_by("offset"))
    return (
        pa.concat_tables(found)
        if found
        else pa.table(
            {
                name: pa.nulls(0, pa.string() if name == "sha256" else pa.int64())
                for name in [*columns, "shard"]
            }
        )
    )


def same_bytes(store: ImageStore) -> pa.Table:
    """Pairs of photos of a store that have the same bytes: each with the smallest id of its image.

    Returns:
        by (`sha256`), photo_id, other_id, in no order. DuckDB finds what repeats; a store has few of it.

    Raises:
        StoreError: an index of the store cannot be read.
    """
    files = store.index_files()
    if not files:
        return pa.schema(PAIR_FIELDS).empty_table()
    with query.plain_errors(f"comparing the images of {store.location}"), query.connect() as connection:
        try:
            return query.arrow_table(
                connection,
                "WITH held AS (SELECT DISTINCT sha256, photo_id FROM "
                f"{query.parquet_source(files, alike=True)} WHERE status = 'ok'), "
                "twice AS (SELECT sha256 FROM held GROUP BY sha256 HAVING count(*) > 1) "
                "SELECT 'sha256' AS by, first AS photo_id, photo_id AS other_id FROM (SELECT photo_id, "
                "min(photo_id) OVER (PARTITION BY sha256) AS first FROM held SEMI JOIN twice USING (sha256)) "
                "WHERE first <> photo_id",
            ).cast(pa.schema(PAIR_FIELDS))
        except query.Error as error:
            if query.out_of_room(error):
                raise
            raise StoreError(f"an index of {store.location} cannot be read: {one_line(error)}") from error


def has_selections(images: str | Path) -> bool:
    """Whether a folder is an image store that anything was asked of."""
    return is_store(images) and bool(plans.saved(images))


def holds_files(images: str | Path) -> bool:
    """Whether a folder is an image store that was made of files, of which nothing is ever asked."""
    return is_store(images) and not read_config(images).of_inaturalist


def downloaded_selection(catalog: Catalog, images: str | Path) -> Selection:
    """What was asked of a store, as one selection of a catalogue: the union of its plans.

    A plan that came from a selection is that selection again, looked up in this catalogue; any other (a
    split, a list of photos) is the list of its photos.

    Raises:
        StoreError: the folder is no store, or nothing was asked of it.
        TaxonError: the catalogue does not know a taxon of a plan.

    >>> import arboretum_tools as at
    >>> catalog = at.open_catalog("catalog")
    >>> at.downloaded_selection(catalog, "images").english
    'class Aves; research grade'
    """
    ImageStore.open(images)
    criteria: dict[Criteria, None] = {}
    for plan in plans.saved(images):
        recipes = (plan.source.get("criteria") or {}).get("any_of", ())
        listed = plan.source.get("kind") != "selection" or any("photo_ids" in recipe for recipe in recipes)
        if listed or not recipes:
            found = [Criteria(photo_ids=read_photo_ids(plan.path), quality_grade="any")]
        else:
            found = [_criteria(catalog, recipe) for recipe in recipes]
        criteria.update(dict.fromkeys(found))
    if not criteria:
        raise StoreError(
            f"nothing was asked of the image store {images} yet",
            hint="Say what to split with --taxa, or run `arboretum download` first.",
        )
    return catalog.selection(*criteria)


def _criteria(catalog: Catalog, recipe: Mapping[str, Any]) -> Criteria:
    """The criteria that a recipe of `Criteria.recipe` stands for, looked up in this catalogue."""
    (criteria,) = catalog.select(**recipe).criteria
    return criteria
