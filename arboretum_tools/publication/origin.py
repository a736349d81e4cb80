"""Where the photos of a split or an export are from, in the words of its descriptions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arboretum_metadata.sample import PHOTO_IDS
from arboretum_tools.split.files.manifest import Split
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.store.shards.layout import PATHS
from arboretum_tools.tabular.arrays import to_numpy

if TYPE_CHECKING:
    from numpy.typing import NDArray


#: What holds of all photos that people take.
FOLLOWS_PEOPLE = (
    "Photos follow people: places, seasons and species that observers like are frequent, and the number of "
    "photos of a class says how often it is photographed, not how common it is."
)

#: What holds of all labels that a community agrees on; goes on, or ends.
LABELS = "Labels are agreements of a community and not of specialists alone"

#: What data of drawn photos are for.
DRAWN_FOR = "Trying arboretum-tools. No model of organisms can be learnt from it."


@dataclass(frozen=True, slots=True)
class Origin:
    """Where photos are from.

    Attributes:
        drawn: whether they are those of the bundled sample catalogue, which are drawn and not taken.
        imported: whether they are those of a published data set, whose origin that tells.
        of_files: whether they are images of a folder, of which nothing else is known.
    """

    drawn: bool = False
    imported: bool = False
    of_files: bool = False

    @classmethod
    def of(cls, split: Split) -> Origin:
        """That of a split."""
        if split.files is not None:
            return cls(imported=True)
        if any(_of_files(split, part) for part in split.parts):
            return cls(of_files=True)
        ids = (
            to_numpy(batch.column("photo_id"))
            for part in split.parts
            for batch in split.batches(part, ["photo_id"])
        )
        return cls.of_ids(ids)

    @classmethod
    def of_store(cls, store: ImageStore, ids: Iterable[NDArray[np.int64]]) -> Origin:
        """That of photos with these numbers in a store."""
        if store.config.of_inaturalist:
            return cls.of_ids(ids)
        of_files = store.config.photo_ids == PATHS
        return cls(of_files=of_files, imported=not of_files)

    @classmethod
    def of_ids(cls, ids: Iterable[NDArray[np.int64]]) -> Origin:
        """That of photos with these numbers."""
        return cls(drawn=any(bool(np.any((one >= PHOTO_IDS.start) & (one < PHOTO_IDS.stop))) for one in ids))

    @property
    def inaturalist(self) -> bool:
        """Whether a photo's number is one of iNaturalist's, so that it has a page there."""
        return not (self.imported or self.of_files)

    @property
    def words(self) -> str:
        """As the rest of a sentence."""
        if self.drawn:
            return "drawn by the test server of arboretum-tools for its bundled sample catalogue, not taken"
        if self.imported:
            return "those of the published data set that the split was imported from"
        if self.of_files:
            return "images of a folder, imported by arboretum-tools"
        return "from iNaturalist, by way of Arboretum / BioTrove"

    @property
    def collection(self) -> str:
        """How they came about."""
        if self.drawn:
            return (
                "Pictures that the test server of arboretum-tools drew by taxon for its bundled sample "
                "catalogue, whose names are real and whose photos, observations and observers are invented."
            )
        if self.imported:
            return "As the published data set says from which the split was imported."
        if self.of_files:
            return "Images of a folder. How they came about is not known to arboretum-tools."
        return (
            "Photos that people took of wild organisms and uploaded to iNaturalist, identified by its "
            "community; selected and divided by arboretum-tools, as the recipe says."
        )


def _of_files(split: Split, part: str) -> bool:
    """Whether a part is of imported files: the addresses of all of them say so, and so does the first."""
    first = next(iter(split.batches(part, ["url"])), None)
    return first is not None and len(first) > 0 and str(first["url"][0]).startswith("file:")
