"""What the photos of a split are: licences, observers, years, places, stages; counted batch by batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from arboretum_metadata.vocab import LICENSES
from arboretum_tools.split.files.manifest import Split

if TYPE_CHECKING:
    import pyarrow as pa

#: What photos are counted under of which something is not known.
NOT_KNOWN = "not known"

# Sides of a cell of the grid that places are counted in, in degrees.
_CELL = 10

_COLUMNS = ("license", "observer_id", "life_stage", "observed_on", "latitude", "longitude")


@dataclass(slots=True)
class Composition:
    """Counts of photos over all parts of a split.

    Attributes:
        photos: how many there are.
        licenses: by licence, most open first; `not known` last.
        stages: by life stage, most first.
        years: by year of observation.
        observers: by number of the observer, where it is known.
        cells: by cell of ten degrees, south and west of it, where the place is known.
    """

    photos: int = 0
    licenses: Counter[str] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)
    years: Counter[int] = field(default_factory=Counter)
    observers: Counter[int] = field(default_factory=Counter)
    cells: Counter[tuple[int, int]] = field(default_factory=Counter)

    @classmethod
    def of(cls, split: Split) -> Composition:
        """The composition of a split; memory grows with observers and not with photos."""
        found = cls()
        for part in split.parts:
            for batch in split.batches(part, _COLUMNS):
                found._add(batch)
        ordered = (*LICENSES, NOT_KNOWN)
        found.licenses = Counter({name: found.licenses[name] for name in ordered if found.licenses[name]})
        return found

    def _add(self, batch: pa.RecordBatch) -> None:
        self.photos += batch.num_rows
        for name, count in _counts(batch.column("license")):
            self.licenses[name if name in LICENSES else NOT_KNOWN] += count
        for stage, count in _counts(batch.column("life_stage")):
            self.stages[stage or NOT_KNOWN] += count
        for year, count in _counts(pc.year(batch.column("observed_on"))):
            if year is not None:
                self.years[year] += count
        for observer, count in _counts(batch.column("observer_id")):
            if observer is not None:
                self.observers[observer] += count
        places = zip(batch.column("latitude").to_pylist(), batch.column("longitude").to_pylist(), strict=True)
        for latitude, longitude in places:
            if latitude is not None and longitude is not None:
                self.cells[int(latitude // _CELL) * _CELL, int(longitude // _CELL) * _CELL] += 1

    def share_of_observers(self, top: float) -> float:
        """The share of photos, of those with an observer, that the most active of them took.

        Args:
            top: how many observers, as a share of all of them; at least one.
        """
        counts = sorted(self.observers.values(), reverse=True)
        return sum(counts[: max(1, round(len(counts) * top))]) / sum(counts)

    @property
    def north(self) -> float:
        """The share of photos, of those with a place, that were taken north of the equator."""
        return sum(count for (south, _), count in self.cells.items() if south >= 0) / self.cells.total()


def _counts(values: pa.Array) -> Sequence[tuple[Any, int]]:
    return [(one["values"], one["counts"]) for one in pc.value_counts(values).to_pylist()]
