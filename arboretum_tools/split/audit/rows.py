"""The promises that rows and classes are what the recipe selects, and that names and lineages agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from arboretum_tools.split.audit.checks import Check, Files, found
from arboretum_tools.tabular.arrays import from_numpy, text, texts
from arboretum_tools.wording import counted

_RANKS = ("kingdom", "phylum", "class", "order", "family", "genus")


def checks(files: Files) -> Iterator[Check]:
    """The checks of rows and names; none for a published split, whose names are as published."""
    if files.imported:
        return
    rows = files.classes.to_pylist()
    yield _keys(rows)
    yield _nested(rows)
    yield _selected(files, rows)


def _keys(rows: list[dict[str, Any]]) -> Check:
    wrong = []
    for row in rows:
        kingdom, *rest = row["class_key"].split("|")
        species = len(rest) == 1 or row["rank"] not in _RANKS
        own = [f"{row['genus']} {row['species']}"] if species else [row["rank"], row[row["rank"]]]
        if rest[-1] == f"{row['genus']} ({row['family']})":
            own[-1] = rest[-1]  # of two genera of one name
        scientific = row["scientific_name"] or ""
        named = not species or row["genus"] in scientific.split()
        if kingdom != row["kingdom"] or rest[: len(own)] != own or not named:
            wrong.append(row["class_key"])
        elif not row["name"].startswith(scientific):
            wrong.append(f"{row['class_key']} is called {row['name']}")
    return found(
        "class keys and names",
        bool(wrong),
        "each class key and name agrees with the columns of its lineage",
        wrong,
    )


def _nested(rows: list[dict[str, Any]]) -> Check:
    """A family lies in one order, an order in one class, and so on, within a kingdom.

    Genera are left out: catalogues hold a few that stand in two families of a kingdom.
    """
    above: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for row in rows:
        for higher, rank in pairwise(_RANKS[1:-1]):
            if row[rank] and row[higher]:
                above[row["kingdom"], rank, row[rank]].add(row[higher])
    wrong = [
        f"{rank} {name}: {', '.join(sorted(of))}" for (_, rank, name), of in above.items() if len(of) > 1
    ]
    return found(
        "lineages nest", bool(wrong), "every family belongs to one order, every order to one class", wrong
    )


def _selected(files: Files, rows: list[dict[str, Any]]) -> Check:
    """Whether every class and row obeys one of the criteria, as far as the split has their columns."""
    criteria = files.recipe["selection"]["any_of"]
    wrong: list[str] = []
    classes = [[_clade(one, row) for row in rows] for one in criteria]
    for part, table in files.parts.items():
        passed = from_numpy(np.zeros(len(table), np.bool_))
        for one, by_label in zip(criteria, classes, strict=True):
            labels = from_numpy(np.flatnonzero(by_label).astype(np.int32))
            passed = pc.or_(passed, pc.and_(pc.is_in(table["label"], labels), _obeys(one, table)))
        wrong += [f"{part}: photo {i}" for i in table.filter(pc.invert(passed))["photo_id"].to_pylist()]
    detail = "every photo has a taxon, licence, life stage, day and position that the recipe selects"
    if wrong:
        detail = f"the recipe does not select {counted(len(wrong), 'photo')}"
    return found("rows obey the selection", bool(wrong), detail, wrong)


def _clade(one: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    taken = one.get("taxa")
    return (not taken or any(_in(term, row, True) for term in taken)) and not any(
        _in(term, row, False) for term in one.get("exclude_taxa", ())
    )


def _in(term: str, row: Mapping[str, Any], unknown: bool) -> bool:
    """Whether a class is in the taxon `kingdom>rank:name`; `unknown` where its columns do not say.

    In place of the kingdom stands the family of a genus that shares its name within a kingdom.
    """
    above, _, rest = term.rpartition(">")
    rank, _, name = rest.partition(":")
    own = row.get(rank)
    if rank == "species" and own is not None:
        own = f"{row['genus']} {own}"
    if own is None or rank not in (*_RANKS, "species"):
        return unknown
    return bool(own == name and above in ("", row["kingdom"], row["family"]))


def _obeys(one: Mapping[str, Any], table: pa.Table) -> Any:
    """Which rows obey the criteria that a row shows; unknown passes only where the criteria let it."""
    passed: Any = from_numpy(np.ones(len(table), np.bool_))
    tests = []
    if "license" in one:
        tests.append(pc.is_in(table["license"], texts(one["license"])))
    unknown, stages = one.get("life_stage_unknown"), one.get("life_stage")
    if unknown == "only":
        tests.append(pc.is_null(table["life_stage"]))
    elif stages:
        own = pc.is_in(table["life_stage"], texts(stages))
        tests.append(pc.or_(own, pc.is_null(table["life_stage"])) if unknown == "include" else own)
    elif unknown == "exclude":
        tests.append(pc.is_valid(table["life_stage"]))
    day = table["observed_on"].cast(pa.date32())
    if "since" in one:
        tests.append(pc.greater_equal(day, text(one["since"]).cast(pa.date32())))
    if "until" in one:
        tests.append(pc.less_equal(day, text(one["until"]).cast(pa.date32())))
    if "bbox" in one:
        west, south, east, north = one["bbox"]
        # As wide as a position loses where it is stored in 32 bits.
        x, y, near = table["longitude"].cast(pa.float64()), table["latitude"].cast(pa.float64()), 1e-4
        bounds = from_numpy(np.array([west - near, south - near, east + near, north + near]))
        tests += [pc.greater_equal(y, bounds[1]), pc.less_equal(y, bounds[3])]
        sides = pc.greater_equal(x, bounds[0]), pc.less_equal(x, bounds[2])
        tests.append((pc.and_ if west <= east else pc.or_)(*sides))
    no = from_numpy(np.zeros(1, np.bool_))[0]
    for test in tests:
        passed = pc.and_(passed, pc.fill_null(test, no))
    return passed
