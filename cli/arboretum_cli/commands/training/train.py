"""`arboretum train`: a long-tailed method on a split."""

from __future__ import annotations

from arboretum_cli.flags.declared import Given, takes
from arboretum_cli.flags.shared import Json, SplitFolder
from arboretum_cli.printing.output import result, say
from arboretum_cli.printing.progress import Progress
from arboretum_tools.options.training import RunOptions, TrainingRecipe


@takes(recipe=TrainingRecipe, options=RunOptions)
def train(split: SplitFolder, recipe: Given, options: Given, json: Json = False) -> None:
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
        report = run(split, on_event=progress, **options, **recipe)
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
