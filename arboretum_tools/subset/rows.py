"""What the split says of the photos of a subset, read when somebody asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from arboretum_metadata.schema import PART
from arboretum_tools.errors import SplitError
from arboretum_tools.split.files.manifest import Split

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a part. Those of a split that was opened from its folder are read anew each time.

    Attributes:
        split: that they are of.
        part: name of the part.
        positions: in the part; None = all of its rows.
    """

    split: Split
    part: str
    positions: NDArray[np.int64] | None = None

    def take(self, positions: NDArray[np.int64]) -> Rows:
        """Some of these rows, by their position among them."""
        chosen = positions if self.positions is None else self.positions[positions]
        return replace(self, positions=chosen)

    def table(self, photo_ids: NDArray[np.int64], columns: Sequence[str] = PART.names) -> pa.Table:
        """Some columns, in the order of `positions`.

        Args:
            photo_ids: the photos that the rows must be of.
            columns: their names.

        Raises:
            SplitError: the split cannot be read, or is another one by now.
        """
        requested = dict.fromkeys(("photo_id", *columns))
        found = pa.Table.from_batches(self.split.batches(self.part, list(requested)))
        if self.positions is not None:
            inside = not len(self.positions) or self.positions.max() < found.num_rows
            found = found.take(pa.array(self.positions)) if inside else found.slice(0, 0)
        if not np.array_equal(found["photo_id"].to_numpy(), photo_ids):
            raise SplitError(
                f"part {self.part} of {self.split.path or self.split.name} has other photos than when this "
                "subset was opened",
                hint="Open the subset again.",
            )
        return found.select(list(columns))

    def __reduce__(self) -> tuple[Any, ...]:
        # Only the rows themselves go through pickle, not the rest of a split that is in memory.
        ids = self.split.part(self.part)["photo_id"].to_numpy()
        taken = self.table(ids if self.positions is None else ids[self.positions])
        alone = replace(self.split, tables={self.part: taken}, left_out=None, unused_classes=None, files=None)
        return Rows, (alone, self.part)
