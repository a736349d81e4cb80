"""The options of the statistics of a catalogue and of a split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from arboretum_metadata.vocab import FEW_BELOW, MANY_ABOVE
from arboretum_tools.errors import UsageError
from arboretum_tools.options import Option, check


@dataclass(frozen=True, kw_only=True)
class CatalogStatsOptions:
    """What `catalog_stats` takes."""

    top: Annotated[
        int,
        Option(
            "Catalogue: species in the tables of the most and the least photographed; 0 = no such tables.",
            metavar="N",
            least=0,
        ),
    ] = 10

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class SplitStatsOptions:
    """What `split_stats` takes; the default bounds are those of Liu et al. 2019."""

    many_above: Annotated[
        int, Option("Split: many-shot is more train photos than this.", metavar="N", least=0)
    ] = MANY_ABOVE
    few_below: Annotated[
        int, Option("Split: few-shot is fewer train photos than this.", metavar="N", least=0)
    ] = FEW_BELOW

    def __post_init__(self) -> None:
        check(self)
        if self.few_below > self.many_above + 1:
            raise UsageError(
                f"few-shot below {self.few_below} and many-shot above {self.many_above} leave no band between"
            )
