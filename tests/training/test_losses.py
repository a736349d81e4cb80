"""The losses against the papers' formulas, written a second time in numpy, float64, one photo at a time.

Gradients are held against central differences of these references, so they share nothing with autograd.
"""

import doctest

import numpy as np
import pytest
import torch

from arboretum_tools.split.rebalancing.weights import class_weights
from arboretum_tools.testing.tiny import tiny_split
from arboretum_tools.training import losses

pytestmark = pytest.mark.training

COUNTS = np.array([500.0, 120.0, 37.0, 5.0, 1.0])  # the last class has one photo
C, B = len(COUNTS), 7
LABELS = {"mixed": np.array([0, 4, 2, 2, 3, 1, 0]), "one class": np.full(B, 4)}
LAMBDAS = (-0.5, 1.0, 2.5)
BETA = 0.9999


def logits(*shape, seed=0, spread=3.0):
    return np.random.default_rng(seed).normal(0, spread, shape)


def log_softmax(z):
    z = z - z.max()
    return z - np.log(sum(np.exp(one) for one in z))


def cross_entropy(z, target):
    """Of one photo; the target is a label or shares of the classes."""
    if np.ndim(target):
        return -sum(share * value for share, value in zip(target, log_softmax(z), strict=True))
    return -log_softmax(z)[target]


def class_balanced(counts, beta=BETA):
    raw = [(1 - beta) / (1 - beta**n) for n in counts]
    return np.array([w * len(raw) / sum(raw) for w in raw])


def slopes(reference, z, step=1e-6):
    """Central differences of a scalar function of an array."""
    found = np.empty_like(z)
    for index in np.ndindex(z.shape):
        up, down = z.copy(), z.copy()
        up[index] += step
        down[index] -= step
        found[index] = (reference(up) - reference(down)) / (2 * step)
    return found


def agree(loss, reference, z):
    """Value to 1e-12 and gradient to 1e-7, in float64."""
    given = torch.tensor(z, requires_grad=True)
    value = loss(given)
    assert value.item() == pytest.approx(reference(z), rel=1e-12, abs=1e-14)
    (gradient,) = torch.autograd.grad(value, given, allow_unused=True, materialize_grads=True)
    np.testing.assert_allclose(gradient.numpy(), slopes(reference, z), atol=1e-7)


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
@pytest.mark.parametrize("tau", [0.0, 1.0, 1.5])
def test_adjusted_cross_entropy(labels, tau):
    prior = np.log(COUNTS / COUNTS.sum())
    agree(
        lambda z: losses.adjusted_cross_entropy(z, torch.tensor(labels), torch.tensor(prior), tau=tau),
        lambda z: np.mean([cross_entropy(z[i] + tau * prior, labels[i]) for i in range(B)]),
        logits(B, C),
    )


def test_adjusted_cross_entropy_of_mixed_photos():
    prior = np.log(COUNTS / COUNTS.sum())
    shares = np.random.default_rng(1).dirichlet(np.ones(C), B)
    agree(
        lambda z: losses.adjusted_cross_entropy(z, torch.tensor(shares), torch.tensor(prior)),
        lambda z: np.mean([cross_entropy(z[i] + prior, shares[i]) for i in range(B)]),
        logits(B, C),
    )


def test_the_margins_of_ldam():
    found = losses.ldam_margins(torch.tensor(COUNTS)).numpy()
    roots = [1 / n ** (1 / 4) for n in COUNTS]
    np.testing.assert_allclose(found, [0.5 * root / max(roots) for root in roots], rtol=1e-14)
    assert found[-1] == 0.5


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
@pytest.mark.parametrize("weighted", [False, True], ids=["before", "deferred weights"])
def test_ldam(labels, weighted):
    margins = 0.5 * COUNTS**-0.25 / max(COUNTS**-0.25)
    w = class_balanced(COUNTS) if weighted else np.ones(C)

    def reference(cosines):
        total = 0.0
        for i, y in enumerate(labels):
            z = 30 * cosines[i]
            z[y] = 30 * (cosines[i][y] - margins[y])
            total += w[y] * cross_entropy(z, y)
        return total / sum(w[y] for y in labels)

    agree(
        lambda cosines: losses.ldam(
            30 * cosines,
            torch.tensor(labels),
            losses.ldam_margins(torch.tensor(COUNTS)),
            weight=torch.tensor(w) if weighted else None,
        ),
        reference,
        np.tanh(logits(B, C, spread=0.5)),
    )


def test_class_balanced_weights_of_a_split_are_those_of_the_paper():
    split = tiny_split()  # 40, 12, 4 and 2 train photos
    np.testing.assert_allclose(
        class_weights(split, beta=BETA).class_balanced, class_balanced([40, 12, 4, 2]), rtol=1e-10
    )


def test_expert_logits():
    z = logits(3, B, C)
    found = losses.expert_logits(torch.tensor(z), torch.tensor(np.log(COUNTS)), LAMBDAS).numpy()
    for e, power in enumerate(LAMBDAS):
        # As the authors' code has it: the logarithm of a power of the raw counts.
        np.testing.assert_allclose(found[e], z[e] + np.log(COUNTS**power), rtol=1e-13)


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_the_diversity_loss_of_mdcs(labels):
    both = np.concatenate([labels, labels])

    def reference(z):
        total = 0.0
        for e, power in enumerate(LAMBDAS):
            total += np.mean([cross_entropy(z[e, i] + power * np.log(COUNTS), both[i]) for i in range(2 * B)])
        return total

    agree(
        lambda z: losses.diversity(
            losses.expert_logits(z, torch.tensor(np.log(COUNTS)), LAMBDAS), torch.tensor(both)
        ),
        reference,
        logits(3, 2 * B, C),
    )


def kl(p_log, q_log):
    return sum(np.exp(p) * (p - q) for p, q in zip(p_log, q_log, strict=True))


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_self_distillation_of_confident_instances(labels):
    weak = logits(3, B, C, seed=3)
    for i in (0, 2, 5):  # some that the first two experts get right
        weak[:2, i, labels[i]] = 9.0
    weak[2, np.arange(B), (labels + 1) % C] = 20.0  # the third gets none
    confident = [[i for i in range(B) if weak[e, i].argmax() == labels[i]] for e in range(3)]
    assert len(confident[0]) in range(1, B)
    assert confident[2] == []

    def reference(strong):
        total = 0.0
        for e in range(3):
            if confident[e]:
                total += np.mean(
                    [kl(log_softmax(weak[e, i]), log_softmax(strong[e, i])) for i in confident[e]]
                )
        return total

    agree(
        lambda strong: losses.self_distillation(torch.tensor(weak), strong, torch.tensor(labels)),
        reference,
        logits(3, B, C, seed=4),
    )


def test_no_confident_instance_adds_nothing_and_moves_nothing():
    weak = torch.zeros(3, B, C, dtype=torch.float64)
    weak[..., 0] = 5.0
    strong = torch.randn(3, B, C, dtype=torch.float64, requires_grad=True)
    value = losses.self_distillation(weak, strong, torch.full((B,), 1))
    value.backward()
    assert value.item() == 0.0
    assert strong.grad.abs().max() == 0.0


def test_no_gradient_flows_into_the_weak_view_or_the_teacher():
    weak = torch.randn(3, B, C, requires_grad=True)
    strong = torch.randn(3, B, C, requires_grad=True)
    losses.self_distillation(weak, strong, weak[0].argmax(dim=1)).backward()
    assert weak.grad is None
    teacher = torch.randn(B, C, requires_grad=True)
    for kind in ("hard", "soft"):
        losses.distillation(strong[0], teacher, kind=kind).backward()
    assert teacher.grad is None


@pytest.mark.parametrize("weighted", [False, True], ids=["before", "deferred weights"])
@pytest.mark.parametrize("one_class", [False, True], ids=["mixed", "one class"])
def test_hard_distillation(weighted, one_class):
    teacher = logits(B, C, seed=5)
    if one_class:
        teacher[:, 4] = 50.0
    w = class_balanced(COUNTS) if weighted else np.ones(C)
    targets = [int(np.argmax(row)) for row in teacher]

    def reference(z):
        total = sum(w[t] * cross_entropy(z[i], t) for i, t in enumerate(targets))
        return total / sum(w[t] for t in targets)

    agree(
        lambda z: losses.distillation(z, torch.tensor(teacher), weight=torch.tensor(w) if weighted else None),
        reference,
        logits(B, C),
    )


@pytest.mark.parametrize("weighted", [False, True], ids=["alike", "weights"])
def test_soft_distillation(weighted):
    teacher = logits(B, C, seed=6)
    w = class_balanced(COUNTS)

    def reference(z):
        total = 0.0
        for i in range(B):
            p = np.exp(log_softmax(teacher[i] / 3))
            if weighted:
                p = p * w / sum(p * w)
            total += kl(np.log(p), log_softmax(z[i] / 3))
        return 9 * total / (B * C)

    agree(
        lambda z: losses.distillation(
            z,
            torch.tensor(teacher),
            kind="soft",
            temperature=3.0,
            weight=torch.tensor(w) if weighted else None,
        ),
        reference,
        logits(B, C),
    )


@pytest.mark.parametrize("module", ["losses", "optim", "networks"])
def test_examples(module):
    import importlib

    found = doctest.testmod(importlib.import_module(f"arboretum_tools.training.{module}"))
    assert not found.failed
    assert found.attempted or module == "networks"
