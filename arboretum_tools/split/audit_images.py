"""The promises of a split that need its images: no photo, and none like it, in two parts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations

import pandas as pd

from arboretum_tools import images
from arboretum_tools.errors import UsageError
from arboretum_tools.events import OnEvent, PhotoDone, StageFinished, StageStarted
from arboretum_tools.split.audit_checks import Check, Files, found
from arboretum_tools.store import ImageStore
from arboretum_tools.wording import counted, does

_MOST_BITS = 7


def check_bits(near_bits: int) -> None:
    """Raises UsageError for a distance that is none: the search splits the 64 bits into near_bits + 1."""
    if not 0 <= near_bits <= _MOST_BITS:
        raise UsageError(f"near-bits is 0 to {_MOST_BITS}, not {near_bits}")


def checks(files: Files, store: ImageStore, near_bits: int, on_event: OnEvent) -> Iterator[Check]:
    """The checks over an image store; memory grows with the split, some 200 bytes a photo."""
    photos = pd.concat(
        [t.select(["photo_id"]).to_pandas().assign(part=p) for p, t in files.parts.items()], ignore_index=True
    )
    there = _stored(store, set(photos["photo_id"].tolist()))
    photos = photos.merge(there, on="photo_id", how="left")
    held = photos[photos["sha256"].notna()].reset_index(drop=True)
    missing = len(photos) - len(held)
    detail = f"{len(held):,} of {counted(len(photos), 'photo')} {does(len(held), 'are')} in the store"
    if missing and not files.recipe.get("store"):
        yield Check("photos in the store", "not promised", detail)
    else:
        yield found("photos in the store", bool(missing), detail)
    spread = held.groupby("sha256")["part"].nunique()
    shared = int(spread.gt(1).sum())
    same = held[held["sha256"].isin(spread[spread > 1].index)].sort_values(["sha256", "photo_id"])
    yield found(
        "parts disjoint by sha256",
        len(same) > 0,
        f"{counted(shared, 'image')} {does(shared, 'lie')} byte for byte in two parts",
        same["photo_id"].tolist(),
    )
    yield _near(held, store, near_bits, on_event)


def _stored(store: ImageStore, wanted: set[int]) -> pd.DataFrame:
    columns = ["photo_id", "sha256", "offset", "size_bytes"]
    frames = [pd.DataFrame(columns=[*columns, "shard"]).astype({"photo_id": "int64"})]
    for shard in store.shards():
        rows = store.index(shard).select([*columns, "status"]).to_pandas()
        rows = rows[(rows["status"] == "ok") & rows["photo_id"].isin(wanted)]
        if len(rows):
            frames.append(rows[columns].assign(shard=shard))
    return pd.concat(frames[1:] or frames, ignore_index=True).drop_duplicates("photo_id")


def _near(held: pd.DataFrame, store: ImageStore, near_bits: int, on_event: OnEvent) -> Check:
    """Photos of two parts whose difference hashes differ in at most `near_bits` bits."""
    name = "parts disjoint by near-duplicate"
    on_event(StageStarted("near-duplicates", len(held)))
    seen: dict[int, dict[str, int]] = defaultdict(dict)
    unreadable = 0
    # In the order of the tar files, so that a disk reads forward.
    columns = ("photo_id", "part", "shard", "offset", "size_bytes")
    ordered = held.sort_values(["shard", "offset"])
    for photo_id, part, shard, offset, size in zip(*(ordered[c].tolist() for c in columns), strict=True):
        data = store.read_bytes(int(shard), int(offset), int(size), photo_id)
        try:
            value = images.difference_hash(data, name=f"photo {photo_id}")
            seen[value].setdefault(part, photo_id)
        except images.UndecodableImageError:
            unreadable += 1
        on_event(PhotoDone(photo_id, "written", len(data)))
    on_event(StageFinished("near-duplicates"))
    pairs = _pairs(seen, near_bits)
    detail = f"{counted(len(pairs), 'pair')} of hashes within {near_bits} of 64 bits of each other"
    if unreadable:
        detail += f"; {counted(unreadable, 'image')} could not be decoded"
    if held.empty:
        return Check(name, "not checkable", "no photo of the split is in the store")
    return found(name, bool(pairs), detail, [f"{a} and {b}" for a, b in pairs])


def _pairs(seen: dict[int, dict[str, int]], near_bits: int) -> list[tuple[int, int]]:
    """One pair of photos for each two hashes, or one hash, that stand in two parts.

    Two hashes that differ in k bits agree in at least one of k + 1 bands, so only hashes that share a band
    are compared.
    """
    pairs = []
    for by_part in seen.values():
        photos = sorted(by_part.values())
        if len(photos) > 1:
            pairs.append((photos[0], photos[1]))
    bands = near_bits + 1
    width = 64 // bands
    compared: set[tuple[int, int]] = set()
    for band in range(bands if near_bits else 0):
        # The last band takes the bits that do not divide evenly.
        mask = (1 << (64 - band * width if band == bands - 1 else width)) - 1
        buckets: dict[int, list[int]] = defaultdict(list)
        for value in seen:
            buckets[(value >> (band * width)) & mask].append(value)
        for values in buckets.values():
            for a, b in combinations(values, 2):
                if (a ^ b).bit_count() <= near_bits and (min(a, b), max(a, b)) not in compared:
                    compared.add((min(a, b), max(a, b)))
                    across = [(x, y) for p, x in seen[a].items() for q, y in seen[b].items() if p != q]
                    pairs += [min((min(pair), max(pair)) for pair in across)] if across else []
    return sorted(pairs)
