"""An evaluation for people: a Markdown table that can go into a paper, and a figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from arboretum_tools.errors import TargetExistsError
from arboretum_tools.evaluation.comparison import Comparison, Difference
from arboretum_tools.evaluation.evaluation import Evaluation, Measures
from arboretum_tools.evaluation.measures.intervals import FEW_CLASSES, Estimate
from arboretum_tools.evaluation.reporting.figures import draw
from arboretum_tools.evaluation.reporting.headings import heading, model_name
from arboretum_tools.evaluation.runs import Runs, Spread
from arboretum_tools.system.atomic_files import placed, read_json, whole_file, write_json
from arboretum_tools.tabular.markdown import cell as text_cell
from arboretum_tools.tabular.markdown import table
from arboretum_tools.wording import counted, does, plural

#: The files of a report.
JSON, MARKDOWN, FIGURE = "report.json", "report.md", "report.png"


def markdown(found: Evaluation) -> str:
    """The evaluation as Markdown; numbers in percent with their 95 % intervals."""
    columns = ["", *map(heading, found.top1.by_name())]
    rows = [["top-1", *_cells(found.top1)]]
    if found.top5 is not None:
        rows.append(["top-5", *_cells(found.top5)])
    lines = [
        f"# {found.split}, {found.part}",
        "",
        f"{counted(found.photos, 'photo')} of {counted(found.classes, 'class')}{_in_groups(found)}. Percent, "
        "with 95 % intervals for other photos of the same classes.",
        "",
        *table(columns, rows),
        "",
        *_over_classes(found.top1),
        f"Macro-F1 {cell(found.macro_f1)}. {_severity(found)}",
        _others(found),
        *_open_set(found),
        *_left_out(found),
        "",
        *_ranks(found),
    ]
    for title, estimates, unit in (
        ("cut", found.cuts, "classes"),
        ("life stage", found.life_stages, "photos"),
        *((trait, estimates, "photos") for trait, estimates in found.traits.items()),
        ("group", found.groups, "classes"),
    ):
        if estimates:
            rows = [[text_cell(name), cell(one), f"{one.n:,}"] for name, one in estimates.items()]
            lines += ["", *table([title, "top-1", unit], rows)]
    if found.pairs:
        rows = [
            [" / ".join(map(text_cell, one.names)), cell(one.top1), cell(one.swapped), f"{one.top1.n:,}"]
            for one in found.pairs
        ]
        lines += ["", *table(["pair", "top-1", "taken for the other", "photos"], rows)]
    return "\n".join(lines) + "\n"


def _ranks(found: Evaluation) -> list[str]:
    """Rolled up from the classes and, where the model was asked at a rank, its answers there beside it."""
    header = ["rank", "accuracy", "photos"]
    rows = [[rank, cell(one.accuracy), f"{one.accuracy.n:,}"] for rank, one in found.ranks.items()]
    if found.asked_ranks:
        header[1:2] = ["rolled up", "asked at that rank"]
        for row in rows:
            asked = found.asked_ranks.get(row[0])
            row.insert(2, "–" if asked is None else cell(asked.accuracy))
    return table(header, rows)


def comparison_markdown(found: Comparison) -> str:
    """The comparison as Markdown; numbers in percent."""
    names = ["", *map(heading, found.top1)]
    first, second = (text_cell(model_name(runs)) for runs in found.names)
    # Not in memory, and not two files of one name in two folders.
    named = all(all(runs) for runs in found.names) and first != second
    lines = [
        f"## {first} against {second}" if named else "## Against the other predictions",
        "",
        "Percent; differences with their 95 % intervals; p by exchanging the answers to whole "
        f"{plural(2, found.grouped_by)}, of which {found.differing_groups:,} of {found.num_groups:,} differ.",
    ]
    for title, measures in (("top-1", found.top1), ("top-5", found.top5)):
        if measures is None:
            continue
        each = list(measures.values())
        rows = [
            [f"{title}, {first}" if named else title, *(_percent(one.first) for one in each)],
            [f"{title}, {second}" if named else "against", *(_percent(one.second) for one in each)],
            ["difference", *map(_difference, each)],
            ["p", *("–" if one.p is None else f"{one.p:.4f}" for one in each)],
        ]
        if found.by_split and measures is found.top1:
            rows += [
                [text_cell(f"in {split}"), *("–" if one is None else f"{100 * one:+.1f}" for one in values)]
                for split, *values in zip(found.splits, *found.by_split.values(), strict=True)
            ]
        lines += ["", *table(names, rows)]
    return "\n".join(lines) + "\n"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _difference(one: Difference) -> str:
    if one.value is None or one.low is None or one.high is None:
        return "–"
    return f"{100 * one.value:+.1f} [{100 * one.low:+.1f}, {100 * one.high:+.1f}]"


def _in_groups(found: Evaluation) -> str:
    """What the intervals take as one draw, where that is not each photo."""
    return "" if found.grouped_by == "photo" else f" in {counted(found.num_groups, found.grouped_by)}"


def _over_classes(measures: Measures) -> list[str]:
    """The intervals for other classes as well, and a word on those of few classes."""
    means = {heading(name): one for name, one in measures.over_classes().items()}
    known = {name: one for name, one in means.items() if one.over_classes is not None}
    if not known:
        return []
    text = ", ".join(f"{name} {_range(one.over_classes)}" for name, one in known.items() if one.over_classes)
    few = [f"{name} ({counted(one.n, 'class')})" for name, one in known.items() if one.n < FEW_CLASSES]
    note = f" Over fewer than {FEW_CLASSES} classes this means little: {', '.join(few)}." if few else ""
    return [f"For other classes as well, top-1: {text}.{note}", ""]


def _range(ends: tuple[float, float]) -> str:
    return f"[{100 * ends[0]:.1f}, {100 * ends[1]:.1f}]"


def _cells(measures: Measures) -> list[str]:
    return [cell(one) for one in measures.by_name().values()]


def cell(estimate: Estimate) -> str:
    """An estimate as a cell of a table: `71.3 [68.0, 74.4]`, or a dash where nothing decides it."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "–"
    return f"{100 * estimate.value:.1f} {_range((estimate.low, estimate.high))}"


def _severity(found: Evaluation) -> str:
    if not found.mistakes:
        return "No prediction is wrong."
    if found.mistake_severity is None:
        return "Mistake severity is not reported: the classes have no lineage."
    return (
        f"Mistake severity {found.mistake_severity:.2f} ranks (mean height of the lowest common ancestor "
        f"over {counted(found.mistakes, 'wrong prediction')})."
    )


def _others(found: Evaluation) -> str:
    """The measures without an interval."""
    mean, worst = _percent(found.geometric_mean), _percent(found.worst_class)
    text = f"Geometric mean of the classes {mean}, worst class {worst}"
    if found.calibration_error is not None:
        text += f"; expected calibration error {_percent(found.calibration_error)}"
    if found.hierarchical_distance:
        each = ", ".join(f"{one:.2f} at {k}" for k, one in found.hierarchical_distance.items())
        text += f"; hierarchical distance {each}"
    return f"{text}."


def _open_set(found: Evaluation) -> list[str]:
    one = found.open_set
    if one is None:
        return []
    return [
        f"Against {counted(one.photos, 'photo')} of {counted(one.classes, 'unknown class')} "
        f"({text_cell(one.split)}): AUROC {_percent(one.auroc)}, OSCR {_percent(one.oscr)}."
    ]


def runs_markdown(found: Runs) -> str:
    """Runs of one model as Markdown; percent, but for ranks."""
    columns = [heading(name) for name in found.top1]
    rows = [["top-1", *map(_spread, found.top1.values())]]
    if found.top5:
        rows.append(["top-5", *(_spread(found.top5.get(name)) for name in found.top1)])
    in_ranks = ("mistake_severity", "hierarchical_distance")
    others = [
        [heading(name), _spread(one, 1 if name.startswith(in_ranks) else 100)]
        for name, one in found.others.items()
    ]
    lines = [
        f"# {', '.join(dict.fromkeys(found.splits))}, {found.part}",
        "",
        f"Mean and standard deviation of {counted(len(found.evaluations), 'run')}, in percent; mistake "
        "severity and hierarchical distance in ranks.",
        "",
        *table(["", *columns], rows),
        "",
        *table(["measure", "value"], others),
        "",
        *table(["rank", "accuracy"], [[rank, _spread(one)] for rank, one in found.ranks.items()]),
    ]
    return "\n".join(lines) + "\n"


def _spread(one: Spread | None, scale: int = 100) -> str:
    if one is None:
        return "–"
    digits = 1 if scale == 100 else 2
    return f"{scale * one.mean:.{digits}f}" + (
        f" ± {scale * one.std:.{digits}f}" if one.std is not None else ""
    )


def _left_out(found: Evaluation) -> list[str]:
    lines = []
    empty = {band: n for band, n in found.classes_left_out.items() if n}
    if empty:
        text = ", ".join(f"{n:,} {band}" for band, n in empty.items())
        lines.append(f"Classes without photos in the part, in no mean: {text}.")
    if found.missing:
        lines.append(
            f"{counted(found.missing, 'photo')} {does(found.missing, 'have')} no prediction and "
            f"{does(found.missing, 'count')} as wrong."
        )
    if not found.top1.bands:
        lines.append("Shot bands are not reported: the split has no train part.")
    if found.top5 is None:
        lines.append("Top-5 is not reported: the predictions name fewer than five classes a photo.")
    return ["", *lines] if lines else []


def save(
    found: Evaluation | Runs,
    folder: str | Path,
    *,
    against: Comparison | None = None,
    with_figure: bool = True,
    overwrite: bool = False,
) -> list[Path]:
    """Writes report.json, report.md and report.png.

    A report of the same predictions of the same photos, held against the same other predictions, is written
    anew; any other only where that is allowed.

    Args:
        found: the evaluation of a run, or several of them.
        folder: where to.
        against: a comparison of its predictions with others, written behind it.
        with_figure: draw report.png too.
        overwrite: replace a report of other predictions.

    Raises:
        TargetExistsError: the folder holds something else than a report, or another report that may not be
            replaced.
        NotWritableError: it cannot be made.
        BadInputError: a figure is asked for and matplotlib is not installed.
    """
    folder = Path(folder)
    value = found.to_dict() | ({"against": against.to_dict()} if against else {})
    _check(folder, value, overwrite=overwrite)
    # First, so that nothing is written where it cannot be drawn.
    drawn = [draw(found, folder / FIGURE, against=against)] if with_figure else []
    with whole_file(folder / MARKDOWN) as temporary:
        temporary.write_text(report(found, against), encoding="utf-8")
    write_json(folder / JSON, value)
    return [folder / JSON, folder / MARKDOWN, *drawn]


def _check(folder: Path, value: Mapping[str, Any], *, overwrite: bool) -> None:
    """Refuses a folder that holds something else, or a report of something else."""
    with placed(folder):
        there = list(folder.iterdir()) if folder.is_dir() else []
    if folder.is_file() or (there and not (folder / JSON).is_file()):
        raise TargetExistsError(
            f"{folder} already holds something else; nothing was written",
            hint="Name another folder with --out.",
        )
    if not there or overwrite:
        return
    try:
        same = _inputs(read_json(folder / JSON)) == _inputs(value)
    except (OSError, ValueError, TypeError, AttributeError):
        same = False
    if not same:
        raise TargetExistsError(
            f"{folder} holds the report of other predictions, or of another comparison; nothing was written",
            hint="Name another folder with --out, or allow it to be replaced with --overwrite.",
        )


def _inputs(value: Mapping[str, Any]) -> list[Any]:
    """What a report.json is of: the photos, what was predicted, and what that was held against."""
    runs = value.get("evaluations") or [value]
    of = [[one.get(name) for one in runs] for name in ("sha256", "part", "predictions_sha256")]
    other = (value.get("against") or {}).get("predictions_sha256") or ()
    return [*of, *map(list, other)]


def report(found: Evaluation | Runs, against: Comparison | None = None) -> str:
    """All of it as Markdown."""
    text = markdown(found) if isinstance(found, Evaluation) else runs_markdown(found)
    return text + (f"\n{comparison_markdown(against)}" if against else "")
