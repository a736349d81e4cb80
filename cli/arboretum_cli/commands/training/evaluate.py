"""`arboretum evaluate`: predictions against a split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from arboretum_cli.flags.declared import Given, takes
from arboretum_cli.flags.shared import Json, Overwrite, SplitFolder
from arboretum_cli.printing.output import result, say, say_error
from arboretum_tools.options import Option
from arboretum_tools.options.evaluation import EvaluationOptions


@dataclass(frozen=True, kw_only=True)
class OwnOptions:
    """What `arboretum evaluate` takes besides: the other model, and where the report goes."""

    against: Annotated[
        Sequence[Path],
        Option(
            "Predictions of another model for the same photos: the difference, its interval, and p. "
            "Several are runs of that model: every file up to the next option belongs to --against; a folder "
            "among them is the split of those behind it, as among PREDICTIONS.",
            metavar="PREDICTIONS...",
            many=True,
            commas=False,
        ),
    ] = ()
    out: Annotated[
        Path | None,
        Option(
            "Folder of the report.",
            metavar="DIR",
            short="o",
            default="<name>-report beside the first file of PREDICTIONS, whose name it has",
        ),
    ] = None


@takes(options=EvaluationOptions, own=OwnOptions)
def evaluate(
    split: SplitFolder,
    predictions: Annotated[
        list[Path],
        typer.Argument(
            help="Parquet, NPZ, CSV or TSV: photo_id and label, or label_1 to label_k; in Parquet and NPZ "
            "scores too. Several are runs of one model; a folder among them is the split of those behind it.",
            metavar="PREDICTIONS...",
        ),
    ],
    options: Given,
    own: OwnOptions,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Report predictions as long-tailed papers do: top-1 and top-5, many, medium, few, by rank.

    Prints the Markdown table, and writes report.json, report.md and (if matplotlib is installed)
    report.png. One row per photo of the part: photo_id, and label or label_1 to label_5 or a list of scores.
    In Python: `arboretum_tools.evaluate(split, predictions)`, `summarize_runs`, `compare_predictions`.

    \b
    Examples:
        arboretum evaluate splits/aves-lt100 splits/aves-lt100/test.parquet --cuts 2,5 --out perfect
        arboretum evaluate splits/balanced splits/balanced/test.parquet --against splits/balanced/test.parquet
        arboretum evaluate splits/s0 a0.npz splits/s1 a1.npz --against splits/s0 b0.npz splits/s1 b1.npz
    """
    from arboretum_tools import compare_predictions, open_split, summarize_runs
    from arboretum_tools import evaluate as run
    from arboretum_tools.errors import NotWritableError, UsageError
    from arboretum_tools.evaluation.predictions import OtherPhotosError
    from arboretum_tools.evaluation.reporting.report import report, save

    against, out = own.against, own.out
    if split.is_file():
        raise UsageError(f"SPLIT comes first: {split} is a file", hint="Such as: evaluate SPLIT PREDICTIONS.")
    if against and options.get("unknown") is not None:
        raise UsageError("--against compares over known classes alone: leave --unknown out, or --against")
    mine, theirs = _by_split(split, predictions), _by_split(split, against)
    if against and list(mine) != list(theirs):
        alone = [str(path) for path in dict.fromkeys([*mine, *theirs]) if (path in mine) != (path in theirs)]
        raise UsageError(
            "two models are compared over the same splits, in one order"
            + (f"; there are predictions of only one of them for {', '.join(alone)}" if alone else ""),
            hint="Name the split before what is predicted of it, on both sides: SPLIT A SPLIT2 A2 --against "
            "SPLIT B SPLIT2 B2.",
        )
    if alone := [str(path) for path in [split, *filter(Path.is_dir, predictions)] if path not in mine]:
        raise UsageError(
            f"no predictions are named for {', '.join(alone)}",
            hint="Predictions stand behind their split: SPLIT A SPLIT2 A2.",
        )
    splits = {path: open_split(path) for path in mine}
    files = [file for own in mine.values() for file in own]
    others = [file for own in theirs.values() for file in own]
    evaluations = []
    for path, own_files in mine.items():
        for file in own_files:
            try:
                evaluations.append(run(splits[path], file, **options))
            except OtherPhotosError as error:
                before = own_files[: own_files.index(file)]
                typed = " ".join(map(str, [path, *before, "SPLIT2", file] if before else ["SPLIT2", file]))
                error.hint = f"If {file} is of another split, name that one before it: {typed}" + (
                    "." if "part" in options else "; if it is of another part, name that one with --part."
                )
                raise
    found = evaluations[0] if len(evaluations) == 1 else summarize_runs(evaluations)
    predicted = {name: value for name, value in options.items() if name not in ("cuts", "bias", "unknown")}
    other = None
    if len(splits) > 1 and theirs:
        sides = [list(mine.values()), list(theirs.values())]
        other = compare_predictions(list(splits.values()), *sides, **predicted)
    elif theirs:
        other = compare_predictions(splits[next(iter(mine))], files, others, **predicted)
    answers = [(one.sha256[one.part], one.predictions_sha256) for one in evaluations]
    photos = [splits[path].sha256[evaluations[0].part] for path, own in theirs.items() for _ in own]
    answers += zip(photos, other.predictions_sha256[1] if other else (), strict=True)
    for names in _same([*files, *others], answers):
        say(f"note: the same predictions are in {' and '.join(names)}, as if one model had been taken twice")
    folder, written = out or files[0].with_name(f"{files[0].stem}-report"), []
    drawn = find_spec("matplotlib") is not None
    try:
        written = save(found, folder, against=other, with_figure=drawn, overwrite=overwrite)
    except NotWritableError as error:
        if out is not None:
            raise
        say_error(f"warning: the report is not written: {error}; --out DIR names another place")
    value = {**found.to_dict(), "written": [str(path) for path in written]}
    if other is not None:
        value["against"] = other.to_dict()
    result(json, value, report(found, other).rstrip("\n").split("\n"))
    for path in written:
        say(f"written to {path}")
    if written and not drawn:
        say("no figure: matplotlib is not installed (pip install '.[plots]' in the clone)")


def _by_split(split: Path, paths: Sequence[Path]) -> dict[Path, list[Path]]:
    """Files of predictions by the folder of their split: the last one named before them."""
    found: dict[Path, list[Path]] = {}
    for path in paths:
        if path.is_dir():
            split = path
        else:
            found.setdefault(split, []).append(path)
    return found


def _same(files: Sequence[Path], answers: Sequence[tuple[str, str]]) -> Iterator[list[str]]:
    """Files that predict the same of the same photos, which different models and runs hardly ever do.

    Args:
        files: of predictions.
        answers: of each file, the hash of the photos and that of what is predicted, in their order.
    """
    named: dict[tuple[str, str], list[str]] = {}
    for file, answer in zip(files, answers, strict=True):
        named.setdefault(answer, []).append(str(file))
    return (names for names in named.values() if len(names) > 1)
