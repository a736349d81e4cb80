"""`arboretum compare`: training runs side by side."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from arboretum_cli.flags.declared import takes
from arboretum_cli.flags.shared import Json, Overwrite, SplitFolder
from arboretum_cli.printing.output import result, say
from arboretum_tools.options import Option
from arboretum_tools.options.evaluation import PartOptions


@dataclass(frozen=True, kw_only=True)
class OwnOptions(PartOptions):
    """What `arboretum compare` takes besides the runs."""

    csv: Annotated[Path | None, Option("Write a row for each run and measure too.", metavar="FILE")] = None
    figure: Annotated[
        Path | None,
        Option(
            "Draw methods by bands, with intervals (.png, .pdf or .svg; needs matplotlib).", metavar="FILE"
        ),
    ] = None


@takes(own=OwnOptions)
def compare(
    split: SplitFolder,
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs on it.", metavar="RUN...")],
    own: OwnOptions,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Compare training runs on one split: methods by many, medium and few, each against the first.

    Reads the folders of `arboretum train`; files of predictions are compared by `arboretum evaluate
    --against`. Runs that differ only in their seed count as one method. Prints a Markdown table with
    intervals, and the difference of each method from the first one, with a p value. In Python:
    `arboretum_tools.compare_runs(split, runs)`.

    \b
    Examples:
        arboretum compare splits/aves-lt20 runs/ce runs/mdcs runs/deit-lt --csv runs.csv --figure runs.png
    """
    from arboretum_tools import compare_runs
    from arboretum_tools.imaging.figures import figure_class, form_of
    from arboretum_tools.system.atomic_files import check_output, whole_file
    from arboretum_tools.training.comparison import comparison_csv, comparison_figure, comparison_table

    csv, figure = own.csv, own.figure
    for file in (csv, figure):
        if file is not None:
            check_output(file, overwrite=overwrite, inputs=[split, *runs])
    if figure is not None:
        form_of(figure)
        figure_class()
    found = compare_runs(split, runs, part=own.part)
    if csv is not None:
        with whole_file(csv) as temporary:
            temporary.write_text(comparison_csv(found), encoding="utf-8")
    if figure is not None:
        comparison_figure(found, figure, title=f"{split.resolve().name}, {own.part}")
    result(json, {"methods": [asdict(one) for one in found]}, comparison_table(found))
    for file in (csv, figure):
        if file is not None:
            say(f"written to {file}")
