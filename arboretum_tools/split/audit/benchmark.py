"""The promises of a benchmark: which classes its rule takes, and how many photos of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from arboretum_tools.split.audit.checks import Check, Files, found
from arboretum_tools.wording import counted

# What makes a species rare: fewer photos in the whole catalogue (arXiv 2406.17720).
_RARE_BELOW = 30


def checks(files: Files) -> Iterator[Check]:
    """The check of a benchmark's rule; none for other splits."""
    rules: dict[str, Callable[[Files, list[dict[str, Any]]], Check]] = {
        "unseen": _unseen,
        "balanced": _balanced,
        "life-stage": _life_stages,
        "confounding": _confounding,
    }
    kind = files.recipe.get("benchmark")
    if kind is not None:
        rule = rules.get(kind)
        rows = files.classes.to_pylist()
        yield (
            found("benchmark", True, f"{kind!r} is not a known benchmark")
            if rule is None
            else rule(files, rows)
        )


def _unseen(_: Files, rows: list[dict[str, Any]]) -> Check:
    numbers = [row["n_catalog"] for row in rows]
    wrong = [row["class_key"] for row in rows if not row["n_test"] <= row["n_catalog"] < _RARE_BELOW]
    detail = f"{min(numbers)} to {max(numbers)} photos per species in the catalogue, fewer than {_RARE_BELOW}"
    return found("benchmark: unseen", bool(wrong), detail, wrong)


def _balanced(files: Files, rows: list[dict[str, Any]]) -> Check:
    """At most so many classes of each group, where the groups are the taxa of the selection."""
    most = files.recipe["classes_per_group"]
    groups = dict.fromkeys(t for one in files.recipe["selection"]["any_of"] for t in one.get("taxa", ()))
    counts = Counter({term: sum(_in(row, term) for row in rows) for term in groups})
    outside = [row["class_key"] for row in rows if sum(_in(row, term) for term in groups) != 1]
    crowded = [f"{term}: {count}" for term, count in counts.items() if count > most]
    text = ", ".join(f"{term.rpartition(':')[2]} {count:,}" for term, count in counts.items())
    return found(
        "benchmark: balanced",
        bool(outside or crowded),
        f"at most {counted(most, 'class')} a group: {text}",
        [*crowded, *outside],
    )


def _in(row: Mapping[str, Any], term: str) -> bool:
    """Whether a class belongs to the taxon of a stored term, `kingdom>rank:name`."""
    kingdom, _, rest = term.rpartition(">")
    rank, _, name = rest.partition(":")
    own = f"{row['genus']} {row['species']}" if rank == "species" else row[rank]
    return bool(own == name and kingdom in ("", row["kingdom"]))


def _life_stages(files: Files, rows: list[dict[str, Any]]) -> Check:
    """Every species in every stage, and no photo of another stage."""
    stages = set(files.recipe["stages"])
    of_label = {row["label"]: row["class_key"].rpartition("|")[2] for row in rows}
    of_species: dict[str, set[str]] = {}
    for row in rows:
        species, _, stage = row["class_key"].rpartition("|")
        of_species.setdefault(species, set()).add(stage)
    wrong = [species for species, there in of_species.items() if there != stages]
    for table in files.parts.values():
        columns = (table[name].to_pylist() for name in ("photo_id", "label", "life_stage"))
        wrong += [f"photo {p}" for p, label, stage in zip(*columns, strict=True) if of_label[label] != stage]
    detail = f"{len(of_species):,} species, each as {', '.join(files.recipe['stages'])}"
    return found("benchmark: life-stage", bool(wrong), detail, wrong)


def _confounding(files: Files, rows: list[dict[str, Any]]) -> Check:
    pairs = files.meta["pairs"]
    members = {key for pair in pairs for key in pair}
    wrong = sorted(members ^ {row["class_key"] for row in rows})
    # The recipe names taxa and split.json the classes that they were found to be.
    asked = files.recipe["pairs"]
    by_key = {row["class_key"]: row for row in rows}
    for terms, keys in zip(asked, pairs, strict=True):
        wrong += [
            f"{term} is {key}"
            for term, key in zip(terms, keys, strict=True)
            if key in by_key and not _in(by_key[key], term)
        ]
    detail = f"{counted(len(pairs), 'pair')} of {counted(len(members), 'class')}"
    return found("benchmark: confounding", bool(wrong), detail, wrong)
