"""The plans that a store keeps: what was asked of it, each as `requests/<id>.parquet` and `<id>.json`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from arboretum_tools.errors import StoreError
from arboretum_tools.photos.photo_plan import COLUMNS, ID_DIGITS, PhotoPlan, SavedPlan
from arboretum_tools.store.shards import layout
from arboretum_tools.store.storage import Storage, storage_at
from arboretum_tools.system.atomic_files import parse_json
from arboretum_tools.tabular.tables import parquet_file
from arboretum_tools.wording import one_line

# Other names are no plans of ours, and are left alone.
_PLAN = re.compile(rf"[0-9a-f]{{{ID_DIGITS}}}\.json")


def find(store: str | Path | Storage, plan_id: str) -> SavedPlan:
    """The plan of this id that a store keeps.

    Raises:
        StoreError: the store has no such plan, or one of its plans is damaged.
    """
    storage = storage_at(store)
    plans = {plan.id: plan for plan in saved(storage)}
    plan = plans.get(plan_id)
    if plan is None:
        raise StoreError(
            f"{storage.location} has no plan {plan_id!r}",
            hint=f"It has {', '.join(sorted(plans)) or 'none'}; "
            "`arboretum download ... --plan-only` saves one.",
        )
    return plan


def of_saved(store: str | Path | Storage, plan_id: str) -> PhotoPlan:
    """A plan that was saved in a store, as what has photos.

    Raises:
        StoreError: the store has no such plan, or it is damaged.
    """
    plan = find(store, plan_id)

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            with parquet_file(plan.path) as file:
                yield from file.iter_batches(columns=list(COLUMNS))
        except (pa.ArrowInvalid, OSError) as error:
            raise StoreError(
                f"{plan.path} cannot be read: {one_line(error)}", hint="Save the plan again with --plan-only."
            ) from error

    return PhotoPlan(batches, plan.source)


def keep(plan: SavedPlan, store: str | Path | Storage) -> SavedPlan:
    """Moves a plan into a store, unless it is there already and whole; gives the plan of the store.

    Args:
        plan: as a file on the file system of the store.
        store: whose lock the caller holds.

    Raises:
        StoreError: the folder of plans is a symbolic link.
    """
    storage = storage_at(store)
    name = f"{layout.REQUESTS}/{plan.path.name}"
    # The JSON comes last, so a plan with one is whole.
    for suffix in (".parquet", ".json"):
        own = Path(name).with_suffix(suffix)
        if not _is_whole(storage, own, plan):
            storage.put(plan.path.with_suffix(suffix), str(own))
    (file,) = storage.local([name])
    return SavedPlan(file, plan.id, plan.photos, plan.source)


def _is_whole(storage: Storage, own: Path, plan: SavedPlan) -> bool:
    """Whether a file of a plan can be read and is of this plan."""
    try:
        if own.suffix == ".json":
            return bool(parse_json(storage.read(str(own)))["photos"] == plan.photos)
        return bool(pq.read_metadata(*storage.local([str(own)])).num_rows == plan.photos)
    except (pa.ArrowInvalid, OSError, ValueError, KeyError, TypeError):
        return False


def saved(store: str | Path | Storage) -> list[SavedPlan]:
    """Every plan that was asked of a store, by id.

    Raises:
        StoreError: one of them is damaged.
    """
    storage = storage_at(store)
    found = []
    for name in sorted(storage.names(_PLAN, layout.REQUESTS)):
        path, identity = f"{layout.REQUESTS}/{name}", name.partition(".")[0]
        try:
            payload = parse_json(storage.read(path))
            (file,) = storage.local([f"{layout.REQUESTS}/{identity}.parquet"])
            plan = SavedPlan(file, identity, int(payload["photos"]), dict(payload["source"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{storage.where(path)} cannot be read: {one_line(error)}",
                hint="Remove it and the .parquet of the same name, and download that selection again: what "
                "the store holds is not fetched twice.",
            ) from error
        found.append(plan)
    return found
