"""`train`: a method on a split, from photos to the report. torch is loaded when it is called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arboretum_tools.display.progress import shows_progress
from arboretum_tools.errors import SplitError, TrainingError, UsageError
from arboretum_tools.evaluation import Evaluation, evaluate
from arboretum_tools.evaluation.reporting.report import save as save_report
from arboretum_tools.events import OnEvent, StageFinished, StageStarted, ignore
from arboretum_tools.options.training import RunOptions, TrainingRecipe, recipe
from arboretum_tools.split.files.manifest import Split, open_split
from arboretum_tools.subset import load_subset


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a run came to.

    Attributes:
        path: its folder.
        recipe: what was trained, and how.
        evaluations: by part, val first: what the mean of the heads predicts.
        heads: by part and head, what one head alone predicts; empty for networks with one.
    """

    path: Path
    recipe: TrainingRecipe
    evaluations: dict[str, Evaluation]
    heads: dict[tuple[str, str], Evaluation]


@shows_progress
def train(
    split: str | Path | Split,
    *,
    out: str | Path,
    images: str | Path = "images",
    method: str = "ce",
    teacher: str | Path | None = None,
    device: str | None = None,
    workers: int | None = None,
    progress: bool = True,  # noqa: ARG001 - of shows_progress
    on_event: OnEvent = ignore,
    **hyperparameters: Any,
) -> TrainingReport | None:
    """Trains a method on a split, predicts val and test, and writes the report.

    Killed and called again, it goes on after the last whole epoch, and comes to the same weights as if
    nothing had happened (same machine, same number of processes). Several GPUs: start the program that
    calls it by `torchrun`.

    Args:
        split: a split with the parts train and val, or its folder.
        out: folder of the run; made, or gone on with.
        images: the image store.
        method: one of `arboretum_tools.options.training.METHODS`.
        teacher: folder of the run of a CNN on the same split, for deit-lt.
        device: as torch names it, such as cpu or cuda:0; None = a GPU where there is one.
        workers: processes that decode photos; None = as many as fit the machine.
        progress: draw bars where somebody watches and no `on_event` is given.
        on_event: called with every event.
        **hyperparameters: fields of TrainingRecipe that are to differ from the paper's.

    Returns:
        The report; None in the processes of torchrun but the first.

    Raises:
        UsageError: an invalid value.
        RecipeError: values that contradict each other.
        SplitError: the split cannot be trained on, or the teacher is of another one.
        MissingPhotosError: the store lacks photos of the split.
        TargetExistsError: `out` holds something else, or another run.
        TrainingError: torch is not installed, memory ran out, a loss is no number, the teacher is not usable.

    >>> import arboretum_tools as at
    >>> report = at.train("splits/aves-lt100", out="runs/ce", method="ce", epochs=1)  # doctest: +SKIP
    """
    RunOptions(out=out, images=images, teacher=teacher, device=device, workers=workers)
    made = recipe(method, **hyperparameters)
    opened = split if isinstance(split, Split) else open_split(split, in_memory=False)
    _check(opened, made, teacher)
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise TrainingError(
            "training needs torch, which is not installed", hint="pip install '.[train]' in the clone"
        ) from error
    from arboretum_tools.training.loop import Run, World
    from arboretum_tools.training.run_files import RunFolder

    parts = [part for part in opened.parts if opened.num_photos(part)]
    subsets = {part: load_subset(opened, images=images, part=part) for part in parts}
    world, folder = World(device), RunFolder(Path(out))
    with world.joined():
        run = Run(
            opened,
            subsets,
            made,
            folder,
            teacher=None if teacher is None else Path(teacher),
            world=world,
            workers=workers,
            on_event=on_event,
        )
        model = run.train()
        written: dict[tuple[str, str], Path] = {}
        for part in parts[1:]:
            subset = subsets[part]
            run.emit(StageStarted(f"predict {part}", len(subset)))
            for head, top in run.predict(model, subset, on_event=run.emit).items():
                if world.rank == 0:
                    path = folder.write_predictions(part, head, subset.photo_ids, top)
                    written[part, head] = path
            run.emit(StageFinished(f"predict {part}"))
    if world.rank:
        return None
    found = {key: evaluate(opened, path, part=key[0]) for key, path in written.items()}
    whole = {part: one for (part, head), one in found.items() if not head}
    for part, one in whole.items():
        save_report(one, folder.path / f"{part}-report", with_figure=False, overwrite=True)
    return TrainingReport(folder.path, made, whole, {key: one for key, one in found.items() if key[1]})


def _check(split: Split, made: TrainingRecipe, teacher: object) -> None:
    """Refuses what cannot be trained, before anything is loaded or written."""
    for part, why in (("train", "there is nothing to train on"), ("val", "nothing says how training goes")):
        if part not in split.parts or not split.num_photos(part):
            raise SplitError(
                f"{split.name} has no {part} part: {why}",
                hint="Make the split with --val-per-class 5 (the default), without --no-split.",
            )
    if split.num_classes < 2:
        raise SplitError(f"{split.name} has one class: there is nothing to tell apart")
    if made.method == "deit-lt" and teacher is None:
        raise UsageError(
            "deit-lt needs a teacher",
            hint="Train one on the same split, --method ldam-drw --sam 0.05 --out runs/teacher; then name "
            "it, --teacher runs/teacher.",
        )
    if made.method != "deit-lt" and teacher is not None:
        raise UsageError(f"{made.method} has no teacher", hint="Leave --teacher out, or take deit-lt.")
