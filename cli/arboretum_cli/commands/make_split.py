"""`arboretum make-split`: a long-tailed split, or a family of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arboretum_cli._options import Json
from arboretum_cli._output import result, table
from arboretum_cli._progress import Progress
from arboretum_cli._selection import SelectionFlags, takes_selection

if TYPE_CHECKING:
    from arboretum_tools.catalog import Selection
    from arboretum_tools.events import OnEvent
    from arboretum_tools.split import Split
    from arboretum_tools.split.remake import Remade

# Where the photos that are split come from when nothing is said.
_STORE = Path("images")


def _option(help_text: str, *names: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=help_text, metavar=metavar, show_default=False)


@takes_selection
def make_split(
    flags: SelectionFlags,
    more: Annotated[
        list[Path] | None,
        typer.Argument(help="With --import: the other files of the published split.", metavar="[FILE]..."),
    ] = None,
    lt_ratio: Annotated[
        str | None,
        _option(
            "Imbalance ratio: train photos of the largest to the smallest class. Several, such as 10,50,100, "
            "make a family: one class list, nested train parts. [default: 100]",
            "--lt-ratio",
            metavar="R[,R]",
        ),
    ] = None,
    profile: Annotated[
        str | None,
        _option(
            "Shape of the class counts: exp, step or pareto at a ratio; balanced; natural, as found. "
            "[default: exp]",
            "--profile",
            metavar="PROFILE",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        _option(
            "arboretum-40m: the seven groups, natural, species with at least 30 photos, at most 50,000 of "
            "each.",
            "--preset",
            metavar="PRESET",
        ),
    ] = None,
    rank: Annotated[
        str | None,
        _option(
            "Rank of the classes: species, genus, family or order. [default: species]",
            "--rank",
            metavar="RANK",
        ),
    ] = None,
    num_classes: Annotated[
        int | None, _option("Fix the number of classes.", "--num-classes", metavar="C")
    ] = None,
    min_per_class: Annotated[
        int | None,
        _option(
            "Fix the train photos of the smallest class; natural: the photos that a class must have.",
            "--min-per-class",
            metavar="m",
        ),
    ] = None,
    max_per_class: Annotated[
        int | None,
        _option(
            "Fix the train photos of the largest class; natural: the cap.", "--max-per-class", metavar="M"
        ),
    ] = None,
    val_per_class: Annotated[
        int | None,
        _option("Validation photos a class; 0 = no such part. [default: 5]", "--val-per-class", metavar="N"),
    ] = None,
    test_per_class: Annotated[
        int | None,
        _option("Test photos a class; 0 = no such part. [default: 10]", "--test-per-class", metavar="N"),
    ] = None,
    group_by: Annotated[
        str | None,
        _option(
            "What never has photos in two parts: observation, photo, observer-per-species (a person's photos "
            "of a species), or auto (observation where every photo has one). [default: auto]",
            "--group-by",
            metavar="GROUP",
        ),
    ] = None,
    no_split: Annotated[
        bool, typer.Option("--no-split", help="One part `train` with every photo; nothing held out.")
    ] = False,
    hybrids: Annotated[
        bool, typer.Option("--hybrids", help="Let hybrids take part.", show_default=False)
    ] = False,
    seed: Annotated[
        int | None, _option("Draw other photos by the same rules. [default: 0]", "--seed", metavar="N")
    ] = None,
    recipe: Annotated[
        Path | None,
        _option(
            "A recipe in TOML: the keys are these flags; flags beside it win.", "--recipe", metavar="FILE"
        ),
    ] = None,
    again: Annotated[
        Path | None,
        _option(
            "Make the split of this split.json (or folder) again, and say what differs.",
            "--from",
            metavar="SPLIT",
        ),
    ] = None,
    published: Annotated[
        list[Path] | None,
        _option(
            "Read a published split instead: its lists (train, val, test) or iNaturalist competition JSON.",
            "--import",
            metavar="FILE",
        ),
    ] = None,
    store: Annotated[
        str | None,
        _option(
            "Only photos that this image store holds; `none` for the whole catalogue. [default: without "
            "selection flags ./images if it is a store]",
            "--store",
            metavar="DIR",
        ),
    ] = None,
    name: Annotated[
        str | None,
        _option("Name under splits/. [default: from taxa and ratio]", "--name", metavar="NAME"),
    ] = None,
    out: Annotated[
        Path | None,
        _option(
            "Folder of the split; of a family the folder that its splits are put in. [default: splits/NAME]",
            "--out",
            metavar="DIR",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Make a long-tailed split: the largest class list that realises exactly the ratio.

    Validation and test are held out first, in whole observations. The same recipe over the same photos gives
    the same split everywhere; made again, nothing is written. Without selection flags it splits what was
    downloaded into ./images, else the whole catalogue. In Python: `arboretum_tools.make_split(selection)`,
    `make_family` for several ratios, `split.remake.remake` for --from, `import_split` for --import.

    \b
    Examples:
        arboretum make-split --lt-ratio 100
        arboretum make-split --lt-ratio 2,5,10 --group-by observer-per-species --name birds
        arboretum make-split --taxa Insecta --lt-ratio 10 --val-per-class 2 --test-per-class 2
        arboretum make-split --taxa Aves --lt-ratio 50 --store images --name birds-on-disk
        arboretum make-split --preset arboretum-40m --store none
        arboretum make-split --from splits/aves-lt100/split.json --name again
    """
    given = {
        "profile": "all" if no_split else profile,
        "rank": rank,
        "num_classes": num_classes,
        "min_per_class": min_per_class,
        "max_per_class": max_per_class,
        "val_per_class": val_per_class,
        "test_per_class": test_per_class,
        "group_by": group_by,
        "hybrids": hybrids or None,
        "seed": seed,
        "lt_ratio": None if lt_ratio is None else _ratios(lt_ratio),
    }
    given = {key: value for key, value in given.items() if value is not None}
    if published or more:
        beside = (recipe, preset, again, store)
        if not published or given or flags.given or any(value is not None for value in beside):
            raise typer.BadParameter("files go with --import, and with it only --name, --out and --json")
        _import([*published, *(more or ())], name, out, json)
        return
    with Progress() as progress:
        if again is not None:
            _again(
                again, flags, {**given, "recipe": recipe, "preset": preset, "store": store}, name, out, json
            )
            return
        flags, arguments, name = _merged(flags, given, recipe, preset, name)
        selection, held, source = _source(flags, store, progress)
        if not json:
            typer.echo(source)
        made = []
        for split in _draw(selection, {**arguments, "store": held, "name": name}):
            folder = _folder(split, out, family=isinstance(arguments.get("lt_ratio"), list))
            there = folder.exists()
            split.save(folder)
            made.append({"path": str(folder), "name": split.name, "source": source, **split.meta})
            if not json:
                typer.echo("\n".join(_lines(split, folder, there)))
    if json:
        result(True, made[0] if len(made) == 1 else {"family": made}, ())


def _folder(split: Split, out: Path | None, *, family: bool) -> Path:
    if out is None:
        return Path("splits", split.name)
    return out / split.name if family else out


def _ratios(text: str) -> float | list[float]:
    """One ratio, or the ratios of a family; refused before anything is read if one is none."""
    from arboretum_tools.split.recipe import parse_ratio

    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no ratio such as 100, nor a list such as 10,50,100") from None
    for value in values:
        parse_ratio(value)
    return values[0] if len(values) == 1 else values


def _merged(
    flags: SelectionFlags, given: dict[str, Any], recipe: Path | None, preset: str | None, name: str | None
) -> tuple[SelectionFlags, dict[str, Any], str | None]:
    """Flags win over the recipe file, the recipe file over the preset."""
    from arboretum_tools.split.recipe_file import RecipeFile, preset_values, read_recipe

    found = read_recipe(recipe) if recipe is not None else RecipeFile()
    named = preset_values(preset) if preset is not None else RecipeFile()
    selection = {**named.selection, **found.selection}
    default = SelectionFlags()
    values = {key: value for key, value in selection.items() if getattr(flags, key) == getattr(default, key)}
    arguments = {**named.recipe, **found.recipe, **given}
    return dataclasses.replace(flags, **values), arguments, name or found.name


def _draw(selection: Selection, arguments: dict[str, Any]) -> Iterator[Split]:
    from arboretum_tools.split.make import make_family, whole
    from arboretum_tools.split.make import make_split as draw

    if isinstance(arguments.get("lt_ratio"), list):
        ratios = arguments.pop("lt_ratio")
        yield from make_family(selection, lt_ratios=ratios, **arguments)
    elif arguments.get("profile") == "all":
        own = ("hybrids", "store", "name")
        if others := sorted(set(arguments) - {*own, "profile"}):
            flags = ", ".join(f"--{name.replace('_', '-')}" for name in others)
            raise typer.BadParameter(f"{flags}: with --no-split nothing is held out and nothing is drawn")
        yield whole(selection, **{"hybrids": False, **{k: v for k, v in arguments.items() if k in own}})
    else:
        yield draw(selection, **arguments)


def _again(
    source: Path,
    flags: SelectionFlags,
    other: dict[str, Any],
    name: str | None,
    out: Path | None,
    json: bool,
) -> None:
    from arboretum_tools.photo_ids import read_photo_ids
    from arboretum_tools.split.remake import remake

    beside = dataclasses.replace(flags, photo_ids=None)
    if beside.given or any(value is not None for value in other.values()):
        raise typer.BadParameter(
            "--from takes everything from the split.json; only --catalog, --photo-ids, --name, --out and "
            "--json go with it"
        )
    with Progress() as progress:
        listed = None if flags.photo_ids is None else read_photo_ids(flags.photo_ids)
        made = remake(source, flags.open(progress), photo_ids=listed, name=name)
        folder = out or Path("splits", made.split.name)
        there = folder.exists()
        made.split.save(folder)
    value = {
        "path": str(folder),
        "name": made.split.name,
        "same": made.same,
        "catalog_changed": made.catalog_changed,
        "differences": made.differences.to_dict() if made.differences else None,
        **made.split.meta,
    }
    result(json, value, [*_said_again(made, source), *_lines(made.split, folder, there)])


def _import(files: list[Path], name: str | None, out: Path | None, json: bool) -> None:
    from arboretum_tools.split.published import import_split
    from arboretum_tools.split.stats import split_stats

    split = import_split(files, name=name)
    folder = out or Path("splits", split.name)
    there = folder.exists()
    split.save(folder)
    found = split_stats(split)
    bands = ", ".join(f"{band.classes:,} {shot}" for shot, band in found.bands.items())
    ratio = "none, as a class has no train photos" if found.ratio is None else f"{found.ratio:g}"
    lines = [
        f"{found.classes:,} classes, {found.largest:,} to {found.smallest:,} train photos, ratio {ratio}; "
        f"{bands}",
        *table(("part", "photos"), found.photos.items()),
        f"{folder} was there already, the same split; nothing written" if there else f"written to {folder}",
    ]
    result(json, {"path": str(folder), "name": split.name, **split.meta}, lines)


def _said_again(made: Remade, source: Path) -> list[str]:
    if made.same:
        return [f"made again from {source}: the same split, by all content hashes"]
    why = (
        "the catalogue has changed"
        if made.catalog_changed
        else "the catalogue has the same photos and classes, and another column that the recipe uses changed"
    )
    lines = [f"made again from {source}: NOT the same split; {why}"]
    found = made.differences
    if found is None:
        return [*lines, "the old split's files are not beside it, so its photos cannot be compared"]
    lines += table(
        ("photos", "what became of them"),
        [
            (found.gone, "gone: no longer in the catalogue"),
            (found.renamed, "renamed: under another class now"),
            (found.moved, "moved: in another part or none, because others came or went"),
            (found.new, "new: were not in the old split"),
        ],
    )
    shown = found.renamings[:10]
    lines += [f"  {old} is now {new or 'in no class'}: {count:,} photos" for old, new, count in shown]
    return lines


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
        "in no class of this rank": counts["no_class"],
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
        *_set_aside(meta),
        f"{folder} was there already, the same split; nothing written" if there else f"written to {folder}",
    ]


def _set_aside(meta: Any) -> list[str]:
    below = meta["photos_rolled_up"]
    return [f"{below:,} photos of subspecies, varieties and forms count with their species"] if below else []
