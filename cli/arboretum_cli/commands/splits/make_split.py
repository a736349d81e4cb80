"""`arboretum make-split`: a long-tailed split, or a family of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arboretum_cli.flags.declared import Given, takes
from arboretum_cli.flags.selection import SelectionFlags, takes_selection
from arboretum_cli.flags.shared import Json
from arboretum_cli.flags.split import all_pairs, checked_name, inverted, merged, ratios, what_to_split
from arboretum_cli.printing import output
from arboretum_cli.printing.output import printable, result, say
from arboretum_cli.printing.progress import Progress
from arboretum_cli.printing.split_lines import again_lines, grouping_note, imported_lines, split_lines
from arboretum_tools.options import Option
from arboretum_tools.options.split import FamilyOptions, SplitOptions

if TYPE_CHECKING:
    from arboretum_tools.catalog import Selection
    from arboretum_tools.split import Split


@dataclass(frozen=True, kw_only=True)
class OwnOptions:
    """What `arboretum make-split` takes besides: other ways to a split, and where it goes."""

    preset: Annotated[
        str | None,
        Option(
            "arboretum-40m: the seven groups, natural, species with at least 30 photos, at most 50,000 of "
            "each. arboretum-life-stages, -confounding: the published benchmarks, by their species, stages "
            "and pairs; arboretum-balanced, -unseen: by their rule alone, over species of this catalogue.",
            metavar="PRESET",
        ),
    ] = None
    pairs_file: Annotated[
        Path | None,
        Option(
            "confounding: a file of pairs, two names per line (tab, comma or slash between).",
            metavar="FILE",
            flag="pairs",
        ),
    ] = None
    no_split: Annotated[bool, Option("One part `train` with every photo; nothing held out.")] = False
    recipe: Annotated[
        Path | None,
        Option("A recipe in TOML: the keys are these flags; flags beside it win.", metavar="FILE"),
    ] = None
    again: Annotated[
        Path | None,
        Option(
            "Make the split of this split.json (or folder) again; exit 6, and nothing written without --out, "
            "where that gives another one.",
            metavar="SPLIT",
            flag="from",
        ),
    ] = None
    published: Annotated[
        Sequence[Path],
        Option(
            "Read a published split instead: its lists (train, val, test), iNaturalist competition JSON, or "
            "a CSV file of Arboretum's benchmarks.",
            metavar="FILE",
            flag="import",
            many=True,
            commas=False,
        ),
    ] = ()
    out: Annotated[
        Path | None,
        Option(
            "Folder of the split; of a family the folder that its splits are put in.",
            metavar="DIR",
            short="o",
            default="splits/NAME",
        ),
    ] = None


@takes_selection
@takes(own=OwnOptions)
@takes(options=SplitOptions)
@takes(members=FamilyOptions, only=("seeds",))
def make_split(
    flags: SelectionFlags,
    options: Given,
    members: Given,
    more: Annotated[
        list[Path] | None,
        typer.Argument(help="With --import: the other files of the published split.", metavar="FILE"),
    ] = None,
    *,
    own: OwnOptions,
    json: Json = False,
) -> None:
    """Make a long-tailed split: the largest class list that meets the ratio exactly.

    Validation and test are held out first, in whole observations. The same recipe over the same photos gives
    the same split everywhere; made again, nothing is written. Without selection flags it splits the photos
    downloaded into ./images, else the whole catalogue. In Python: `arboretum_tools.make_split(selection)`,
    `make_family` for several ratios or seeds, `remake_split` for --from, `import_split` for --import.

    \b
    Examples:
        arboretum make-split --lt-ratio 100
        arboretum make-split --lt-ratio 2,5,10 --group-by observer-per-species --name birds
        arboretum make-split --taxa Insecta --lt-ratio 10 --val-per-class 2 --test-per-class 2
        arboretum make-split --taxa Aves --lt-ratio 20 --min-test-groups 5 --name birds-met
        arboretum make-split --taxa Aves --lt-ratio 50 --images images --name birds-on-disk
        arboretum make-split --preset arboretum-40m --exclude splits/balanced --name 40m-apart
        arboretum make-split --benchmark balanced --taxa Aves,Insecta --test-per-class 20 --name balanced
        arboretum make-split --benchmark confounding --pair 'Ardea alba / Ardea herodias'
        arboretum make-split --taxa Aves --lt-ratio 20 --seeds 0,1,2 --name birds-set
        arboretum make-split --taxa Aves --class-list splits/birds-set-lt20-s0 --lt-ratio 10 --name birds-10
        arboretum make-split --taxa Aves --split-by region:1 --test-share 30 --val-share 15 --lt-ratio 20
        arboretum make-split --taxa Aves --split-by time:2022-01-01 --val-per-class 0 --lt-ratio 20
        arboretum make-split --from splits/aves-lt100/split.json --name again
    """
    from arboretum_tools.split.files.manifest import saving
    from arboretum_tools.system.atomic_files import refuse_inside

    preset, recipe, again, out = own.preset, own.recipe, own.again, own.out
    store, exclude = options.pop("store", None), options.pop("exclude", None)
    name = checked_name(options.pop("name", None))
    if own.pairs_file is not None:
        options["pairs"] = all_pairs(options.get("pairs"), own.pairs_file)
    if own.no_split:
        options["profile"] = "all"
    asked_ratio = options.get("lt_ratio")
    if asked_ratio is not None:
        options["lt_ratio"] = ratios(asked_ratio)
    if own.published or more:
        beside = (recipe, preset, again, store, exclude)
        if (
            not own.published
            or options
            or members
            or flags.given
            or any(value is not None for value in beside)
        ):
            raise typer.BadParameter(
                "files go with --import, and with it only --name, --out and --json; taxa with --taxa"
            )
        _import([*own.published, *(more or ())], name, out, json)
        return
    if again is not None:
        other = {**options, **members, "recipe": recipe, "preset": preset, "store": store}
        _again(again, flags, other, exclude, name, out, json)
        return
    with Progress() as progress:
        flags, arguments, name = merged(flags, options, recipe, preset, name)
        selection, held, source = what_to_split(
            flags, store, progress, of_pairs=arguments.get("benchmark") == "confounding"
        )
        if not json and output.volume is not output.Volume.QUIET:
            typer.echo(printable(source))
        if asked_ratio is not None and (inverse := inverted(asked_ratio)):
            say(inverse)
        made: list[dict[str, Any]] = []
        beside_it = {"store": held, "exclude": exclude, "name": name}
        arguments |= members
        family = isinstance(arguments.get("lt_ratio"), list) or "seeds" in arguments
        lines: list[str] = []
        with saving() as save:
            for split in _draw(selection, {**arguments, **beside_it}):
                folder = _folder(split, out, family=family)
                refuse_inside(folder, [selection.catalog.path])
                there = save(split, folder)
                note = grouping_note(split)
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
    from arboretum_tools.split.files.manifest import saving

    with saving() as save:
        return save(split, folder)


def _draw(selection: Selection, arguments: dict[str, Any]) -> Iterator[Split]:
    from arboretum_tools.split.make import make_family, whole
    from arboretum_tools.split.make import make_split as draw

    ratio = arguments.get("lt_ratio")
    if isinstance(ratio, list) or "seeds" in arguments:
        if "seed" in arguments and "seeds" in arguments:
            raise typer.BadParameter("--seed is one, and --seeds are several: leave one of them out")
        arguments.pop("lt_ratio", None)
        ratios = ratio if isinstance(ratio, list) else [] if ratio is None else [ratio]
        yield from make_family(selection, lt_ratios=ratios, **arguments)
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
    from arboretum_tools.photos.photo_ids import read_observation_ids, read_photo_ids
    from arboretum_tools.split.reproduce import remake_split

    if set(flags.given) - {"photo_ids", "observation_ids"} or any(
        value is not None for value in other.values()
    ):
        raise typer.BadParameter(
            "--from takes everything from the split.json; only --catalog, --photo-ids, --observation-ids, "
            "--exclude, --name, --out and --json go with it"
        )
    with Progress() as progress:
        ids = flags.given.get("photo_ids")
        listed = None if ids is None else read_photo_ids(ids)
        observations = flags.given.get("observation_ids")
        made = remake_split(
            source,
            flags.open(progress),
            photo_ids=listed,
            observation_ids=None if observations is None else read_observation_ids(observations),
            exclude=exclude,
            name=name,
        )
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
    from arboretum_tools.split.files.published import import_split

    split = import_split(files, name=name)
    folder = out or Path("splits", split.name)
    there = _save(split, folder)
    result(
        json, {"path": str(folder), "name": split.name, **split.meta}, imported_lines(split, folder, there)
    )
