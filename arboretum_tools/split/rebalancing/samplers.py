"""Index samplers for long-tailed training, without torch: instance-, class- and square-root-balanced.

A `torch.utils.data.DataLoader` takes one as its `sampler`. The order of an epoch depends on the labels, the
seed and the epoch alone, by the stable key: it is the same under every version of numpy and torch and on
every machine.

    sampler = LongTailSampler(subset.labels, "class", seed=0, rank=rank, world_size=8)
    for epoch in range(90):
        sampler.set_epoch(epoch)
        for index in sampler: ...
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from arboretum_tools.errors import UsageError
from arboretum_tools.stable_key import keys, text_id

#: How a class is drawn, with the power q of its count: p(class) is proportional to n ** q (Kang et al. 2020,
#: "Decoupling Representation and Classifier", arXiv 1910.09217).
POWERS: Mapping[str, float] = {"instance": 1.0, "square-root": 0.5, "class": 0.0}

Kind = Literal["instance", "square-root", "class"]


class LongTailSampler:
    """Positions of a part in the order of one epoch, for one of several processes.

    `instance` goes through every photo once. The others draw `num_samples` times: first a class, then its
    next photo in an order of its own, so that the photos of a class come up equally often within one epoch.

    All processes get the same number of positions: the last are filled up from the first of the epoch.

    Attributes:
        kind: `instance`, `class` or `square-root`.
        epoch: the epoch that the next iteration goes through; set by `set_epoch`.
        consumed: positions of this epoch that all processes together have been given; a loader that reads
            ahead has asked for more than it has trained on.

    >>> import arboretum_tools as at
    >>> train = at.load_subset("splits/aves-lt100", images="images", part="train")
    >>> sampler = at.LongTailSampler(train.labels, kind="class", seed=0)
    >>> len(list(sampler)) == len(train)
    True
    """

    def __init__(
        self,
        labels: ArrayLike,
        kind: Kind = "class",
        *,
        seed: int = 0,
        num_samples: int | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Makes a sampler.

        Args:
            labels: class of each photo, index = position.
            kind: `instance`, `class` or `square-root`.
            seed: another seed gives another order.
            num_samples: draws per epoch, of all processes together; default the number of photos.
            rank: of this process, 0 to world_size - 1.
            world_size: number of processes.

        Raises:
            UsageError: an unknown kind, no photos, a rank outside the world, fewer than one draw.
        """
        if kind not in POWERS:
            raise UsageError(f"there is no sampler {kind!r}; the samplers are {', '.join(POWERS)}")
        self._labels: NDArray[np.int64] = np.asarray(labels, dtype=np.int64)
        if self._labels.ndim != 1 or not len(self._labels):
            raise UsageError("a sampler needs the labels of one photo or more, in one dimension")
        if not 0 <= rank < world_size:
            raise UsageError(f"rank {rank} must lie between 0 and world_size - 1, here {world_size - 1}")
        draws = len(self._labels) if num_samples is None else num_samples
        if draws < 1 or (kind == "instance" and draws > len(self._labels)):
            raise UsageError(f"{draws} draws per epoch are not 1 to the photos there are")
        self.kind: Kind = kind
        self.seed, self.rank, self.world_size = seed, rank, world_size
        self.num_samples = draws
        self.epoch, self.consumed = 0, 0

    def set_epoch(self, epoch: int) -> None:
        """Begins an epoch; setting the current one again goes on where it was.

        >>> sampler = LongTailSampler([0, 0, 0, 1])
        >>> sampler.set_epoch(3)
        >>> sampler.epoch
        3
        """
        if epoch != self.epoch:
            self.epoch, self.consumed = epoch, 0

    def __len__(self) -> int:
        """Positions that this process gets from here to the end of the epoch."""
        done = self.consumed if self.consumed < self.num_samples else 0
        return -(-(self.num_samples - done) // self.world_size)

    def __iter__(self) -> Iterator[int]:
        """The positions of this process, from where the epoch stands to its end."""
        if self.consumed >= self.num_samples:
            self.consumed = 0
        order = self.order()
        rest = order[self.consumed :]
        padded = np.resize(np.concatenate([rest, order]), len(self) * self.world_size)
        for position in padded[self.rank :: self.world_size].tolist():
            self.consumed += self.world_size
            yield position

    def order(self) -> NDArray[np.int64]:
        """The whole epoch, of all processes together, shape (num_samples,).

        >>> sorted(LongTailSampler([0, 0, 0, 1], "class").order().tolist())
        [0, 1, 3, 3]
        """
        positions = np.arange(1, len(self._labels) + 1)
        by_key = np.lexsort((positions, keys(positions, "shuffle", self._salt("photos"))))
        if self.kind == "instance":
            shuffled: NDArray[np.int64] = by_key[: self.num_samples].astype(np.int64)
            return shuffled
        # Photos by class, shuffled within the class.
        members = by_key[np.argsort(self._labels[by_key], kind="stable")]
        classes, counts = np.unique(self._labels, return_counts=True)
        first = np.concatenate([[0], np.cumsum(counts)[:-1]])
        drawn = self._classes(counts)
        # The j-th draw of a class takes its j-th photo, over and over.
        by_class = np.argsort(drawn, kind="stable")
        times = np.bincount(drawn, minlength=len(classes))
        turn = np.empty(self.num_samples, dtype=np.int64)
        turn[by_class] = np.arange(self.num_samples) - np.repeat(np.cumsum(times) - times, times)
        found: NDArray[np.int64] = members[first[drawn] + turn % counts[drawn]].astype(np.int64)
        return found

    def _classes(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """The class of each draw: even steps through the cumulative shares, in a shuffled order.

        Even steps instead of independent draws: a class gets its share of every epoch to within one photo.
        """
        shares = np.cumsum(counts.astype(np.float64) ** POWERS[self.kind])
        draws = np.arange(1, self.num_samples + 1)
        shift = float(keys(np.array([1]), "shuffle", self._salt("shift"))[0]) / 2**32
        steps = (draws - 1 + shift) / self.num_samples * shares[-1]
        even = np.minimum(np.searchsorted(shares, steps, side="right"), len(counts) - 1)
        shuffled: NDArray[np.int64] = even[np.lexsort((draws, keys(draws, "shuffle", self._salt("classes"))))]
        return shuffled

    def _salt(self, what: str) -> int:
        return text_id(f"{what}\0{self.seed}\0{self.epoch}")

    def state_dict(self) -> dict[str, Any]:
        """Where the sampler stands; the same for every process, and good for another number of them.

        >>> LongTailSampler([0, 0, 0, 1]).state_dict()["consumed"]
        0
        """
        return {
            "kind": self.kind,
            "seed": self.seed,
            "num_samples": self.num_samples,
            "epoch": self.epoch,
            "consumed": self.consumed,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where `state_dict` was taken.

        Raises:
            UsageError: it was taken of a sampler with another kind, seed or number of draws.

        >>> sampler = LongTailSampler([0, 0, 0, 1])
        >>> sampler.load_state_dict({**sampler.state_dict(), "epoch": 2})
        >>> sampler.epoch
        2
        """
        for name in ("kind", "seed", "num_samples"):
            if state.get(name) != getattr(self, name):
                raise UsageError(
                    f"the state has {name} {state.get(name)!r}, and this sampler {getattr(self, name)!r}"
                )
        self.epoch, self.consumed = int(state["epoch"]), int(state["consumed"])
