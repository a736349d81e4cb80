"""What a download sets out to fetch, as one plan; and what plans are made of.

A plan is a stream of (photo_id, ext, url), photo_id ascending, each once; `url` only where id and extension
do not give it. As a file it is `<id>.parquet` and `<id>.json`, where the id is the first 12 hex digits of the
SHA-256 over its rows as text, one line each: `photo_id<TAB>ext<TAB>url or nothing<LF>`. The same plan has the
same id, whatever it came from.

pyarrow is loaded by what writes a plan, because selections, which can be asked without it, make them.
"""

from __future__ import annotations

import hashlib
import operator
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from arboretum_metadata.schema import REQUEST
from arboretum_tools.errors import SelectionError, UsageError
from arboretum_tools.system.atomic_files import PARTIAL, write_json
from arboretum_tools.tabular.tables import write_table

if TYPE_CHECKING:
    import pyarrow as pa

#: Columns of a plan.
COLUMNS = tuple(REQUEST.names)

#: Digits of the content hash that name a plan.
ID_DIGITS = 12

#: What to do where no photo is selected, and where nothing may also be meant.
LOOSEN = "Loosen the filter that is named."
LOOSEN_OR_ALLOW = "Loosen the filter that is named, or say --allow-empty if nothing is meant."

# Rows that are Python objects at one time.
_BLOCK = 10_000


@runtime_checkable
class PhotoSource(Protocol):
    """Photos that can be fetched: a selection, a split, or a plan that was made before."""

    def plan(self) -> PhotoPlan:
        """What to fetch.

        Raises:
            SplitError: these photos are not those that iNaturalist has under their ids.
        """

    def why_empty(self) -> str:
        """Why it has no photo, a phrase; asked of one that has none. "" where nothing is known."""

    def count_classes(self) -> int | None:
        """How many classes its photos stand in; None where that is not known."""

    def count_by(self, *columns: str) -> Iterable[tuple[Any, ...]]:
        """Its photos by the values of some columns of `schema.PART`; nothing where they are not known.

        Returns:
            The values, in the order of `columns`, and how many photos have them; each combination once.
        """


@dataclass(frozen=True, slots=True)
class PhotoPlan:
    """A plan that is not saved yet.

    Attributes:
        batches: gives the rows, the columns of `schema.REQUEST`, photo_id ascending, each once; streamed,
            and the same at each call.
        source: where the plan comes from, JSON-able: `kind` (selection, split), `english`, and the recipe.
    """

    batches: Callable[[], Iterable[pa.RecordBatch]]
    source: Mapping[str, Any]

    def plan(self) -> PhotoPlan:
        """Itself."""
        return self

    def why_empty(self) -> str:
        """Not known."""
        return ""

    def count_classes(self) -> int | None:
        """Not known: a plan has ids, extensions and addresses."""
        return None

    def count_by(self, *_columns: str) -> Iterable[tuple[Any, ...]]:
        """Not known either."""
        return ()


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A plan as a file.

    Attributes:
        path: the Parquet file.
        id: twelve hex digits of its content hash.
        photos: how many it asks for.
        source: where it comes from, see `PhotoPlan`.
    """

    path: Path
    id: str
    photos: int
    source: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NotEmpty:
    """Photos of which there must be at least one.

    Attributes:
        source: the photos.
        left: what is left undone or unchanged where there is none, a clause.
    """

    source: PhotoSource
    left: str

    def plan(self) -> PhotoPlan:
        """The plan, whose rows end in an error where there is none.

        Raises:
            SplitError: as the source.
        """
        asked = self.source.plan()

        def batches() -> Iterator[pa.RecordBatch]:
            rows = 0
            for batch in asked.batches():
                rows += batch.num_rows
                yield batch
            if not rows:
                raise empty_error(self.source, self.left, hint=LOOSEN_OR_ALLOW)

        return replace(asked, batches=batches)

    def why_empty(self) -> str:
        """As the source."""
        return self.source.why_empty()

    def count_classes(self) -> int | None:
        """As the source."""
        return self.source.count_classes()

    def count_by(self, *columns: str) -> Iterable[tuple[Any, ...]]:
        """As the source."""
        return self.source.count_by(*columns)


def empty_error(source: PhotoSource, left: str, *, hint: str = LOOSEN) -> SelectionError:
    """The error of photos that were found to be none.

    Args:
        source: the photos.
        left: what is left undone or unchanged, a clause.
        hint: what to do next.
    """
    why = source.why_empty()
    return SelectionError(f"no photo is selected{': ' if why else ''}{why}; {left}", hint=hint)


def source_of(what: Any) -> PhotoSource:
    """What can be downloaded, checked to be that.

    Raises:
        UsageError: it is something else.
    """
    if isinstance(what, PhotoSource):
        return what
    raise UsageError(
        f"a {type(what).__name__} cannot be downloaded",
        hint="Give a Selection (catalog.select(...)), a Split (open_split(...)) or PhotoPlan.",
    )


def write(plan: PhotoPlan, folder: Path) -> SavedPlan:
    """Writes a plan into `folder` under its id, whole or not at all; streams it once.

    Raises:
        OutOfSpaceError: the disk is full.
    """
    import pyarrow as pa

    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()

    def hashed() -> Iterator[pa.RecordBatch]:
        last = 0
        for batch in plan.batches():
            if batch.num_rows:
                last = _hash(digest, batch, last)
                yield batch

    # The name is known only when the last row has been hashed.
    unnamed = folder / f".plan{PARTIAL}{secrets.token_hex(4)}"
    try:
        photos = write_table(unnamed, hashed(), REQUEST, {"source": dict(plan.source)}, dictionary=False)
        identity = digest.hexdigest()[:ID_DIGITS]
        unnamed.replace(folder / f"{identity}.parquet")
    finally:
        unnamed.unlink(missing_ok=True)
    payload = {
        "id": identity,
        "photos": photos,
        "sha256": digest.hexdigest(),
        "source": dict(plan.source),
    }
    write_json(folder / f"{identity}.json", payload)
    # What writing took goes back to the system, before a download that may take days.
    pa.default_memory_pool().release_unused()
    return SavedPlan(folder / f"{identity}.parquet", identity, photos, plan.source)


def _hash(digest: Any, batch: pa.RecordBatch, last: int) -> int:
    """Adds the rows as text to `digest`; the last photo_id, each of which must be above the one before."""
    # Through Python lists, not pyarrow.compute, which imports pandas for its constants: 0.5 s and 45 MB.
    for start in range(0, batch.num_rows, _BLOCK):
        block = batch.slice(start, _BLOCK)
        ids, exts, urls = (block.column(name).to_pylist() for name in COLUMNS)
        assert all(map(operator.lt, [last, *ids], ids)), "plans are sorted by photo_id, each photo once"
        rows = zip(ids, exts, urls, strict=True)
        digest.update("".join([f"{photo_id}\t{ext}\t{url or ''}\n" for photo_id, ext, url in rows]).encode())
        last = ids[-1]
    return last
