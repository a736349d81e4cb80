"""`describe`: what a catalogue holds of a taxon, from its names and counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from arboretum_metadata.vocab import COMMON_NAMES, RANKS
from arboretum_tools.catalog.catalog import Catalog
from arboretum_tools.catalog.inactive import InactiveName
from arboretum_tools.display import notebook_views
from arboretum_tools.options.catalog import TaxonOptions
from arboretum_tools.options.select import RARITIES
from arboretum_tools.tabular.query import identifier
from arboretum_tools.taxa.taxonomy import Taxon

_RANKS = tuple(RANKS)
_SPECIES = "genus || ' ' || species"


@dataclass(frozen=True, slots=True)
class Branch:
    """A taxon below another one, or photos that have no name at that rank.

    Attributes:
        rank: of the branch.
        name: scientific name; None = identified no further.
        common_name: English, None where unknown.
        photos: in it, of any grade.
        classes: species classes in it.
        depth: ranks below the taxon that was asked for, 1 = directly.
    """

    rank: str
    name: str | None
    common_name: str | None
    photos: int
    classes: int
    depth: int


@dataclass(frozen=True, slots=True)
class TaxonReport:
    """What a catalogue holds of a taxon; photos of any grade.

    Attributes:
        rank: of the taxon; "" for the whole catalogue.
        name: scientific name; "" for the whole catalogue.
        lineage: the names above it by rank, broadest first.
        common_names: English.
        taxon_id: iNaturalist's number, where the catalogue has one for exactly this taxon.
        inactive: what is known of the name, where iNaturalist no longer uses it; else None.
        former_names: names of the taxon that iNaturalist no longer uses.
        photos: in it.
        classes: species classes in it.
        rarity: classes by band; a class with fewer than 20 photos is `rare` and `few`.
        life_stages: photos by life stage, "" = unknown.
        licenses: photos by licence, "" = unknown.
        grades: photos by quality grade, "" = unknown.
        iucn: classes by IUCN category, "" = unknown; empty where the catalogue has none.
        branches: what is below, in the order of a tree.
    """

    rank: str
    name: str
    lineage: Mapping[str, str]
    common_names: tuple[str, ...]
    taxon_id: int | None
    inactive: InactiveName | None
    former_names: tuple[str, ...]
    photos: int
    classes: int
    rarity: Mapping[str, int]
    life_stages: Mapping[str, int]
    licenses: Mapping[str, int]
    grades: Mapping[str, int]
    iucn: Mapping[str, int]
    branches: tuple[Branch, ...]

    _repr_html_ = notebook_views.report

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def describe_taxon(catalog: Catalog, taxon: Taxon | str | None = None, *, levels: int = 1) -> TaxonReport:
    """What a catalogue holds of a taxon, or in all.

    A built catalogue answers from its tables of names and counts alone.

    Args:
        catalog: the catalogue.
        taxon: a name or a Taxon; None = everything.
        levels: how many ranks of branches to give.

    Raises:
        TaxonError: a name that does not lead to exactly one taxon.

    >>> import arboretum_tools as at
    >>> catalog = at.open_catalog("catalog")
    >>> report = at.describe_taxon(catalog, "Odonata")
    >>> (report.rank, report.photos, report.classes)
    ('order', 29, 3)
    """
    TaxonOptions(levels=levels)
    if isinstance(taxon, str):
        taxon = catalog.taxon(taxon)
    where, parameters = catalog.clade(taxon) if taxon else ("true", ())
    rank = taxon.rank if taxon else ""
    lineage = _lineage(catalog, rank, where, parameters)
    common = COMMON_NAMES.get((rank, taxon.name if taxon else ""), ())
    if rank == "species":
        known = catalog.rows(
            f"SELECT common_name FROM lineages WHERE ({where}) AND common_name IS NOT NULL "
            "GROUP BY 1 ORDER BY sum(n) DESC, 1",
            parameters,
        )
        common = tuple(str(name) for (name,) in known)
    ((photos,),) = catalog.rows(f"SELECT coalesce(sum(n), 0) FROM lineages WHERE {where}", parameters)
    bands = ", ".join(
        f"count(*) FILTER (n_catalog BETWEEN {least or 0} AND {most if most is not None else 2**62})"
        for least, most in RARITIES.values()
    )
    ((classes, *counts),) = catalog.rows(
        f"SELECT count(*), {bands} FROM {catalog.classes_of(where)}", parameters
    )
    life_stages, licenses, grades = _photos_by(
        catalog, ("life_stage", "license", "quality_grade"), where, parameters
    )
    return TaxonReport(
        rank=rank,
        name=taxon.name if taxon else "",
        lineage=lineage,
        common_names=common,
        taxon_id=_taxon_id(catalog, rank, where, parameters),
        inactive=_inactive(catalog, taxon, int(str(photos))) if taxon else None,
        former_names=catalog.former_names(taxon) if taxon else (),
        photos=int(str(photos)),
        classes=int(str(classes)),
        rarity=dict(zip(RARITIES, (int(str(count)) for count in counts), strict=True)),
        life_stages=life_stages,
        licenses=licenses,
        grades=grades,
        iucn=_classes_by_iucn(catalog, where, parameters) if catalog.has("iucn") else {},
        branches=_branches(catalog, rank, where, parameters, levels),
    )


def _photos_by(
    catalog: Catalog, columns: tuple[str, ...], where: str, parameters: tuple[Any, ...]
) -> list[dict[str, int]]:
    """Photos by the values of each column ("" = unknown), most first; from one pass for all columns."""
    relation, photos = ("counts", "sum(n)") if catalog.counted else ("photos", "count(*)")
    values = ", ".join(f"coalesce({column}, '')" for column in columns)
    found = catalog.rows(f"SELECT {values}, {photos} FROM {relation} WHERE {where} GROUP BY ALL", parameters)
    totals = [Counter[str]() for _ in columns]
    for *row, number in found:
        for total, value in zip(totals, row, strict=True):
            total[str(value)] += int(str(number))
    return [dict(sorted(total.items(), key=lambda item: (-item[1], item[0]))) for total in totals]


def _classes_by_iucn(catalog: Catalog, where: str, parameters: tuple[Any, ...]) -> dict[str, int]:
    relation = "counts JOIN taxa USING (tax)" if catalog.counted else "photos"
    found = catalog.rows(
        f"SELECT coalesce(iucn, ''), count(DISTINCT class_key) FROM {relation} WHERE {where} "
        "GROUP BY 1 ORDER BY 2 DESC, 1",
        parameters,
    )
    return {str(value): int(str(count)) for value, count in found}


def _inactive(catalog: Catalog, taxon: Taxon, photos: int) -> InactiveName | None:
    known = catalog.inactive(taxon)
    if known is None and taxon.rank == "species":
        known = catalog.unknown_to_inaturalist(taxon.name, photos)
    return known


def _lineage(catalog: Catalog, rank: str, where: str, parameters: tuple[Any, ...]) -> dict[str, str]:
    above = _RANKS[: _RANKS.index(rank)] if rank else ()
    if not above:
        return {}
    columns = ", ".join(map(identifier, above))
    found = catalog.rows(
        f"SELECT {columns} FROM lineages WHERE {where} GROUP BY ALL ORDER BY sum(n) DESC, {columns} LIMIT 1",
        parameters,
    )
    return {r: str(name) for r, name in zip(above, found[0], strict=True) if name} if found else {}


def _taxon_id(catalog: Catalog, rank: str, where: str, parameters: tuple[Any, ...]) -> int | None:
    """The id of rows that are identified to exactly this taxon."""
    if not rank:
        return None
    below = _RANKS[_RANKS.index(rank) + 1 :]
    exact = " AND ".join(f"{identifier(r)} IS NULL" for r in below) or f"scientific_name = {_SPECIES}"
    found = catalog.rows(
        f"SELECT taxon_id FROM lineages WHERE ({where}) AND {exact} AND taxon_id IS NOT NULL "
        "GROUP BY 1 ORDER BY sum(n) DESC, 1 LIMIT 1",
        parameters,
    )
    return int(str(found[0][0])) if found else None


def _branches(
    catalog: Catalog, rank: str, where: str, parameters: tuple[Any, ...], levels: int
) -> tuple[Branch, ...]:
    start = _RANKS.index(rank) + 1 if rank else 0
    ranks = _RANKS[start : start + max(levels, 0)]
    if not ranks:
        return ()
    columns = [_SPECIES if r == "species" else identifier(r) for r in ranks]
    sets = ", ".join(f"({', '.join(columns[: depth + 1])})" for depth in range(len(columns)))
    names = ", ".join(f"{column} AS c{position}" for position, column in enumerate(columns))
    found = catalog.rows(
        f"SELECT {names}, {' + '.join(f'grouping({column})' for column in columns)} AS open, "
        "min(common_name), sum(n) AS photos, count(DISTINCT class_key) "
        f"FROM lineages WHERE {where} GROUP BY GROUPING SETS ({sets})",
        parameters,
    )
    rows = []
    for row in found:
        path, (still_open, common, photos, classes) = row[: len(ranks)], row[len(ranks) :]
        depth = len(ranks) - int(str(still_open))
        rows.append((tuple(path[:depth]), common, int(str(photos)), int(str(classes))))
    photos_of = {path: photos for path, _, photos, _ in rows}

    def order(row: tuple[Any, ...]) -> list[tuple[int, bool, str]]:
        path = row[0]
        steps = [path[: depth + 1] for depth in range(len(path))]
        return [(-photos_of[step], step[-1] is None, str(step[-1])) for step in steps]

    branches = []
    for path, common, photos, classes in sorted(rows, key=order):
        # Below photos that have no name at a rank nothing is told apart.
        if None in path[:-1]:
            continue
        own, name = ranks[len(path) - 1], path[-1]
        known = COMMON_NAMES.get((own, str(name)), (None,))[0]
        branches.append(
            Branch(
                rank=own,
                name=None if name is None else str(name),
                common_name=str(common) if own == "species" and name and common else known,
                photos=photos,
                classes=classes,
                depth=len(path),
            )
        )
    return tuple(branches)
