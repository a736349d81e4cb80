"""`arboretum zero-shot`: a split predicted by a CLIP model."""

from __future__ import annotations

from arboretum_cli.flags.declared import Given, takes
from arboretum_cli.flags.shared import Json, SplitFolder
from arboretum_cli.printing.output import result, say
from arboretum_cli.printing.progress import Progress
from arboretum_tools.options.training import ZeroShotOptions


@takes(options=ZeroShotOptions)
def zero_shot(split: SplitFolder, options: Given, json: Json = False) -> None:
    """Predict a split by a CLIP model, from the names of its classes, without training on it.

    As the authors of BioCLIP and Arboretum do: a class is the normalized mean of the text features of its
    sentences, and a photo belongs to the class with the most similar features. Writes predictions for
    `evaluate` and their report. Needs open_clip, the extra `clip`. In Python:
    `arboretum_tools.zero_shot(split, out=...)`.

    \b
    Examples:
        arboretum zero-shot splits/birds --pretrained openai --out runs/clip
        arboretum zero-shot splits/birds --model hf-hub:imageomics/bioclip --text taxon_com --out runs/bioclip
        arboretum zero-shot splits/birds --pretrained trained.pt --text sci,com --rank genus --out runs/own
    """
    from arboretum_tools import zero_shot as run
    from arboretum_tools.evaluation.reporting.report import markdown

    with Progress() as progress:
        report = run(split, on_event=progress, **options)
    value = {"out": str(report.path), "evaluation": report.evaluation.to_dict()}
    result(json, value, markdown(report.evaluation).rstrip("\n").split("\n"))
    say(f"written to {report.path}")
