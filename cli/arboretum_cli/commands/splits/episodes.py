"""`arboretum episodes`: few-shot episodes out of a part of a split."""

from __future__ import annotations

from arboretum_cli.flags.declared import Given, takes
from arboretum_cli.flags.shared import Json, SplitFolder
from arboretum_cli.printing.output import result
from arboretum_tools.options.split import EpisodeOptions
from arboretum_tools.wording import counted


@takes(options=EpisodeOptions)
def episodes(
    options: Given,
    split: SplitFolder,
    json: Json = False,
) -> None:
    """Draw few-shot episodes from a split: N classes with K support and Q query photos each.

    The same split and seed give the same episodes everywhere. No observation has photos in both support and
    query. Few-shot learning asks for classes that were not trained on: take a split of them, such as one made
    with `--benchmark`. In Python: `arboretum_tools.make_episodes(split, to="five.parquet")`.

    \b
    Examples:
        arboretum episodes splits/aves-lt100 --ways 5 --shots 1 --queries 4 -o five-way.parquet
        arboretum episodes splits/aves-lt100 --episodes 100 --seed 7 --out seven.parquet
        arboretum episodes splits/aves-lt100 --part val --queries 2 --out seven.parquet --overwrite
    """
    from arboretum_tools import make_episodes

    found = make_episodes(split, **options)
    lines = [
        f"{counted(found.episodes, 'episode')} of {found.ways} classes, {found.shots} support and "
        f"{found.queries} query photos per class; {counted(found.classes, 'class')} and "
        f"{counted(found.photos, 'photo')} take part",
        f"sha256 {found.sha256}",
        f"written to {found.path}",
    ]
    result(json, found.to_dict(), lines)
