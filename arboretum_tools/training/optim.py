"""What moves the weights besides the optimizer: rates by epoch, sharpness-aware steps, averages."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn


def step_rate(epoch: float, milestones: Sequence[int], *, gamma: float = 0.1) -> float:
    """Factor of the learning rate: times gamma at each milestone.

    >>> [round(step_rate(epoch, (2, 3)), 4) for epoch in (0, 2, 3)]
    [1.0, 0.1, 0.01]
    """
    return float(gamma ** sum(epoch >= milestone for milestone in milestones))


def cosine_rate(epoch: float, epochs: int) -> float:
    """Factor of the learning rate: half a cosine from 1 to 0.

    >>> [round(cosine_rate(epoch, 4), 3) for epoch in (0, 2, 4)]
    [1.0, 0.5, 0.0]
    """
    return 0.5 * (1 + math.cos(math.pi * min(1.0, epoch / epochs)))


def warmed_up(rate: float, epoch: float, warmup_epochs: float) -> float:
    """The factor while warming up: it rises in a straight line, and is `rate` from `warmup_epochs` on.

    >>> warmed_up(1.0, 1.0, 4.0)
    0.25
    """
    return rate if epoch >= warmup_epochs else rate * epoch / warmup_epochs


class SharpnessAware:
    """The two halves of a step of SAM (Foret et al. 2021, arXiv 2010.01412, eq. 2 and 3).

    After a first backward pass `ascend` moves the weights to w + rho * g / ||g||; after a second one
    `descend` moves them back, and the optimizer steps from w by the gradient that was found there.

    >>> weight = nn.Parameter(torch.tensor([3.0, 4.0]))
    >>> sam = SharpnessAware([weight], rho=0.5)
    >>> weight.grad = torch.tensor([0.6, 0.8])
    >>> sam.ascend(); weight.data
    tensor([3.3000, 4.4000])
    >>> sam.descend(); weight.data
    tensor([3., 4.])
    """

    def __init__(self, parameters: Iterable[nn.Parameter], rho: float) -> None:
        self._parameters = list(parameters)
        self.rho = rho
        self._before: list[tuple[nn.Parameter, Tensor]] = []

    @torch.no_grad()
    def ascend(self) -> None:
        """To the worst point near by, to first order; the gradients are cleared. No gradient, no move."""
        moved = [p for p in self._parameters if p.grad is not None]
        if not moved:
            return
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(p.grad) for p in moved]))
        for p in moved:
            self._before.append((p, p.detach().clone()))
            p.add_(p.grad * (self.rho / (norm + 1e-12)))
            p.grad = None

    @torch.no_grad()
    def descend(self) -> None:
        """Back to where `ascend` began, to the last bit."""
        for p, before in self._before:
            p.copy_(before)
        self._before.clear()


@contextlib.contextmanager
def fixed_statistics(model: nn.Module) -> Iterator[None]:
    """Within, batch normalisation uses the batch as in training, but leaves its running statistics alone."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    counts = [norm.num_batches_tracked.clone() for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum, count in zip(norms, momenta, counts, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(count)


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Moves an exponential moving average of a model towards it: decay * average + (1 - decay) * model.

    Buffers (statistics of batch normalisation) are averaged like weights; whole numbers are copied.
    """
    for mean, value in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)
