"""What a download was asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from arboretum_metadata.vocab import PHOTO_SIZES
from arboretum_tools.downloading.options import DownloadOptions
from arboretum_tools.downloading.resize import Resize
from arboretum_tools.downloading.tasks.task import TaskSpec
from arboretum_tools.errors import UsageError
from arboretum_tools.events import OnEvent, ignore
from arboretum_tools.photos.photo_plan import PhotoSource
from arboretum_tools.store.shards.layout import StoreConfig


@dataclass(frozen=True, slots=True)
class Job:
    """A download that was asked for.

    Attributes:
        photos: what to fetch.
        images: the store, as it was named.
        size: one of `vocab.PHOTO_SIZES`.
        resize: how photos are shrunk as they come; None = they are stored as they came.
        options: how to behave.
        yes: whether more than 100 GB is meant.
        processes: how many fetch it on this machine, this one included.
        on_event: called with each event.
    """

    photos: PhotoSource
    images: str | Path
    size: str = "medium"
    resize: Resize | None = None
    options: DownloadOptions = field(default_factory=DownloadOptions)
    yes: bool = False
    processes: int = 1
    on_event: OnEvent = ignore

    def __post_init__(self) -> None:
        if self.resize is not None and self.resize.shorter_side >= PHOTO_SIZES[self.size]:
            raise UsageError(
                f"resizing to {self.resize.shorter_side} pixels changes nothing: photos of size {self.size} "
                f"have at most {PHOTO_SIZES[self.size]}",
                hint="Photos are never enlarged. Take a larger --size, or leave --resize out.",
            )

        if self.processes > self.options.connections:
            raise UsageError(
                f"a download has no more processes than its {self.options.connections} connections, "
                f"not {self.processes}"
            )

    @property
    def config(self) -> StoreConfig:
        """What the store holds."""
        return StoreConfig(self.size, self.resize.to_dict() if self.resize is not None else None)

    def tasks(self, plan_id: str) -> list[TaskSpec]:
        """What is to be done, once its plan is saved: one task a process."""
        return [
            TaskSpec.of(
                self.options,
                images=str(self.images),
                plan_id=plan_id,
                task_id=number,
                num_tasks=self.processes,
                one_machine=True,
            )
            for number in range(self.processes)
        ]
