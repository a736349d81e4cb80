"""Progress as data: the library emits these, whoever called it draws them.

A callback gets every event, on the thread that does the work, in order. It should return quickly; an
exception that it raises ends the run as Ctrl-C would, with the state kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the user should read once, such as which catalogue rows were left out."""

    text: str


@dataclass(frozen=True, slots=True)
class StageStarted:
    """A stage of known length begins.

    Attributes:
        stage: what is done, in a word or two (`download`, `export`).
        total: number of units to do; None where it is not known.
        unit: what is counted (`photo`).
        done: units of the total that an earlier run had done.
    """

    stage: str
    total: int | None
    unit: str = "photo"
    done: int = 0


@dataclass(frozen=True, slots=True)
class PhotoDone:
    """One photo reached its state.

    Attributes:
        photo_id: the photo.
        status: its state in the store, or `written` in an export.
        size_bytes: bytes of the image; 0 where there is none.
    """

    photo_id: int
    status: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class UnitDone:
    """Some units of a stage are done.

    Attributes:
        count: how many, in the unit of the stage.
    """

    count: int


@dataclass(frozen=True, slots=True)
class StepDone:
    """One step of training is over.

    Attributes:
        count: photos of it.
        loss: its loss.
        lr: its learning rate.
    """

    count: int
    loss: float
    lr: float


@dataclass(frozen=True, slots=True)
class ShardFinished:
    """A shard is whole on disk.

    Attributes:
        name: its file name.
        photos: images in it.
        size_bytes: length of the file.
    """

    name: str
    photos: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StageFinished:
    """The stage that was started last is over."""

    stage: str


Event = Note | StageStarted | PhotoDone | UnitDone | StepDone | ShardFinished | StageFinished
OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The callback of a caller who did not ask."""
