"""`arboretum stats`: the numbers of a split, its figure, and weights for training code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arboretum_cli._output import result, say, table


def stats(
    split: Annotated[Path, typer.Argument(help="The folder of the split.", metavar="SPLIT")],
    figure: Annotated[
        Path | None,
        typer.Option(
            "--figure",
            help="Draw the sorted class counts into this .png, .pdf or .svg file (needs matplotlib).",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights",
            help="Write cls_num_list.json, class_weights.json and sample_weights.npz into this folder.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    beta: Annotated[
        float, typer.Option("--beta", help="Beta of the class-balanced weights.", metavar="BETA")
    ] = 0.9999,
    many_above: Annotated[
        int, typer.Option("--many-above", help="Many-shot: more train photos than this.", metavar="N")
    ] = 100,
    few_below: Annotated[
        int, typer.Option("--few-below", help="Few-shot: fewer train photos than this.", metavar="N")
    ] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Print what a paper prints of a split: sizes, ratio, Gini, shot bands, groups, ranks.

    In Python: `arboretum_tools.split_stats(split)`; weights and samplers for training code:
    `arboretum_tools.split.weights`, `arboretum_tools.split.samplers`.

    \b
    Examples:
        arboretum stats splits/aves-lt100
        arboretum stats splits/aves-lt100 --figure aves.png --weights weights
    """
    from arboretum_tools.split import load_split
    from arboretum_tools.split.stats import save_figure, split_stats, text_figure
    from arboretum_tools.split.weights import save_weights

    opened = load_split(split)
    found = split_stats(opened, many_above=many_above, few_below=few_below)
    written = [] if figure is None else [save_figure(found, figure)]
    if weights is not None:
        written += save_weights(opened, weights, beta=beta)
    ratio = "none, as a class has no train photos" if found.ratio is None else f"{found.ratio:g}"
    columns = ("classes", "train photos")
    lines = [
        f"{found.name}: {found.classes:,} classes, {found.largest:,} to {found.smallest:,} train photos, "
        f"ratio {ratio}, Gini {found.gini:.3f}",
        *table(("part", "photos"), found.photos.items()),
        "",
        *table(("shots", *columns), [(name, b.classes, b.photos) for name, b in found.bands.items()]),
        "",
        *table(("group", *columns), [(name, b.classes, b.photos) for name, b in found.groups.items()]),
        "",
        *table(("rank", "taxa"), found.ranks.items()),
        "",
        *text_figure(found),
    ]
    result(json, {**found.to_dict(), "written": [str(path) for path in written]}, lines)
    for path in written:
        say(f"written to {path}")
