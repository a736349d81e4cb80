"""What an evaluation looks like: accuracy by band and by rank, and how far two models are apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arboretum_tools.evaluation.comparison import Comparison, Difference
from arboretum_tools.evaluation.evaluation import Evaluation
from arboretum_tools.evaluation.measures.intervals import Estimate
from arboretum_tools.evaluation.reporting.headings import heading, model_name
from arboretum_tools.evaluation.runs import Runs, Spread
from arboretum_tools.imaging import figures

_GREEN, _GREY = figures.BAND_COLORS["many"], figures.GREY
_COLORS = {
    **dict.fromkeys(("overall", "class_balanced"), _GREY),
    **figures.BAND_COLORS,
    **dict.fromkeys(("head", "mid", "tail"), "#8fa3b0"),
}


# What a trait is called where photos are counted by it.
_TRAITS = {
    "years": "year",
    "months": "month",
    "licences": "licence",
    "observers": "observer",
    "cells": "5-degree cell",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with its two ends, from 0 to 1: of an interval, or a standard deviation to either side."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, one: Estimate | Spread) -> Bar | None:
        """None where nothing decides the value."""
        if isinstance(one, Spread):
            width = one.std or 0
            return cls(one.mean, one.mean - width, one.mean + width)
        if one.value is None or one.low is None or one.high is None:
            return None
        return cls(one.value, one.low, one.high)


def draw(found: Evaluation | Runs, path: Path, *, against: Comparison | None = None) -> Path:
    """Draws accuracy by shot band and by rank; of two models their differences too.

    With `bias` a second row has a panel a trait. Without a train part groups or life stages stand where the
    bands would. Lines at the bars are 95 %
    intervals of one run, and a standard deviation to either side of several.

    Args:
        found: an evaluation, or several runs.
        path: .png, .pdf or .svg.
        against: how far other predictions are apart from these.

    Raises:
        BadInputError: matplotlib is not installed.
    """
    panels = 2 + (against is not None)
    traits = found.traits if isinstance(found, Evaluation) else {}
    columns = max(panels, len(traits))
    size = (3.6 * columns, 3.6 * (1 + bool(traits)))
    figure = figures.figure_class()(figsize=size, layout="constrained")
    grid = figure.add_gridspec(1 + bool(traits), columns)
    left, right, *third = (figure.add_subplot(grid[0, column]) for column in range(panels))
    for column, (trait, estimates) in enumerate(traits.items()):
        axes = figure.add_subplot(grid[1, column])
        _bars(axes, {name: Bar.of(one) for name, one in estimates.items()})
        axes.set_title(f"top-1 by {_TRAITS[trait]}", fontsize=9)
        axes.set_ylabel("share of photos (%)", fontsize=9)
    ranks: dict[str, Bar | None]
    if isinstance(found, Runs):
        title = f"{', '.join(dict.fromkeys(found.splits))}, {found.part}"
        whose = model_name([one.predictions for one in found.evaluations])
        spread = "mean ± standard deviation"
        ranks = {rank: Bar.of(one) for rank, one in found.ranks.items()}
        shown = {name: Bar.of(one) for name, one in found.top1.items()}
    else:
        title, whose = f"{found.split}, {found.part}", found.predictions
        spread = "95 % intervals"
        ranks = {rank: Bar.of(one.accuracy) for rank, one in found.ranks.items()}
        shown = {name: Bar.of(one) for name, one in (found.top1.by_name() | dict(found.cuts)).items()}
        if not found.top1.bands:
            parts = found.groups if len(found.groups) > 1 or not found.life_stages else found.life_stages
            shown = {"class_balanced": Bar.of(found.top1.class_balanced)}
            shown |= {name: Bar.of(one) for name, one in parts.items()}
    figure.suptitle(f"{title}: {whose}" if whose else title, fontsize=10)
    _bars(left, shown)
    left.set_title("top-1", fontsize=9)
    left.set_ylabel(f"accuracy (%), {spread}", fontsize=9)
    _bars(right, ranks)
    right.set_title("right taxon at each rank", fontsize=9)
    right.set_ylabel("share of photos (%)", fontsize=9)
    if against is not None:
        _differences(third[0], against)
    return figures.save(figure, path)


def _bars(axes: Any, bars: Mapping[str, Bar | None]) -> None:
    known = {name: bar for name, bar in bars.items() if bar is not None}
    values = [100 * bar.value for bar in known.values()]
    below = [100 * max(0.0, bar.value - bar.low) for bar in known.values()]
    above = [100 * max(0.0, bar.high - bar.value) for bar in known.values()]
    colors = [_COLORS.get(name, _GREEN) for name in known]
    axes.bar([heading(name) for name in known], values, color=colors, yerr=[below, above], capsize=3)
    axes.set_xlim(-0.6, max(len(known), 3) - 0.4)  # one bar alone is no wall
    axes.set_ylim(0, 103)  # so that an interval that ends at 100 is seen to end there
    axes.tick_params(axis="x", labelsize=8)
    for text in axes.get_xticklabels():
        text.set(rotation=40, ha="right", rotation_mode="anchor")
    axes.spines[["top", "right"]].set_visible(False)


def _differences(axes: Any, found: Comparison) -> None:
    """The differences with their intervals, a line each; what does not touch 0 is told from what does."""
    known = {name: one for name, one in found.top1.items() if None not in (one.value, one.low, one.high)}
    for position, (name, one) in enumerate(known.items()):
        _difference(axes, position, one, _COLORS.get(name, _GREEN))
    axes.axvline(0, color=_GREY, linewidth=0.8, linestyle="--")
    axes.set_yticks(range(len(known)), [heading(name) for name in known], fontsize=8)
    axes.set_ylim(len(known) - 0.4, -0.6)
    axes.set_xlabel("difference in top-1 (points), 95 % intervals", fontsize=9)
    axes.set_title(f"difference to {model_name(found.names[1]) or 'the other predictions'}", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def _difference(axes: Any, position: int, one: Difference, color: str) -> None:
    value, low, high = (100 * (end or 0) for end in (one.value, one.low, one.high))
    errors = [[max(0.0, value - low)], [max(0.0, high - value)]]
    axes.errorbar([value], [position], xerr=errors, fmt="o", color=color, capsize=3)


def draw_methods(
    methods: Mapping[str, Mapping[str, Bar | None]], path: Path, *, title: str, spread: str
) -> Path:
    """Draws methods beside each other: a group of bars a measure, a colour a method.

    Args:
        methods: by name, the bars by measure; all have the same measures.
        path: .png, .pdf or .svg.
        title: what was predicted.
        spread: what the lines at the bars are.
    """
    names = list(methods)
    measures = list(methods[names[0]])
    figure = figures.figure_class()(figsize=(1.6 + 1.3 * len(measures), 3.8), layout="constrained")
    axes = figure.add_subplot()
    colors = ("#105c68", "#d99320", "#a8345c", "#5b7f3b", "#6d5a9c", "#6c726c", "#b5651d", "#3d7ea6")
    width = 0.8 / len(names)
    for position, name in enumerate(names):
        bars = [(i, bar) for i, bar in enumerate(methods[name].values()) if bar is not None]
        axes.bar(
            [i + (position - (len(names) - 1) / 2) * width for i, _ in bars],
            [100 * bar.value for _, bar in bars],
            width=0.9 * width,
            color=colors[position % len(colors)],
            hatch=None if position < len(colors) else "//",
            yerr=[
                [100 * max(0.0, bar.value - bar.low) for _, bar in bars],
                [100 * max(0.0, bar.high - bar.value) for _, bar in bars],
            ],
            capsize=2,
            label=name,
        )
    axes.set_xticks(range(len(measures)), [heading(name) for name in measures])
    axes.set_ylim(0, 103)
    axes.set_ylabel("top-1 (%)")
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(f"lines: {spread}", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=min(3, len(names)), fontsize=8, frameon=False)
    return figures.save(figure, path)
