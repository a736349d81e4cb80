"""What an export leaves out of a split by a list: marked photos, the photos of another benchmark, taxa."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from arboretum_metadata.vocab import RANKS
from arboretum_tools import events
from arboretum_tools.samples import Samples
from arboretum_tools.split import Split
from arboretum_tools.split.drawing.exclusion import Exclusion
from arboretum_tools.tabular.arrays import to_numpy
from arboretum_tools.taxa.taxonomy import group_of

_COLUMNS = ["photo_id", "label", "observation_id", "observer_id"]


def kept_out(
    exclusion: Exclusion, split: Split, parts: Mapping[str, Samples], whose: str, on_event: events.OnEvent
) -> tuple[dict[str, Samples], dict[str, int]]:
    """The samples without what is kept out, and how many photos that are, by part.

    Photos that the store lacks are no longer missing where they are kept out. Taxa are looked up among the
    classes of the split; `on_event` is told of those that it lacks. `whose` is what a note calls the split.

    Raises:
        RecipeError: nothing but taxa is named, and the split has none of them.
    """
    labels, missing = _labels(exclusion, split)
    if missing:
        on_event(events.Note(exclusion.passed_over(missing, f"the {whose}")))
    observers = set(exclusion.observers)
    keys = split.classes["class_key"].to_pylist()
    found, counts = {}, {}
    for part, samples in parts.items():
        ids = []
        for batch in split.batches(part, _COLUMNS):
            of_class = to_numpy(batch["label"])
            out = np.isin(to_numpy(batch["photo_id"]), exclusion.photos) | np.isin(of_class, labels)
            if exclusion.observations:
                asked = pc.is_in(batch["observation_id"], pa.array(exclusion.observations, pa.int64()))
                out |= to_numpy(asked.cast(pa.int8())).astype(bool)
            if observers:
                people = zip(of_class.tolist(), batch["observer_id"].to_pylist(), strict=True)
                out |= np.array([(keys[label], one) in observers for label, one in people], bool)
            ids.append(to_numpy(batch["photo_id"])[out])
        unwanted = np.concatenate(ids) if ids else np.array([], np.int64)
        kept = ~np.isin(samples.photo_ids, unwanted)
        missing = samples.missing.filter(
            pc.invert(pc.is_in(samples.missing["photo_id"], pa.array(unwanted, pa.int64())))
        )
        found[part] = replace(samples.only(kept, samples.labels[kept]), missing=missing)
        counts[part] = len(unwanted)
    return found, counts


def _labels(exclusion: Exclusion, split: Split) -> tuple[list[int], list[str]]:
    """The classes of a split that are kept out as such, or by a taxon in which they are; and taxa of none."""
    asked: dict[str, list[tuple[str, str]]] = {}
    for term in exclusion.taxa:
        kingdom, _, rest = term.rpartition(">")
        name = rest.rpartition(":")[2].strip()
        group = group_of(name)
        name = (group.name if group else name).casefold()
        asked.setdefault(name, []).append((kingdom.strip().casefold(), term))
    classes, labels, there = set(exclusion.classes), [], set()
    for row in split.classes.to_pylist():
        names = {
            str(row[name]).casefold()
            for name in ("scientific_name", "common_name", "name", *RANKS)
            if row[name] and name != "species"
        }
        terms = [
            term for name in names for within, term in asked.get(name, ()) if not within or within in names
        ]
        there.update(terms)
        if terms or row["class_key"] in classes:
            labels.append(int(row["label"]))
    return labels, [term for term in exclusion.taxa if term not in there]
