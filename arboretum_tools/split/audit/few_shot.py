"""The promises of few-shot episodes: sizes, photos, separate groups, and the choice of the seed.

Everything is drawn a second time, in the plainest words: no code is shared with what makes episodes.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from arboretum_tools.errors import SplitError
from arboretum_tools.split.audit.checks import Check, Files, found
from arboretum_tools.split.audit.draw import stable_keys
from arboretum_tools.wording import counted, one_line

_COLUMNS = ("episode", "way", "label", "role", "photo_id")


def read(path: Path) -> tuple[list[dict[str, Any]], Mapping[str, Any]]:
    """The rows of a file of episodes, and what it says of how they were made.

    Raises:
        SplitError: it is no such file.
    """
    try:
        table = pq.read_table(path)
        rows = table.select(list(_COLUMNS)).to_pylist()
        stated = json.loads((table.schema.metadata or {})[b"arboretum"])
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise SplitError(
            f"{path} is not a file of episodes: {one_line(error)}", hint="`arboretum episodes` writes one."
        ) from error
    return rows, stated


def checks(files: Files, path: Path, name: str) -> Iterator[Check]:
    """The checks of a file of episodes drawn from this split, whose folder has the name.

    Raises:
        SplitError: it is no file of episodes, or they were drawn from another split: the wrong file is no
            broken promise.
    """
    rows, stated = read(path)
    if stated.get("split_sha256") != files.meta.get("split_sha256"):
        of = str(stated.get("split"))
        raise SplitError(
            f"{path}: these episodes were drawn from "
            + (f"another split of the name {of}" if of == name else f"{of}, not from {name}"),
            hint="Audit them with the split that they were drawn from. Nothing was written.",
        )
    text = "".join("\t".join(str(row[name]) for name in _COLUMNS) + "\n" for row in rows)
    digest = hashlib.sha256(text.encode()).hexdigest()
    yield found("episodes: hash of the rows", digest != stated["sha256"], digest[:16])
    yield found("episodes: of this split", False, f"drawn from {stated['split']}")
    yield _sizes(files, rows, stated)
    group_of = _groups(files, stated["part"])
    yield _apart(rows, group_of)
    yield _drawn(files, rows, stated, group_of)


def _sizes(files: Files, rows: list[dict[str, Any]], stated: Mapping[str, Any]) -> Check:
    part = files.parts[stated["part"]]
    label_of = dict(zip(part["photo_id"].to_pylist(), part["label"].to_pylist(), strict=True))
    wrong = [f"photo {row['photo_id']}" for row in rows if label_of.get(row["photo_id"]) != row["label"]]
    photos: dict[tuple[int, int, str], set[int]] = defaultdict(set)
    classes: dict[int, set[int]] = defaultdict(set)
    for row in rows:
        photos[row["episode"], row["way"], row["role"]].add(row["photo_id"])
        classes[row["episode"]].add(row["label"])
    sizes = {"support": stated["shots"], "query": stated["queries"]}
    expected = {
        (episode, way, role): size
        for episode in range(stated["episodes"])
        for way in range(stated["ways"])
        for role, size in sizes.items()
    }
    counts = {key: len(of) for key, of in photos.items()}
    wrong += [f"episode {key[0]}" for key in expected if counts.get(key) != expected[key]]
    wrong += [f"episode {key[0]}" for key in counts if key not in expected]
    wrong += [f"episode {one}" for one, of in classes.items() if len(of) != stated["ways"]]
    detail = (
        f"{counted(stated['episodes'], 'episode')} of {stated['ways']} classes, {stated['shots']} + "
        f"{stated['queries']} photos of each, from {stated['part']}"
    )
    broken = bool(wrong) or len(rows) != sum(expected.values())
    return found("episodes: classes and photos", broken, detail, dict.fromkeys(wrong))


def _groups(files: Files, part: str) -> dict[int, tuple[int, int, int]]:
    """Class (-1 where groups are those of all classes), whether alone, and number of each photo's group."""
    by_observer = files.meta.get("group_by") == "observer-per-species"
    column = "observer_id" if by_observer else "observation_id"
    rows = files.parts[part].select(["photo_id", "label", column]).to_pylist()
    of = {}
    for row in rows:
        alone = row[column] is None
        number = row["photo_id"] if alone else row[column]
        of[row["photo_id"]] = (row["label"] if by_observer else -1, int(alone), number)
    above: dict[tuple[int, int, int], tuple[int, int, int]] = {}

    def top(group: tuple[int, int, int]) -> tuple[int, int, int]:
        while group in above:
            group = above[group]
        return group

    for row in [] if files.joined is None else files.joined.to_pylist():
        one, other = of.get(row["photo_id"]), of.get(row["other_id"])
        if row["other_id"] is None and not by_observer:
            one, other = (-1, 0, row["group"]), (-1, 0, row["other_group"])
        if one is not None and other is not None and top(one) != top(other):
            low, high = sorted((top(one), top(other)), key=lambda group: group[1:])
            above[high] = low
    return {photo: top(group) for photo, group in of.items()}


def _apart(rows: list[dict[str, Any]], group_of: Mapping[int, tuple[int, int, int]]) -> Check:
    roles: dict[tuple[int, object], set[str]] = defaultdict(set)
    for row in rows:
        roles[row["episode"], group_of[row["photo_id"]]].add(row["role"])
    wrong = dict.fromkeys(f"episode {episode}" for (episode, _), of in roles.items() if len(of) > 1)
    detail = "no group of photos is in both support and query of an episode"
    if wrong:
        detail = f"{counted(len(wrong), 'episode')} with a group in both support and query"
    return found("episodes: support and query apart", bool(wrong), detail, wrong)


def _drawn(
    files: Files,
    rows: list[dict[str, Any]],
    stated: Mapping[str, Any],
    group_of: Mapping[int, tuple[int, int, int]],
) -> Check:
    part = files.parts[stated["part"]]
    class_keys = files.classes["class_key"].to_pylist()
    classes: dict[int, dict[tuple[int, int, int], list[int]]] = defaultdict(lambda: defaultdict(list))
    labels_of: dict[tuple[int, int, int], set[int]] = defaultdict(set)
    for photo, label in zip(part["photo_id"].to_pylist(), part["label"].to_pylist(), strict=True):
        classes[label][group_of[photo]].append(photo)
        labels_of[group_of[photo]].add(label)
    for groups in classes.values():
        for group in [group for group in groups if len(labels_of[group]) > 1]:
            del groups[group]
    given: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        given[row["episode"]].append(tuple(row[name] for name in _COLUMNS[1:]))
    wrong = []
    for episode in range(stated["episodes"]):
        seed = stated["seed"] * 2**32 + episode
        drawn = _episode(classes, class_keys, stated, seed)
        if drawn != given[episode]:
            wrong.append(f"episode {episode}")
    detail = f"classes and photos are those of seed {stated['seed']}"
    if wrong:
        detail = f"{counted(len(wrong), 'episode')} that seed {stated['seed']} does not draw"
    return found("episodes: drawn by the seed", bool(wrong), detail, wrong)


def _key(number: int, seed: int) -> int:
    return int(stable_keys(np.array([number], np.uint64), "episode", seed)[0])


def _episode(
    classes: Mapping[int, Mapping[tuple[int, int, int], list[int]]],
    class_keys: list[str],
    stated: Mapping[str, Any],
    seed: int,
) -> list[tuple[Any, ...]]:
    labels = list(classes)
    ids = [int.from_bytes(hashlib.sha256(class_keys[one].encode()).digest()[:8], "big") for one in labels]
    keys = dict(zip(labels, stable_keys(np.array(ids, np.uint64), "episode", seed).tolist(), strict=True))
    drawn: list[tuple[Any, ...]] = []
    way = 0
    for label in sorted(labels, key=lambda one: (keys[one], class_keys[one].encode())):
        groups = classes[label]
        waiting = sorted(groups, key=lambda group: (_key(group[2], seed), group[1:]))
        own: list[tuple[Any, ...]] = []
        for role, wanted in (("support", stated["shots"]), ("query", stated["queries"])):
            photos: list[int] = []
            while waiting and len(photos) < wanted:
                photos += groups[waiting.pop(0)]
            if len(photos) < wanted:
                break
            first = sorted(photos, key=lambda photo: (_key(photo, seed), photo))[:wanted]
            own += [(way, label, role, photo) for photo in sorted(first)]
        if len(own) == stated["shots"] + stated["queries"]:
            drawn += own
            way += 1
        if way == stated["ways"]:
            break
    return drawn
