"""The promises about groups: what shows the same is in one part, and of how many encounters each class is."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from arboretum_metadata.schema import CLASSES
from arboretum_metadata.vocab import INATURALIST_PHOTO
from arboretum_tools.split.audit.checks import Check, Files, found
from arboretum_tools.tabular.arrays import from_numpy, to_numpy
from arboretum_tools.wording import counted, does

#: Class (None where groups are those of all classes), whether a photo is its own group, number of the group.
Group = tuple[str | None, bool, int]

_COLUMNS = {"observation": "observation_id", "observer-per-species": "observer_id"}

_ADDRESS = re.compile(INATURALIST_PHOTO, re.ASCII | re.IGNORECASE)


def checks(files: Files) -> Iterator[Check]:
    """The checks of addresses, pairs and encounters."""
    if not files.imported:
        yield _addresses(files)
    if files.joined is not None or "joined" in files.meta:
        yield from _pairs(files)
    yield from _encounters(files)


def groups_of(files: Files, table: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The id of each photo's group and its kind: 1 where a photo is a group of its own.

    Of groups that are joined it is the smallest one, by (kind, id).
    """
    photos = to_numpy(table["photo_id"])
    group, kind = photos, np.zeros(len(photos), np.int64)
    name = _COLUMNS.get(str(files.meta["group_by"]))
    if name is not None:
        kind = to_numpy(table[name].is_null().cast(pa.int8())).astype(np.int64)
        group = np.where(kind, photos, to_numpy(table[name]))
    first_of = _first_of(files)
    if first_of:
        group, kind = group.copy(), kind.copy()
        keys, labels = files.classes["class_key"].to_pylist(), to_numpy(table["label"])
        joined = np.array(sorted({own for _, _, own in first_of}), np.int64)
        for row in np.flatnonzero(np.isin(group, joined)).tolist():
            key = keys[labels[row]] if _by_class(files) else None
            own = (key, bool(kind[row]), int(group[row]))
            _, alone, number = first_of.get(own, own)
            kind[row], group[row] = alone, number
    return group, kind


def _by_class(files: Files) -> bool:
    return bool(files.meta["group_by"] == "observer-per-species")


def _first_of(files: Files) -> dict[Group, Group]:
    """The smallest group of each component of the pairs, by its members."""
    above: dict[Group, Group] = {}

    def top(group: Group) -> Group:
        while above.get(group, group) != group:
            above[group] = above.get(above[group], above[group])
            group = above[group]
        return group

    for row in [] if files.joined is None else files.joined.to_pylist():
        if not row["left_out"]:
            own, other = (row["class_key"], row["other_class_key"]) if _by_class(files) else (None, None)
            one = top((own, row["alone"], row["group"]))
            two = top((other, row["other_alone"], row["other_group"]))
            low, high = sorted((one, two), key=lambda group: group[1:])
            above[high] = above[low] = low
    return {group: top(group) for group in list(above)}


def _addresses(files: Files) -> Check:
    parts_of: dict[str, set[str]] = defaultdict(set)
    numbers: dict[int, str] = {}
    for part, table in files.parts.items():
        known = table.filter(table["url"].is_valid())
        for url in known["url"].to_pylist():
            match = _ADDRESS.match(url)
            parts_of[match[1] if match else url].add(part)
    # An address of iNaturalist's is that of the photo of its number, whose own is left out of the file.
    named = np.array([int(one) for one in parts_of if one.isascii() and one.isdigit()], np.int64)
    for part, table in files.parts.items() if len(named) else ():
        own = table.filter(table["url"].is_null())["photo_id"]
        ids = to_numpy(own)
        numbers.update(dict.fromkeys(ids[np.isin(ids, named)].tolist(), part))
    for number, part in numbers.items():
        parts_of[str(number)].add(part)
    shared = sorted(address for address, parts in parts_of.items() if len(parts) > 1)
    detail = "no address is in two parts"
    if shared:
        detail = f"{counted(len(shared), 'address')} {does(len(shared), 'are')} in two parts"
    return found("parts disjoint by address", bool(shared), detail, shared)


def _pairs(files: Files) -> Iterator[Check]:
    name = "parts disjoint by joined group"
    if files.joined is None:
        yield found(name, True, "split.json says that groups were joined, and joined.parquet is not there")
        return
    part_of = {photo: part for part, table in files.parts.items() for photo in table["photo_id"].to_pylist()}
    apart: dict[Group, set[str]] = defaultdict(set)
    joined = set(_first_of(files).values())
    keys = files.classes["class_key"].to_pylist()
    for part, table in files.parts.items():
        group, kind = groups_of(files, table)
        rows = np.flatnonzero(np.isin(group, np.array([own for _, _, own in joined], np.int64)))
        labels = to_numpy(table["label"].combine_chunks().take(from_numpy(rows)))
        for row, label in zip(rows.tolist(), labels.tolist(), strict=True):
            one = (keys[label] if _by_class(files) else None, bool(kind[row]), int(group[row]))
            if one in joined:
                apart[one].add(part)
    wrong = [str(group[-1]) for group, parts in apart.items() if len(parts) > 1]
    by: dict[str, int] = {}
    drawn = []
    for row in files.joined.to_pylist():
        by[row["by"]] = by.get(row["by"], 0) + 1
        if row["left_out"]:
            drawn += [str(photo) for photo in (row["photo_id"], row["other_id"]) if photo in part_of]
    text = ", ".join(f"{count:,} by {reason}" for reason, count in sorted(by.items()))
    detail = f"{counted(len(joined), 'joined group')} ({text}), each in one part"
    if wrong:
        detail = (
            f"of {counted(len(joined), 'joined group')} {len(wrong):,} {does(len(wrong), 'are')} in two parts"
        )
    yield found(name, bool(wrong), detail, sorted(wrong))
    detail = "no photo is drawn of an image that stands in two classes"
    if drawn:
        detail = f"{counted(len(drawn), 'photo')} of images in two classes {does(len(drawn), 'are')} drawn"
    yield found("no image in two classes", bool(drawn), detail, sorted(drawn))


def _encounters(files: Files) -> Iterator[Check]:
    """That classes.parquet counts the encounters that the parts hold, and that a test part has so many."""
    name = "observations and observers of classes"
    if missing := [
        one.name for one in CLASSES.columns if one.counted and one.name not in files.classes.schema.names
    ]:
        yield Check(
            name, "not promised", f"classes.parquet does not say {missing[0]}: an earlier release wrote it"
        )
    else:
        wrong = [
            f"{kind}s_{part} of class {label}: {stated}, not {there}"
            for kind in ("observation", "observer")
            for part in ("train", "val", "test")
            for label, (stated, there) in enumerate(
                zip(
                    files.classes[f"{kind}s_{part}"].to_pylist(),
                    _counts(files, part, f"{kind}_id"),
                    strict=True,
                )
            )
            if stated != there
        ]
        yield found(name, bool(wrong), "classes.parquet counts those of the parts", wrong)
    least = files.recipe.get("min_test_groups")
    if least is not None:
        groups = _test_groups(files)
        few = [
            key for label, key in enumerate(files.classes["class_key"].to_pylist()) if groups[label] < least
        ]
        detail = f"the test photos of every class are of {counted(least, 'group')} or more"
        if few:
            detail = (
                f"the test photos of {counted(len(few), 'class')} are of fewer than {counted(least, 'group')}"
            )
        yield found("groups of a test class", bool(few), detail, few)


def _counts(files: Files, part: str, column: str) -> list[int | None]:
    """Different values by label, and photos without one; None where all photos of a class are without."""
    if part not in files.parts:
        return [0] * len(files.classes)
    table, classes = files.parts[part], len(files.classes)
    labels, values = to_numpy(table["label"]), to_numpy(table[column])
    known = to_numpy(table[column].is_valid().cast(pa.int8())).astype(bool)
    # Not pyarrow's group_by, which loads pandas.
    once_each, _ = np.unique(np.stack([labels[known], values[known]]), axis=1)
    photos, with_one, distinct = (
        np.bincount(of, minlength=classes).tolist() for of in (labels, labels[known], once_each)
    )
    return [
        None if total and not named else once + total - named
        for total, named, once in zip(photos, with_one, distinct, strict=True)
    ]


def _test_groups(files: Files) -> Counter[int]:
    """Groups of the test photos by label, joined ones as one."""
    table = files.parts["test"]
    group, kind = groups_of(files, table)
    labels = to_numpy(table["label"])
    return Counter(
        label for label, *_ in set(zip(labels.tolist(), kind.tolist(), group.tolist(), strict=True))
    )
