"""Which of the photos are shown: the query of an address, checked, and as a condition on their table.

Names and values come from outside. Names are compared with those below, values are bound as parameters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self
from urllib.parse import parse_qsl

from arboretum_metadata.vocab import FEW_BELOW, MANY_ABOVE
from arboretum_tools.browsing.columns import LINEAGE
from arboretum_tools.errors import UsageError
from arboretum_tools.taxa.bands import BANDS
from arboretum_tools.wording import is_unicode

#: What can be asked for by its value, and the expression that has it. An empty value asks for the unknown.
FACETS: Mapping[str, str] = MappingProxyType(
    {
        "part": "part",
        "status": "status",
        "license": "license",
        "life_stage": "life_stage",
        "month": "month(observed_on)::VARCHAR",
        "year": "year(observed_on)::VARCHAR",
        "observer": "observer_name",
        "error": "error",
        "mark": "(SELECT reason FROM marks WHERE marks.photo_id = photos.photo_id)",
    }
)

#: The shot band of a row of `classes`.
BAND = f"CASE WHEN n > {MANY_ABOVE} THEN 'many' WHEN n < {FEW_BELOW} THEN 'few' ELSE 'medium' END"

#: More values than this of one kind are no filter that a person made.
_MOST_VALUES = 1_000


@dataclass(frozen=True, slots=True)
class Filter:
    """Photos that pass all of this.

    Attributes:
        facets: values by the names of `FACETS`; a photo has one of them. "" = it is not known.
        bands: shot bands of classes.
        labels: numbers of classes.
        places: first and last place of a class from head to tail, 0 = head; None = all.
        lineage: names of ranks from the kingdom down; "" = the class has none at that rank.
        cell: south-west corner and size in degrees of a cell of the map; None = everywhere.
    """

    facets: Mapping[str, tuple[str, ...]]
    bands: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()
    places: tuple[int, int] | None = None
    lineage: tuple[str, ...] = ()
    cell: tuple[int, int, int] | None = None

    @classmethod
    def parse(cls, query: str | Iterable[tuple[str, str]]) -> Self:
        """The filter that a query asks for: `license=CC-BY&band=few&band=medium`.

        Raises:
            UsageError: it asks for something that there is not.
        """
        pairs = parse_qsl(query.lstrip("?"), keep_blank_values=True) if isinstance(query, str) else query
        given: dict[str, list[str]] = {}
        for name, value in pairs:
            if not is_unicode(value):
                raise UsageError(f"{value!r} is not text that can be asked for")
            given.setdefault(name, []).append(value)
        if any(len(values) > _MOST_VALUES for values in given.values()):
            raise UsageError(f"a filter has at most {_MOST_VALUES:,} values of a kind")
        facets = {name: tuple(given.pop(name)) for name in FACETS if name in given}
        bands = tuple(given.pop("band", ()))
        labels = tuple(_whole("label", value) for value in given.pop("label", ()))
        places = given.pop("places", None)
        lineage = given.pop("lineage", None)
        cell = given.pop("cell", None)
        if given:
            known = ", ".join([*FACETS, "band", "label", "places", "lineage", "cell"])
            raise UsageError(f"there is no filter {next(iter(given))!r}", hint=f"There are {known}.")
        if unknown := [band for band in bands if band not in BANDS]:
            raise UsageError(f"there is no shot band {unknown[0]!r}", hint=f"There are {', '.join(BANDS)}.")
        found = _numbers("places", places[-1], 2) if places else None
        return cls(
            facets,
            bands,
            labels,
            (found[0], found[1]) if found else None,
            _names(lineage[-1]) if lineage else (),
            _cell(cell[-1]) if cell else None,
        )

    def without(self, facet: str) -> Filter:
        """The same without what is asked of one facet, or of `band`, `lineage`."""
        return Filter(
            {name: values for name, values in self.facets.items() if name != facet},
            () if facet == "band" else self.bands,
            self.labels,
            self.places,
            () if facet == "lineage" else self.lineage,
            self.cell,
        )

    def sql(self) -> tuple[str, list[Any]]:
        """A condition on a row of `photos`, and the values of its parameters."""
        conditions: list[str] = []
        values: list[Any] = []
        for name, asked in self.facets.items():
            known = [value for value in asked if value]
            either = [f"{FACETS[name]} IN ({_marks(known)})"] if known else []
            if "" in asked:
                either.append(f"{FACETS[name]} IS NULL")
            conditions.append(f"({' OR '.join(either)})")
            values += known
        of_class: list[str] = []
        of_values: list[Any] = []
        if self.bands:
            of_class.append(f"{BAND} IN ({_marks(self.bands)})")
            of_values += self.bands
        if self.places:
            of_class.append("place BETWEEN ? AND ?")
            of_values += self.places
        for rank, name in zip(LINEAGE, self.lineage, strict=False):
            of_class.append(f"coalesce(\"{rank}\", '') = ?")
            of_values.append(name)
        if of_class:
            conditions.append(f"label IN (SELECT label FROM classes WHERE {' AND '.join(of_class)})")
            values += of_values
        if self.labels:
            conditions.append(f"label IN ({_marks(self.labels)})")
            values += self.labels
        if self.cell:
            south, west, size = self.cell
            conditions.append("latitude >= ? AND latitude < ? AND longitude >= ? AND longitude < ?")
            values += [south, south + size, west, west + size]
        return " AND ".join(conditions) or "true", values


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _whole(name: str, text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        raise UsageError(f"{name} is a whole number, not {text!r}") from None
    if not -1 <= value < 2**31:
        raise UsageError(f"{name} is -1 to 2147483647, not {value}")
    return value


def _numbers(name: str, text: str, count: int) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count or any(abs(number) >= 2**31 for number in numbers):
        raise UsageError(f"{name} is {count} whole numbers joined by commas, not {text!r}")
    return numbers


def _cell(text: str) -> tuple[int, int, int]:
    south, west, size = _numbers("cell", text, 3)
    return south, west, size


def _names(text: str) -> tuple[str, ...]:
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        names = None
    if (
        not isinstance(names, list)
        or len(names) > len(LINEAGE)
        or not all(isinstance(name, str) and is_unicode(name) for name in names)
    ):
        raise UsageError(f"lineage is a JSON list of at most {len(LINEAGE)} names, not {text!r}")
    return tuple(names)
