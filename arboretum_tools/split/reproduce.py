"""Makes a split again from its `split.json`, elsewhere or later, and says what differs and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from arboretum_metadata.schema import EXCLUDED, JOINED, LEFT_OUT, PART
from arboretum_tools.catalog import Catalog, Selection
from arboretum_tools.errors import ArboretumError, RecipeError, SplitError
from arboretum_tools.options.split import GROUP_BY
from arboretum_tools.photos.criteria import Criteria
from arboretum_tools.photos.photo_ids import PhotoIds
from arboretum_tools.split.drawing.benchmark import class_key_of
from arboretum_tools.split.drawing.exclusion import Exclusion
from arboretum_tools.split.drawing.joined import STORED
from arboretum_tools.split.drawing.pool import Available
from arboretum_tools.split.files.manifest import PARTS, Split, open_split
from arboretum_tools.split.files.part_files import part_batches
from arboretum_tools.split.make import Excluded, draw_recipes, exclusion_of
from arboretum_tools.split.recipes.class_list import Fixed
from arboretum_tools.split.recipes.recipe import SplitRecipe
from arboretum_tools.system.atomic_files import read_json
from arboretum_tools.tabular.arrays import from_numpy, texts
from arboretum_tools.tabular.tables import arrow_schema, read_table
from arboretum_tools.wording import one_line


@dataclass(frozen=True, slots=True)
class Differences:
    """How a split that was made again differs from the one before, in photos.

    Attributes:
        gone: in the old split, and no longer in the catalogue.
        renamed: in the old split, and now under another class in the catalogue.
        moved: in the old split, still in the same class of the catalogue, and now in another part or in
            none, because others came or went.
        new: in the new split, and not in the old one.
        renamings: of the renamed: old class_key, new class_key ("" = none), photos; most first.
    """

    gone: int
    renamed: int
    moved: int
    new: int
    renamings: tuple[tuple[str, str, int], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RemadeSplit:
    """A split that was made again.

    Attributes:
        split: as it is now.
        differing: the hashes of split.json that are not those of the old one, such as `sha256 of train` (ids
            and labels) or `rows_sha256 of train` (all columns).
        catalog_changed: whether the catalogue's fingerprint is another: its photos, or their classes.
        differences: photo by photo; None where the split is the same, or the old one came without its parts.
    """

    split: Split
    differing: tuple[str, ...]
    catalog_changed: bool
    differences: Differences | None

    @property
    def same(self) -> bool:
        """Whether every hash is that of the old one."""
        return not self.differing


def remake_split(
    source: str | Path,
    catalog: Catalog,
    *,
    photo_ids: PhotoIds | None = None,
    observation_ids: PhotoIds | None = None,
    exclude: Excluded = None,
    name: str | None = None,
) -> RemadeSplit:
    """Makes a split again from the recipe in its `split.json`.

    Args:
        source: a split.json, or the folder of a split. What lies beside it is used: `left_out.parquet`
            instead of the image store, `excluded.parquet` for what is kept out, and the parts to say what
            differs.
        catalog: where the photos come from now.
        photo_ids: the list that the selection was made from, where it was made from one.
        observation_ids: likewise.
        exclude: what is kept out, as `make_split` takes it, where no `excluded.parquet` lies beside it.
        name: of the new split; default that of the old.

    Raises:
        SplitError: there is no split.json, or it cannot be read.
        RecipeError: the recipe cannot be carried out: an invalid value, a missing list.
        TaxonError, SelectionError, InfeasibleSplitError: the catalogue no longer carries the recipe.

    >>> import arboretum_tools as at
    >>> at.remake_split("splits/aves-lt100", at.open_catalog("catalog")).same
    True
    """
    file = Path(source) / "split.json" if Path(source).is_dir() else Path(source)
    meta = _meta(file)
    stored = meta["recipe"]
    if stored.get("profile") == "imported":
        raise RecipeError(
            f"the split of {file} was imported, not made from a catalogue",
            hint="Import its files again with --import: " + ", ".join(_names(stored)) + ".",
        )
    recipe = SplitRecipe.from_json(stored)
    selection = selection_of(stored.get("selection"), catalog, photo_ids, observation_ids)
    # Where the store held everything, there is nothing in the file, and the recipe alone will do.
    incomplete = recipe.store and dict(meta.get("counts") or {}).get("not_in_store") != 0
    available = Available(but=_left_out(file.parent) if incomplete else None)
    (split,) = draw_recipes(
        selection,
        [recipe],
        available,
        name or file.resolve().parent.name,
        group_by=_group_by(meta, recipe),
        fixed=Fixed.of_split(file.parent, recipe),
        exclusion=_kept_out(file.parent, recipe, exclusion_of(exclude, recipe.group_by)),
        stored=_stored_pairs(file.parent, meta),
    )
    differing = differing_hashes(meta, split.meta)
    changed = split.meta["catalog"]["fingerprint"] != meta["catalog"].get("fingerprint")
    complete = differing and all((file.parent / f"{part}.parquet").is_file() for part in _parts(meta))
    differences = compare(open_split(file.parent), split, catalog) if complete else None
    return RemadeSplit(split, differing, changed, differences)


def differing_hashes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """Which hashes of two split.json differ, as `sha256 of train`; by all rows only where both have those."""
    wrong = [] if old.get("recipe_sha256") == new["recipe_sha256"] else ["recipe_sha256"]
    for key in ("sha256", "rows_sha256"):
        stated = old.get(key, new[key])
        names = [*new[key], *(name for name in stated if name not in new[key])]
        wrong += [f"{key} of {name}" for name in names if stated.get(name) != new[key].get(name)]
    key = "classes_sha256_all"
    return (*wrong, key) if old.get(key, new[key]) != new[key] else tuple(wrong)


def selection_of(
    recipe: object,
    catalog: Catalog,
    photo_ids: PhotoIds | None = None,
    observation_ids: PhotoIds | None = None,
) -> Selection:
    """The selection that `Selection.recipe` wrote down, looked up in this catalogue.

    Raises:
        RecipeError: it is no recipe, or needs a list of photos that was not given.
        TaxonError, SelectionError, UsageError: the catalogue does not know a name or lacks a column.
    """
    any_of = recipe.get("any_of") if isinstance(recipe, dict) else None
    if not isinstance(any_of, list) or not any_of:
        raise RecipeError("the recipe has no selection")
    criteria: list[Criteria] = []
    lists = {"photo_ids": photo_ids, "observation_ids": observation_ids}
    known = {field.name for field in fields(Criteria)}
    for one in any_of:
        if not isinstance(one, dict) or not set(one) <= known:
            raise RecipeError(
                f"the recipe's selection {one!r} cannot be read", hint="It was changed by hand?"
            )
        try:
            criteria += catalog.select(**_with_lists(one, lists)).criteria
        except (TypeError, AttributeError) as error:
            raise RecipeError(f"the recipe's selection has a value of another type: {error}") from error
    return catalog.selection(*criteria)


def compare(old: Split, new: Split, catalog: Catalog) -> Differences:
    """What became of every photo of a split in another one made from the same recipe."""
    register_photos(catalog, "old_photos", old)
    register_photos(catalog, "new_photos", new)
    catalog.run(
        "CREATE OR REPLACE TABLE lost_photos AS SELECT photo_id, o.class_key FROM old_photos o "
        "LEFT JOIN new_photos n USING (photo_id) "
        "WHERE (o.part, o.class_key) IS DISTINCT FROM (n.part, n.class_key)"
    )
    key = class_key_of(new.meta["recipe"])
    # One row for each place that lost photos have in the catalogue; `there` is NULL where they have none.
    became = catalog.rows(
        "SELECT there, class_key, coalesce(key_there, ''), class_key IS DISTINCT FROM key_there, count(*) "
        f"FROM lost_photos LEFT JOIN (SELECT photo_id, true AS there, {key} AS key_there FROM photos "
        "WHERE photo_id IN (SELECT photo_id FROM lost_photos)) USING (photo_id) "
        "GROUP BY ALL ORDER BY 5 DESC, 2, 3"
    )
    ((added,),) = catalog.rows("SELECT count(*) FROM new_photos ANTI JOIN old_photos USING (photo_id)")
    renamings = [(str(was), str(now), int(str(n))) for there, was, now, other, n in became if there and other]
    gone = sum(int(str(n)) for there, _, _, _, n in became if not there)
    renamed = sum(n for _, _, n in renamings)
    return Differences(
        gone=gone,
        renamed=renamed,
        moved=sum(int(str(n)) for *_, n in became) - gone - renamed,
        new=int(str(added)),
        renamings=tuple(renamings),
    )


def register_photos(catalog: Catalog, name: str, split: Split) -> None:
    """Makes a view of a split's photos in the catalogue: photo_id, part (its place in PARTS), class_key.

    Raises:
        SplitError: a file of the split cannot be read.
    """
    labels = from_numpy(np.arange(split.num_classes, dtype=np.int32))
    keys = pa.table({"label": labels, "class_key": split.classes["class_key"]})
    catalog.register(f"{name}_classes", keys)
    register_rows(catalog, f"{name}_rows", split, ("photo_id", "label"), "SELECT * FROM arriving")
    catalog.run(
        f"CREATE OR REPLACE VIEW {name} AS SELECT photo_id, part, class_key FROM {name}_rows "
        f"JOIN {name}_classes USING (label)"
    )


def register_rows(catalog: Catalog, name: str, split: Split, columns: Sequence[str], sql: str) -> None:
    """Makes a table of all rows of a split, as they are read; none of them is kept here.

    Args:
        catalog: where the table is made.
        name: of the table.
        split: its parts in files stay there.
        columns: of PART.
        sql: a query over `arriving`, which has these columns and `part`, its place in PARTS.

    Raises:
        SplitError: a file of the split cannot be read.
    """
    schema = pa.schema([*(arrow_schema(PART).field(one) for one in columns), pa.field("part", pa.int8())])
    unreadable: list[SplitError] = []

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            for part in split.parts:
                for batch in part_batches(split.tables, part, columns):
                    position = from_numpy(np.full(batch.num_rows, PARTS.index(part), np.int8))
                    yield pa.RecordBatch.from_arrays([*batch.columns, position], schema=schema)
        except SplitError as error:
            # What reads the batches would tell of it as of a catalogue that cannot be read.
            unreadable.append(error)

    catalog.register(name, pa.RecordBatchReader.from_batches(schema, batches()), sql)
    if unreadable:
        raise unreadable[0]


def _with_lists(criteria: Mapping[str, Any], lists: Mapping[str, PhotoIds | None]) -> dict[str, Any]:
    """The criteria with the lists whose hashes they hold."""
    found = dict(criteria)
    for name, given in lists.items():
        listed = criteria.get(name)
        if listed is None:
            continue
        if given is None or not isinstance(listed, dict) or given.sha256 != listed.get("sha256"):
            noun = f"{name.removesuffix('_ids')}s"
            what = f"was made from a list of {noun}" if given is None else "was made from another list"
            raise RecipeError(
                f"the split {what}; the recipe holds its hash only",
                hint=f"Name the file of that list with --{name.replace('_', '-')}.",
            )
        found[name] = given
    return found


def _left_out(folder: Path) -> PhotoIds:
    def refuse(what: str) -> ArboretumError:
        return RecipeError(
            f"the split was made over an image store, and {what}",
            hint="Put the left_out.parquet of the split beside its split.json.",
        )

    return PhotoIds.of(read_table(folder / "left_out.parquet", LEFT_OUT, refuse)["photo_id"].combine_chunks())


def _stored_pairs(folder: Path, meta: Mapping[str, Any]) -> pa.Table | None:
    """The pairs of photos that only the image store could tell; None where it told of none."""
    stated = meta.get("joined")
    if not isinstance(stated, dict) or not set(stated) & set(STORED):
        return None

    def refuse(what: str) -> ArboretumError:
        return RecipeError(
            f"the image store had photos that show the same, and {what}",
            hint="Put the joined.parquet of the split beside its split.json.",
        )

    pairs = read_table(folder / "joined.parquet", JOINED, refuse).select(["by", "photo_id", "other_id"])
    return pairs.filter(pc.is_in(pairs["by"], texts(STORED)))


def _kept_out(folder: Path, recipe: SplitRecipe, given: Exclusion | None) -> Exclusion | None:
    """What the recipe keeps out: as given, else as it lies beside the split.json; its hash must agree."""
    if recipe.exclude is None:
        if given is not None:
            raise RecipeError("the split was made without --exclude", hint="Leave it out.")
        return None

    def refuse(what: str) -> ArboretumError:
        return RecipeError(
            f"the split was made with --exclude, and {what}",
            hint="Put the excluded.parquet of the split beside its split.json, or name the same files with "
            "--exclude.",
        )

    found = given or Exclusion.from_table(read_table(folder / "excluded.parquet", EXCLUDED, refuse))
    if found.sha256 != recipe.exclude:
        raise refuse("what is named to be kept out is not what was kept out then")
    return found


def _group_by(meta: Mapping[str, Any], recipe: SplitRecipe) -> str:
    """The grouping as it was resolved then, so that a column that came since does not change `auto`."""
    found = meta.get("group_by")
    return found if found in GROUP_BY and found != "auto" else recipe.group_by


def _names(recipe: Mapping[str, Any]) -> list[str]:
    """Names of the files that a published split was read from."""
    files = recipe.get("files")
    return [str(one.get("name")) for one in files if isinstance(one, dict)] if isinstance(files, list) else []


def _parts(meta: Mapping[str, Any]) -> list[str]:
    return [name for name in meta["sha256"] if name in ("train", "val", "test", "classes")]


def _meta(file: Path) -> dict[str, Any]:
    try:
        meta = read_json(file)
    except (OSError, ValueError) as error:
        raise SplitError(
            f"{file} cannot be read: {one_line(error)}", hint="Name a split.json, or the folder of a split."
        ) from error
    shape = {"recipe": dict, "sha256": dict, "catalog": dict}
    if not isinstance(meta, dict) or any(not isinstance(meta.get(k), kind) for k, kind in shape.items()):
        raise SplitError(f"{file} is not the split.json of a split: it lacks {', '.join(shape)}")
    return meta
