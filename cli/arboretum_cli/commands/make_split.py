"""`arboretum make-split`: a long-tailed split, or a family of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arboretum_cli._options import Json
from arboretum_cli._output import result, say
from arboretum_cli._progress import Progress
from arboretum_cli._selection import SelectionFlags, takes_selection
from arboretum_cli._split_flags import all_pairs, checked_name, inverted, merged, ratios, what_to_split
from arboretum_cli._split_lines import again_lines, grouping_note, imported_lines, split_lines

if TYPE_CHECKING:
    from arboretum_tools.catalog import Selection
    from arboretum_tools.split import Split


def _option(help_text: str, *names: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=help_text, metavar=metavar, show_default=False)


@takes_selection
def make_split(
    flags: SelectionFlags,
    more: Annotated[
        list[Path] | None,
        typer.Argument(help="With --import: the other files of the published split.", metavar="FILE"),
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
            "each. arboretum-balanced, -unseen, -life-stages, -confounding: the published benchmarks.",
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
    benchmark: Annotated[
        str | None,
        _option(
            "Test photos only, of classes that a rule chooses: balanced (so many species a group), unseen "
            "(species with fewer than 30 photos in the catalogue), life-stage (stages of species), "
            "confounding (pairs of look-alikes). --test-per-class says how many photos of each class.",
            "--benchmark",
            metavar="KIND",
        ),
    ] = None,
    classes_per_group: Annotated[
        int | None,
        _option(
            "balanced: most classes of each taxon of --taxa, else of the seven groups. [default: 500]",
            "--classes-per-group",
            metavar="N",
        ),
    ] = None,
    stages: Annotated[
        str | None,
        _option(
            "life-stage: the stages, with the photos of each. [default: egg=5,larva=50,pupa=15,adult=50]",
            "--stages",
            metavar="STAGE[=N],...",
        ),
    ] = None,
    pair: Annotated[
        list[str] | None,
        _option("confounding: two taxa that look alike; may be repeated.", "--pair", metavar="'A / B'"),
    ] = None,
    pairs: Annotated[
        Path | None,
        _option(
            "confounding: a file of pairs, two names a line (tab, comma or slash between).",
            "--pairs",
            metavar="FILE",
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
            "Make the split of this split.json (or folder) again; exit 6, and nothing written without --out, "
            "where that gives another one.",
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
            "--images",
            metavar="DIR",
        ),
    ] = None,
    exclude: Annotated[
        list[Path] | None,
        _option(
            "Keep the photos, observations, classes or taxa of this file out, or those of this split; may be "
            "repeated. Parquet or CSV with a column photo_id, observation_id, class_key or taxon; or text, "
            "one photo id or taxon a line.",
            "--exclude",
            metavar="FILE",
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
            "-o",
            metavar="DIR",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Make a long-tailed split: the largest class list that realises exactly the ratio.

    Validation and test are held out first, in whole observations. The same recipe over the same photos gives
    the same split everywhere; made again, nothing is written. Without selection flags it splits what was
    downloaded into ./images, else the whole catalogue. In Python: `arboretum_tools.make_split(selection)`,
    `make_family` for several ratios, `remake_split` for --from, `import_split` for --import.

    \b
    Examples:
        arboretum make-split --lt-ratio 100
        arboretum make-split --lt-ratio 2,5,10 --group-by observer-per-species --name birds
        arboretum make-split --taxa Insecta --lt-ratio 10 --val-per-class 2 --test-per-class 2
        arboretum make-split --taxa Aves --lt-ratio 50 --images images --name birds-on-disk
        arboretum make-split --preset arboretum-40m --exclude splits/balanced --name 40m-apart
        arboretum make-split --benchmark balanced --taxa Aves,Insecta --test-per-class 20 --name balanced
        arboretum make-split --benchmark confounding --pair 'Ardea alba / Ardea herodias'
        arboretum make-split --from splits/aves-lt100/split.json --name again
    """
    from arboretum_tools.split.manifest import saving

    given = {
        "profile": "all" if no_split else profile,
        "rank": rank,
        "num_classes": num_classes,
        "min_per_class": min_per_class,
        "max_per_class": max_per_class,
        "val_per_class": val_per_class,
        "test_per_class": test_per_class,
        "benchmark": benchmark,
        "classes_per_group": classes_per_group,
        "stages": stages,
        "pairs": all_pairs(pair, pairs),
        "group_by": group_by,
        "hybrids": hybrids or None,
        "seed": seed,
        "lt_ratio": None if lt_ratio is None else ratios(lt_ratio),
    }
    given = {key: value for key, value in given.items() if value is not None}
    name = checked_name(name)
    if published or more:
        beside = (recipe, preset, again, store, exclude)
        if not published or given or flags.given or any(value is not None for value in beside):
            raise typer.BadParameter(
                "files go with --import, and with it only --name, --out and --json; taxa with --taxa"
            )
        _import([*published, *(more or ())], name, out, json)
        return
    if again is not None:
        other = {**given, "recipe": recipe, "preset": preset, "store": store}
        _again(again, flags, other, exclude, name, out, json)
        return
    with Progress() as progress:
        flags, arguments, name = merged(flags, given, recipe, preset, name)
        selection, held, source = what_to_split(
            flags, store, progress, of_pairs=arguments.get("benchmark") == "confounding"
        )
        if not json:
            typer.echo(source)
        if isinstance(lt_ratio, str) and (inverse := inverted(lt_ratio)):
            say(inverse)
        made: list[dict[str, Any]] = []
        beside_it = {"store": held, "exclude": exclude, "name": name}
        family = isinstance(arguments.get("lt_ratio"), list)
        lines: list[str] = []
        with saving() as save:
            for split in _draw(selection, {**arguments, **beside_it}):
                folder = _folder(split, out, family=family)
                there = save(split, folder)
                note = grouping_note(split, observations=selection.catalog.has("observation_id"))
                if note and not made:
                    say(note)
                made.append({"path": str(folder), "name": split.name, "source": source, **split.meta})
                lines += split_lines(split, folder, there)
        if not json:
            typer.echo("\n".join(lines))
    if json:
        result(True, made[0] if len(made) == 1 else {"family": made}, ())


def _folder(split: Split, out: Path | None, *, family: bool) -> Path:
    if out is None:
        return Path("splits", split.name)
    return out / split.name if family else out


def _save(split: Split, folder: Path) -> bool:
    """Saves a split; whether it was there already."""
    from arboretum_tools.split.manifest import saving

    with saving() as save:
        return save(split, folder)


def _draw(selection: Selection, arguments: dict[str, Any]) -> Iterator[Split]:
    from arboretum_tools.split.make import make_family, whole
    from arboretum_tools.split.make import make_split as draw

    if isinstance(arguments.get("lt_ratio"), list):
        yield from make_family(selection, lt_ratios=arguments.pop("lt_ratio"), **arguments)
    elif arguments.get("profile") == "all":
        own = ("hybrids", "store", "exclude", "name")
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
    exclude: list[Path] | None,
    name: str | None,
    out: Path | None,
    json: bool,
) -> None:
    from arboretum_tools.errors import VerificationError
    from arboretum_tools.photo_ids import read_photo_ids
    from arboretum_tools.split.drawing.exclusion import read_exclusion
    from arboretum_tools.split.reproduce import remake_split

    beside = dataclasses.replace(flags, photo_ids=None)
    if beside.given or any(value is not None for value in other.values()):
        raise typer.BadParameter(
            "--from takes everything from the split.json; only --catalog, --photo-ids, --exclude, --name, "
            "--out and --json go with it"
        )
    with Progress() as progress:
        listed = None if flags.photo_ids is None else read_photo_ids(flags.photo_ids)
        kept_out = None if exclude is None else read_exclusion(exclude)
        made = remake_split(source, flags.open(progress), photo_ids=listed, exclude=kept_out, name=name)
        # What is not the split that was asked for is kept only where somebody wants to look at it.
        folder = out or (Path("splits", made.split.name) if made.same else None)
        there = folder is not None and _save(made.split, folder)
    value = {
        "path": None if folder is None else str(folder),
        "name": made.split.name,
        "same": made.same,
        "differing": list(made.differing),
        "catalog_changed": made.catalog_changed,
        "differences": made.differences.to_dict() if made.differences else None,
        **made.split.meta,
    }
    result(json, value, [*again_lines(made, source), *split_lines(made.split, folder, there)])
    if not made.same:
        raise VerificationError(
            f"the split of {source} is not what its recipe gives here: {', '.join(made.differing)} differ",
            hint="" if out else "Nothing was written; --out DIR keeps what is drawn now.",
        )


def _import(files: list[Path], name: str | None, out: Path | None, json: bool) -> None:
    from arboretum_tools.split.published import import_split

    split = import_split(files, name=name)
    folder = out or Path("splits", split.name)
    there = _save(split, folder)
    result(
        json, {"path": str(folder), "name": split.name, **split.meta}, imported_lines(split, folder, there)
    )
