"""What a selection asks of a catalogue: as SQL, in English, and which of its filters leaves nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arboretum_tools.photos import criteria as criteria_to_sql
from arboretum_tools.photos.criteria import Criteria, Predicate
from arboretum_tools.wording import counted

if TYPE_CHECKING:
    from arboretum_tools.catalog.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a selection asks.

    Attributes:
        english: for people.
        sql: a query for photo_id over `photos` and `classes`.
        parameters: the values of its `?`, in order.
        condition: the same as a condition on a row of `photos`, with the same parameters.
        everything: whether every photo passes.
    """

    english: str
    sql: str
    parameters: tuple[Any, ...]
    condition: str
    everything: bool


def explain(catalog: Catalog, criteria: Iterable[Criteria], photos: str) -> Explanation:
    """The SQL, parameters and English of some criteria, of which a photo passes any.

    Args:
        catalog: knows the taxa, and takes the lists of ids.
        criteria: at least one.
        photos: the relation to read where conditions need a query of their own.
    """
    queries: list[str] = []
    conditions: list[str] = []
    parameters: list[Any] = []
    phrases: list[str] = []
    everything = False
    for one in criteria:
        found = _predicates(catalog, one)
        condition, values = criteria_to_sql.where_sql(found)
        queries.append(criteria_to_sql.ids_sql(condition, one))
        # Row-wise conditions stand directly in later queries, so that those need only one scan.
        chosen = criteria_to_sql.ids_sql(condition, one, relation=photos)
        conditions.append(condition if one.row_wise else f"photo_id IN ({chosen})")
        parameters += values
        everything = everything or (one.row_wise and all(p.sql == "true" for p in found))
        phrases.append(criteria_to_sql.english(found, one))
    return Explanation(
        english=" or else: ".join(dict.fromkeys(phrases)),
        sql=queries[0] if len(queries) == 1 else " UNION ".join(f"({query})" for query in queries),
        parameters=tuple(parameters),
        condition=" OR ".join(f"({condition})" for condition in conditions),
        everything=everything,
    )


def emptied_by(catalog: Catalog, criteria: Criteria) -> str | None:
    """The first filter of criteria that leaves no photo, as a sentence; None where one passes."""
    left = len(catalog)
    passed: list[Predicate] = []
    for predicate in _predicates(catalog, criteria):
        passed.append(predicate)
        condition, values = criteria_to_sql.where_sql(passed)
        before = left
        left = int(str(catalog.rows(f"SELECT count(*) FROM photos WHERE {condition}", values)[0][0]))
        if not left:
            asked = "; ".join(p.english for p in passed[:-1])
            of = f"{counted(before, 'photo')}{f' ({asked})' if asked else ''}"
            return f"the filter {predicate.english!r} leaves none of {of}"
    return None


def _predicates(catalog: Catalog, one: Criteria) -> list[Predicate]:
    return criteria_to_sql.predicates(
        one,
        catalog.clade,
        catalog.register_ids,
        catalog.of_classes,
        graded=catalog.has("quality_grade"),
    )
