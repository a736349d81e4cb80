"""The options of what changes or proves an image store besides a download."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

from arboretum_tools.errors import UsageError
from arboretum_tools.events import OnEvent, ignore
from arboretum_tools.options import Option, check

#: Photos (tried, not only stored) and bytes at which a shard is finished, whichever comes first.
SHARD_PHOTOS = 10_000
SHARD_BYTES = 1 << 30

#: What a tombstone may say, in characters.
LONGEST_REASON = 500

#: The image store that is read, or changed where it is.
IMAGES = Option("The image store: a folder, or s3://BUCKET/PREFIX.", metavar="STORE")
ImagesOption: TypeAlias = Annotated[str | Path, IMAGES]


@dataclass(frozen=True, kw_only=True)
class VerifyOptions:
    """What `verify_store` takes.

    Attributes:
        progress: draw bars where somebody watches and no `on_event` is given.
        on_event: gets a ShardFinished for each shard, in order.
    """

    decode: Annotated[
        bool,
        Option(
            "Decode the pixels too: finds what a decoder reports and markers out of place, not every changed "
            "bit of a JPEG. About ten times the work."
        ),
    ] = False
    progress: bool = True
    on_event: OnEvent = ignore

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class PruneOptions:
    """What `prune_store` takes.

    Attributes:
        apply: False only counts; the flag `--apply` asks for True, so that nothing is removed by accident.
        progress: draw bars where somebody watches and no `on_event` is given.
        on_event: gets a UnitDone for each shard that was written anew.
    """

    reason: Annotated[
        str,
        Option(f"Why, for the tombstones: at most {LONGEST_REASON} printable characters.", metavar="TEXT"),
    ] = "withdrawn"
    apply: bool = True
    progress: bool = True
    on_event: OnEvent = ignore

    def __post_init__(self) -> None:
        check(self)
        if not self.reason.isprintable() or not 0 < len(self.reason) <= LONGEST_REASON:
            raise UsageError(
                f"a reason is 1 to {LONGEST_REASON} printable characters, not {self.reason[:80]!r}"
            )


@dataclass(frozen=True, kw_only=True)
class MergeOptions:
    """What `merge_stores` takes.

    Attributes:
        progress: draw bars where somebody watches and no `on_event` is given.
        on_event: gets a UnitDone for each shard of a source that was copied.
    """

    shard_photos: Annotated[int, Option("Photos at which a shard is finished.", metavar="N", least=1)] = (
        SHARD_PHOTOS
    )
    shard_bytes: Annotated[int, Option("Bytes at which a shard is finished.", metavar="N", least=1)] = (
        SHARD_BYTES
    )
    progress: bool = True
    on_event: OnEvent = ignore

    def __post_init__(self) -> None:
        check(self)
