"""What a download would do, decided before it does anything. Pure: counts in, a plan out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from arboretum_tools.display import notebook_views
from arboretum_tools.downloading.network.budget import ByteAllowance, seconds_within
from arboretum_tools.errors import BadInputError, OutOfSpaceError
from arboretum_tools.options.store import SHARD_BYTES, SHARD_PHOTOS
from arboretum_tools.store.shards.layout import PENDING
from arboretum_tools.wording import counted

#: Above so many bytes a download has to be confirmed.
CONFIRM_BYTES = 100 * 10**9

#: The line that the time is told for, in bytes per second: 100 Mbit/s.
LINE_BYTES_S = 12_500_000

#: Seconds that an answer is taken to take, of which so many are waited for at once as there are connections.
ANSWER_S = 0.1

#: What a photo takes beside its bytes: tar header, half a block of padding, its row in the index.
OVERHEAD_BYTES = 1_024

_ALLOWANCE = ByteAllowance()


@dataclass(frozen=True, slots=True)
class DownloadEstimate:
    """What a download would do.

    Attributes:
        store: the image store, as it was named.
        size: photo size, one of `vocab.PHOTO_SIZES`.
        english: what was asked for, in words.
        plan_id: id of the plan in the store's `requests/`.
        requested: photos that were asked for.
        by_status: of these, photos by their state in the store now, `pending` = never tried.
        to_fetch: photos that will be asked of the host.
        size_bytes: about how many bytes come, by `photo_bytes` each.
        photo_bytes: what one photo is taken to have: the mean of the store's own, or by its pixels.
        kept_bytes: what is kept of it: as much, or less where it is resized.
        disk_bytes: about what they take on the disk, of a store in a bucket at one time.
        free_bytes: what the disk has left, of a store in a bucket that of its scratch folder.
        shards: about how many shards they make.
        seconds: about how long it takes on a line of 100 Mbit/s where a host answers within `ANSWER_S`, and
            within `budget_left`.
        seconds_measured: the same at the speed of the store's last shard; None where there is none.
        budgeted: of `to_fetch`, photos of static.inaturalist.org, which has a byte budget.
        budget_left: bytes that it may still be asked for in this hour and this day; None where it is not
            asked.
        classes: of the photos asked for; None where only their ids are known.
        licenses: photos asked for by licence, most first; None likewise.
    """

    store: str | Path
    size: str
    english: str
    plan_id: str
    requested: int
    by_status: Mapping[str, int]
    to_fetch: int
    size_bytes: int
    photo_bytes: int
    kept_bytes: int
    disk_bytes: int
    free_bytes: int
    shards: int
    seconds: float
    seconds_measured: float | None = None
    budgeted: int = 0
    budget_left: tuple[int, int] | None = None
    classes: int | None = None
    licenses: Mapping[str, int] | None = None

    _repr_html_ = notebook_views.report

    def to_dict(self) -> dict[str, Any]:
        """The same, JSON-able."""
        return asdict(self) | {"store": str(self.store), "by_status": dict(self.by_status)}


def make_plan(
    *,
    store: str | Path,
    size: str,
    english: str,
    plan_id: str,
    by_status: Mapping[str, int],
    retry: Iterable[str],
    photo_bytes: int,
    kept_bytes: int,
    free_bytes: int,
    connections: int = 32,
    budgeted: int = 0,
    budget_left: tuple[int, int] | None = None,
    allowance: ByteAllowance = _ALLOWANCE,
    measured_bytes_s: float | None = None,
    open_bytes: int = 0,
    most_bytes: int | None = None,
) -> DownloadEstimate:
    """The plan that follows from what was asked for and what the store holds; see DownloadEstimate.

    `open_bytes` is what a run that was cut short left in open shards: its photos count as still to be
    fetched, but what they take is on the disk already. More than `most_bytes` never lies there.
    """
    to_fetch = sum(by_status[state] for state in {PENDING, *retry})
    size_bytes = to_fetch * photo_bytes
    disk_bytes = max(0, to_fetch * (kept_bytes + OVERHEAD_BYTES) - open_bytes)
    held_up = seconds_within(allowance, budget_left, budgeted * photo_bytes) if budget_left else 0.0
    return DownloadEstimate(
        store=store,
        size=size,
        english=english,
        plan_id=plan_id,
        requested=sum(by_status.values()),
        by_status=by_status,
        to_fetch=to_fetch,
        size_bytes=size_bytes,
        photo_bytes=photo_bytes,
        kept_bytes=kept_bytes,
        disk_bytes=disk_bytes if most_bytes is None else min(disk_bytes, most_bytes),
        free_bytes=free_bytes,
        shards=math.ceil(max(to_fetch / SHARD_PHOTOS, to_fetch * kept_bytes / SHARD_BYTES)),
        # Small photos wait for answers, large ones for the line.
        seconds=max(size_bytes / LINE_BYTES_S, to_fetch * ANSWER_S / connections, held_up),
        seconds_measured=max(size_bytes / measured_bytes_s, held_up) if measured_bytes_s else None,
        budgeted=budgeted,
        budget_left=budget_left,
    )


def check_plan(plan: DownloadEstimate, *, yes: bool) -> None:
    """Refuses what the disk cannot hold, and what is large and was not confirmed.

    Raises:
        OutOfSpaceError: the disk has less room than the download takes.
        BadInputError: it is larger than 100 GB, and `yes` is False.
    """
    if plan.disk_bytes > plan.free_bytes:
        raise OutOfSpaceError(
            f"about {gigabytes(plan.disk_bytes)} are needed for {counted(plan.to_fetch, 'photo')}, and the "
            f"disk of {plan.store} has {gigabytes(plan.free_bytes)} left; nothing was downloaded",
            hint="Free some space, choose a folder on another disk with --images, a smaller --size, or fewer "
            "photos with --limit.",
        )
    if plan.size_bytes > CONFIRM_BYTES and not yes:
        raise BadInputError(
            f"{counted(plan.to_fetch, 'photo')} are about {gigabytes(plan.size_bytes)}, more than "
            f"{gigabytes(CONFIRM_BYTES)}; nothing was downloaded",
            hint="Say --yes if that is meant, or take fewer photos with --limit.",
        )


def gigabytes(count: int) -> str:
    """A number of bytes for people, in decimal units."""
    for unit, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count / 1000:.1f} kB"
