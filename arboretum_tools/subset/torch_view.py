"""A subset as the map-style dataset that a PyTorch DataLoader takes; torch itself is never imported."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, SupportsIndex

from arboretum_tools.errors import ArboretumError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image


# More broken photos in a row than this are no broken photos but a store that is gone.
_MOST_SKIPPED = 50


class Photos(Protocol):
    """What this module needs of a Subset."""

    skipped: dict[int, str]
    photo_ids: NDArray[np.int64]
    labels: NDArray[np.int32]

    @property
    def on_error(self) -> str:
        """What a photo that cannot be read does."""

    def __len__(self) -> int:
        """Number of photos."""

    def read_bytes(self, index: int, /) -> bytes:
        """The image of one photo."""


@dataclass(frozen=True, slots=True)
class TorchView:
    """(image, label) by position: all that `torch.utils.data.DataLoader` asks of a map-style dataset.

    It does not import torch; torch takes any object with these two methods.

    Attributes:
        subset: the photos.
        transform: applied to each RGB image; None gives the image itself.
    """

    subset: Photos
    transform: Callable[[Image.Image], Any] | None = None

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.subset)

    def __getitem__(self, index: SupportsIndex) -> tuple[Any, int]:
        """The transformed image and the label of one photo.

        Raises:
            IndexError: there is no such photo.
            StoreError: the shard is not there.
            VerificationError: the store's index and its tar do not agree.
            UndecodableImageError: the bytes are no image that Pillow reads. With `on_error="skip"` these
                three only where 50 photos in a row cannot be read.
        """
        position = operator.index(index)
        if self.subset.on_error == "raise":
            return self._read(position)
        try:
            return self._read(position)
        except ArboretumError as error:
            return self._next_after(position, error)

    def _next_after(self, position: int, error: ArboretumError) -> tuple[Any, int]:
        """The next photo that can be read, in the stead of one that cannot."""
        subset, at = self.subset, position
        for step in range(1, _MOST_SKIPPED + 1):
            subset.skipped[int(subset.photo_ids[at])] = error.message
            at = (position + step) % len(subset)
            try:
                return self._read(at)
            except ArboretumError as other:
                error = other
        raise error

    def _read(self, position: int) -> tuple[Any, int]:
        from arboretum_tools.imaging.images import decode_rgb

        data = self.subset.read_bytes(position)
        image = decode_rgb(data, name=f"photo {self.subset.photo_ids[position]}")
        label = int(self.subset.labels[position])
        return (image if self.transform is None else self.transform(image)), label
