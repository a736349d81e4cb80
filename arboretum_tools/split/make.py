"""`make_split`: a selection and a recipe to a Split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from arboretum_metadata.schema import CLASSES, LEFT_OUT, UNUSED_CLASSES
from arboretum_metadata.vocab import LIFE_STAGE_RANK
from arboretum_tools.catalog import Catalog, Selection
from arboretum_tools.errors import RecipeError, StoreError, UsageError
from arboretum_tools.near_duplicates import near_duplicate_pairs
from arboretum_tools.options import declared, takes
from arboretum_tools.options.split import (
    RATIO_PROFILES,
    DrawOptions,
    FamilyOptions,
    SplitOptions,
    WholeOptions,
)
from arboretum_tools.photos.photo_ids import PhotoIds
from arboretum_tools.split.drawing.benchmark import draw_benchmark, prepared
from arboretum_tools.split.drawing.draw import Drawn, draw
from arboretum_tools.split.drawing.exclusion import Exclusion, read_exclusion
from arboretum_tools.split.drawing.groups import resolve_group_by
from arboretum_tools.split.drawing.joined import Joined, find_joined, with_copies
from arboretum_tools.split.drawing.pool import Available
from arboretum_tools.split.encounters import with_encounters
from arboretum_tools.split.files.content_hashes import hashed, with_joined
from arboretum_tools.split.files.manifest import FORMAT_VERSION, Split
from arboretum_tools.split.recipes import benchmarks
from arboretum_tools.split.recipes.class_list import Fixed, read_counts, read_keys
from arboretum_tools.split.recipes.recipe import SplitRecipe, parse_family
from arboretum_tools.store import ImageStore
from arboretum_tools.store.shards.layout import OF_SPLIT, whose_in_words
from arboretum_tools.stored_photos import ok_photo_ids, same_bytes
from arboretum_tools.tabular.arrays import texts
from arboretum_tools.tabular.tables import arrow_schema
from arboretum_tools.taxa.bands import shot_band
from arboretum_tools.taxa.identity import folder_names, unique_names
from arboretum_tools.version import __version__

#: What may be kept out of a split: files, splits, or what was read of them.
Excluded: TypeAlias = str | Path | Sequence[str | Path] | Exclusion | None


@takes(SplitOptions)
def make_split(selection: Selection | Catalog, options: SplitOptions) -> Split:
    """Draws a long-tailed split (the largest class list that realises exactly the ratio) or a benchmark.

    Validation and test are held out first, in whole groups, so they do not depend on the ratio. Among what
    is left, as many classes as possible get the train photos that the profile gives them, by descending
    capacity: n_i = floor(M * r ** (-i / (C - 1))) for `exp`. Which photos is decided by the stable key, so
    that the same recipe over the same photos gives the same split everywhere. The exact rules stand in
    `docs/design.md`.

    A benchmark has one part, `test`, with `test_per_class` photos of every class; see
    `arboretum_tools.split.recipes.benchmarks` for the four there are.

    Args:
        selection: what may be drawn; a Catalog stands for its research-grade photos.
        options: {options}

    Raises:
        InfeasibleSplitError: the selection cannot carry the ratio; says what it could.
        UsageError: an invalid value.
        RecipeError: values that contradict each other.
        SelectionError: the catalogue lacks the column to group by.
        StoreError: `store` is not an image store.

    >>> import arboretum_tools as at
    >>> birds = at.open_catalog("catalog").select("Aves")
    >>> split = at.make_split(birds, lt_ratio=100)
    >>> split
    Split('aves-lt100': 21 classes; photos: 956 train, 105 val, 210 test)
    >>> split.class_counts[:3], split.class_counts[-3:]
    ([200, 158, 126], [3, 2, 2])
    """
    given = {} if options.lt_ratio is None else {"lt_ratio": options.lt_ratio}
    (split,) = _drawn(selection, options, [given])
    return split


@takes(FamilyOptions)
def make_family(selection: Selection | Catalog, options: FamilyOptions) -> Iterator[Split]:
    """Draws one split a ratio, or a seed, over one class list, so that curves and error bars mean something.

    Of several ratios all members have the same classes, the same validation and test photos, and the same
    largest class; the train part of a higher ratio is a subset of that of a lower one. Labels follow each
    member's own counts (ties by class_key), so compare classes by `class_key`.

    Of several seeds all members have the same classes with the same labels and counts, and other photos of
    them: a class is as large as the seed allows that leaves it fewest photos for training. Over splits that
    were made by themselves, one per seed, the classes and their sizes change as well.

    Args:
        selection: as `make_split`.
        options: {options}

    Yields:
        The members, by seed and ascending ratio; only one is in memory at a time.

    Raises:
        RecipeError: a ratio that is not whole, fewer than two of them, a profile without a ratio.
        InfeasibleSplitError, UsageError, SelectionError, StoreError: as `make_split`.

    >>> import arboretum_tools as at
    >>> birds = at.open_catalog("catalog").select("Aves")
    >>> [split.class_counts[-1] for split in at.make_family(birds, lt_ratios=[10, 50])]
    [15, 3]
    """
    given = tuple(options.lt_ratios)
    if options.seeds and len(given) < 2:
        members: list[dict[str, Any]] = [{"lt_ratio": ratio} for ratio in given] or [{}]
    else:
        ratios = parse_family(given)
        members = [{"lt_ratio": ratio, "lt_ratios": ratios} for ratio in ratios]
    seeds = [{"seed": seed, "seeds": options.seeds} for seed in options.seeds] or [{}]
    return _drawn(selection, options, [{**seed, **member} for seed in seeds for member in members])


def _drawn(
    selection: Selection | Catalog, options: DrawOptions, ratios: Sequence[Mapping[str, Any]]
) -> Iterator[Split]:
    """Splits that differ in their ratios and seeds only."""
    values = {
        entry.name: getattr(options, entry.name) for entry in declared(DrawOptions) if entry.option.recipe
    }
    given = {name: value for name, value in values.items() if value is not None and name != "name"}
    if options.benchmark is not None:
        given = benchmarks.completed({**given, **ratios[0]})
    exclusion = exclusion_of(options.exclude, options.group_by)
    given |= {"store": options.store is not None, "exclude": _hash_of(exclusion)}
    selection = _selected(selection)
    fixed = Fixed(
        None if options.class_list is None else read_keys(options.class_list, selection, options.rank),
        None if options.counts is None else read_counts(options.counts),
    )
    if fixed.counts is not None:
        given.setdefault("profile", "counts")
    given |= fixed.hashes()
    recipes = [SplitRecipe(**{**given, **ratio}) for ratio in ratios]
    held, stored = _of_store(options.store, near_duplicates=options.near_duplicates)
    return draw_recipes(
        selection,
        recipes,
        Available(only=held),
        options.name,
        exclusion=exclusion,
        fixed=fixed,
        stored=stored,
    )


def _selected(selection: Selection | Catalog) -> Selection:
    """What may be drawn; a name is none, though it reads like one."""
    given: object = selection
    if not isinstance(given, Selection | Catalog):
        raise UsageError(
            f"a split is drawn from a selection, not from {given!r:.80}",
            hint=f"Such as open_catalog(...).select({given if isinstance(given, str) else 'Aves'!r}).",
        )
    return selection.select() if isinstance(selection, Catalog) else selection


@takes(WholeOptions)
def whole(selection: Selection | Catalog, options: WholeOptions) -> Split:
    """All photos of a selection as one part `train`, with the classes found; nothing is held out.

    Photos in no species class (identified to a genus only, say) cannot be labelled: they are counted in
    `meta["counts"]["no_class"]`.

    Args:
        selection: the photos; a catalogue stands for all of them.
        options: {options}
    """
    exclusion = exclusion_of(options.exclude, None)
    recipe = SplitRecipe(
        profile="all",
        val_per_class=0,
        test_per_class=0,
        group_by="photo",
        hybrids=options.hybrids,
        store=options.store is not None,
        exclude=_hash_of(exclusion),
    )
    held, _ = _of_store(options.store, near_duplicates=False)
    available = Available(only=held)
    (split,) = draw_recipes(selection, [recipe], available, options.name, exclusion=exclusion)
    return split


def exclusion_of(exclude: Excluded, group_by: str | None) -> Exclusion | None:
    """What is kept out of a split of this grouping, read where it is named by its files."""
    return exclude if exclude is None or isinstance(exclude, Exclusion) else read_exclusion(exclude, group_by)


def _hash_of(exclusion: Exclusion | None) -> str | None:
    return None if exclusion is None else exclusion.sha256


def _of_store(
    store: str | Path | Iterable[int] | None, *, near_duplicates: bool
) -> tuple[PhotoIds | None, pa.Table | None]:
    """The photos that a store holds, and the pairs among them that show the same."""
    if not isinstance(store, str | Path):
        if near_duplicates:
            raise RecipeError(
                "near-duplicates are told by the pixels of an image store, and none is named",
                hint="Name the store with --images.",
            )
        return (store if store is None or isinstance(store, PhotoIds) else PhotoIds.of(store)), None
    opened = ImageStore.open(Path(store))
    if opened.config.photo_ids.startswith(OF_SPLIT):
        raise StoreError(
            f"the image store {store} holds {whose_in_words(opened.config.photo_ids)}: its photo ids are "
            "those of that split alone",
            hint="Name a store of the photos of this catalogue.",
        )
    held, pairs = ok_photo_ids(opened), same_bytes(opened)
    if near_duplicates:
        near = near_duplicate_pairs(opened, held).select(["photo_id", "other_id"])
        reasons = texts(["near-duplicate"] * len(near))
        pairs = pa.concat_tables([pairs, near.add_column(0, "by", reasons)])
    return held, pairs


def draw_recipes(
    selection: Selection | Catalog,
    recipes: Sequence[SplitRecipe],
    available: Available,
    name: str | None,
    group_by: str | None = None,
    exclusion: Exclusion | None = None,
    fixed: Fixed = Fixed(),  # noqa: B008 - a frozen value
    stored: pa.Table | None = None,
) -> Iterator[Split]:
    """Draws splits whose recipes differ in their ratio and seed only; see `make_split` and `make_family`.

    Args:
        selection: what may be drawn.
        recipes: one or more.
        available: which photos of the selection may be drawn.
        name: of the split; of several splits the beginning of their names.
        group_by: the grouping to use; default that of the recipes.
        exclusion: what is kept out; the recipes hold its hash.
        fixed: classes and counts that are fixed; the recipes hold their hashes.
        stored: pairs of photos that show the same, as an image store knows them: by, photo_id, other_id.

    Raises: as `make_split`.
    """
    selection = _selected(selection)
    kept_out = None if exclusion is None else with_copies(selection, exclusion.photos_of(selection))
    if kept_out is not None:
        available = _but(available, kept_out)
    if recipes[0].benchmark:
        name = name or selection.label + recipes[0].suffix
        selection, recipe = prepared(selection, recipes[0])
        recipes = [recipe]
    group_by = resolve_group_by(selection, group_by or recipes[0].group_by)
    for column in recipes[0].rule.columns if recipes[0].rule else ():
        selection.catalog.require(column)
    joined = None
    if recipes[0].val_per_class + recipes[0].test_per_class:
        # Where nothing is held out there is nothing to keep apart.
        joined = find_joined(selection, recipes[0], group_by, stored=stored, without=kept_out)
    if joined is not None:
        available = replace(_but(available, joined.left_out), joined=joined.groups)
    if recipes[0].benchmark:
        drawn, pairs = draw_benchmark(selection, recipes[0], group_by, available)
        more = {"pairs": pairs} if pairs else {}
        split = _split(selection, recipes[0], group_by, drawn, str(name), more)
        yield _accounted(split, exclusion, kept_out, joined)
        return
    for recipe, drawn in zip(recipes, draw(selection, recipes, group_by, available, fixed), strict=True):
        own = name and (name if len(recipes) == 1 else f"{name}{recipe.suffix}")
        split = _split(selection, recipe, group_by, drawn, own or selection.label + recipe.suffix)
        yield _accounted(split, exclusion, kept_out, joined)


def _but(available: Available, photos: PhotoIds) -> Available:
    """What is available without some photos."""
    but = [] if available.but is None else [available.but.array]
    return replace(available, but=PhotoIds.of(pa.concat_arrays([*but, photos.array])))


def _accounted(
    split: Split, exclusion: Exclusion | None, kept_out: PhotoIds | None, joined: Joined | None
) -> Split:
    """The split with what was kept out and joined written down, and how many photos are left out for it."""
    if exclusion is None and joined is None:
        return split
    meta, counts = dict(split.meta), dict(split.meta["counts"])
    missing, left_out = counts["not_in_store"], split.left_out
    if left_out is not None:
        # What was left out for another reason is not asked of the store.
        others = [] if kept_out is None else [kept_out.array]
        others += [] if joined is None else [joined.left_out.array]
        if others:
            known = pc.is_in(left_out["photo_id"], pa.concat_arrays(others))
            left_out = left_out.filter(pc.invert(known))
    counts["not_in_store"] = 0 if left_out is None else left_out.num_rows
    if joined is not None:
        if len(joined.left_out):
            counts["image_in_two_classes"] = len(joined.left_out)
        meta["joined"] = joined.counts
    if exclusion is not None:
        counts["excluded"] = missing - counts["not_in_store"] - counts.get("image_in_two_classes", 0)
        meta["excluded"] = exclusion.counts
    return replace(
        split,
        meta=with_joined({**meta, "counts": counts}, joined.pairs if joined else None),
        left_out=left_out,
        excluded=None if exclusion is None else exclusion.to_table(),
        joined=joined.pairs if joined else None,
    )


def _split(
    selection: Selection,
    recipe: SplitRecipe,
    group_by: str,
    drawn: Drawn,
    name: str,
    more: Mapping[str, Any] | None = None,
) -> Split:
    """The split that was drawn; `more` is what its split.json says besides."""
    rank = LIFE_STAGE_RANK if recipe.benchmark == "life-stage" else recipe.rank
    classes = with_encounters(_classes(drawn, rank), drawn.parts)
    options = {"selection": selection.recipe(), **recipe.to_json()}
    largest, smallest = classes["n_train"][0].as_py(), classes["n_train"][-1].as_py()
    meta: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "toolkit_version": __version__,
        "recipe": options,
        "selection_english": selection.english,
        "catalog": {
            "layout": selection.catalog.layout,
            "rows": len(selection.catalog),
            "fingerprint": selection.catalog.fingerprint,
        },
        "group_by_requested": recipe.group_by,
        "group_by": group_by,
        "M": largest,
        "m": smallest,
        "C": classes.num_rows,
        "ratio_asked": options["lt_ratio"] if recipe.profile in (*RATIO_PROFILES, "balanced") else None,
        "ratio_achieved": largest / smallest if smallest else None,
        "counts": {**drawn.counts, "classes_left_out": drawn.unused_classes.num_rows},
        "photos_rolled_up": drawn.rolled_up,
        **({} if drawn.sides is None else {"sides": drawn.sides}),
        **(more or {}),
    }
    return Split(
        name=name,
        classes=classes,
        tables=drawn.parts,
        meta=hashed(meta, classes, drawn.parts),
        left_out=None if drawn.left_out is None else drawn.left_out.cast(arrow_schema(LEFT_OUT)),
        unused_classes=drawn.unused_classes.cast(arrow_schema(UNUSED_CLASSES)),
    )


def _classes(drawn: Drawn, rank: str) -> pa.Table:
    found = drawn.classes
    names = found["scientific_name"].to_pylist()
    if rank == LIFE_STAGE_RANK:
        names = [f"{name} ({stage})" for name, stage in zip(names, found["stage"].to_pylist(), strict=True)]
    names = unique_names(names, found["kingdom"].to_pylist(), found["family"].to_pylist())
    made: dict[str, Sequence[str]] = {
        "name": names,
        "folder": folder_names(names),
        "rank": [rank] * len(names),
        "shot": [shot_band(n) for n in found["n_train"].to_pylist()],
    }
    schema = arrow_schema(CLASSES)
    return pa.table(
        [
            texts(made[name]) if name in made else found[name].cast(schema.field(name).type)
            for name in CLASSES.hashed
        ],
        schema=pa.schema([schema.field(name) for name in CLASSES.hashed]),
    )
