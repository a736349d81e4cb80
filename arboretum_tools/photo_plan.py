"""What a download sets out to fetch: a selection, a split or a list of photos, as one plan.

A plan is a stream of (photo_id, ext, url), photo_id ascending, each once; `url` only where id and extension
do not give it. Saved in a store it is `requests/<id>.parquet` and `<id>.json`, where the id is the first 12
hex digits of the SHA-256 over its rows as text, one line each: `photo_id<TAB>ext<TAB>url or nothing<LF>`.
The same plan has the same id, whatever it came from.
"""

from __future__ import annotations

import hashlib
import operator
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from arboretum_metadata.schema import REQUEST
from arboretum_tools.atomic_files import PARTIAL, read_json, whole_file, write_json
from arboretum_tools.errors import SplitError, StoreError, UsageError
from arboretum_tools.store import layout
from arboretum_tools.tables import arrow_schema, one_line, write_table

#: Digits of the content hash that name a plan.
ID_DIGITS = 12

_ID = re.compile(f"[0-9a-f]{{{ID_DIGITS}}}")
_SCHEMA = arrow_schema(REQUEST)

# Rows that are Python objects at one time.
_BLOCK = 10_000


class Selects(Protocol):
    """What this module needs of a Selection."""

    @property
    def english(self) -> str:
        """The selection in words."""

    def recipe(self) -> dict[str, Any]:
        """The selection as JSON."""

    def plan_batches(self) -> Iterator[pa.RecordBatch]:
        """Its photos, with at least the columns of `schema.REQUEST`, photo_id ascending, each once."""


class Splits(Protocol):
    """What this module needs of a Split."""

    @property
    def name(self) -> str:
        """The split's name."""

    @property
    def meta(self) -> Mapping[str, Any]:
        """What split.json holds."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that exist."""

    @property
    def sha256(self) -> dict[str, str]:
        """Content hashes of the parts."""

    def part(self, name: str) -> pa.Table:
        """The rows of one part, with at least the columns of `schema.REQUEST`."""


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


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A plan as a file.

    Attributes:
        path: the Parquet file.
        id: twelve hex digits of its content hash.
        photos: how many it asks for.
        source: where it comes from, see `Requests`.
    """

    path: Path
    id: str
    photos: int
    source: Mapping[str, Any]


def of_selection(selection: Selects) -> PhotoPlan:
    """Everything that a selection selects."""
    source = {"kind": "selection", "english": selection.english, "criteria": selection.recipe()}
    return PhotoPlan(selection.plan_batches, source)


def of_split(split: Splits, parts: Iterable[str] | None = None) -> PhotoPlan:
    """The photos of a split.

    Args:
        split: the split.
        parts: which parts of it; None = all.

    Raises:
        SplitError: the split has no such part, or its ids are not those of iNaturalist.
    """
    if split.meta["recipe"].get("profile") == "imported":
        raise SplitError(
            f"the split {split.name} was imported: its photo ids are numbers of ours, and iNaturalist has "
            "other photos under them",
            hint="Get its images from those who published them. Nothing was fetched.",
        )
    chosen = split.parts if parts is None else tuple(parts)
    tables = [split.part(part).select(_SCHEMA.names) for part in chosen]
    source = {
        "kind": "split",
        "english": f"the split {split.name} ({', '.join(chosen)})",
        "criteria": split.meta["recipe"],
        "sha256": {part: split.sha256[part] for part in chosen},
    }

    def batches() -> Iterable[pa.RecordBatch]:
        return list(pa.concat_tables(tables).sort_by("photo_id").to_batches()) if tables else []

    return PhotoPlan(batches, source)


def of_saved(store: str | Path, plan_id: str) -> PhotoPlan:
    """A plan that was saved in a store.

    Raises:
        StoreError: the store has no such plan, or it is damaged.
    """
    plans = {plan.id: plan for plan in saved(store)}
    plan = plans.get(plan_id)
    if plan is None:
        raise StoreError(
            f"{store} has no plan {plan_id!r}",
            hint=f"It has {', '.join(sorted(plans)) or 'none'}; "
            "`arboretum download ... --plan-only` saves one.",
        )

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            with pq.ParquetFile(plan.path) as file:
                yield from file.iter_batches(columns=_SCHEMA.names)
        except (pa.ArrowInvalid, OSError) as error:
            raise StoreError(
                f"{plan.path} cannot be read: {one_line(error)}", hint="Save the plan again with --plan-only."
            ) from error

    return PhotoPlan(batches, plan.source)


def of(what: Any) -> PhotoPlan:
    """The plan of whatever can be downloaded: a Selection, a Split, or PhotoPlan.

    Raises:
        UsageError: it is none of these.
    """
    if isinstance(what, PhotoPlan):
        return what
    if hasattr(what, "plan_batches"):
        return of_selection(what)
    if hasattr(what, "part") and hasattr(what, "parts"):
        return of_split(what)
    raise UsageError(
        f"a {type(what).__name__} cannot be downloaded",
        hint="Give a Selection (catalog.select(...)), a Split (open_split(...)) or PhotoPlan.",
    )


def write(requests: PhotoPlan, folder: Path) -> SavedPlan:
    """Writes a plan into `folder` under its id, whole or not at all; streams it once.

    Raises:
        OutOfSpaceError: the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()

    def hashed() -> Iterator[pa.RecordBatch]:
        last = 0
        for batch in requests.batches():
            if batch.num_rows:
                last = _hash(digest, batch, last)
                yield batch

    # The name is known only when the last row has been hashed.
    unnamed = folder / f".plan{PARTIAL}{secrets.token_hex(4)}"
    try:
        photos = write_table(unnamed, hashed(), REQUEST, {"source": dict(requests.source)}, dictionary=False)
        identity = digest.hexdigest()[:ID_DIGITS]
        unnamed.replace(folder / f"{identity}.parquet")
    finally:
        unnamed.unlink(missing_ok=True)
    payload = {
        "id": identity,
        "photos": photos,
        "sha256": digest.hexdigest(),
        "source": dict(requests.source),
    }
    write_json(folder / f"{identity}.json", payload)
    # What writing took goes back to the system, before a download that may take days.
    pa.default_memory_pool().release_unused()
    return SavedPlan(folder / f"{identity}.parquet", identity, photos, requests.source)


def keep(plan: SavedPlan, store: Path) -> SavedPlan:
    """Copies a plan into a store, unless it is there already and whole; gives the plan of the store.

    Raises:
        OutOfSpaceError: the disk is full.
        StoreError: the folder of plans is a symbolic link.
    """
    folder = store / layout.REQUESTS
    layout.check_own(folder, folder=True)
    kept = SavedPlan(folder / plan.path.name, plan.id, plan.photos, plan.source)
    # The JSON comes last, so a plan with one is whole.
    for path in (kept.path, kept.path.with_suffix(".json")):
        if not _is_whole(path, plan):
            with whole_file(path) as temporary:
                shutil.copyfile(plan.path.with_suffix(path.suffix), temporary)
    return kept


def _is_whole(path: Path, plan: SavedPlan) -> bool:
    """Whether a file of a plan can be read and is of this plan."""
    try:
        if path.suffix == ".json":
            return bool(read_json(path)["photos"] == plan.photos)
        return bool(pq.read_metadata(path).num_rows == plan.photos)
    except (pa.ArrowInvalid, OSError, ValueError, KeyError, TypeError):
        return False


def saved(store: str | Path) -> list[SavedPlan]:
    """Every plan that was asked of a store, by id.

    Raises:
        StoreError: one of them is damaged.
    """
    folder = Path(store) / layout.REQUESTS
    found = []
    for path in sorted(folder.glob("*.json")):
        if not _ID.fullmatch(path.stem):
            continue
        try:
            payload = read_json(path)
            plan = SavedPlan(
                path.with_suffix(".parquet"), path.stem, int(payload["photos"]), dict(payload["source"])
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{path} cannot be read: {error}",
                hint="Remove it and the .parquet of the same name, and download that selection again: what "
                "the store holds is not fetched twice.",
            ) from error
        found.append(plan)
    return found


def _hash(digest: Any, batch: pa.RecordBatch, last: int) -> int:
    """Adds the rows as text to `digest`; the last photo_id, each of which must be above the one before."""
    # Through Python lists, not pyarrow.compute, which imports pandas for its constants: 0.5 s and 45 MB.
    for start in range(0, batch.num_rows, _BLOCK):
        block = batch.slice(start, _BLOCK)
        ids, exts, urls = (block.column(name).to_pylist() for name in _SCHEMA.names)
        assert all(map(operator.lt, [last, *ids], ids)), "requests are sorted by photo_id, each photo once"
        rows = zip(ids, exts, urls, strict=True)
        digest.update("".join([f"{photo_id}\t{ext}\t{url or ''}\n" for photo_id, ext, url in rows]).encode())
        last = ids[-1]
    return last
