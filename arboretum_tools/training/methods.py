"""The methods: what of a network is trained by which loss. Each is a function of one batch."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that everybody uses

from arboretum_tools.options.training import TrainingRecipe
from arboretum_tools.split.files.manifest import Split
from arboretum_tools.split.rebalancing.weights import class_weights
from arboretum_tools.training import losses
from arboretum_tools.training.augment import View, mixed, normalized, smoothed
from arboretum_tools.training.loading import Batch
from arboretum_tools.training.networks import RESNETS, VITS, DistilledViT, ResNet, heads_mean


def build(recipe: TrainingRecipe, classes: int) -> nn.Module:
    """The network of a recipe, with new weights."""
    if recipe.arch in VITS:
        return DistilledViT(
            VITS[recipe.arch],
            classes,
            image_size=recipe.image_size,
            patch=recipe.patch_size,
            drop_path=recipe.drop_path,
        )
    return ResNet(
        RESNETS[recipe.arch],
        classes,
        experts=len(recipe.experts) if recipe.method == "mdcs" else 1,
        cosine=recipe.method in ("ldam-drw", "mdcs"),
        scale=recipe.scale,
    )


def training_views(recipe: TrainingRecipe) -> tuple[View, ...]:
    """How a photo is shown in training: for MDCS weakly and strongly, else once."""
    weak = View(recipe.image_size, recipe.min_area, strong=False, erasing=recipe.erasing)
    strong = View(recipe.image_size, recipe.min_area, strong=True, erasing=recipe.erasing)
    if recipe.method == "mdcs":
        return (weak, strong)
    return (strong if recipe.augment == "strong" else weak,)


@dataclass(frozen=True, slots=True)
class Teacher:
    """A trained network that is asked and does not learn.

    Attributes:
        network: in eval mode, without gradients.
        image_size: pixels of a side that it was trained with.
    """

    network: nn.Module
    image_size: int

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Its logits (B, C) for the student's images, resized where it was trained on another size."""
        if images.shape[-1] != self.image_size:
            images = F.interpolate(images, size=self.image_size, mode="bicubic", antialias=True)
        return heads_mean(self.network(images))


class Method:
    """The loss of a recipe on a split.

    Args:
        recipe: what is trained.
        split: gives the train counts of the classes.
        device: where batches come from.
        teacher: of deit-lt.

    Raises:
        SplitError: a class has no train photos.
    """

    def __init__(
        self, recipe: TrainingRecipe, split: Split, device: torch.device, *, teacher: Teacher | None = None
    ) -> None:
        weights = class_weights(split, beta=recipe.beta)

        def tensor(values: object) -> Tensor:
            return torch.as_tensor(values, dtype=torch.float32, device=device)

        self.recipe, self.teacher, self.classes = recipe, teacher, split.num_classes
        counts = torch.as_tensor(weights.cls_num_list, dtype=torch.float64)
        self.log_counts = tensor(counts.log())
        self.log_prior = tensor(weights.log_prior)
        self.margins = tensor(losses.ldam_margins(counts, max_margin=recipe.max_margin))
        self.class_balanced = tensor(weights.class_balanced)

    def deferred(self, epoch: int) -> Tensor | None:
        """The class-balanced weights, once `drw_epoch` epochs are over; epochs count from 0."""
        return self.class_balanced if epoch >= self.recipe.drw_epoch else None

    def prepared(self, batch: Batch, epoch: int, generator: random.Random) -> tuple[Tensor, Tensor]:
        """Images (V * B, 3, H, W) as the network takes them, and the targets of the loss.

        Mixup and CutMix end where deferred weights set in, as in DeiT-LT.
        """
        recipe = self.recipe
        images, labels = normalized(batch.views.flatten(0, 1)), batch.labels
        if not (recipe.mixup or recipe.cutmix or recipe.smoothing):
            return images, labels
        targets = smoothed(labels, self.classes, recipe.smoothing)
        if recipe.drw_epoch and epoch >= recipe.drw_epoch:
            return images, targets
        return mixed(images, targets, generator, mixup=recipe.mixup, cutmix=recipe.cutmix)

    def loss(self, outputs: Mapping[str, Tensor], images: Tensor, targets: Tensor, epoch: int) -> Tensor:
        """The loss of a batch.

        Args:
            outputs: logits by head, of the images.
            images: of `prepared`; what a teacher is shown.
            targets: of `prepared`.
            epoch: counted from 0.
        """
        recipe = self.recipe
        logits = [value.float() for value in outputs.values()]
        match recipe.method:
            case "ce":
                return F.cross_entropy(logits[0], targets)
            case "balanced-softmax":
                return losses.adjusted_cross_entropy(logits[0], targets, self.log_prior)
            case "logit-adjustment":
                return losses.adjusted_cross_entropy(logits[0], targets, self.log_prior, tau=recipe.tau)
            case "ldam-drw":
                return losses.ldam(
                    logits[0], targets, self.margins, scale=recipe.scale, weight=self.deferred(epoch)
                )
            case "mdcs":
                return self._mdcs(torch.stack(logits), targets, epoch)
        return self._deit_lt(outputs["cls"].float(), outputs["dist"].float(), images, targets, epoch)

    def _mdcs(self, logits: Tensor, labels: Tensor, epoch: int) -> Tensor:
        recipe = self.recipe
        adjusted = losses.expert_logits(logits, self.log_counts, recipe.experts)
        weak, strong = adjusted.chunk(2, dim=1)
        # The authors' trainer counts epochs from 1.
        warmup = min(1.0, (epoch + 1) / recipe.consistency_warmup) if recipe.consistency_warmup else 1.0
        consistency = recipe.consistency * warmup * losses.self_distillation(weak, strong, labels)
        return losses.diversity(adjusted, torch.cat([labels, labels])) + consistency

    def _deit_lt(self, cls: Tensor, dist: Tensor, images: Tensor, targets: Tensor, epoch: int) -> Tensor:
        assert self.teacher is not None  # `train` asks for one
        recipe = self.recipe
        learned = losses.distillation(
            dist,
            self.teacher(images).float(),
            kind=recipe.distillation,
            temperature=recipe.temperature,
            weight=self.deferred(epoch),
        )
        return (1 - recipe.alpha) * F.cross_entropy(cls, targets) + recipe.alpha * learned
