"""Batches of photos, straight from the image store: the same ones whatever prepares them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from arboretum_tools.options.training import TrainingRecipe
from arboretum_tools.split.rebalancing.samplers import LongTailSampler
from arboretum_tools.subset import Subset
from arboretum_tools.training.augment import View


@dataclass(frozen=True, slots=True)
class Batch:
    """Some photos.

    Attributes:
        views: uint8, (V, B, 3, H, W): every way in which each photo is shown.
        labels: int64, (B,).
        photo_ids: int64, (B,).
    """

    views: Tensor
    labels: Tensor
    photo_ids: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on another device; the ids stay."""
        return Batch(
            self.views.to(device, non_blocking=True),
            self.labels.to(device, non_blocking=True),
            self.photo_ids,
        )


@dataclass(frozen=True, slots=True)
class Photos:
    """Photos of a subset as a map-style dataset; a key is (epoch, position).

    Attributes:
        subset: where they come from.
        views: how each is shown.
        seed: of the run.
    """

    subset: Subset
    views: tuple[View, ...]
    seed: int

    def __len__(self) -> int:
        return len(self.subset)

    def __getitem__(self, key: tuple[int, int]) -> tuple[list[Tensor], int, int]:
        epoch, position = key
        photo_id = int(self.subset.photo_ids[position])
        data = self.subset.read_bytes(position)
        shown = [
            view(
                data,
                name=f"photo {photo_id}",
                # A text is hashed by SHA-512, which no version of Python does otherwise.
                generator=random.Random(f"{self.seed} {epoch} {photo_id} {number}"),  # noqa: S311
            )
            for number, view in enumerate(self.views)
        ]
        return shown, int(self.subset.labels[position]), photo_id


def _collate(photos: list[tuple[list[Tensor], int, int]]) -> Batch:
    return Batch(
        views=torch.stack(
            [torch.stack(view) for view in zip(*(shown for shown, _, _ in photos), strict=True)]
        ),
        labels=torch.tensor([label for _, label, _ in photos]),
        photo_ids=torch.tensor([photo_id for _, _, photo_id in photos]),
    )


class _Keys:
    """The batches of the epoch that is set, as keys; what the loader iterates over anew for each."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[int, int]]] = []

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class Loader:
    """Batches of a subset; worker processes, if any, live as long as the loader."""

    def __init__(self, photos: Photos, *, workers: int, pinned: bool = False) -> None:
        self.photos = photos
        self._keys = _Keys()
        self._loader = DataLoader(
            photos,
            batch_sampler=self._keys,
            collate_fn=_collate,
            num_workers=workers,
            pin_memory=pinned,
            persistent_workers=workers > 0,
            # Its own: from torch's it would draw as often as there are workers and epochs.
            generator=torch.Generator(),
        )

    def batches(self, positions: NDArray[np.int64], size: int, *, epoch: int = 0) -> Iterator[Batch]:
        """The photos at some positions, in their order, `size` at a time; the last batch may be smaller."""
        self._keys.batches = [
            [(epoch, int(position)) for position in positions[first : first + size]]
            for first in range(0, len(positions), size)
        ]
        yield from self._loader


class TrainingOrder:
    """Which photos each step of each epoch takes, for one of several processes.

    A last batch that is not full is left out, but for that of a part with fewer photos than one batch: the
    order is another one in every epoch, so no photo is left out twice in a row but by chance.
    """

    def __init__(
        self, labels: NDArray[np.int32], recipe: TrainingRecipe, *, rank: int, processes: int
    ) -> None:
        self._sampler = LongTailSampler(
            labels, recipe.sampler, seed=recipe.seed, rank=rank, world_size=processes
        )
        whole = min(recipe.batch_size, len(labels) // processes * processes) // processes
        #: Photos of one pass through the network in this process.
        self.part = max(1, whole // recipe.accumulate)
        #: Passes of a step of the optimizer.
        self.parts = recipe.accumulate if whole >= recipe.accumulate else 1
        #: Steps per epoch.
        self.steps = len(labels) // processes // (self.part * self.parts)

    def positions(self, epoch: int) -> NDArray[np.int64]:
        """Those of this process in an epoch, of whole steps only."""
        self._sampler.set_epoch(epoch)
        order = np.fromiter(self._sampler, dtype=np.int64)
        return order[: self.steps * self.part * self.parts]
