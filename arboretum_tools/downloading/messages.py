"""What the processes of a download tell each other: pickled, each behind its length.

Pickle is safe here: both ends of the socket are ours, and no byte of a photo or of the metadata is in it but
texts.
"""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arboretum_tools.downloading.options import DownloadOptions
from arboretum_tools.downloading.pending import PendingList
from arboretum_tools.store.layout import StoreConfig
from arboretum_tools.store.lock import Task

#: Length of a message.
LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Share:
    """What a child is told.

    Attributes:
        images: folder of the store.
        config: what the store holds.
        task: which photos and shards are its own.
        pending: the photos to fetch, those of other tasks among them.
        options: how to behave.
        resizers: threads that resize, where photos are resized.
    """

    images: Path
    config: StoreConfig
    task: Task
    pending: PendingList
    options: DownloadOptions
    resizers: int


@dataclass(frozen=True, slots=True)
class Done:
    """What a child did; its last word.

    Attributes:
        shards: that it finished.
        error: name of an error of ours, its message and its hint; None where there is none.
    """

    shards: int
    error: tuple[str, str, str] | None = None


def pack(message: Any) -> bytes:
    """A message as it goes over the socket."""
    body = pickle.dumps(message)
    return LENGTH.pack(len(body)) + body
