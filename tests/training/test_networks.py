"""The networks and what moves their weights."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from arboretum_tools.errors import UsageError
from arboretum_tools.training.networks import RESNETS, VITS, CosineLinear, DistilledViT, ResNet, heads_mean
from arboretum_tools.training.optim import (
    SharpnessAware,
    cosine_rate,
    fixed_statistics,
    step_rate,
    update_average,
    warmed_up,
)

pytestmark = pytest.mark.training


def parameters(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("name", "classes", "count"),
    # torchvision's and LDAM's counts of their own models; DeiT's are timm's.
    [
        ("resnet18", 1000, 11_689_512),
        ("resnet50", 1000, 25_557_032),
        ("resnet32", 10, 464_154),
        ("deit-tiny", 1000, 5_910_800),
        ("deit-small", 1000, 22_436_432),
        ("deit-base", 1000, 87_338_192),
    ],
)
def test_networks_have_the_parameters_of_the_published_ones(name, classes, count):
    with torch.device("meta"):
        model = ResNet(RESNETS[name], classes) if name in RESNETS else DistilledViT(VITS[name], classes)
    assert parameters(model) == count


def test_experts_share_their_first_stages_only_and_have_three_quarters_of_the_planes():
    model = ResNet(RESNETS["resnet32"], 10, experts=3, cosine=True).eval()
    images = torch.randn(2, 3, 32, 32)
    found = model(images)
    assert list(found) == ["experts.0", "experts.1", "experts.2"]
    assert [head.weight.shape for head in model.heads] == [(10, 48)] * 3
    found["experts.1"].sum().backward()
    moved = {
        name.split(".")[0] + "." + name.split(".")[1]
        for name, p in model.named_parameters()
        if p.grad is not None
    }
    assert {name for name in moved if not name.startswith("shared")} == {"experts.1", "heads.1"}
    torch.testing.assert_close(heads_mean(found), sum(found.values()) / 3)
    with torch.device("meta"):
        large = ResNet(RESNETS["resnet50"], 10, experts=3, cosine=True)
    assert large.heads[0].weight.shape == (10, 4 * 384)


def test_cosine_heads_see_directions_only():
    head = CosineLinear(4, 3)
    x = torch.randn(5, 4)
    expected = 30 * torch.stack(
        [torch.stack([F.cosine_similarity(row, w, dim=0) for w in head.weight]) for row in x]
    )
    torch.testing.assert_close(head(x), expected)
    torch.testing.assert_close(head(7 * x), expected)


def test_a_vit_gives_two_heads_and_refuses_sizes_that_its_patches_do_not_divide():
    model = DistilledViT(VITS["deit-nano"], 5, image_size=32, patch=4)
    found = model(torch.randn(2, 3, 32, 32))
    assert {name: value.shape for name, value in found.items()} == {"cls": (2, 5), "dist": (2, 5)}
    with pytest.raises(UsageError, match="30 pixels cannot be cut into patches of 4"):
        DistilledViT(VITS["deit-nano"], 5, image_size=30, patch=4)


def test_stochastic_depth_keeps_the_mean_and_is_off_in_eval_mode():
    layer = DistilledViT(VITS["deit-nano"], 5, image_size=32, patch=4, drop_path=0.5).layers[-1]
    ones = torch.ones(20_000, 1, 1)
    dropped = layer._dropped(ones)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert dropped.mean().item() == pytest.approx(1, abs=0.05)
    assert layer.eval()._dropped(ones) is ones


def test_sam_takes_the_gradient_at_the_ascended_weights_and_steps_from_where_it_was():
    """f(w) = (w1^2 + 10 w2^2) / 2 has the gradient (w1, 10 w2)."""
    w = torch.tensor([1.0, 0.5], dtype=torch.float64)
    model = nn.Linear(2, 1, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(w[None])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sam = SharpnessAware(model.parameters(), rho=0.05)
    scale = torch.tensor([1.0, 10.0], dtype=torch.float64)

    def backward():
        (0.5 * (scale * model.weight**2).sum()).backward()

    backward()
    sam.ascend()
    backward()
    sam.descend()
    optimizer.step()
    gradient = scale * w
    there = w + 0.05 * gradient / math.sqrt(1 + 25)
    torch.testing.assert_close(model.weight.data[0], w - 0.1 * scale * there)


def test_statistics_of_batch_normalisation_are_of_the_first_pass_only():
    norm = nn.BatchNorm1d(2)
    norm(torch.randn(8, 2))
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    with fixed_statistics(norm):
        other = torch.randn(8, 2) + 5
        torch.testing.assert_close(norm(other).mean(dim=0), torch.zeros(2), atol=1e-5, rtol=0)
    for name, value in norm.state_dict().items():
        assert torch.equal(value, before[name]), name
    norm(other)
    assert not torch.equal(norm.running_mean, before["running_mean"])


def test_rates():
    assert [warmed_up(step_rate(e, (200, 320, 380)), e, 10) for e in (0, 5, 10, 200, 399)] == pytest.approx(
        [0, 0.5, 1, 0.1, 0.001]
    )
    assert [cosine_rate(e, 100) for e in (0, 25, 50, 100)] == pytest.approx(
        [1, 0.5 + math.sqrt(0.125), 0.5, 0]
    )


def test_an_average_follows_weights_and_statistics():
    torch.manual_seed(0)
    model, average = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    model(torch.randn(8, 2) + 3)
    update_average(average, model, 0.9)
    torch.testing.assert_close(average.running_mean, 0.1 * model.running_mean)
    assert average.num_batches_tracked == model.num_batches_tracked == 1
