"""Runs side by side: methods by bands, with intervals, and each against the first."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from arboretum_tools.errors import SplitError, TrainingError, UsageError
from arboretum_tools.evaluation import Difference, Estimate, compare_predictions, evaluate
from arboretum_tools.evaluation.reporting.figures import Bar, draw_methods
from arboretum_tools.evaluation.reporting.headings import heading
from arboretum_tools.evaluation.reporting.report import cell as interval_cell
from arboretum_tools.evaluation.runs import Spread
from arboretum_tools.options import takes
from arboretum_tools.options.evaluation import PartOptions
from arboretum_tools.split.files.manifest import Split, open_split
from arboretum_tools.tabular.markdown import cell, table
from arboretum_tools.tabular.spreadsheets import plain
from arboretum_tools.training.description import described, predictions_of


@dataclass(frozen=True, slots=True)
class ComparedMethod:
    """The runs of one recipe, which differ in their seed alone.

    Attributes:
        name: the method, and what tells its recipe from those of other runs of the method.
        runs: their folders, in order.
        estimates: top-1 by measure (`overall`, `class_balanced`, bands), one estimate a run.
        differences: to the runs that were named first, by measure; None for these themselves.
    """

    name: str
    runs: tuple[str, ...]
    estimates: dict[str, tuple[Estimate, ...]]
    differences: dict[str, Difference] | None


@takes(PartOptions)
def compare_runs(
    split: str | Path | Split, runs: Sequence[str | Path], options: PartOptions
) -> tuple[ComparedMethod, ...]:
    """Compares training runs on one split; runs that differ in their seed alone count as one method.

    Args:
        split: that they were trained on, or its folder.
        runs: folders of finished runs; the others are compared against the first.
        options: {options}

    Raises:
        UsageError: no run.
        TrainingError: a folder does not hold a run, or the run is not finished.
        SplitError: a run was trained on another split.

    >>> import arboretum_tools as at
    >>> found = at.compare_runs("splits/aves-lt100", ["runs/ce", "runs/mdcs"])  # doctest: +SKIP
    """
    part = options.part
    if not runs:
        raise UsageError("there is no run to compare")
    opened = split if isinstance(split, Split) else open_split(split)
    groups: dict[str, list[Path]] = {}
    recipes: dict[str, dict[str, Any]] = {}
    for folder in map(Path, runs):
        found = described(folder)
        if found["split"]["sha256"] != opened.sha256:
            raise SplitError(
                f"the run {folder} was trained on {found['split']['name']}, whose photos or classes are not "
                f"those of {opened.name}",
                hint="Compare runs on one split, and name that split.",
            )
        if not predictions_of(folder, part).is_file():
            raise TrainingError(
                f"the run {folder} has no predictions of {part}", hint="The command that began it ends it."
            )
        recipe = {name: value for name, value in found["recipe"].items() if name != "seed"}
        recipe |= {f"teacher's {name}": value for name, value in _of_teacher(found).items()}
        key = repr(sorted(recipe.items()))
        groups.setdefault(key, []).append(folder)
        recipes[key] = recipe
    predictions = {key: [predictions_of(one, part) for one in folders] for key, folders in groups.items()}
    first = next(iter(groups))
    compared = []
    for key, folders in groups.items():
        found_tops = [evaluate(opened, one, part=part).top1 for one in predictions[key]]
        measures = [one.by_name() for one in found_tops]
        differences = None
        if key != first:
            apart = compare_predictions(opened, predictions[key], predictions[first], part=part)
            differences = dict(apart.top1)
        compared.append(
            ComparedMethod(
                _name(recipes[key], list(recipes.values())),
                tuple(map(str, folders)),
                {name: tuple(one[name] for one in measures) for name in measures[0]},
                differences,
            )
        )
    return tuple(compared)


def _of_teacher(found: dict[str, Any]) -> dict[str, Any]:
    teacher = found.get("teacher") or {}
    return {name: value for name, value in teacher.get("recipe", {}).items() if name != "seed"}


def _name(recipe: dict[str, Any], recipes: list[dict[str, Any]]) -> str:
    """The method, and every hyper-parameter in which runs of that method differ."""
    same = [one for one in recipes if one["method"] == recipe["method"]]
    differ = [name for name in recipe if any(one.get(name) != recipe[name] for one in same)]
    return ", ".join([recipe["method"], *(f"{name} {recipe[name]}" for name in differ)])


def comparison_table(methods: Sequence[ComparedMethod]) -> list[str]:
    """The comparison as Markdown, numbers in percent, and what the brackets mean."""
    names = [heading(name) for name in methods[0].estimates]
    rows = [[cell(one.name), str(len(one.runs)), *map(_shown, one.estimates.values())] for one in methods]
    lines = [
        *table(["method", "runs", *names], rows),
        "",
        "One run: with its 95 % interval. Several: mean ± standard deviation over the runs.",
    ]
    others = [one for one in methods if one.differences is not None]
    if others:
        rows = [[cell(one.name), *map(_apart, (one.differences or {}).values())] for one in others]
        lines += ["", *table([f"minus {cell(methods[0].name)}", *names], rows), ""]
        lines.append("Differences with their 95 % intervals; p by exchanging the answers to whole groups.")
    return lines


def _shown(estimates: Sequence[Estimate]) -> str:
    spread = _spread(estimates)
    if len(estimates) == 1 or spread is None or spread.std is None:
        return interval_cell(estimates[0])
    return f"{100 * spread.mean:.1f} ± {100 * spread.std:.1f}"


def _spread(estimates: Sequence[Estimate]) -> Spread | None:
    """Over the runs; None where nothing decides the measure."""
    values = [one.value for one in estimates if one.value is not None]
    return Spread.of(values) if values else None


def _apart(one: Difference) -> str:
    if one.value is None or one.low is None or one.high is None or one.p is None:
        return "–"
    return f"{100 * one.value:+.1f} [{100 * one.low:.1f}, {100 * one.high:.1f}], p = {one.p:.2g}"


def comparison_figure(methods: Sequence[ComparedMethod], path: str | Path, *, title: str = "") -> Path:
    """Draws the methods by measure: one run with its 95 % interval, several with a standard deviation.

    Args:
        methods: of `compare_runs`.
        path: .png, .pdf or .svg.
        title: of the figure.

    Raises:
        BadInputError: matplotlib is not installed.
        UsageError: the file has another ending.
    """
    several = [len(one.runs) > 1 for one in methods]
    spread = "mean ± standard deviation over runs" if any(several) else "95 % intervals"
    if any(several) and not all(several):
        spread = "95 % interval of one run; mean ± standard deviation of several"
    bars = {
        (f"{one.name} ({len(one.runs)} runs)" if len(one.runs) > 1 else one.name): {
            name: _bar(estimates) for name, estimates in one.estimates.items()
        }
        for one in methods
    }
    return draw_methods(bars, Path(path), title=title, spread=spread)


def _bar(estimates: Sequence[Estimate]) -> Bar | None:
    if len(estimates) == 1:
        return Bar.of(estimates[0])
    spread = _spread(estimates)
    return None if spread is None else Bar.of(spread)


def comparison_csv(methods: Sequence[ComparedMethod]) -> str:
    """One row per run and measure: method, run, measure, value, low, high, n; shares from 0 to 1."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["method", "run", "measure", "value", "low", "high", "n"])
    for method in methods:
        for measure, estimates in method.estimates.items():
            for run, one in zip(method.runs, estimates, strict=True):
                writer.writerow([plain(method.name), plain(run), measure, *asdict(one).values()])
    return out.getvalue()
