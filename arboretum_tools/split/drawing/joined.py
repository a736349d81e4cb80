"""Groups that show the same, joined: connected components over photo, address, bytes and pixels.

What `groups` keeps together by one column is not all that belongs together: two photo ids may have one
address or the same bytes, and one photo may belong to two observations. Such pairs join the groups that they
are in. A joined group has the key of its member that is smallest by (alone, group id); every other group
keeps its own, so that a catalogue without such pairs gives the split that it always gave.

Only pairs are ever in Python. DuckDB finds them by what repeats, and a catalogue has few.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from arboretum_metadata.schema import JOINED
from arboretum_metadata.vocab import INATURALIST_PHOTO
from arboretum_tools.catalog import Selection
from arboretum_tools.photos.photo_ids import PhotoIds
from arboretum_tools.split.components import Group, components
from arboretum_tools.split.drawing.benchmark import class_key_of
from arboretum_tools.split.drawing.groups import group_sql
from arboretum_tools.split.recipes.recipe import SplitRecipe
from arboretum_tools.tabular.arrays import rows_to_table
from arboretum_tools.tabular.query import literal
from arboretum_tools.tabular.tables import arrow_schema

#: What two photos may share, besides what they are grouped by; those of STORED only an image store can tell.
REASONS = ("address", "near-duplicate", "photo", "sha256")
STORED = ("near-duplicate", "sha256")

# Pairs of these are one image; near-duplicates are only alike.
_IDENTICAL = ("address", "sha256")

_GROUPS = pa.schema(
    {
        "class_key": pa.string(),
        "kind": pa.int8(),
        "group_id": pa.int64(),
        "to_kind": pa.int8(),
        "to_id": pa.int64(),
    }
)


class _Photo(NamedTuple):
    """A photo that may be drawn, with its class and its group."""

    class_key: str
    alone: bool
    group: int


@dataclass(frozen=True, slots=True)
class Joined:
    """What belongs together beyond what photos are grouped by.

    Attributes:
        pairs: the columns of `arboretum_metadata.schema.JOINED`.
        groups: class_key (null where a group is one of all classes), kind, group_id, and what stands for
            them: to_kind, to_id. Groups that stand for themselves are not in it.
        left_out: photos that the split leaves out, as one image stands in two classes.
    """

    pairs: pa.Table
    groups: pa.Table
    left_out: PhotoIds

    @property
    def counts(self) -> dict[str, int]:
        """Pairs by what they share."""
        found = self.pairs["by"].to_pylist()
        return {reason: found.count(reason) for reason in REASONS if reason in found}


def find_joined(
    selection: Selection,
    recipe: SplitRecipe,
    group_by: str,
    *,
    stored: pa.Table | None = None,
    without: PhotoIds | None = None,
) -> Joined | None:
    """What belongs together among the photos that may be drawn.

    Args:
        selection: what may be drawn.
        recipe: its rank, and whether hybrids take part.
        group_by: the resolved grouping.
        stored: pairs that an image store knows: by, photo_id, other_id.
        without: photos that are kept out, and join nothing.

    Returns:
        None where every group stands by itself.
    """
    pairs = [("address", one, other) for one, other in _of_one_address(selection)]
    if stored is not None:
        pairs += zip(*(stored[name].to_pylist() for name in ("by", "photo_id", "other_id")), strict=True)
    photos = _photos(selection, recipe, group_by, {photo for _, *both in pairs for photo in both}, without)
    pairs = _among(pairs, photos)
    shared = _of_one_photo(selection) if group_by == "observation" else []
    if not pairs and not shared:
        return None
    left_out = _in_two_classes(pairs, photos)
    rows = [
        (by, one, other, photos[one], photos[other], one in left_out and other in left_out)
        for by, one, other in pairs
        if (one in left_out) == (other in left_out)
    ]
    own_class = group_by == "observer-per-species"
    if recipe.benchmark == "life-stage":
        # Stages are drawn one by one, each by the groups of its species.
        photos = {photo: one._replace(class_key=_species(one.class_key)) for photo, one in photos.items()}
    together = [
        (_group(photos[one], own_class=own_class), _group(photos[other], own_class=own_class))
        for _, one, other, _, _, out in rows
        if not out
    ]
    together += [((None, False, first), (None, False, other)) for _, first, other in shared]
    return Joined(
        pairs=_pairs_table(rows, shared),
        groups=_groups_table(components(together)),
        left_out=PhotoIds.of(left_out),
    )


def with_copies(selection: Selection, photos: PhotoIds) -> PhotoIds:
    """Some photos of a selection, and all others of it that have the address of one of them."""
    copies = components(_of_one_address(selection))
    if not copies:
        return photos
    given = set(photos.array.to_pylist())
    return PhotoIds.of(given.union(*(copies[photo] for photo in given & copies.keys())))


def _species(class_key: str) -> str:
    return "|".join(class_key.split("|")[:2])


def _group(photo: _Photo, *, own_class: bool) -> Group:
    return photo.class_key if own_class else None, photo.alone, photo.group


def _among(pairs: Iterable[tuple[str, int, int]], photos: Mapping[int, _Photo]) -> list[tuple[str, int, int]]:
    """Pairs of those photos alone; copies of one image stay together where the photo between them is none."""
    found: set[tuple[str, int, int]] = set()
    copies: dict[str, list[tuple[int, int]]] = {reason: [] for reason in _IDENTICAL}
    for by, one, other in pairs:
        if by in copies:
            copies[by].append((one, other))
        elif one in photos and other in photos:
            found.add((by, min(one, other), max(one, other)))
    for reason, own in copies.items():
        for members in {id(members): members for members in components(own).values()}.values():
            first, *others = sorted(photo for photo in members if photo in photos) or [0]
            found.update((reason, first, other) for other in others)
    return sorted(found)


def _of_one_address(selection: Selection) -> list[tuple[int, int]]:
    """Pairs of photos of one address; one of iNaturalist's is that of the photo whose number it has."""
    catalog = selection.catalog
    addressed, parameters = selection.query("photo_id, url", where="url IS NOT NULL")
    if not catalog.rows(f"{addressed} LIMIT 1", parameters):
        return []
    number = f"nullif(regexp_extract(url, {literal('(?i)' + INATURALIST_PHOTO)}, 1), '')"
    catalog.run(
        "CREATE OR REPLACE TABLE other_numbers AS SELECT DISTINCT number AS photo_id FROM (SELECT photo_id, "
        f"TRY_CAST({number} AS BIGINT) AS number FROM ({addressed})) WHERE number <> photo_id",
        parameters,
    )
    derived = "photo_id IN (FROM other_numbers)"
    every, parameters = selection.query("photo_id, url", where=f"url IS NOT NULL OR {derived}")
    found = catalog.rows(
        f"WITH named AS (SELECT photo_id, coalesce({number}, url, photo_id::VARCHAR) AS address "
        f"FROM ({every})), twice AS (SELECT address FROM named GROUP BY address HAVING count(*) > 1) "
        "SELECT min(photo_id) OVER (PARTITION BY address), photo_id "
        "FROM named SEMI JOIN twice USING (address)",
        parameters,
    )
    return sorted((int(str(first)), int(str(photo))) for first, photo in found if first != photo)


def _of_one_photo(selection: Selection) -> list[tuple[int, int, int]]:
    """Photos of several observations: the photo, the smallest of those that are selected, another one."""
    catalog = selection.catalog
    if not catalog.rows("SELECT 1 FROM shared_photos LIMIT 1"):
        return []
    there, parameters = selection.query(
        "DISTINCT observation_id", where="observation_id IN (SELECT observation_id FROM shared_photos)"
    )
    found = catalog.rows(
        "SELECT photo_id, min(observation_id) OVER (PARTITION BY photo_id), observation_id "
        f"FROM shared_photos SEMI JOIN ({there}) USING (observation_id)",
        parameters,
    )
    rows = [(int(str(photo)), int(str(first)), int(str(other))) for photo, first, other in found]
    return sorted(row for row in rows if row[1] != row[2])


def _photos(
    selection: Selection, recipe: SplitRecipe, group_by: str, ids: set[int], without: PhotoIds | None
) -> Mapping[int, _Photo]:
    """Those of some photos that may be drawn."""
    if not ids:
        return {}
    catalog = selection.catalog
    table = catalog.register_ids(PhotoIds.of(ids))
    kind, group = group_sql(group_by)
    key = class_key_of(recipe.to_json())
    taken = f"photo_id IN (FROM {table}) AND {key} IS NOT NULL"
    if not recipe.hybrids:
        taken += " AND hybrid IS NOT TRUE"
    if recipe.stages:
        taken += f" AND life_stage IN ({', '.join(literal(stage) for stage, _ in recipe.stages)})"
    if without is not None:
        taken += f" AND photo_id NOT IN (FROM {catalog.register_ids(without)})"
    sql, parameters = selection.query(f"photo_id, {key}, ({kind}) <> 0, {group}", where=taken)
    return {
        int(str(photo)): _Photo(str(class_key), bool(alone), int(str(own)))
        for photo, class_key, alone, own in catalog.rows(sql, parameters)
    }


def _in_two_classes(pairs: Iterable[tuple[str, int, int]], photos: Mapping[int, _Photo]) -> set[int]:
    """Photos whose image has two labels: all copies of one image, and both of two that are alike."""
    left_out: set[int] = set()
    copies = components((one, other) for by, one, other in pairs if by in _IDENTICAL)
    for members in copies.values():
        if len({photos[photo].class_key for photo in members}) > 1:
            left_out.update(members)
    for _, one, other in pairs:
        if photos[one].class_key != photos[other].class_key:
            left_out.update((one, other))
    return left_out


def _groups_table(found: Mapping[Group, list[Group]]) -> pa.Table:
    firsts = {group: min(members, key=lambda one: one[1:]) for group, members in found.items()}
    rows = [
        (key, int(alone), own, int(first[1]), first[2])
        for (key, alone, own), first in firsts.items()
        if (key, alone, own) != first
    ]
    return rows_to_table(rows, _GROUPS)


def _pairs_table(
    rows: Iterable[tuple[str, int, int, _Photo, _Photo, bool]], shared: Iterable[tuple[int, int, int]]
) -> pa.Table:
    listed: list[tuple[Any, ...]] = [
        (by, one, other, a.class_key, b.class_key, a.group, a.alone, b.group, b.alone, out)
        for by, one, other, a, b, out in rows
    ]
    listed += [("photo", photo, None, None, None, a, False, b, False, False) for photo, a, b in shared]
    listed.sort(key=lambda row: (row[0], row[1], row[2] or 0, row[7]))
    return rows_to_table(listed, arrow_schema(JOINED))
