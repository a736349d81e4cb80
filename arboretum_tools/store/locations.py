"""Where images lie in a store, and the cheap ways through them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Locations:
    """Arrays of one length: 16 bytes per image.

    Attributes:
        shard: number of the shard.
        offset: first byte of the image in its tar.
        size_bytes: length of the image.
    """

    shard: NDArray[np.int32]
    offset: NDArray[np.int64]
    size_bytes: NDArray[np.int32]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.shard)

    def __getitem__(self, index: Any) -> Locations:
        return Locations(self.shard[index], self.offset[index], self.size_bytes[index])

    def in_file_order(self) -> NDArray[np.int64]:
        """Positions by (shard, offset): each tar is read once, from front to back."""
        return np.lexsort((self.offset, self.shard))
