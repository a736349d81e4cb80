"""`arboretum status`: what an image store holds and lacks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from arboretum_cli.flags.declared import takes
from arboretum_cli.flags.shared import Images, Json, reaches_buckets
from arboretum_cli.printing.output import result, table
from arboretum_tools.options import Option
from arboretum_tools.wording import counted, size

if TYPE_CHECKING:
    from arboretum_tools.store.inventory import PhotoStory


@dataclass(frozen=True, kw_only=True)
class OwnOptions:
    """What `arboretum status` takes besides the store."""

    photo: Annotated[
        int | None, Option("Everything that the store knows about this photo.", metavar="ID")
    ] = None


@takes(own=OwnOptions)
@reaches_buckets()
def status(
    images: Images = Path("images"),
    *,
    own: OwnOptions,
    json: Json = False,
) -> None:
    """Show what an image store holds and lacks, and why.

    Reads the indexes and the saved plans, never the images. In Python:
    `arboretum_tools.store.inventory.status(path)`, and `.story(path, photo_id)` for one photo.

    A store in a bucket (extra `cloud`): `--images s3://photos/aves --endpoint https://minio.example`.

    \b
    Examples:
        arboretum status
        arboretum status --images images --json
        arboretum status --images images --photo 159565485
    """
    from arboretum_tools.store import inventory
    from arboretum_tools.store.shards.layout import resized_in_words

    if own.photo is not None:
        told = inventory.story(images, own.photo)
        return result(json, told.to_dict(), _story_lines(told, images))
    found = inventory.status(images)
    rows = [(state, count) for state, count in found.photos.items() if count]
    lines = [
        f"{found.path}: photos of size {found.size}"
        + (f", {resized_in_words(found.resize)}" if found.resize else "")
        + f", {size(found.size_bytes)} in "
        f"{counted(found.shards, 'shard')}"
        + (
            f" and {found.open_shards:,} open with {counted(found.open_photos, 'photo')}"
            if found.open_shards
            else ""
        )
        + f", asked for by {counted(found.plans, 'plan')}",
        *table(("status", "photos"), rows),
    ]
    if found.reasons:
        reasons = [(r.status, r.photos, r.error) for r in found.reasons]
        lines += ["", *table(("status", "photos", "reason"), reasons)]
    # Of one host from which all came, the table above says it already.
    if len(found.hosts) > 1 or found.reasons:
        states = [state for state, count in rows if state != "pending"]
        hosts = [
            (host.host or "(none)", size(host.size_bytes), *(host.photos.get(state, 0) for state in states))
            for host in found.hosts
        ]
        lines += ["", *table(("host", "bytes", *states), hosts)]
    return result(json, found.to_dict(), lines)


def _story_lines(told: PhotoStory, store: Path) -> list[str]:
    from arboretum_tools.store.plans import saved

    lines = [f"photo {told.photo_id} in {store}: {told.state}"]
    for shard, row in told.rows:
        tries = counted(row.attempts, "request")
        lines += ["", f"{row.fetched_at:%Y-%m-%d %H:%M:%S} UTC, shard {shard}: {row.status} after {tries}"]
        facts = {
            "reason": row.error,
            "address": row.url or None,
            "HTTP status": row.http_status,
            "image": row.offset is not None
            and f"{row.member}, {row.format} of {row.width} x {row.height}, "
            f"{row.size_bytes:,} bytes at {row.offset}",
            "SHA-256": row.sha256,
            "ETag": row.etag,
        }
        lines += [f"  {name}: {value}" for name, value in facts.items() if value]
    plans = {plan.id: plan for plan in saved(store)}
    lines += [""] if told.plans else []
    for name in told.plans:
        plan = plans.get(name)
        lines.append(f"asked for by plan {name}" + (f": {plan.source.get('english', '')}" if plan else ""))
    return lines
