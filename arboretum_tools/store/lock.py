"""One writer a store at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arboretum_tools.errors import StoreError
from arboretum_tools.locking import exclusive
from arboretum_tools.store import layout


@contextmanager
def writer_lock(store: Path) -> Iterator[None]:
    """Holds the right to write into the folder `store`, which must exist.

    Raises:
        StoreError: another process holds it; the message names it.
    """

    def refuse(holder: str) -> StoreError:
        return StoreError(
            f"another download writes into {store}: {holder}; nothing was changed",
            hint="Wait for it to end, stop it, or download into another folder with --images.",
        )

    with exclusive(store / layout.LOCK, refuse):
        yield
