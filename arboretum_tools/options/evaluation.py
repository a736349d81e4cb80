"""The options of an evaluation, and of a comparison of two models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from arboretum_tools.errors import UsageError
from arboretum_tools.options import Option, check


@dataclass(frozen=True, kw_only=True)
class PartOptions:
    """Which part was predicted: what `compare_runs` takes."""

    part: Annotated[
        str,
        Option("The part that was predicted: train, val or test; validation means val.", metavar="PART"),
    ] = "test"

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class PredictedOptions(PartOptions):
    """What was predicted, and what of photos that were not."""

    missing: Annotated[
        str,
        Option(
            "What to do where a photo has no prediction: error, or wrong to count it so.",
            metavar="error|wrong",
            choices=("error", "wrong"),
            noun="way to treat missing photos",
        ),
    ] = "error"


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions(PredictedOptions):
    """What `evaluate` takes."""

    cuts: Annotated[
        str | Sequence[int] | None,
        Option(
            "Head, mid and tail by label: 36,71 makes labels 0 to 35 the head, 36 to 70 mid, and the others "
            "the tail.",
            metavar="A,B",
            text=True,
        ),
    ] = None

    bias: Annotated[
        bool,
        Option(
            "Also accuracy by year, month and licence, and whether the observer, or the 5-degree cell, of a "
            "photo has train photos too."
        ),
    ] = False

    unknown: Annotated[
        Any,
        Option(
            "A split of classes that the model does not know, predicted in the same file with probabilities "
            "of the known ones: how well the two are told apart (AUROC, OSCR).",
            metavar="SPLIT",
            text=True,
        ),
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cuts is not None:
            object.__setattr__(self, "cuts", _two_labels(self.cuts))


@dataclass(frozen=True, kw_only=True)
class ComparisonOptions(PredictedOptions):
    """What `compare_predictions` takes."""

    seed: Annotated[
        int,
        Option(
            "Draw other exchanges of answers, where there are too many to try all.",
            metavar="N",
            least=0,
            most=2**63 - 1,
        ),
    ] = 0


def _two_labels(cuts: str | Sequence[int]) -> tuple[int, int]:
    try:
        first, second = (int(one) for one in (cuts.split(",") if isinstance(cuts, str) else cuts))
    except (TypeError, ValueError):
        raise UsageError(f"cuts are two labels, such as 36,71, not {cuts!r}") from None
    if not 0 < first < second:
        raise UsageError(f"cuts {first},{second} leave no head or no mid: they rise, and begin above 0")
    return first, second
