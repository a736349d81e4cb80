"""What an export leaves out of a split by a list: marked photos, the photos of another benchmark, taxa."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from arboretum_metadata.vocab import RANKS
from arboretum_tools.samples import Samples
from arboretum_tools.split import Split
from arboretum_tools.split.drawing.exclusion import Exclusion
from arboretum_tools.tabular.arrays import to_numpy
from arboretum_tools.taxa.taxonomy import group_of

_COLUMNS = ["photo_id", "label", "observation_id", "observer_id"]


def kept_out(
    exclusion: Exclusion, split: Split, parts: Mapping[str, Samples]
) -> tuple[dict[str, Samples], dict[str, int]]:
    """The samples without what is kept out, and how many photos that are, by part.

    Photos that the store lacks are no longer missing where they are kept out. Taxa are looked up among the
    classes of the split.
    """
    labels = _labels(exclusion, split)
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


def _labels(exclusion: Exclusion, split: Split) -> list[int]:
    """The classes of a split that are kept out as such, or by a taxon in which they are."""
    asked = []
    for term in exclusion.taxa:
        kingdom, _, rest = term.rpartition(">")
        name = rest.rpartition(":")[2].strip()
        group = group_of(name)
        asked.append((kingdom.strip().casefold(), (group.name if group else name).casefold()))
    classes, labels = set(exclusion.classes), []
    for row in split.classes.to_pylist():
        names = {
            str(row[name]).casefold()
            for name in ("scientific_name", "common_name", "name", *RANKS)
            if row[name] and name != "species"
        }
        own = row["class_key"]
        if own in classes or any(name in names and (not within or within in names) for within, name in asked):
            labels.append(int(row["label"]))
    return labels
