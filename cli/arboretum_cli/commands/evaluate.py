"""`arboretum evaluate`: predictions against a split."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from arboretum_cli._options import Json
from arboretum_cli._output import result, say


def evaluate(
    split: Annotated[Path, typer.Argument(help="The folder of the split.", metavar="SPLIT")],
    predictions: Annotated[
        Path,
        typer.Argument(
            help="Parquet, CSV, TSV or NPZ: photo_id and label, label_1 to label_k, or scores.",
            metavar="PREDICTIONS",
        ),
    ],
    part: Annotated[
        str, typer.Option("--part", help="The part that was predicted.", metavar="PART")
    ] = "test",
    missing: Annotated[
        str,
        typer.Option(
            "--missing",
            help="What to do where a photo has no prediction: error, or wrong to count it so.",
            metavar="error|wrong",
        ),
    ] = "error",
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            help="Predictions of another model for the same photos: the difference, its interval, and p.",
            metavar="PREDICTIONS",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder of the report. [default: <name>-report beside PREDICTIONS]",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Report predictions as long-tailed papers do: top-1 and top-5, many, medium, few, by rank.

    Prints the Markdown table, and writes report.json, report.md and (where matplotlib is installed)
    report.png. One row a photo of the part: photo_id, and label or label_1 to label_5 or a list of scores. In
    Python: `arboretum_tools.evaluate(split, predictions)`; for --against `compare_predictions`.

    \b
    Examples:
        arboretum evaluate splits/aves-lt100 splits/aves-lt100/test.parquet --out perfect
        arboretum evaluate splits/balanced splits/balanced/test.parquet --against splits/balanced/test.parquet
    """
    from arboretum_tools import compare_predictions, open_split
    from arboretum_tools import evaluate as run
    from arboretum_tools.errors import NotWritableError
    from arboretum_tools.evaluation.report import comparison_markdown, markdown, save

    opened = open_split(split)
    found = run(opened, predictions, part=part, missing=missing)
    other = None
    if against is not None:
        other = compare_predictions(opened, predictions, against, part=part, missing=missing)
    folder, written = out or predictions.with_name(f"{predictions.stem}-report"), []
    try:
        written = save(found, folder, against=other, with_figure=find_spec("matplotlib") is not None)
    except NotWritableError as error:
        if out is not None:
            raise
        say(f"warning: the report is not written: {error}; --out DIR names another place")
    value = {**found.to_dict(), "written": [str(path) for path in written]}
    text = markdown(found)
    if other is not None:
        value["against"] = other.to_dict()
        text += f"\n{comparison_markdown(other)}"
    result(json, value, text.rstrip("\n").split("\n"))
    for path in written:
        say(f"written to {path}")
