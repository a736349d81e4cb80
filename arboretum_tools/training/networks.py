"""The networks of the papers: ResNets with one or several experts, and ViTs with a distillation token.

Each gives a dictionary of logits by head, (B, C) each: a ResNet `experts.0`, `experts.1`, …; a ViT `cls` and
`dist`. The prediction is the mean of the heads. Initial weights are those of the papers' code: He's for
convolutions, a normal distribution cut at two deviations of 0.02 for transformers.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that everybody uses

from arboretum_tools.errors import UsageError


class CosineLinear(nn.Module):
    """A head whose logits are scale * cosine(features, class weights)."""

    def __init__(self, features: int, classes: int, scale: float = 30.0) -> None:
        super().__init__()
        self.scale = scale
        self.weight = nn.Parameter(F.normalize(torch.empty(classes, features).uniform_(-1, 1), dim=1))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, C) of features (B, D)."""
        return self.scale * F.linear(F.normalize(x, dim=1), F.normalize(self.weight, dim=1))


class _Skip(nn.Module):
    """How CIFAR's ResNets go around a change of shape: every second pixel, zeros for new channels."""

    def __init__(self, stride: int, extra: int) -> None:
        super().__init__()
        self.stride, self.extra = stride, extra

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, self.extra // 2, self.extra - self.extra // 2))


class _Block(nn.Module):
    """Two 3x3 convolutions, or 1x1, 3x3, 1x1 with four times the planes, and the way around them."""

    def __init__(self, inside: int, planes: int, stride: int, *, bottleneck: bool, padded: bool) -> None:
        super().__init__()
        out = 4 * planes if bottleneck else planes
        kernels = (
            ((1, 1, planes), (3, stride, planes), (1, 1, out))
            if bottleneck
            else (
                (3, stride, planes),
                (3, 1, planes),
            )
        )
        layers: list[nn.Module] = []
        channels = inside
        for kernel, step, width in kernels:
            if layers:
                layers.append(nn.ReLU(inplace=True))
            layers += [
                nn.Conv2d(channels, width, kernel, step, kernel // 2, bias=False),
                nn.BatchNorm2d(width),
            ]
            channels = width
        self.layers = nn.Sequential(*layers)
        self.around: nn.Module = nn.Identity()
        if stride != 1 or inside != out:
            projection = nn.Conv2d(inside, out, 1, stride, bias=False)
            self.around = (
                _Skip(stride, out - inside) if padded else nn.Sequential(projection, nn.BatchNorm2d(out))
            )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.layers(x) + self.around(x))


@dataclass(frozen=True, slots=True)
class ResNetShape:
    """What tells one ResNet from another.

    Attributes:
        depths: blocks of each stage.
        planes: width of each stage before any expansion.
        expert_planes: the same where there are several experts.
        shared: stages that all experts share.
        bottleneck: blocks of three convolutions.
        small: for images of some 32 pixels: a 3x3 stem without pooling, padded shortcuts.
    """

    depths: tuple[int, ...]
    planes: tuple[int, ...]
    expert_planes: tuple[int, ...]
    shared: int
    bottleneck: bool = False
    small: bool = False


class ResNet(nn.Module):
    """A ResNet (He et al. 2016) whose first stages all experts share; each has the last ones for itself.

    The experts of MDCS stand on RIDE's network (Wang et al. 2021, arXiv 2010.01809): where there are several,
    the stages that they do not share have three quarters of their planes.
    """

    def __init__(
        self, shape: ResNetShape, classes: int, *, experts: int = 1, cosine: bool = False, scale: float = 30.0
    ) -> None:
        super().__init__()
        planes = shape.expert_planes if experts > 1 else shape.planes
        stem: list[nn.Module] = [
            nn.Conv2d(
                3,
                planes[0],
                3 if shape.small else 7,
                1 if shape.small else 2,
                1 if shape.small else 3,
                bias=False,
            ),
            nn.BatchNorm2d(planes[0]),
            nn.ReLU(inplace=True),
        ]
        if not shape.small:
            stem.append(nn.MaxPool2d(3, 2, 1))

        def stages(numbers: range) -> nn.Sequential:
            blocks = []
            channels = self._channels(shape, planes, numbers.start)
            for stage in numbers:
                for block in range(shape.depths[stage]):
                    stride = 2 if stage and not block else 1
                    blocks.append(
                        _Block(
                            channels, planes[stage], stride, bottleneck=shape.bottleneck, padded=shape.small
                        )
                    )
                    channels = self._channels(shape, planes, stage + 1)
            return nn.Sequential(*blocks)

        self.shared = nn.Sequential(*stem, stages(range(shape.shared)))
        own = range(shape.shared, len(planes))
        self.experts = nn.ModuleList(stages(own) for _ in range(experts))
        features = self._channels(shape, planes, len(planes))
        self.heads = nn.ModuleList(
            CosineLinear(features, classes, scale) if cosine else nn.Linear(features, classes)
            for _ in range(experts)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @staticmethod
    def _channels(shape: ResNetShape, planes: tuple[int, ...], stage: int) -> int:
        """Channels that come into a stage."""
        return planes[stage - 1] * (4 if shape.bottleneck else 1) if stage else planes[0]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Logits of each expert for images (B, 3, H, W)."""
        x = self.shared(images)
        return {
            f"experts.{number}": head(expert(x).mean(dim=(2, 3)))
            for number, (expert, head) in enumerate(zip(self.experts, self.heads, strict=True))
        }


class _Attention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class _Layer(nn.Module):
    """Attention and an MLP, each normalised before and added to what came in, or dropped for a photo."""

    def __init__(self, dim: int, heads: int, drop_path: float) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(dim, eps=1e-6), _Attention(dim, heads))
        self.mlp = nn.Sequential(
            nn.LayerNorm(dim, eps=1e-6), nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim)
        )
        self.drop_path = drop_path

    def forward(self, x: Tensor) -> Tensor:
        for branch in (self.attention, self.mlp):
            x = x + self._dropped(branch(x))
        return x

    def _dropped(self, x: Tensor) -> Tensor:
        """Stochastic depth (Huang et al. 2016), a photo at a time."""
        if not self.training or not self.drop_path:
            return x
        kept = 1 - self.drop_path
        return x * x.new_empty(len(x), 1, 1).bernoulli_(kept) / kept


@dataclass(frozen=True, slots=True)
class ViTShape:
    """What tells one ViT from another: its width, its layers, its attention heads."""

    dim: int
    layers: int
    heads: int


class DistilledViT(nn.Module):
    """DeiT (Touvron et al. 2021, arXiv 2012.12877): a ViT with a class token and a distillation token.

    Args:
        shape: its size.
        classes: C.
        image_size: pixels of a side; a multiple of the patch.
        patch: pixels of a side of a patch.
        drop_path: share of the photos for which the last layer is dropped; rises from 0 in the first.
    """

    def __init__(
        self, shape: ViTShape, classes: int, *, image_size: int = 224, patch: int = 16, drop_path: float = 0.1
    ) -> None:
        super().__init__()
        if image_size % patch:
            raise UsageError(
                f"an image of {image_size} pixels cannot be cut into patches of {patch}",
                hint="Let the image size be a multiple of the patch size.",
            )
        dim = shape.dim
        self.patches = nn.Conv2d(3, dim, patch, patch)
        self.tokens = nn.Parameter(torch.zeros(1, 2, dim))
        self.positions = nn.Parameter(torch.zeros(1, 2 + (image_size // patch) ** 2, dim))
        self.layers = nn.Sequential(
            *(_Layer(dim, shape.heads, drop_path * n / max(1, shape.layers - 1)) for n in range(shape.layers))
        )
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.cls = nn.Linear(dim, classes)
        self.dist = nn.Linear(dim, classes)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        nn.init.trunc_normal_(self.tokens, std=0.02)
        nn.init.trunc_normal_(self.positions, std=0.02)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Logits of the CLS and of the DIST head for images (B, 3, H, W)."""
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.tokens.expand(len(x), -1, -1), x], dim=1) + self.positions
        x = self.norm(self.layers(x)[:, :2])
        return {"cls": self.cls(x[:, 0]), "dist": self.dist(x[:, 1])}


def _small(depth: int) -> ResNetShape:
    """CIFAR's ResNets: 6n + 2 layers; the last two stages are the experts'."""
    blocks = (depth - 2) // 6
    return ResNetShape((blocks,) * 3, (16, 32, 64), (16, 24, 48), shared=1, small=True)


_large = functools.partial(
    ResNetShape, planes=(64, 128, 256, 512), expert_planes=(64, 128, 192, 384), shared=2
)

#: ResNets by name. 8 to 56 layers: for images of some 32 pixels, as on CIFAR; the others for large ones.
RESNETS: Mapping[str, ResNetShape] = {
    **{f"resnet{depth}": _small(depth) for depth in (8, 14, 20, 32, 44, 56)},
    "resnet18": _large((2, 2, 2, 2)),
    "resnet34": _large((3, 4, 6, 3)),
    "resnet50": _large((3, 4, 6, 3), bottleneck=True),
    "resnet101": _large((3, 4, 23, 3), bottleneck=True),
}

#: Distilled ViTs by name: the three of DeiT, and one for small images.
VITS: Mapping[str, ViTShape] = {
    "deit-nano": ViTShape(64, 6, 2),
    "deit-tiny": ViTShape(192, 12, 3),
    "deit-small": ViTShape(384, 12, 6),
    "deit-base": ViTShape(768, 12, 12),
}


def heads_mean(logits: Mapping[str, Tensor]) -> Tensor:
    """What a network predicts by: the mean of its heads, (B, C)."""
    return torch.stack(list(logits.values())).mean(dim=0)
