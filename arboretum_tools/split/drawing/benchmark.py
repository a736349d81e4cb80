"""Carries a benchmark out: one hold-out for each of its groups or stages, put together into one part `test`.

Which photos of a class are taken follows the rules of every other split (whole groups by the key of role
`holdout`, then the photos smallest by that of role `train`), so that a split which leaves out the
observations of a benchmark leaves out all that belongs to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from arboretum_metadata.schema import PART
from arboretum_metadata.vocab import GROUPS, RARE_BELOW
from arboretum_tools.catalog import Catalog, Selection
from arboretum_tools.errors import InfeasibleSplitError, RecipeError, SelectionError, UsageError
from arboretum_tools.split.drawing.draw import Drawn, draw
from arboretum_tools.split.drawing.pool import Available
from arboretum_tools.split.recipes.recipe import SplitRecipe
from arboretum_tools.tabular.arrays import from_numpy, texts, to_numpy
from arboretum_tools.tabular.query import identifier
from arboretum_tools.tabular.tables import arrow_schema
from arboretum_tools.taxa.identity import class_key_sql
from arboretum_tools.taxa.taxonomy import Taxon
from arboretum_tools.wording import counted

# Classes that an error names.
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class _Slice:
    """A group or a stage of a benchmark: what may be drawn for it, and how.

    Attributes:
        selection: its photos.
        recipe: with the photos per class of this slice.
        stage: the life stage that its classes are; None where they are species.
    """

    selection: Selection
    recipe: SplitRecipe
    stage: str | None = None


def prepared(selection: Selection, recipe: SplitRecipe) -> tuple[Selection, SplitRecipe]:
    """The selection that a benchmark draws from, and its recipe with every taxon looked up.

    `unseen` takes species with fewer than 30 photos in the catalogue; `unseen` and `balanced` take those of
    the seven groups that the catalogue has where the selection names no taxa; `confounding` takes its pairs.
    What was prepared stays as it is when it is prepared again.

    Raises:
        TaxonError: a name of a pair that does not lead to exactly one taxon.
        RecipeError: a pair that is not of the rank of the classes, taxa beside pairs, a limit.
        SelectionError: the catalogue has none of the seven groups.
    """
    catalog, criteria = selection.catalog, selection.criteria
    if recipe.benchmark in ("balanced", "life-stage") and any(one.limit for one in criteria):
        raise RecipeError(
            f"a limit would be one for each part of the benchmark {recipe.benchmark}",
            hint="Leave --limit out; --test-per-class says how many photos of each class are taken.",
        )
    if recipe.benchmark == "confounding":
        pairs = [(catalog.taxon(first), catalog.taxon(second)) for first, second in recipe.pairs]
        members = _members(pairs, recipe.rank)
        if any(one.taxa and one.taxa != members for one in criteria):
            raise RecipeError("the pairs say which taxa are taken", hint="Leave --taxa out.")
        recipe = replace(recipe, pairs=tuple((first.term, second.term) for first, second in pairs))
        criteria = tuple(replace(one, taxa=members) for one in criteria)
    elif recipe.benchmark in ("balanced", "unseen") and not any(one.taxa for one in criteria):
        groups = _groups(catalog)
        criteria = tuple(replace(one, taxa=groups) for one in criteria)
    if recipe.benchmark == "unseen":
        most = RARE_BELOW - 1
        for one in criteria:
            if one.min_photos and one.min_photos > most:
                raise UsageError(f"min-photos {one.min_photos} is more than the {most} of `unseen`")
        criteria = tuple(replace(one, max_photos=min(one.max_photos or most, most)) for one in criteria)
    return catalog.selection(*criteria), recipe


def draw_benchmark(
    selection: Selection, recipe: SplitRecipe, group_by: str, available: Available
) -> tuple[Drawn, list[list[str]]]:
    """Draws the one part of a benchmark.

    Args:
        selection: what may be drawn, prepared.
        recipe: how, prepared.
        group_by: the resolved grouping.
        available: which of the selected photos may be drawn.

    Returns:
        What was drawn, with the column `stage` in its classes and no part but `test`; and the class_keys of
        each pair of look-alikes.

    Raises:
        InfeasibleSplitError: no class, or not every member of a pair, has the photos; says which number has.
        RecipeError: a class belongs to two of the groups.
    """
    slices = list(_slices(selection, recipe))
    drawn = [next(draw(one.selection, [one.recipe], group_by, available)) for one in slices]
    keep = _whole_species(drawn) if recipe.benchmark == "life-stage" else None
    merged = _merged(drawn, [one.stage for one in slices], keep)
    pairs = _pairs(merged, selection.catalog, recipe)
    if not merged.classes.num_rows or any(None in pair for pair in pairs):
        raise _impossible(selection, recipe, available)
    return merged, [[key for key in pair if key is not None] for pair in pairs]


def _members(pairs: Iterable[tuple[Taxon, Taxon]], rank: str) -> tuple[Taxon, ...]:
    members = tuple(dict.fromkeys(taxon for pair in pairs for taxon in pair))
    for taxon in members:
        if taxon.rank != rank:
            raise RecipeError(
                f"{taxon.english} cannot be one of a pair: the classes are of the rank {rank}",
                hint=f"Name a {rank}, or the rank of all pairs with --rank.",
            )
    return members


def _groups(catalog: Catalog) -> tuple[Taxon, ...]:
    """Those of the seven groups that the catalogue has."""
    # Asked first, as a name that the catalogue lacks costs a search for what may have been meant.
    there = ", ".join(f"count(*) FILTER ({identifier(group.rank)} = ?)" for group in GROUPS.values())
    (counts,) = catalog.rows(f"SELECT {there} FROM lineages", [group.name for group in GROUPS.values()])
    found = [
        catalog.taxon(f"{group.rank}:{group.name}")
        for group, count in zip(GROUPS.values(), counts, strict=True)
        if count
    ]
    if not found:
        raise SelectionError(
            f"the catalogue at {catalog.path} has none of the groups {', '.join(GROUPS)}",
            hint="Name the groups with --taxa.",
        )
    return tuple(found)


def _slices(selection: Selection, recipe: SplitRecipe) -> Iterable[_Slice]:
    catalog, criteria = selection.catalog, selection.criteria
    if recipe.benchmark == "life-stage":
        for stage, photos in recipe.stages:
            of_stage = [
                replace(one, life_stage=(stage,), life_stage_unknown=None)
                for one in criteria
                if not one.life_stage or stage in one.life_stage
            ]
            if not of_stage or any(one.life_stage_unknown == "only" for one in criteria):
                raise RecipeError(
                    f"the selection leaves out the life stage {stage}, which the benchmark asks for",
                    hint="Leave --life-stage out, or say with --stages which stages are classes.",
                )
            yield _Slice(catalog.selection(*of_stage), replace(recipe, test_per_class=photos), stage)
    elif recipe.benchmark == "balanced":
        for group in dict.fromkeys(taxon for one in criteria for taxon in one.taxa):
            of_group = [replace(one, taxa=(group,)) for one in criteria if not one.taxa or group in one.taxa]
            yield _Slice(catalog.selection(*of_group), recipe)
    else:
        yield _Slice(selection, recipe)


def _whole_species(drawn: list[Drawn]) -> set[str]:
    """The species with photos enough in every stage, so that stages are compared over the same species."""
    return set.intersection(*(set(one.classes["class_key"].to_pylist()) for one in drawn))


def _merged(drawn: list[Drawn], stages: list[str | None], keep: set[str] | None) -> Drawn:
    """Several hold-outs as one: labels by class_key, as no class has train photos."""
    classes, unused, kept = [], [], []
    for one, stage in zip(drawn, stages, strict=True):
        taken = np.array([keep is None or key in keep for key in one.classes["class_key"].to_pylist()], bool)
        kept.append(taken)
        classes.append(_of_stage(one.classes.filter(from_numpy(taken)), stage))
        spare = one.classes.filter(from_numpy(~taken)).select(one.unused_classes.column_names)
        unused += [_of_stage(table, stage) for table in (one.unused_classes, spare)]
    rows, others = pa.concat_tables(classes), pa.concat_tables(unused)
    keys = rows["class_key"].to_pylist()
    order = np.array(sorted(range(len(keys)), key=lambda row: keys[row].encode()), np.int64)
    labels = np.empty(len(keys), np.int32)
    labels[order] = np.arange(len(keys), dtype=np.int32)
    left, names = others["n_available"].to_pylist(), others["class_key"].to_pylist()
    most = np.array(sorted(range(len(names)), key=lambda row: (-left[row], names[row].encode())), np.int64)
    _check_once([*keys, *names])
    ends = np.cumsum([taken.sum() for taken in kept])[:-1]
    test = pa.concat_tables(map(_relabelled, drawn, kept, np.split(labels, ends)))
    left_out = [one.left_out for one in drawn if one.left_out is not None]
    return Drawn(
        parts={"test": _sorted(test, "label", "photo_id").cast(arrow_schema(PART))},
        classes=_with(rows, "label", from_numpy(labels)).take(from_numpy(order)),
        unused_classes=others.drop_columns("stage").take(from_numpy(most)),
        left_out=_sorted(pa.concat_tables(left_out), "photo_id") if left_out else None,
        counts=_counts(drawn, test.num_rows),
        rolled_up=sum(one.rolled_up for one in drawn),
    )


def _of_stage(classes: pa.Table, stage: str | None) -> pa.Table:
    """Some classes with the column `stage`, which stands in their keys as well."""
    if stage is None:
        return classes.append_column("stage", pa.nulls(len(classes), pa.string()))
    keys = texts([f"{key}|{stage}" for key in classes["class_key"].to_pylist()])
    return _with(classes, "class_key", keys).append_column("stage", texts([stage] * len(classes)))


def _relabelled(drawn: Drawn, kept: NDArray[np.bool_], labels: NDArray[np.int32]) -> pa.Table:
    """The test photos of those classes that were kept, with their labels among all."""
    new = np.full(len(kept), -1, dtype=np.int32)
    new[kept] = labels
    test = drawn.parts["test"]
    found = new[to_numpy(test["label"])]
    return _with(test, "label", from_numpy(found)).filter(from_numpy(found >= 0))


def _with(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, column)


def _sorted(table: pa.Table, *columns: str) -> pa.Table:
    return table.take(pc.sort_indices(table, [(column, "ascending") for column in columns]))


def _check_once(keys: list[str]) -> None:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            raise RecipeError(
                f"the class {key} belongs to two of the groups", hint="Name groups that share no species."
            )
        seen.add(key)


def _counts(drawn: list[Drawn], test: int) -> dict[str, int]:
    """Photos of all slices by what became of them; they add up to `selected`."""
    counts = {name: sum(one.counts[name] for one in drawn) for name in drawn[0].counts}
    # Photos of species that lack another stage were held out and are not taken after all.
    counts["not_drawn"] += counts["test"] - test
    counts["test"] = test
    return counts


def _pairs(merged: Drawn, catalog: Catalog, recipe: SplitRecipe) -> list[list[str | None]]:
    rows = merged.classes.to_pylist()

    def key_of(term: str) -> str | None:
        taxon = catalog.taxon(term)
        return next((row["class_key"] for row in rows if _is(row, taxon)), None)

    return [[key_of(first), key_of(second)] for first, second in recipe.pairs]


def _is(row: Mapping[str, Any], taxon: Taxon) -> bool:
    name = f"{row['genus']} {row['species']}" if taxon.rank == "species" else row[taxon.rank]
    above = ("kingdom", taxon.kingdom), ("family", taxon.family)
    return name == taxon.name and all(own in (None, row[rank]) for rank, own in above)


def _impossible(selection: Selection, recipe: SplitRecipe, available: Available) -> InfeasibleSplitError:
    """The error of a benchmark that no class can carry, with the numbers that could be carried.

    Counts the photos of every class once more, which only a failure costs.
    """
    photos = recipe.test_per_class
    found = _photos_by_class(selection, recipe, available)
    if recipe.benchmark == "life-stage":
        return _impossible_stages(found, recipe)
    totals: dict[str, int] = {}
    for (key, _), count in found.items():
        totals[key] = totals.get(key, 0) + count
    if recipe.benchmark != "confounding":
        most = max(totals.values(), default=0)
        return InfeasibleSplitError(
            f"no split: none of the {len(totals):,} selected classes has {counted(photos, 'photo')}",
            hint=f"--test-per-class {most} or less makes it possible." if most else "Select more photos.",
        )
    catalog = selection.catalog
    terms = dict.fromkeys(term for pair in recipe.pairs for term in pair)
    members = {taxon: _total(totals, taxon) for taxon in map(catalog.taxon, terms)}
    short = {taxon.name: count for taxon, count in members.items() if count < photos}
    phrases = [f"{name} has {count or 'none'}" for name, count in list(short.items())[:_SHOWN]]
    least = min(short.values())
    return InfeasibleSplitError(
        f"no split: {', '.join(phrases)} of the {counted(photos, 'photo')} that each of a pair needs",
        hint=f"--test-per-class {least} or less makes it possible."
        if least
        else "Leave the pairs of those out that have none, or select more photos.",
    )


def _total(totals: Mapping[str, int], taxon: Taxon) -> int:
    name = taxon.name if taxon.rank == "species" else f"{taxon.rank}|{taxon.name}"
    name += f" ({taxon.family})" if taxon.family else ""
    kingdom = taxon.kingdom or ""
    return sum(n for key, n in totals.items() if key.endswith(f"|{name}") and key.startswith(kingdom))


def _impossible_stages(
    found: Mapping[tuple[str, str | None], int], recipe: SplitRecipe
) -> InfeasibleSplitError:
    stages = dict(recipe.stages)
    asked = ", ".join(f"{photos} {stage}" for stage, photos in stages.items())
    message = f"no split: no species has the photos that are asked for ({asked})"
    totals = {stage: sum(n for (_, s), n in found.items() if s == stage) for stage in stages}
    if missing := [stage for stage, count in totals.items() if not count]:
        return InfeasibleSplitError(
            f"{message}; nothing selected is known to be {' or '.join(missing)}",
            hint="Name the stages that there are with --stages.",
        )

    def carried(key: str) -> float:
        return min(found.get((key, stage), 0) / photos for stage, photos in stages.items())

    best = max(sorted({key for key, _ in found}), key=carried)
    possible = {stage: min(found.get((best, stage), 0), photos) for stage, photos in stages.items()}
    had = ", ".join(f"{found.get((best, stage), 0)} {stage}" for stage in stages)
    values = ",".join(f"{stage}={photos}" for stage, photos in possible.items() if photos)
    return InfeasibleSplitError(
        f"{message}; the nearest is {best} with {had}",
        hint=f"--stages {values} makes it possible.",
    )


def _photos_by_class(
    selection: Selection, recipe: SplitRecipe, available: Available
) -> dict[tuple[str, str | None], int]:
    """Photos that may be drawn by (class_key, life stage)."""
    catalog = selection.catalog
    key = "class_key" if recipe.rank == "species" else f"{class_key_sql(recipe.rank)} AS class_key"
    sql, parameters = selection.query(f"photo_id, {key}, life_stage, hybrid")
    taken = "true" if recipe.hybrids else "NOT hybrid"
    rows = catalog.rows(
        f"SELECT class_key, life_stage, count(*) FROM ({sql}) WHERE class_key IS NOT NULL AND {taken} "
        f"AND {available.sql(catalog)} GROUP BY class_key, life_stage",
        parameters,
    )
    return {
        (str(name), None if stage is None else str(stage)): int(str(count)) for name, stage, count in rows
    }


def class_key_of(recipe: Mapping[str, Any]) -> str:
    """SQL of the class_key of a photo under a stored recipe, as the classes of its split have it."""
    key = class_key_sql(str(recipe.get("rank", "species")))
    return f"({key} || '|' || life_stage)" if recipe.get("benchmark") == "life-stage" else key
