"""`arboretum stats`: the distribution of a catalogue, of a selection, or of a split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arboretum_cli.flags.declared import Given, takes
from arboretum_cli.flags.selection import SelectionFlags, takes_selection
from arboretum_cli.flags.shared import Json, Overwrite
from arboretum_cli.printing.output import result, say, table
from arboretum_cli.printing.progress import Progress
from arboretum_tools.options import Option
from arboretum_tools.options.catalog import CatalogStatsOptions
from arboretum_tools.options.split import BETA, SplitStatsOptions
from arboretum_tools.wording import counted, does

if TYPE_CHECKING:
    from arboretum_tools.split import Split
    from arboretum_tools.split.stats import SplitStats


@dataclass(frozen=True, kw_only=True)
class OwnOptions:
    """What `arboretum stats` takes besides what its two functions take."""

    figures: Annotated[
        Path | None, Option("Draw the figures into this folder (needs matplotlib).", metavar="DIR")
    ] = None
    figure_format: Annotated[
        str, Option("png, pdf or svg.", metavar="FORMAT", choices=("png", "pdf", "svg"))
    ] = "png"
    csv: Annotated[bool, Option("Catalogue: print the tables as CSV.")] = False
    weights: Annotated[
        Path | None,
        Option("Split: write cls_num_list.json, class_weights.json, sample_weights.npz here.", metavar="DIR"),
    ] = None
    beta: Annotated[float, Option("Split: beta of the class-balanced weights.", metavar="BETA")] = BETA
    bias: Annotated[
        bool,
        Option("Split: who took the photos, where and when, by part and class, instead of the sizes."),
    ] = False


@takes_selection
@takes(of_catalogue=CatalogStatsOptions, of_split=SplitStatsOptions, own=OwnOptions)
def stats(
    flags: SelectionFlags,
    of_catalogue: Given,
    of_split: Given,
    split: Annotated[
        Path | None,
        typer.Argument(
            help="A split; without it, the catalogue or the selection.", metavar="SPLIT", show_default=False
        ),
    ] = None,
    *,
    own: OwnOptions,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Count a catalogue, a selection, or a split: the tables and figures for a paper.

    A catalogue is counted by group, rarity, licence, life stage and rank, with photos of any grade unless
    flags say otherwise; as Markdown. A split is counted by parts, shot bands, groups and ranks, with its
    sorted class counts. In Python: `catalog_stats(catalog)`, `split_stats(split)`; weights and samplers for
    training code: `arboretum_tools.split.rebalancing.weights`, `arboretum_tools.split.rebalancing.samplers`.

    \b
    Examples:
        arboretum stats
        arboretum stats --taxa Aves --license open --csv
        arboretum stats splits/aves-lt100
        arboretum stats splits/aves-lt100 --figures figures --figure-format pdf --weights weights
        arboretum stats splits/aves-lt100 --bias --figures figures
    """
    from arboretum_tools.errors import UsageError

    csv, figures, weights = own.csv, own.figures, own.weights
    if csv and json:
        raise UsageError("--csv and --json are two forms of one result: leave one of them out")
    if split is None:
        if weights is not None or own.bias:
            what = "--bias is that" if own.bias else "--weights are those"
            raise UsageError(f"{what} of a split: name its folder")
        return _of_catalogue(flags, of_catalogue, own, overwrite=overwrite, json=json)
    if flags.given:
        raise UsageError("a split says what is in it; leave the selection flags out")
    if csv:
        raise UsageError("--csv is for the tables of a catalogue; --json has the numbers of a split")

    from arboretum_tools.imaging.figures import figure_class
    from arboretum_tools.split import open_split
    from arboretum_tools.split.rebalancing.weights import WEIGHT_FILES, save_weights
    from arboretum_tools.split.stats import save_figure, split_stats
    from arboretum_tools.system.atomic_files import check_output

    opened = open_split(split, in_memory=False)
    if own.bias:
        if weights is not None:
            raise UsageError("--bias and --weights are two questions: ask them one by one")
        return _of_bias(opened, split, own, overwrite=overwrite, json=json)
    found = split_stats(opened, **of_split)
    figure = None if figures is None else figures / f"{found.name}.{own.figure_format}"
    # All of them, and what draws, before the first is written.
    if figure is not None:
        figure_class()
    for file in ([figure] if figure else []) + ([weights / name for name in WEIGHT_FILES] if weights else []):
        check_output(file, overwrite=overwrite, inputs=[split])
    written = [] if figure is None else [save_figure(found, figure, overwrite=overwrite)]
    if weights is not None:
        written += save_weights(opened, weights, beta=own.beta, overwrite=overwrite)
    result(json, {**found.to_dict(), "written": [str(path) for path in written]}, _split_lines(found))
    if note := _one_encounter(found):
        say(note)
    for path in written:
        say(f"written to {path}")
    return None


def _of_bias(opened: Split, path: Path, own: OwnOptions, *, overwrite: bool, json: bool) -> None:
    from arboretum_tools.imaging.figures import figure_class
    from arboretum_tools.split.bias import save_bias_figure, split_bias
    from arboretum_tools.system.atomic_files import check_output

    figures = own.figures
    figure = None if figures is None else figures / f"{opened.name}-bias.{own.figure_format}"
    if figure is not None:
        figure_class()
        check_output(figure, overwrite=overwrite, inputs=[path])
    found = split_bias(opened)
    written = [] if figure is None else [save_bias_figure(found, figure, overwrite=overwrite)]
    value = {**found.to_dict(), "written": [str(one) for one in written]}
    result(json, value, [found.to_markdown().rstrip("\n")])
    for one in written:
        say(f"written to {one}")


def _of_catalogue(
    flags: SelectionFlags, options: Given, own: OwnOptions, *, overwrite: bool, json: bool
) -> None:
    from arboretum_tools.catalog import stats as library
    from arboretum_tools.system.atomic_files import check_output

    figures = own.figures
    with Progress() as progress:
        catalog = flags.open(progress)
        if figures is not None:
            check_output(figures / "figure", overwrite=True, inputs=[catalog.path])
        found = library.catalog_stats(flags.select(catalog) if flags.given else catalog, **options)
        drawn = []
        if figures is not None:
            drawn = library.figures(found, figures, form=own.figure_format, overwrite=overwrite)
    text = found.to_csv() if own.csv else found.to_markdown()
    result(json, found.to_dict(), [text.rstrip("\n")])
    for path in drawn:
        say(f"written to {path}")


# Numbers of observations per class that have a line each; those above share one.
_LINES = 10


def _encounter_lines(found: SplitStats) -> list[str]:
    """Test classes by how many observations their photos are of."""
    there = found.test_observations
    rows: list[tuple[object, int]] = [(n, there.count(n)) for n in range(1, _LINES + 1) if n in there]
    rows += [(f"more than {_LINES}", more)] if (more := sum(n > _LINES for n in there)) else []
    return [*table(("observations of a class in test", "classes"), rows), ""] if rows else []


def _one_encounter(found: SplitStats) -> str:
    one, classes = found.test_observations.count(1), len(found.test_observations)
    if not one:
        return ""
    return (
        f"warning: all test photos of {one:,} of {counted(classes, 'class')} {does(one, 'are')} of one "
        "observation, so that one animal decides; make-split --min-test-groups N asks for more, and "
        "--photos-per-observation 1 takes one photo of each"
    )


def _split_lines(found: SplitStats) -> list[str]:
    from arboretum_tools.split.stats import text_figure

    photos = f"{found.part} photos"
    ratio = f"none, as a class has no {photos}" if found.ratio is None else f"{found.ratio:g}"
    columns = ("classes", photos)
    bands = table(("shots", *columns), [(name, b.classes, b.photos) for name, b in found.bands.items()])
    return [
        f"{found.name}: {counted(found.classes, 'class')}, {found.largest:,} to "
        f"{counted(found.smallest, f'{found.part} photo')}, ratio {ratio}, Gini {found.gini:.3f}",
        *([f"split_sha256 {found.split_sha256}"] if found.split_sha256 else []),
        *table(("part", "photos"), found.photos.items()),
        "",
        *([*bands, ""] if found.bands else []),
        *_encounter_lines(found),
        *table(("group", *columns), [(name, b.classes, b.photos) for name, b in found.groups.items()]),
        "",
        *table(("rank", "taxa"), found.ranks.items()),
        "",
        *text_figure(found),
    ]
