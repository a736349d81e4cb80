"""What to select: frozen criteria, and the predicates that they become. No I/O.

Each predicate knows three things: its SQL, its bound parameters and its English. One object feeds the
query, `--explain` and the dataset card. A value outside its vocabulary raises when the criteria are built.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from arboretum_metadata.vocab import LICENSE_PRESETS, LICENSES
from arboretum_tools.errors import SelectionError, UsageError
from arboretum_tools.options import declared
from arboretum_tools.options.select import RARITIES, Box, SelectionOptions
from arboretum_tools.photos.photo_ids import PhotoIds
from arboretum_tools.stable_key import key_sql
from arboretum_tools.taxa.taxonomy import Taxon
from arboretum_tools.wording import counted

# Criteria come from `SelectionOptions` and from recipe files: what has bounds or a list is checked again.
_CHECKED = tuple(
    entry for entry in declared(SelectionOptions) if entry.option.choices or entry.option.least is not None
)

#: Seed of the key that `limit` and `photos_per_observation` choose by.
_LIMIT_SEED = 0


@dataclass(frozen=True, slots=True)
class Predicate:
    """One condition on the rows of the catalogue's `photos`.

    Attributes:
        sql: a boolean expression with `?` for each parameter.
        parameters: the values of the `?`, in order.
        english: the same for people.
    """

    sql: str
    parameters: tuple[Any, ...]
    english: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """What the user asked for. The default takes every research-grade photo.

    Attributes:
        taxa: clades to take; none = all.
        exclude_taxa: clades to leave out.
        rarity: names of RARITIES; a class in any of them passes.
        min_photos: least photos per class over the whole de-duplicated catalogue.
        max_photos: most photos per class over the whole de-duplicated catalogue.
        life_stage: names of the vocabulary.
        life_stage_unknown: what becomes of photos whose life stage nobody knows: `exclude` them, `include`
            them, or take them `only`. Not said: excluded where a life stage is asked for, else taken.
        license: names or presets of the vocabulary; unknown never passes.
        iucn: categories of the IUCN Red List; unknown never passes. Says how threatened a species is;
            `rarity` how few photos it has.
        quality_grade: `research`, another grade, or `any`.
        bbox: a box of positions; unknown never passes.
        since: first day of observation, included; unknown never passes.
        until: last day of observation, included; unknown never passes.
        photos_per_observation: at most so many of one observation, those smallest by key.
        photo_ids: only these photos.
        observation_ids: only photos of these observations; unknown never passes.
        limit: at most so many, those smallest by key, so that it is a sample and not the head of a file.
    """

    taxa: tuple[Taxon, ...] = ()
    exclude_taxa: tuple[Taxon, ...] = ()
    rarity: tuple[str, ...] = ()
    min_photos: int | None = None
    max_photos: int | None = None
    life_stage: tuple[str, ...] = ()
    life_stage_unknown: str | None = None
    license: tuple[str, ...] = ()
    iucn: tuple[str, ...] = ()
    quality_grade: str = "research"
    bbox: Box | None = None
    since: dt.date | None = None
    until: dt.date | None = None
    photos_per_observation: int | None = None
    photo_ids: PhotoIds | None = field(default=None)
    observation_ids: PhotoIds | None = field(default=None)
    limit: int | None = None

    def __post_init__(self) -> None:
        for entry in _CHECKED:
            if (value := getattr(self, entry.name)) is not None:
                object.__setattr__(self, entry.name, entry.checked(value))
        if self.min_photos and self.max_photos and self.min_photos > self.max_photos:
            raise UsageError(f"min-photos {self.min_photos} is more than max-photos {self.max_photos}")
        if self.since and self.until and self.since > self.until:
            raise UsageError(f"since {self.since} is later than until {self.until}")

    @property
    def licenses(self) -> tuple[str, ...]:
        """The licences that pass, presets spelled out, in the vocabulary's order; () = all."""
        named = {n for asked in self.license for n in LICENSE_PRESETS.get(asked, (asked,))}
        return tuple(name for name in LICENSES if name in named)

    @property
    def row_wise(self) -> bool:
        """Whether each photo passes or fails by itself, without a look at the others."""
        return self.photos_per_observation is None and self.limit is None

    @property
    def by_counts(self) -> bool:
        """Whether taxon, grade, licence, life stage and IUCN category of a photo decide whether it passes."""
        row_filters = (self.bbox, self.since, self.until, self.photo_ids, self.observation_ids)
        return self.row_wise and all(value is None for value in row_filters)

    @property
    def columns(self) -> tuple[str, ...]:
        """Optional columns that the catalogue must have to answer."""
        needs = {
            "life_stage": bool(self.life_stage) or self.life_stage_unknown is not None,
            "license": bool(self.license),
            "iucn": bool(self.iucn),
            "latitude": self.bbox is not None,
            "longitude": self.bbox is not None,
            "observed_on": self.since is not None or self.until is not None,
            "observation_id": self.photos_per_observation is not None or self.observation_ids is not None,
        }
        return tuple(column for column, needed in needs.items() if needed)

    def recipe(self) -> dict[str, Any]:
        """The criteria as JSON: only what differs from the default, so that new criteria change no recipe."""
        recipe: dict[str, Any] = {}
        default = Criteria()
        for entry in fields(self):
            value = getattr(self, entry.name)
            if value == getattr(default, entry.name):
                continue
            if entry.name in ("taxa", "exclude_taxa"):
                value = [taxon.term for taxon in value]
            elif entry.name == "license":
                value = list(self.licenses)
            elif isinstance(value, tuple):
                value = sorted(value)
            elif isinstance(value, dt.date):
                value = value.isoformat()
            elif isinstance(value, Box):
                value = [value.west, value.south, value.east, value.north]
            elif isinstance(value, PhotoIds):
                value = {"count": len(value), "sha256": value.sha256}
            recipe[entry.name] = value
        return recipe


def predicates(
    criteria: Criteria,
    clade: Callable[[Taxon], tuple[str, tuple[Any, ...]]],
    ids_table: Callable[[PhotoIds], str],
    of_classes: Callable[[str], str],
    *,
    graded: bool,
) -> list[Predicate]:
    """The row-wise conditions of some criteria, in the order of their fields.

    Args:
        criteria: what to take.
        clade: how this layout says that a row belongs to a taxon: SQL, never NULL, and parameters.
        ids_table: name of a table with one column that holds these ids.
        of_classes: how a row of this layout says that its class meets a condition on `n_catalog`.
        graded: whether the catalogue has a quality grade.
    """
    found: list[Predicate] = []
    for taxa, taken in ((criteria.taxa, True), (criteria.exclude_taxa, False)):
        if taxa:
            found.append(_in_clades(taxa, clade, taken=taken))
    if bounds := _count_bounds(criteria, of_classes):
        found.append(bounds)
    if stages := _life_stages(criteria):
        found.append(stages)
    found += [
        Predicate(f"{column} IN ({_marks(values)})", tuple(values), f"{what} {' or '.join(text)}")
        for column, what, values, text in (
            ("license", "licence", criteria.licenses, criteria.license),
            ("iucn", "IUCN category", criteria.iucn, criteria.iucn),
        )
        if values
    ]
    if criteria.quality_grade != "any":
        found.append(_graded(criteria.quality_grade, graded=graded))
    if box := criteria.bbox:
        longitude = "BETWEEN ? AND ?" if box.west <= box.east else ">= ? OR longitude <= ?"
        found.append(
            Predicate(
                f"latitude BETWEEN ? AND ? AND (longitude {longitude})",
                (box.south, box.north, box.west, box.east),
                f"between {box.south:g} and {box.north:g} degrees north, {box.west:g} and {box.east:g} east",
            )
        )
    if criteria.since:
        found.append(Predicate("observed_on >= ?", (criteria.since,), f"observed since {criteria.since}"))
    if criteria.until:
        found.append(Predicate("observed_on <= ?", (criteria.until,), f"observed until {criteria.until}"))
    for column, listed in (("photo_id", criteria.photo_ids), ("observation_id", criteria.observation_ids)):
        if listed is not None:
            noun = f"listed {column.removesuffix('_id')}"
            words = f"{'among' if column == 'photo_id' else 'of'} {counted(len(listed), noun)}"
            found.append(Predicate(f"{column} IN (FROM {ids_table(listed)})", (), words))
    return found


def where_sql(found: Sequence[Predicate]) -> tuple[str, tuple[Any, ...]]:
    """All predicates as one condition, and its parameters in order."""
    condition = " AND ".join(f"({p.sql})" for p in found) or "true"
    return condition, tuple(value for p in found for value in p.parameters)


def ids_sql(condition: str, criteria: Criteria, *, relation: str = "photos") -> str:
    """A query for the photo ids that meet a condition and then the cuts per observation and in all.

    Args:
        condition: on a row of `photos`.
        criteria: what the cuts are.
        relation: `photos`, or as much of it as can hold what meets the condition.
    """
    sql = f"SELECT photo_id FROM {relation} WHERE {condition}"
    key = key_sql("photo_id", "limit", _LIMIT_SEED)
    if criteria.photos_per_observation:
        # A photo without an observation is an observation of its own; ids are >= 1, so -id is free.
        sql += (
            " QUALIFY row_number() OVER (PARTITION BY coalesce(observation_id, -photo_id) "
            f"ORDER BY {key}, photo_id) <= {int(criteria.photos_per_observation)}"
        )
    if criteria.limit:
        sql = f"SELECT photo_id FROM ({sql}) ORDER BY {key}, photo_id LIMIT {int(criteria.limit)}"
    return sql


def english(found: Sequence[Predicate], criteria: Criteria) -> str:
    """The criteria in one line of English."""
    phrases = [p.english for p in found]
    if criteria.photos_per_observation:
        phrases.append(f"at most {counted(criteria.photos_per_observation, 'photo')} an observation")
    if criteria.limit:
        phrases.append(f"at most {counted(criteria.limit, 'photo')}, chosen by their key")
    return "; ".join(phrases) or "every photo"


def _in_clades(
    taxa: Sequence[Taxon], clade: Callable[[Taxon], tuple[str, tuple[Any, ...]]], *, taken: bool
) -> Predicate:
    parts = [clade(taxon) for taxon in taxa]
    sql = f"({' OR '.join(f'({part})' for part, _ in parts)})"
    names = " or ".join(taxon.english for taxon in taxa)
    parameters = tuple(value for _, values in parts for value in values)
    return Predicate(sql if taken else f"NOT {sql}", parameters, names if taken else f"not {names}")


def _life_stages(criteria: Criteria) -> Predicate | None:
    stages, unknown = criteria.life_stage, criteria.life_stage_unknown
    if unknown == "only":
        return Predicate("life_stage IS NULL", (), "life stage unknown")
    if not stages:
        if unknown == "exclude":
            return Predicate("life_stage IS NOT NULL", (), "life stage known")
        return None
    sql, text = f"life_stage IN ({_marks(stages)})", f"life stage {' or '.join(stages)}"
    if unknown == "include":
        return Predicate(f"{sql} OR life_stage IS NULL", stages, f"{text} or unknown")
    return Predicate(sql, stages, text)


def _count_bounds(criteria: Criteria, of_classes: Callable[[str], str]) -> Predicate | None:
    ranges = [RARITIES[name] for name in criteria.rarity]
    conditions = [_between(*bounds) for bounds in ranges]
    phrases = [
        f"{name} ({_between_english(*bounds)})" for name, bounds in zip(criteria.rarity, ranges, strict=True)
    ]
    sql = f"({' OR '.join(conditions)})" if conditions else ""
    sentences = [f"species that are {' or '.join(phrases)}"] if phrases else []
    if criteria.min_photos or criteria.max_photos:
        bounds = (criteria.min_photos, criteria.max_photos)
        sql = " AND ".join(filter(None, (sql, _between(*bounds))))
        sentences.append(f"species with {_between_english(*bounds)}")
    if not sql:
        return None
    return Predicate(
        of_classes(sql),
        (),
        " and ".join(sentences) + " in the catalogue",
    )


def _between(least: int | None, most: int | None) -> str:
    parts = [f"n_catalog >= {int(least)}"] if least is not None else []
    parts += [f"n_catalog <= {int(most)}"] if most is not None else []
    return f"({' AND '.join(parts)})"


def _between_english(least: int | None, most: int | None) -> str:
    if least is None:
        return f"at most {counted(most or 0, 'photo')}"
    return f"at least {counted(least, 'photo')}" if most is None else f"{least:,} to {counted(most, 'photo')}"


def _graded(grade: str, *, graded: bool) -> Predicate:
    payload = {"research": "research grade", "needs_id": "grade needs ID"}.get(grade, f"grade {grade}")
    if graded:
        return Predicate("quality_grade = ?", (grade,), payload)
    if grade == "research":
        return Predicate("true", (), "taken as research grade, as the catalogue has no grades")
    raise SelectionError(
        f"the catalogue has no quality_grade, so nothing in it is {grade}",
        hint="Without the column every photo is taken as research grade.",
    )


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))
