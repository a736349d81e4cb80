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

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

from arboretum_metadata.vocab import RANKS
from arboretum_tools.errors import RecipeError, UsageError
from arboretum_tools.events import OnEvent, ignore
from arboretum_tools.options import Option, check
from arboretum_tools.options.store import ImagesOption
from arboretum_tools.wording import did_you_mean

MethodName = Literal["ce", "balanced-softmax", "logit-adjustment", "ldam-drw", "mdcs", "deit-lt"]
METHODS: tuple[str, ...] = get_args(MethodName)

#: Networks for images of some 32 pixels.
SMALL = ("deit-nano", "resnet8", "resnet14", "resnet20", "resnet32", "resnet44", "resnet56")
LARGE = ("resnet18", "resnet34", "resnet50", "resnet101", "deit-tiny", "deit-small", "deit-base")


def _number(text: str, metavar: str = "X", *, least: float = 0, most: float | None = None) -> Option:
    # An end that nobody passes keeps infinity out. A default is that of the paper: no text says it.
    return Option(text, metavar, least=least, most=1e6 if most is None else most, default="")


def _count(text: str, *, least: int = 0) -> Option:
    return _number(text, "N", least=least)


def _one_of(text: str, *choices: str) -> Option:
    return Option(text, "|".join(choices), choices=choices, default="")


def _several(text: str, metavar: str) -> Option:
    return Option(text, metavar, text=True, default="")


DeviceOption: TypeAlias = Annotated[
    str | None,
    Option("As torch names it, such as cpu or cuda:0.", metavar="NAME", default="a GPU where there is one"),
]
WorkersOption: TypeAlias = Annotated[
    int | None,
    Option("Processes that decode photos.", metavar="N", least=0, default="as many as fit the machine"),
]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What `train` takes besides a recipe: where a run lies, and what it works with."""

    out: Annotated[
        str | Path,
        Option(
            "Folder of the run; one that was interrupted goes on.", metavar="DIR", short="o", required=True
        ),
    ]
    images: ImagesOption = "images"
    teacher: Annotated[
        str | Path | None,
        Option("Folder of the run of a CNN on the same split, for deit-lt.", metavar="DIR"),
    ] = None
    device: DeviceOption = None
    workers: WorkersOption = None

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class ZeroShotOptions:
    """What `zero_shot` takes.

    Attributes:
        progress: draw bars where somebody watches and no `on_event` is given.
        on_event: called with every event.
    """

    out: Annotated[
        str | Path,
        Option("Folder of the predictions and their report.", metavar="DIR", short="o", required=True),
    ]
    images: ImagesOption = "images"
    model: Annotated[
        str,
        Option(
            "Architecture: a name that open_clip has, a JSON file of its own form, or a model with its "
            "weights, hf-hub:OWNER/NAME or local-dir:DIR.",
            metavar="NAME|FILE",
        ),
    ] = "ViT-B-16"
    pretrained: Annotated[
        str | Path | None,
        Option(
            "Weights: a name that open_clip has for the model, or a checkpoint file.", metavar="NAME|FILE"
        ),
    ] = None
    text: Annotated[
        str | Iterable[str],
        Option(
            "Caption types by which classes are named, such as sci, com or taxon; several are averaged.",
            metavar="TYPE",
            many=True,
            noun="caption type",
        ),
    ] = ("sci",)
    templates: Annotated[
        str | Path,
        Option(
            "Sentences for each name, averaged: openai, the 80 of CLIP; captions, the one that export "
            "writes; or a TOML file as for --caption-template of export, which does without --text.",
            metavar="openai|captions|FILE",
            text=True,
        ),
    ] = "openai"
    part: Annotated[str, Option("The part to predict: val or test.", metavar="PART")] = "test"
    rank: Annotated[
        str | Iterable[str],
        Option(
            "Also choose among the names of all taxa of a rank: kingdom, phylum, class, order, family, genus "
            "or species; several joined by commas.",
            metavar="RANK",
            many=True,
            choices=tuple(RANKS),
        ),
    ] = ()
    scores: Annotated[
        bool,
        Option(
            "Write the probability of every class instead of the first five classes: needed for the "
            "calibration error and for --unknown of evaluate."
        ),
    ] = False
    batch_size: Annotated[int, Option("Photos, or sentences, at once.", metavar="N", least=1)] = 64
    device: DeviceOption = None
    workers: WorkersOption = None
    progress: bool = True
    on_event: OnEvent = ignore

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecipe:
    """Everything that decides what a run comes to, but for the split, its photos and the teacher.

    `recipe` makes one from a method and what is to differ from its paper.
    """

    method: Annotated[MethodName, Option("The method to train.", "METHOD", choices=METHODS, default="ce")]
    arch: Annotated[
        str,
        Option(
            f"Network; for images of some 32 pixels: {', '.join(SMALL)}; for larger: {', '.join(LARGE)}.",
            "NAME",
            choices=(*SMALL, *LARGE),
            noun="network",
            default="resnet50; of deit-lt deit-base",
        ),
    ]
    image_size: Annotated[int, _number("Side of the network's input, in pixels.", "N", least=8, most=4096)]
    patch_size: Annotated[int, _count("Side of a ViT's patches, in pixels.", least=1)]
    epochs: Annotated[int, _count("Passes over the photos.", least=1)]
    batch_size: Annotated[int, _count("Photos per optimizer step, over all GPUs.", least=2)]
    accumulate: Annotated[
        int,
        _count(
            "Gradient accumulation: parts that a batch is processed in; more parts need less memory.", least=1
        ),
    ]
    optimizer: Annotated[
        Literal["sgd", "adamw"], _one_of("Optimizer; sgd uses Nesterov momentum.", "sgd", "adamw")
    ]
    lr: Annotated[float, _number("Learning rate after warmup.")]
    momentum: Annotated[float, _number("Momentum of sgd.", most=1)]
    weight_decay: Annotated[
        float, _number("Weight decay; with adamw not applied to biases, norms and tokens.")
    ]
    schedule: Annotated[Literal["step", "cosine"], _one_of("Learning rate schedule.", "step", "cosine")]
    milestones: Annotated[
        tuple[int, ...], _several("Epochs at which a step schedule lowers the rate.", "N,N,…")
    ]
    gamma: Annotated[float, _number("Factor applied to the rate at each milestone.", most=1)]
    warmup_epochs: Annotated[float, _number("Epochs over which the rate rises from 0.")]
    sampler: Annotated[
        Literal["instance", "square-root", "class"],
        _one_of("How photos are sampled; instance: each once per epoch.", "instance", "square-root", "class"),
    ]
    augment: Annotated[
        Literal["weak", "strong"],
        _one_of("Augmentation: crop and flip (weak), or RandAugment as well (strong).", "weak", "strong"),
    ]
    min_area: Annotated[
        float, _number("Smallest share of a photo's area that a crop may take.", least=0.001, most=1)
    ]
    test_crop: Annotated[
        float,
        _number("Share of the shorter side kept by the center crop for val and test.", least=0.1, most=1),
    ]
    mixup: Annotated[float, _number("Alpha of Mixup; 0 = off.")]
    cutmix: Annotated[float, _number("Alpha of CutMix; 0 = off. With both, one is chosen for each batch.")]
    smoothing: Annotated[float, _number("Label smoothing.", most=0.99)]
    erasing: Annotated[
        float, _number("Random erasing: probability that a rectangle of a photo becomes noise.", most=1)
    ]
    drop_path: Annotated[float, _number("Stochastic depth rate of a ViT's last layer.", most=0.99)]
    sam: Annotated[
        float, _number("Radius of sharpness-aware steps (SAM), 0.05 to 0.1 for teachers; 0 = off.", "RHO")
    ]
    ema: Annotated[
        float,
        _number("Decay of the moving average of the weights, which then predicts; 0 = off.", most=0.999999),
    ]
    beta: Annotated[float, _number("Beta of the class-balanced weights (Cui et al. 2019).", most=0.99999999)]
    drw_epoch: Annotated[int, _count("Epoch from which class-balanced weights apply (ldam-drw, deit-lt).")]
    tau: Annotated[float, _number("Strength of the prior of logit-adjustment.")]
    max_margin: Annotated[float, _number("Margin of ldam-drw for the rarest class.")]
    scale: Annotated[float, _number("Scale of the cosine logits of ldam-drw and mdcs.", least=0.001)]
    experts: Annotated[tuple[float, ...], _several("Lambda of each expert of mdcs.", "X,X,…")]
    consistency: Annotated[float, _number("Weight of the self-distillation of mdcs.")]
    consistency_warmup: Annotated[float, _number("Epochs over which that weight rises from 0.")]
    alpha: Annotated[
        float, _number("Weight of the distillation loss in deit-lt; the labels have 1 - alpha.", most=1)
    ]
    distillation: Annotated[
        Literal["hard", "soft"],
        _one_of(
            "What deit-lt learns from its teacher: the predicted class (hard) or the probabilities (soft).",
            "hard",
            "soft",
        ),
    ]
    temperature: Annotated[float, _number("Temperature of soft distillation.", least=0.001)]
    precision: Annotated[
        Literal["auto", "bfloat16", "float32"],
        _one_of(
            "Precision of matrix products; auto: bfloat16 on GPUs that support it.",
            "auto",
            "bfloat16",
            "float32",
        ),
    ]
    seed: Annotated[int, _number("Random seed.", "N", most=2**31 - 1)]

    def __post_init__(self) -> None:
        check(self)
        for name, least in (("milestones", 0), ("experts", -1e6)):
            object.__setattr__(self, name, tuple(getattr(self, name)))
            for number in getattr(self, name):
                if isinstance(number, bool) or not isinstance(number, int | float):
                    raise UsageError(f"{name} are numbers, not {number!r}")
                if not least <= number <= 1e6:
                    raise UsageError(f"{name} must be {least:g} to 1,000,000, not {number:g}")
        if self.arch.startswith("deit") != (self.method == "deit-lt"):
            raise RecipeError(
                f"{self.method} does not train a {self.arch}",
                hint="deit-lt trains a network deit-…, the other methods a resnet….",
            )
        if self.method in ("ldam-drw", "mdcs") and (self.mixup or self.cutmix or self.smoothing):
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
            RecipeError: it has other hyper-parameters.
            UsageError: an invalid value.
        """
        if set(values) != {field.name for field in fields(cls)}:
            raise RecipeError("the recipe has other hyper-parameters than this version of arboretum knows")
        return cls(**values)


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
        UsageError: an unknown hyper-parameter, or an invalid value.
        RecipeError: values that contradict each other.
    """
    if method not in METHODS:
        raise UsageError(
            f"there is no method {method!r}; known are {', '.join(METHODS)}",
            hint=did_you_mean(method, tuple(METHODS)),
        )
    given = {name: _parsed(name, value) for name, value in given.items() if value is not None}
    for name in given:
        if name == "method" or name not in TrainingRecipe.__annotations__:
            raise UsageError(f"there is no hyper-parameter {name!r}")
    papers = _PAPERS.get(method, _LDAM)
    small = given.get("arch", papers[False]["arch"]) in SMALL
    paper = {**_COMMON, **_OF_SIZE[small], **papers[small]}
    if method not in ("ldam-drw", "deit-lt"):
        paper["drw_epoch"] = 0
    values: Any = {"method": method, **paper, **given}
    factors = {}
    for name in ("epochs", "batch_size"):
        asked = values[name]
        whole = isinstance(asked, int) and asked > 0  # anything else is refused below, by name
        factors[name] = asked / paper[name] if whole else 1.0
    for name in _WITH_EPOCHS:
        if name not in given:
            values[name] = _scaled(paper[name], factors["epochs"])
    if "lr" not in given:
        values["lr"] = paper["lr"] * factors["batch_size"]
    return TrainingRecipe(**values)


def _parsed(name: str, value: Any) -> Any:
    """Numbers out of a text with commas, where the command line gives one."""
    if name not in ("milestones", "experts") or not isinstance(value, str):
        return value
    try:
        return tuple((int if name == "milestones" else float)(one) for one in value.split(",") if one.strip())
    except ValueError:
        raise UsageError(f"{name} are numbers with commas between, not {value!r}") from None


def _scaled(value: Any, factor: float) -> Any:
    if isinstance(value, tuple):
        return tuple(round(one * factor) for one in value)
    return round(value * factor) if isinstance(value, int) else value * factor
