"""What an import did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from arboretum_tools.display import notebook_views


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Why some files are not in the store.

    Attributes:
        status: `invalid`, `failed`, `withdrawn`, or `changed`: the store holds other bytes under this path.
        reason: in words, without counts of bytes, so that alike ones fall together.
        files: how many.
        example: the path of one of them.
    """

    status: str
    reason: str
    files: int
    example: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did, and where that leaves the files.

    Attributes:
        folder: as it was named.
        store: the image store, as it was named.
        files: that were found, or that the split names.
        images: of these, images that the store holds now.
        tried: files that were read in this run.
        stored: of these, images that were stored.
        size_bytes: bytes of these images.
        left_out: why the other files are not there, most frequent first, at most 20.
        classes: folders of classes that have an image; None with a split.
        catalog: the catalogue, as it was named; None where none was asked for.
        seconds: how long it took.
    """

    folder: str
    store: str
    files: int
    images: int
    tried: int
    stored: int
    size_bytes: int
    left_out: tuple[LeftOut, ...]
    classes: int | None
    catalog: Path | None
    seconds: float

    _repr_html_ = notebook_views.report

    def to_dict(self) -> Mapping[str, Any]:
        """The same, JSON-able."""
        return asdict(self) | {
            "catalog": None if self.catalog is None else str(self.catalog),
            "left_out": [asdict(one) for one in self.left_out],
        }
