"""The image store: whole photos in tar shards, each with a Parquet index, written by one and read by many."""

from arboretum_metadata.vocab import STATUSES
from arboretum_tools.store.reader import ImageStore, open_store
from arboretum_tools.store.shards.layout import StoreConfig
from arboretum_tools.store.shards.record import PhotoRecord
from arboretum_tools.store.writer import StoreWriter

__all__ = ["STATUSES", "ImageStore", "PhotoRecord", "StoreConfig", "StoreWriter", "open_store"]
