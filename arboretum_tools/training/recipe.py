"""The recipe of a run: every hyper-parameter, one frozen value; the papers' recipes are its defaults.

A default is that of the method's paper for small images (CIFAR-100-LT; networks named in `SMALL`) or for
large ones (iNaturalist 2018), scaled by three rules where something else is asked for:

- other epochs: milestones, warm-ups and the epoch of deferred weights keep their share of the epochs;
- another batch: the learning rate is proportional to it;
- everything else stays.

>>> recipe("ldam-drw", arch="resnet32", epochs=100).milestones
(80, 90)
>>> recipe("deit-lt", batch_size=256).lr
0.00025
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, Literal, get_args, get_type_hints

from arboretum_tools.errors import RecipeError, UsageError

#: Networks for images of some 32 pixels.
SMALL = ("deit-nano", "resnet8", "resnet14", "resnet20", "resnet32", "resnet44", "resnet56")
LARGE = ("resnet18", "resnet34", "resnet50", "resnet101", "deit-tiny", "deit-small", "deit-base")

MethodName = Literal["ce", "balanced-softmax", "logit-adjustment", "ldam-drw", "mdcs", "deit-lt"]
METHODS: tuple[str, ...] = get_args(MethodName)

# Bounds of the numbers, both ends allowed; of a tuple, of each of its members.
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "image_size": (8, 4096),
    "patch_size": (1, 256),
    "epochs": (1, 1_000_000),
    "batch_size": (2, 1_000_000),
    "accumulate": (1, 100_000),
    "lr": (0, 1_000),
    "momentum": (0, 1),
    "weight_decay": (0, 1_000),
    "gamma": (0, 1),
    "milestones": (0, 1_000_000),
    "warmup_epochs": (0, 1_000_000),
    "min_area": (0.001, 1),
    "test_crop": (0.1, 1),
    "mixup": (0, 100),
    "cutmix": (0, 100),
    "smoothing": (0, 0.99),
    "erasing": (0, 1),
    "drop_path": (0, 0.99),
    "sam": (0, 100),
    "ema": (0, 0.999999),
    "beta": (0, 0.99999999),
    "drw_epoch": (0, 1_000_000),
    "tau": (-100, 100),
    "max_margin": (0, 100),
    "scale": (0.001, 10_000),
    "experts": (-100, 100),
    "consistency": (0, 1_000),
    "consistency_warmup": (0, 1_000_000),
    "alpha": (0, 1),
    "temperature": (0.001, 1_000),
    "seed": (0, 2**31 - 1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecipe:
    """Everything that decides what a run comes to, but for the split, its photos and the teacher.

    `recipe` makes one from a method and what is to differ from its paper. The annotations are the texts of
    the flags of `arboretum train`.
    """

    method: Annotated[MethodName, "What is trained."]
    arch: Annotated[
        str, "Network: resnet18 to resnet101, deit-tiny to deit-base; small: resnet8 to 56, deit-nano."
    ]
    image_size: Annotated[int, "Pixels of a side that the network sees."]
    patch_size: Annotated[int, "Pixels of a side of a patch of a ViT."]
    epochs: Annotated[int, "Times that every photo is seen."]
    batch_size: Annotated[int, "Photos of one step of the optimizer, over all GPUs."]
    accumulate: Annotated[int, "Parts in which a batch goes through the network: more needs less memory."]
    optimizer: Annotated[Literal["sgd", "adamw"], "What steps; sgd with Nesterov's momentum."]
    lr: Annotated[float, "Learning rate once warmed up."]
    momentum: Annotated[float, "Of sgd."]
    weight_decay: Annotated[float, "Of the weights; biases, norms and tokens of a ViT have none."]
    schedule: Annotated[Literal["step", "cosine"], "How the rate falls."]
    milestones: Annotated[tuple[int, ...], "Epochs at which a step schedule falls, with commas between."]
    gamma: Annotated[float, "Factor of each step down."]
    warmup_epochs: Annotated[float, "Epochs in which the rate rises from 0."]
    sampler: Annotated[
        Literal["instance", "square-root", "class"], "How photos are drawn; instance: each once an epoch."
    ]
    augment: Annotated[Literal["weak", "strong"], "Weak: crop and flip; strong: RandAugment as well."]
    min_area: Annotated[float, "Smallest share of a photo that a random crop takes."]
    test_crop: Annotated[float, "Share of the shorter side that is cut out for val and test."]
    mixup: Annotated[float, "Alpha of Mixup; 0 = off."]
    cutmix: Annotated[float, "Alpha of CutMix; 0 = off. With both, one of them is drawn for each batch."]
    smoothing: Annotated[float, "Of the labels."]
    erasing: Annotated[float, "Share of the photos of which a rectangle becomes noise."]
    drop_path: Annotated[float, "Stochastic depth of a ViT's last layer."]
    sam: Annotated[float, "Radius rho of sharpness-aware steps, 0.05 to 0.1 for teachers; 0 = off."]
    ema: Annotated[float, "Decay of an average of the weights, which then predicts; 0 = off."]
    beta: Annotated[float, "Of the class-balanced weights (Cui et al. 2019)."]
    drw_epoch: Annotated[int, "Epochs before class-balanced weights set in (ldam-drw, deit-lt)."]
    tau: Annotated[float, "Strength of the prior of logit-adjustment."]
    max_margin: Annotated[float, "Margin of ldam-drw for the rarest class."]
    scale: Annotated[float, "Factor of the cosines of ldam-drw and mdcs."]
    experts: Annotated[tuple[float, ...], "Lambda of each expert of mdcs, with commas between."]
    consistency: Annotated[float, "Weight of the self-distillation of mdcs."]
    consistency_warmup: Annotated[float, "Epochs in which it rises from 0."]
    alpha: Annotated[float, "Weight of the distillation of deit-lt, against that of the labels."]
    distillation: Annotated[Literal["hard", "soft"], "What deit-lt learns of its teacher: class or shares."]
    temperature: Annotated[float, "Of soft distillation."]
    precision: Annotated[
        Literal["auto", "bfloat16", "float32"],
        "Of products of matrices; auto: bfloat16 on a GPU that has it.",
    ]
    seed: Annotated[int, "Another seed gives another run."]

    def __post_init__(self) -> None:
        for name, (kind, _) in hyperparameters().items():
            value = getattr(self, name)
            known = (*SMALL, *LARGE) if name == "arch" else get_args(kind) if name not in _BOUNDS else ()
            if known and value not in known:
                raise UsageError(f"{_flag(name)} cannot be {value!r}; known are {', '.join(known)}")
            for number in value if isinstance(value, tuple) else (value,):
                if not known:
                    _check(name, number)
        vit = self.arch.startswith("deit")
        if vit != (self.method == "deit-lt"):
            raise RecipeError(
                f"{self.method} does not train a {self.arch}",
                hint="deit-lt trains a network deit-…, the other methods a resnet….",
            )
        mixed = self.mixup or self.cutmix or self.smoothing
        if self.method in ("ldam-drw", "mdcs") and mixed:
            raise RecipeError(
                f"{self.method} needs one true class a photo: mixup, cutmix and smoothing must be 0"
            )
        if self.method == "mdcs" and len(self.experts) < 2:
            raise RecipeError("mdcs needs two experts or more", hint="Such as --experts=-0.5,1,2.5.")
        if self.batch_size % self.accumulate:
            raise RecipeError(
                f"a batch of {self.batch_size} photos cannot be cut into {self.accumulate} equal parts",
                hint="Let the batch size be a multiple of --accumulate.",
            )

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TrainingRecipe:
        """What `to_json` gave.

        Raises:
            RecipeError: something is missing, or of another type.
            UsageError: a value that is no value of its kind.
        """
        if set(values) != {field.name for field in fields(cls)}:
            raise RecipeError("the recipe has other hyper-parameters than this version of arboretum knows")
        return cls(
            **{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        )


def _flag(name: str) -> str:
    return name.replace("_", "-")


def _check(name: str, number: Any) -> None:
    least, most = _BOUNDS[name]
    whole = isinstance(least, int) and hyperparameters()[name][0] in (int, tuple[int, ...])
    if isinstance(number, bool) or not isinstance(number, int if whole else int | float):
        raise UsageError(f"{_flag(name)} is a {'whole ' if whole else ''}number, not {number!r}")
    if not (math.isfinite(number) and least <= number <= most):
        raise UsageError(f"{_flag(name)} must be {least:g} to {most:g}, not {number:g}")


_COMMON: dict[str, Any] = {
    "patch_size": 16,
    "accumulate": 1,
    "optimizer": "sgd",
    "momentum": 0.9,
    "schedule": "step",
    "sampler": "instance",
    "augment": "weak",
    "mixup": 0.0,
    "cutmix": 0.0,
    "smoothing": 0.0,
    "erasing": 0.0,
    "drop_path": 0.0,
    "sam": 0.0,
    "ema": 0.0,
    "beta": 0.9999,
    "drw_epoch": 0,
    "tau": 1.0,
    "max_margin": 0.5,
    "scale": 30.0,
    "experts": (-0.5, 1.0, 2.5),
    "consistency": 0.6,
    "consistency_warmup": 20.0,
    "alpha": 0.5,
    "distillation": "hard",
    "temperature": 3.0,
    "precision": "auto",
    "seed": 0,
}
_OF_SIZE: dict[bool, dict[str, Any]] = {
    # CIFAR's crop of 32 out of 40 padded pixels keeps most of an image; photos come whole.
    True: {"image_size": 32, "patch_size": 4, "min_area": 0.5, "test_crop": 1.0},
    False: {"image_size": 224, "min_area": 0.08, "test_crop": 0.875},
}
# LDAM's code for CIFAR and its paper for iNaturalist 2018 (arXiv 1906.07413, appendix C).
_LDAM: dict[bool, dict[str, Any]] = {
    True: {
        "arch": "resnet32",
        "epochs": 200,
        "batch_size": 128,
        "lr": 0.1,
        "weight_decay": 2e-4,
        "milestones": (160, 180),
        "gamma": 0.01,
        "warmup_epochs": 5.0,
        "drw_epoch": 160,
    },
    False: {
        "arch": "resnet50",
        "epochs": 90,
        "batch_size": 256,
        "lr": 0.1,
        "weight_decay": 2e-4,
        "milestones": (60, 80),
        "gamma": 0.1,
        "warmup_epochs": 5.0,
        "drw_epoch": 60,
    },
}
_MDCS: dict[bool, dict[str, Any]] = {
    True: {
        "arch": "resnet32",
        "epochs": 400,
        "batch_size": 64,
        "lr": 0.1,
        "weight_decay": 5e-4,
        "milestones": (200, 320, 380),
        "gamma": 0.1,
        "warmup_epochs": 20.0,
    },
    False: {
        "arch": "resnet50",
        "epochs": 400,
        "batch_size": 512,
        "lr": 0.2,
        "weight_decay": 2e-4,
        "milestones": (200, 300, 380),
        "gamma": 0.1,
        "warmup_epochs": 5.0,
    },
}
_DEIT_LT: dict[bool, dict[str, Any]] = {
    small: {
        "arch": "deit-nano" if small else "deit-base",
        "epochs": 1_200 if small else 1_000,
        "drw_epoch": 1_100 if small else 900,
        "batch_size": 512,
        "optimizer": "adamw",
        "lr": 5e-4,
        "weight_decay": 0.05,
        "schedule": "cosine",
        "milestones": (),
        "gamma": 0.1,
        "warmup_epochs": 5.0,
        "augment": "strong",
        "mixup": 0.8,
        "cutmix": 1.0,
        "smoothing": 0.1,
        "erasing": 0.25,
        "drop_path": 0.1,
    }
    for small in (True, False)
}
_PAPERS = {"mdcs": _MDCS, "deit-lt": _DEIT_LT}

_WITH_EPOCHS = ("milestones", "warmup_epochs", "drw_epoch", "consistency_warmup")


def recipe(method: str, **given: Any) -> TrainingRecipe:
    """The recipe of a method's paper with what is given instead; the rules of scaling stand above.

    Args:
        method: one of METHODS.
        **given: fields of TrainingRecipe; None = the paper's.

    Raises:
        UsageError: an unknown hyper-parameter, or a value that is no value of its kind.
        RecipeError: values that contradict each other.
    """
    if method not in METHODS:
        raise UsageError(f"there is no method {method!r}; known are {', '.join(METHODS)}")
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if name == "method" or name not in TrainingRecipe.__annotations__:
            raise UsageError(f"there is no hyper-parameter {name!r}")
    papers = _PAPERS.get(method, _LDAM)
    small = given.get("arch", papers[False]["arch"]) in SMALL
    paper = {**_COMMON, **_OF_SIZE[small], **papers[small]}
    if method not in ("ldam-drw", "deit-lt"):
        paper["drw_epoch"] = 0
    values: dict[str, Any] = {"method": method, **paper, **given}
    epochs, batch = values["epochs"], values["batch_size"]
    _check("epochs", epochs)
    _check("batch_size", batch)
    for name in _WITH_EPOCHS:
        if name not in given:
            values[name] = _scaled(paper[name], epochs / paper["epochs"])
    if "lr" not in given:
        values["lr"] = paper["lr"] * batch / paper["batch_size"]
    return TrainingRecipe(**values)


def _scaled(value: Any, factor: float) -> Any:
    if isinstance(value, tuple):
        return tuple(round(one * factor) for one in value)
    return round(value * factor) if isinstance(value, int) else value * factor


@functools.cache
def hyperparameters() -> Mapping[str, tuple[Any, str]]:
    """Type and text of every hyper-parameter, in order: what flags and pages are made of."""
    hints = get_type_hints(TrainingRecipe, include_extras=True)
    return {field.name: get_args(hints[field.name])[:2] for field in fields(TrainingRecipe)}
