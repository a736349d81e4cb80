"""The promises of a split that need its images: no photo, and none like it, in two parts."""

from __future__ import annotations

from collections import defaultdict

import pyarrow as pa

from arboretum_metadata.schema import NEAR_DUPLICATES
from arboretum_tools.events import OnEvent
from arboretum_tools.near_duplicates import near_duplicate_pairs
from arboretum_tools.photos.photo_ids import PhotoIds
from arboretum_tools.split.audit.checks import Check, Files, found
from arboretum_tools.store import ImageStore
from arboretum_tools.stored_photos import images_of
from arboretum_tools.tabular.arrays import texts
from arboretum_tools.tabular.tables import arrow_schema
from arboretum_tools.wording import counted, does


def checks(
    files: Files, store: ImageStore, on_event: OnEvent, *, near_duplicates: bool
) -> tuple[list[Check], pa.Table | None]:
    """The checks over an image store, and the pairs of near-duplicates; some 200 bytes per photo in memory.

    Args:
        files: of the split.
        store: holds its photos.
        on_event: gets progress.
        near_duplicates: whether to look for photos that show nearly the same; it is done too where the split
            promises that none are in two parts.
    """
    part_of = {
        photo_id: part
        for part, table in files.parts.items()
        for photo_id in table["photo_id"].to_pylist()
        if photo_id > 0
    }
    ids = PhotoIds.of(part_of)
    held = images_of(store, ids)
    missing = len(ids) - len(held)
    detail = f"the store has {len(held):,} of the {counted(len(ids), 'photo')}"
    in_store = found("photos in the store", bool(missing), detail)
    if missing and not files.recipe.get("store"):
        in_store = Check("photos in the store", "not promised", detail)
    of_image = defaultdict(list)
    for digest, photo_id in zip(held["sha256"].to_pylist(), held["photo_id"].to_pylist(), strict=True):
        of_image[digest].append(photo_id)
    shared = [photos for photos in of_image.values() if len({part_of[photo] for photo in photos}) > 1]
    same = found(
        "parts disjoint by sha256",
        bool(shared),
        f"{counted(len(shared), 'image')} {does(len(shared), 'are')} in two parts, byte for byte"
        if shared
        else "no two parts share an image, byte for byte",
        sorted(" and ".join(map(str, sorted(photos)[:2])) for photos in shared),
    )
    if not (near_duplicates or files.recipe.get("near_duplicates")):
        return [in_store, same], None
    near, pairs = _near(store, ids, part_of, on_event)
    if not len(held):
        near = Check(near.name, "not checkable", "the store has no photo of the split")
    return [in_store, same, near], pairs


def _near(
    store: ImageStore, ids: PhotoIds, part_of: dict[int, str], on_event: OnEvent
) -> tuple[Check, pa.Table]:
    pairs = near_duplicate_pairs(store, ids, on_event=on_event)
    both = [pairs[name].to_pylist() for name in ("photo_id", "other_id")]
    parts = [[part_of[photo] for photo in photos] for photos in both]
    for name, values in zip(("part", "other_part"), parts, strict=True):
        pairs = pairs.append_column(name, texts(values))
    across = [
        f"{one} and {other}"
        for one, other, part, other_part in zip(*both, *parts, strict=True)
        if part != other_part
    ]
    detail = (
        f"{counted(len(across), 'pair')} of photos in two parts {does(len(across), 'show')} nearly the same"
    )
    if not across:
        detail = "no two photos of different parts show nearly the same"
    if inside := len(pairs) - len(across):
        detail += f"; {counted(inside, 'pair')} within one part"
    check = found("parts disjoint by near-duplicate", bool(across), detail, across)
    return check, pairs.cast(arrow_schema(NEAR_DUPLICATES))
