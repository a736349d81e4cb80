"""The losses of long-tailed recognition, as plain functions of logits and labels.

C = classes, B = photos in the batch, E = experts, n_c = train photos of class c. Logits are floating, (B, C),
labels int64, (B,). All return a scalar: the mean over the batch, unless something else is said. Class weights
are those of `class_weights`; to defer them, pass `weight=None` until then.

>>> import torch
>>> from arboretum_tools.training import losses
>>> logits, labels = torch.zeros(2, 3), torch.tensor([0, 2])
>>> log_prior = torch.tensor([0.7, 0.2, 0.1]).log()
>>> round(losses.adjusted_cross_entropy(logits, labels, log_prior).item(), 4)
1.3296
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name that everybody uses

Distillation = Literal["hard", "soft"]


def adjusted_cross_entropy(logits: Tensor, targets: Tensor, log_prior: Tensor, *, tau: float = 1.0) -> Tensor:
    """Cross-entropy of logits + tau * log pi; tau 1 is Balanced Softmax.

    Ren et al. 2020 (arXiv 2007.10740, eq. 3), Menon et al. 2021 (arXiv 2007.07314, eq. 10).

    Args:
        logits: (B, C), as the network gives them; they are also what it predicts by.
        targets: labels (B,), or shares of the classes (B, C) where photos are mixed.
        log_prior: log(n_c / sum n), (C,).
        tau: strength of the adjustment; 0 is plain cross-entropy.
    """
    return F.cross_entropy(logits + tau * log_prior, targets)


def ldam_margins(counts: Tensor, *, max_margin: float = 0.5) -> Tensor:
    """The margin of each class: n ** -1/4, scaled so that the rarest class has `max_margin`.

    Cao et al. 2019 (arXiv 1906.07413, eq. 11).

    Args:
        counts: train photos of each class, 1 or more, (C,); floating.
        max_margin: of the rarest class, in units of a cosine.

    >>> ldam_margins(torch.tensor([16.0, 1.0]))
    tensor([0.2500, 0.5000])
    """
    margins = counts**-0.25
    return margins * (max_margin / margins.max())


def ldam(
    logits: Tensor, labels: Tensor, margins: Tensor, *, scale: float = 30.0, weight: Tensor | None = None
) -> Tensor:
    """Cross-entropy with the margin of the true class taken off its logit.

    Cao et al. 2019 (arXiv 1906.07413, eq. 13), with the scale s of its code.

    Args:
        logits: s * cosine, as `networks.CosineLinear` gives them, (B, C).
        labels: (B,).
        margins: of `ldam_margins`, (C,).
        scale: the s that the logits have been multiplied by.
        weight: of the classes, (C,); the mean is then the weighted one. None = all alike.
    """
    taken_off = F.one_hot(labels, logits.shape[1]) * (scale * margins)
    return F.cross_entropy(logits - taken_off, labels, weight=weight)


def expert_logits(logits: Tensor, log_counts: Tensor, lambdas: Sequence[float]) -> Tensor:
    """What the experts of MDCS are trained by: v_e = z_e + lambda_e * log n.

    Zhao et al. 2023 (arXiv 2308.09922, eq. 4). A prior instead of counts would be the same loss: softmax
    ignores what all classes share.

    Args:
        logits: z, (E, B, C).
        log_counts: log n_c, (C,).
        lambdas: one an expert; below 0 for the head of the distribution, above 1 for its tail.
    """
    strengths = torch.as_tensor(lambdas, dtype=logits.dtype, device=logits.device)
    return logits + strengths[:, None, None] * log_counts


def diversity(adjusted: Tensor, labels: Tensor) -> Tensor:
    """Diversity loss of MDCS: the sum over the experts of the mean cross-entropy of their v_e.

    Args:
        adjusted: of `expert_logits`, over the photos of both views, (E, 2B, C).
        labels: of both views, (2B,).
    """
    return torch.stack([F.cross_entropy(expert, labels) for expert in adjusted]).sum()


def self_distillation(weak: Tensor, strong: Tensor, labels: Tensor) -> Tensor:
    """Consistency self-distillation of MDCS with confident instance sampling.

    For each expert, over the photos whose weak view it gets right: the mean KL divergence from its (fixed)
    distribution of the weak view to that of the strong view, at temperature 1; the sum over the experts.
    An expert without such a photo adds nothing.

    Args:
        weak: of `expert_logits`, first views, (E, B, C); no gradient flows through them.
        strong: the same photos, second views, (E, B, C).
        labels: (B,).
    """
    teacher = weak.detach()
    confident = teacher.argmax(dim=-1) == labels  # (E, B)
    each = F.kl_div(
        F.log_softmax(strong, dim=-1), F.log_softmax(teacher, dim=-1), reduction="none", log_target=True
    ).sum(dim=-1)
    # A product, not a selection: a shape that depends on values would make the process wait for the GPU.
    return ((each * confident).sum(dim=-1) / confident.sum(dim=-1).clamp(min=1)).sum()


def distillation(
    student: Tensor,
    teacher: Tensor,
    *,
    kind: Distillation = "hard",
    temperature: float = 3.0,
    weight: Tensor | None = None,
) -> Tensor:
    """What the DIST head of a DeiT learns of its teacher.

    `hard`: cross-entropy with the teacher's first class, by which the photo is also weighted (Rangwani et al.
    2024, arXiv 2404.02900, eq. 2 and 3). `soft`: KL divergence at a temperature, times its square, divided by
    B * C, as DeiT's code does (Touvron et al. 2021, arXiv 2012.12877, eq. 2). Weights are then factors of the
    teacher's probabilities, which are scaled to sum to 1 again; DeiT-LT's code multiplies logarithms of
    probabilities instead, which gives no distribution.

    Args:
        student: logits of the DIST head, (B, C).
        teacher: logits of the teacher for the same images, (B, C); no gradient flows through them.
        kind: hard or soft.
        temperature: of `soft`.
        weight: of the classes, (C,); None = all alike.
    """
    teacher = teacher.detach()
    if kind == "hard":
        return F.cross_entropy(student, teacher.argmax(dim=1), weight=weight)
    targets = teacher / temperature if weight is None else teacher / temperature + weight.log()
    divergence = F.kl_div(
        F.log_softmax(student / temperature, dim=1),
        F.log_softmax(targets, dim=1),
        reduction="sum",
        log_target=True,
    )
    return divergence * temperature**2 / student.numel()
