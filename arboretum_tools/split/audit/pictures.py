"""The promises of a split that need its images: no photo, and none like it, in two parts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from arboretum_tools import images
from arboretum_tools.errors import UsageError
from arboretum_tools.events import OnEvent, PhotoDone, StageFinished, StageStarted
from arboretum_tools.split.audit.checks import Check, Files, found
from arboretum_tools.store import ImageStore
from arboretum_tools.wording import counted, does

_MOST_BITS = 7


def check_bits(near_bits: int) -> None:
    """Raises UsageError for a distance out of bounds: the search splits the 64 bits into near_bits + 1."""
    if not 0 <= near_bits <= _MOST_BITS:
        raise UsageError(f"near-bits is 0 to {_MOST_BITS}, not {near_bits}")


class _Held(NamedTuple):
    """A photo of the split that is in the store, with where it stands there."""

    shard: int
    offset: int
    size_bytes: int
    sha256: str
    photo_id: int
    part: str


def checks(files: Files, store: ImageStore, near_bits: int, on_event: OnEvent) -> Iterator[Check]:
    """The checks over an image store; memory grows with the split, some 400 bytes a photo."""
    photos = [
        (photo_id, part) for part, table in files.parts.items() for photo_id in table["photo_id"].to_pylist()
    ]
    held = _in_store(photos, store)
    missing = len(photos) - len(held)
    detail = f"{len(held):,} of {counted(len(photos), 'photo')} {does(len(held), 'are')} in the store"
    if missing and not files.recipe.get("store"):
        yield Check("photos in the store", "not promised", detail)
    else:
        yield found("photos in the store", bool(missing), detail)
    parts_of: dict[str, set[str]] = defaultdict(set)
    for one in held:
        parts_of[one.sha256].add(one.part)
    shared = sum(len(those) > 1 for those in parts_of.values())
    same = sorted((one.sha256, one.photo_id) for one in held if len(parts_of[one.sha256]) > 1)
    yield found(
        "parts disjoint by sha256",
        bool(same),
        f"{counted(shared, 'image')} {does(shared, 'lie')} byte for byte in two parts",
        [photo_id for _, photo_id in same],
    )
    yield _near(held, store, near_bits, on_event)


def _in_store(photos: Sequence[tuple[int, str]], store: ImageStore) -> list[_Held]:
    """Those of some photos, each with its part, that a store holds; in the order of its tar files."""
    expected = {photo_id for photo_id, _ in photos}
    positions: dict[int, tuple[int, int, int, str]] = {}
    for shard in store.shards():
        index = store.index(shard)
        names = ("photo_id", "status", "offset", "size_bytes", "sha256")
        for photo_id, status, *position in zip(*(index[name].to_pylist() for name in names), strict=True):
            if status == "ok" and photo_id in expected:
                positions.setdefault(photo_id, (shard, *position))
    return sorted(_Held(*positions[one], one, part) for one, part in photos if one in positions)


def _near(held: list[_Held], store: ImageStore, near_bits: int, on_event: OnEvent) -> Check:
    """Photos of two parts whose difference hashes differ in at most `near_bits` bits."""
    name = "parts disjoint by near-duplicate"
    on_event(StageStarted("near-duplicates", len(held)))
    seen: dict[int, dict[str, int]] = defaultdict(dict)
    unreadable = 0
    for one in held:
        photo_id, part = one.photo_id, one.part
        data = store.read_bytes(one.shard, one.offset, one.size_bytes, photo_id)
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
    if not held:
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
