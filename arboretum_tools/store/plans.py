"""The plans that a store keeps: what was asked of it, each as `requests/<id>.parquet` and `<id>.json`."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from arboretum_tools.atomic_files import read_json, whole_file
from arboretum_tools.errors import StoreError
from arboretum_tools.photo_plan import COLUMNS, ID_DIGITS, PhotoPlan, SavedPlan
from arboretum_tools.store import layout
from arboretum_tools.tables import one_line

_ID = re.compile(f"[0-9a-f]{{{ID_DIGITS}}}")


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
                yield from file.iter_batches(columns=list(COLUMNS))
        except (pa.ArrowInvalid, OSError) as error:
            raise StoreError(
                f"{plan.path} cannot be read: {one_line(error)}", hint="Save the plan again with --plan-only."
            ) from error

    return PhotoPlan(batches, plan.source)


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
