"""`arboretum make-split`: a long-tailed split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arboretum_cli._output import result, table
from arboretum_cli._progress import Progress
from arboretum_cli._selection import SelectionFlags, takes_selection

if TYPE_CHECKING:
    from arboretum_tools.catalog import Selection
    from arboretum_tools.events import OnEvent
    from arboretum_tools.split import Split

# Where the photos that are split come from when nothing is said.
_STORE = Path("images")


@takes_selection
def make_split(
    flags: SelectionFlags,
    lt_ratio: Annotated[
        float,
        typer.Option(
            "--lt-ratio",
            help="Imbalance ratio: train photos of the largest to the smallest class.",
            metavar="R",
        ),
    ] = 100.0,
    num_classes: Annotated[
        int | None,
        typer.Option("--num-classes", help="Fix the number of classes.", metavar="C", show_default=False),
    ] = None,
    min_per_class: Annotated[
        int | None,
        typer.Option(
            "--min-per-class",
            help="Fix the train photos of the smallest class.",
            metavar="m",
            show_default=False,
        ),
    ] = None,
    max_per_class: Annotated[
        int | None,
        typer.Option(
            "--max-per-class",
            help="Fix the train photos of the largest class.",
            metavar="M",
            show_default=False,
        ),
    ] = None,
    val_per_class: Annotated[
        int, typer.Option("--val-per-class", help="Validation photos a class; 0 = no such part.", metavar="N")
    ] = 5,
    test_per_class: Annotated[
        int, typer.Option("--test-per-class", help="Test photos a class; 0 = no such part.", metavar="N")
    ] = 10,
    group_by: Annotated[
        str,
        typer.Option(
            "--group-by",
            help="What never has photos in two parts: observation, photo, or auto (observation where every "
            "photo has one).",
            metavar="GROUP",
        ),
    ] = "auto",
    no_split: Annotated[
        bool, typer.Option("--no-split", help="One part `train` with every photo; nothing held out.")
    ] = False,
    hybrids: Annotated[bool, typer.Option("--hybrids", help="Let hybrids take part.")] = False,
    seed: Annotated[
        int, typer.Option("--seed", help="Draw other photos by the same rules.", metavar="N")
    ] = 0,
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            help="Only photos that this image store holds; `none` for the whole catalogue. [default: without "
            "selection flags ./images if it is a store]",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            help="Name under splits/. [default: from taxa and ratio]",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder of the split. [default: splits/NAME]", metavar="DIR", show_default=False
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Make a long-tailed split: the largest class list that realises exactly the ratio.

    Validation and test are held out first, in whole observations. The same recipe over the same photos gives
    the same split everywhere; made again, nothing is written. Without selection flags it splits what was
    downloaded into ./images, else the whole catalogue. In Python: `arboretum_tools.make_split(selection)`.

    \b
    Examples:
        arboretum make-split --lt-ratio 100
        arboretum make-split --taxa Insecta --lt-ratio 10 --val-per-class 2 --test-per-class 2
        arboretum make-split --taxa Aves --lt-ratio 50 --store images --name birds-on-disk
    """
    from arboretum_tools.split.make import make_split as draw
    from arboretum_tools.split.make import whole
    from arboretum_tools.split.recipe import parse_ratio

    parse_ratio(lt_ratio)  # a ratio that is none is refused before anything is read
    with Progress() as progress:
        selection, held, source = _source(flags, store, progress)
        if not json:
            typer.echo(source)
        arguments: dict[str, Any] = {"hybrids": hybrids, "store": held, "name": name}
        if no_split:
            split = whole(selection, **arguments)
        else:
            split = draw(
                selection,
                lt_ratio=lt_ratio,
                num_classes=num_classes,
                min_per_class=min_per_class,
                max_per_class=max_per_class,
                val_per_class=val_per_class,
                test_per_class=test_per_class,
                group_by=group_by,
                seed=seed,
                **arguments,
            )
        folder = out or Path("splits", split.name)
        there = folder.exists()
        split.save(folder)
    value = {"path": str(folder), "name": split.name, "source": source, **split.meta}
    result(json, value, _lines(split, folder, there))


def _source(
    flags: SelectionFlags, store: str | None, on_event: OnEvent
) -> tuple[Selection, Path | None, str]:
    """The selection, the store that it is held against, and a line that says both."""
    from arboretum_tools.downloaded import downloaded_selection, has_selections

    catalog = flags.open(on_event)
    if flags.given or store == "none":
        held = Path(store) if store and store != "none" else None
        selection = flags.select(catalog)
        of = f" that are in {held}" if held else ""
        return selection, held, f"from the catalogue {catalog.path}: {selection.english}{of}"
    if store is not None or has_selections(_STORE):
        held = Path(store) if store else _STORE
        selection = downloaded_selection(catalog, held)
        return selection, held, f"from the photos downloaded into {held}: {selection.english}"
    selection = flags.select(catalog)
    return selection, None, f"from the whole catalogue {catalog.path}: {selection.english}"


def _lines(split: Split, folder: Path, there: bool) -> list[str]:
    meta, counts = split.meta, split.meta["counts"]
    classes = split.classes
    shots = dict.fromkeys(("many", "medium", "few"), 0)
    for shot in classes["shot"].to_pylist():
        shots[shot] += 1
    unused = {
        "in no species class": counts["no_class"],
        "hybrids left out": counts["hybrids_left_out"],
        "not in the store": counts["not_in_store"],
        "in held-out groups, not needed": counts["held_out_unused"],
        "not drawn": counts["not_drawn"],
    }
    head, tail = classes.slice(0, 1).to_pylist()[0], classes.slice(len(classes) - 1).to_pylist()[0]
    return [
        f"{meta['C']:,} classes, ratio {meta['ratio_achieved']:g}: {meta['M']:,} train photos "
        f"({head['name']}) to {meta['m']:,} ({tail['name']}); grouped by {meta['group_by']}",
        *table(("part", "photos"), [(part, split.part(part).num_rows) for part in split.parts]),
        f"shots: {shots['many']} many (over 100), {shots['medium']} medium (20 to 100), "
        f"{shots['few']} few (under 20)",
        f"of {counts['selected']:,} selected photos: "
        + (", ".join(f"{count:,} {what}" for what, count in unused.items() if count) or "all are used")
        + f"; {counts['classes_left_out']:,} classes take no part",
        f"{folder} was there already, the same split; nothing written" if there else f"written to {folder}",
    ]
