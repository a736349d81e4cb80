"""`arboretum train`: a long-tailed method on a split."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arboretum_cli.flags.declared import Given, takes
from arboretum_cli.flags.shared import Json
from arboretum_cli.printing.output import result, say
from arboretum_cli.printing.progress import Progress
from arboretum_tools.options.training import TrainingRecipe


@takes(recipe=TrainingRecipe)
def train(
    split: Annotated[Path, typer.Argument(help="The folder of the split.", metavar="SPLIT")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="Folder of the run; one that was interrupted goes on.", metavar="DIR"
        ),
    ],
    recipe: Given,
    images: Annotated[Path, typer.Option("--images", help="The image store.", metavar="DIR")] = Path(
        "images"
    ),
    teacher: Annotated[
        Path | None,
        typer.Option("--teacher", help="Of deit-lt: the run of a CNN on the same split.", metavar="DIR"),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device", help="Such as cpu or cuda:0. [default: a GPU where there is one]", metavar="NAME"
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", help="Processes that decode photos. [default: as many as fit]", metavar="N"
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Train a long-tailed method on a split, from the photos in a store to accuracy by shot band.

    Hyper-parameters default to those of the method's paper. With a different number of epochs or batch size,
    the learning rate and everything counted in epochs is scaled accordingly. The run ends with predictions
    for val and test, their reports and, for networks with several heads, those of each head alone. Needs
    torch, the extra `train`. Several GPUs: `torchrun --nproc-per-node 4 -m arboretum_cli train ...`. In
    Python: `arboretum_tools.train(split, out=...)`.

    \b
    Examples:
        arboretum train splits/aves-lt20 --method mdcs --arch resnet32 --out runs/mdcs
        arboretum train splits/aves-lt20 --method ldam-drw --sam 0.05 --out runs/teacher
        arboretum train splits/aves-lt20 --method deit-lt --teacher runs/teacher --out runs/deit-lt
    """
    from arboretum_tools import train as run
    from arboretum_tools.evaluation.reporting.headings import heading
    from arboretum_tools.evaluation.reporting.report import cell, markdown
    from arboretum_tools.tabular.markdown import table

    with Progress() as progress:
        report = run(
            split,
            out=out,
            images=images,
            teacher=teacher,
            device=device,
            workers=workers,
            on_event=progress,
            **recipe,
        )
    if report is None:  # another process of torchrun says it
        return
    part, shown = list(report.evaluations.items())[-1]
    lines = markdown(shown).rstrip("\n").split("\n")
    heads = {head: one for (of, head), one in report.heads.items() if of == part}
    if heads:
        rows = [[head, *map(cell, one.top1.by_name().values())] for head, one in heads.items()]
        lines += ["", *table(["head alone", *map(heading, shown.top1.by_name())], rows)]
    value = {
        "run": str(report.path),
        "recipe": report.recipe.to_json(),
        "evaluations": {of: one.to_dict() for of, one in report.evaluations.items()},
        "heads": {f"{of}.{head}": one.to_dict() for (of, head), one in report.heads.items()},
    }
    result(json, value, lines)
    say(f"written to {report.path}")
