"""A subset as the map-style dataset that a PyTorch DataLoader takes; torch itself is never imported."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, SupportsIndex

if TYPE_CHECKING:
    from PIL import Image

    from arboretum_tools.subset.dataset import Subset


@dataclass(frozen=True, slots=True)
class TorchView:
    """(image, label) by position: all that `torch.utils.data.DataLoader` asks of a map-style dataset.

    It does not import torch; torch takes any object with these two methods.

    Attributes:
        subset: the photos.
        transform: applied to each RGB image; None gives the image itself.
    """

    subset: Subset
    transform: Callable[[Image.Image], Any] | None = None

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.subset)

    def __getitem__(self, index: SupportsIndex) -> tuple[Any, int]:
        """The transformed image and the label of one photo.

        Raises:
            IndexError: there is no such photo.
            UndecodableImageError: the bytes are no image that Pillow reads.
        """
        from arboretum_tools.images import decode_rgb

        position = operator.index(index)
        data = self.subset.read_bytes(position)
        image = decode_rgb(data, name=f"photo {self.subset.photo_ids[position]}")
        label = int(self.subset.labels[position])
        return (image if self.transform is None else self.transform(image)), label
