"""`arboretum verify`: every byte of an image store against its hash."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from arboretum_cli.flags.declared import Given, takes
from arboretum_cli.flags.shared import Images, Json, reaches_buckets
from arboretum_cli.printing.output import duration, result
from arboretum_cli.printing.progress import Progress
from arboretum_tools.options.store import VerifyOptions
from arboretum_tools.wording import counted, size

if TYPE_CHECKING:
    from arboretum_tools.store.verify import Verification


_NOT_SEEN = "not seen by decoding: a JPEG that came with a changed bit nearly always decodes, to other pixels"


@takes(options=VerifyOptions)
@reaches_buckets()
def verify(
    images: Images = Path("images"),
    *,
    options: Given,
    json: Json = False,
) -> None:
    """Read every image of a store and compare it with its index.

    Exits with 6 if anything differs from the index; changes nothing. In Python:
    `arboretum_tools.verify_store(path)`.

    A store in a bucket (extra `cloud`): `--images s3://photos/aves --endpoint https://minio.example`.

    \b
    Examples:
        arboretum verify
        arboretum verify --images images --decode --json
    """
    from arboretum_tools.store.verify import DamagedStoreError
    from arboretum_tools.store.verify import verify_store as check

    with Progress() as progress:
        try:
            found = check(images, **options, on_event=progress)
        except DamagedStoreError as error:
            result(json, error.verification.to_dict(), _lines(error.verification))
            raise
    return result(json, found.to_dict(), _lines(found))


def _lines(found: Verification) -> list[str]:
    told = [
        f"{damage.shard}: " + (f"photo {damage.photo_id} " if damage.photo_id else "") + damage.what
        for damage in found.damages
    ]
    more = found.damaged - len(told)
    return [
        f"{found.path}: {counted(found.photos, 'image')} ({size(found.size_bytes)}) in "
        f"{counted(found.shards, 'shard')} read{' and decoded' if found.decoded else ''} in "
        f"{duration(found.seconds)}; " + (f"{found.damaged:,} damaged" if found.damaged else "all whole"),
        *([f"{counted(found.open_shards, 'open shard')} not read"] if found.open_shards else []),
        *([_NOT_SEEN] if found.decoded else []),
        *told,
        *([f"and {more:,} more"] if more else []),
    ]
