"""Few-shot episodes: N classes with K support and Q query photos each, as lists that others can read.

Every choice goes by the stable key, so that the same split and seed give the same episodes everywhere. Groups
(observations; observers where the split is grouped by them) never have photos in both support and query. The
exact rules stand in `docs/design.md`.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from arboretum_metadata.schema import EPISODES
from arboretum_tools.errors import InfeasibleSplitError
from arboretum_tools.options import takes
from arboretum_tools.options.split import EpisodeOptions
from arboretum_tools.split.components import components
from arboretum_tools.split.files.manifest import Split, open_split
from arboretum_tools.stable_key import keys, text_id
from arboretum_tools.system.atomic_files import check_output
from arboretum_tools.tabular.arrays import rows_to_table
from arboretum_tools.tabular.tables import arrow_schema, write_table
from arboretum_tools.wording import counted, does

# Whether a photo is its own group, and the number of the group.
_Group: TypeAlias = tuple[int, int]

_Row: TypeAlias = tuple[int, int, int, str, int]


@dataclass(frozen=True, slots=True)
class EpisodesReport:
    """Episodes that were drawn.

    Attributes:
        path: the file.
        episodes: how many.
        ways: classes of each.
        shots: support photos of a class.
        queries: query photos of a class.
        classes: different classes among all episodes.
        photos: different photos among all episodes.
        sha256: over the rows as text, so that the same lists have the same hash everywhere.
    """

    path: Path
    episodes: int
    ways: int
    shots: int
    queries: int
    classes: int
    photos: int
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {**asdict(self), "path": str(self.path)}


@dataclass(frozen=True, slots=True)
class _Class:
    """A class with its groups, each of one photo or more."""

    label: int
    class_key: str
    groups: tuple[_Group, ...]
    photos: tuple[NDArray[np.int64], ...]


@takes(EpisodeOptions)
def make_episodes(split: Split | str | Path, options: EpisodeOptions) -> EpisodesReport:
    """Draws few-shot episodes from a part of a split and writes them as one Parquet file.

    Args:
        split: a split, or its folder.
        options: {options}

    Raises:
        SplitError: the split cannot be read, or has no such part.
        InfeasibleSplitError: an episode has fewer classes with enough photos in separate groups.
        TargetExistsError: the file is there.
        UsageError: an invalid value.

    >>> import arboretum_tools as at
    >>> found = at.make_episodes("splits/aves-lt100", to="five.parquet", ways=5, shots=1, queries=4)
    >>> found.episodes, found.classes
    (600, 21)
    """
    opened = split if isinstance(split, Split) else open_split(split)
    part, path = opened.part_named(options.part), Path(options.to)
    check_output(path, overwrite=options.overwrite, inputs=[] if opened.path is None else [opened.path])
    classes = list(_classes(opened, part))
    rows = [row for episode in range(options.episodes) for row in _episode(classes, episode, options)]
    table = rows_to_table(rows, arrow_schema(EPISODES))
    text = "".join("\t".join(map(str, row)) + "\n" for row in rows)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    asked = {name: getattr(options, name) for name in ("ways", "shots", "queries", "episodes", "seed")}
    provenance = {"split": opened.name, "split_sha256": opened.meta.get("split_sha256"), "part": part}
    write_table(path, table, EPISODES, {**provenance, **asked, "sha256": sha256})
    return EpisodesReport(
        path=path,
        episodes=options.episodes,
        ways=options.ways,
        shots=options.shots,
        queries=options.queries,
        classes=len({row[2] for row in rows}),
        photos=len({row[4] for row in rows}),
        sha256=sha256,
    )


def _classes(split: Split, part: str) -> Iterator[_Class]:
    """The classes of a part, each with its groups of photos; groups of two classes are left out."""
    rows = split.part(part)
    by_observer = split.meta.get("group_by") == "observer-per-species"
    ids, labels, own = (
        rows[name].to_pylist()
        for name in ("photo_id", "label", "observer_id" if by_observer else "observation_id")
    )
    of = {photo: (1, photo) if group is None else (0, group) for photo, group in zip(ids, own, strict=True)}
    # Groups are joined where photos of them show the same; of observers each class has its own.
    label_of = dict(zip(ids, labels, strict=True))
    first = _first_of(split, of, label_of if by_observer else {})
    members: dict[int, dict[_Group, list[int]]] = defaultdict(lambda: defaultdict(list))
    classes_of: dict[_Group, set[int]] = defaultdict(set)
    for photo, label in label_of.items():
        group = first.get((label if by_observer else -1, of[photo]), of[photo])
        members[label][group].append(photo)
        classes_of[group].add(label)
    for row in split.classes.select(["label", "class_key"]).to_pylist():
        groups = {
            group: photos
            for group, photos in members[row["label"]].items()
            if by_observer or len(classes_of[group]) == 1
        }
        yield _Class(
            row["label"],
            row["class_key"],
            tuple(groups),
            tuple(np.array(photos, np.int64) for photos in groups.values()),
        )


def _first_of(
    split: Split, of: dict[int, _Group], label_of: dict[int, int]
) -> dict[tuple[int, _Group], _Group]:
    """The smallest group of each joined one, by (label or -1, group)."""
    pairs = []
    for row in [] if split.joined is None else split.joined.to_pylist():
        one, other = row["photo_id"], row["other_id"]
        if other is None and not label_of:
            # One photo that stands in two observations.
            pairs.append(((-1, (0, row["group"])), (-1, (0, row["other_group"]))))
        elif one in of and other in of:
            pairs.append(((label_of.get(one, -1), of[one]), (label_of.get(other, -1), of[other])))
    return {one: min(group for _, group in same) for one, same in components(pairs).items()}


def _episode(classes: Sequence[_Class], episode: int, options: EpisodeOptions) -> Iterator[_Row]:
    """The rows of one episode: episode, way, label, role, photo_id."""
    # Every episode has an order of its own.
    seed = options.seed * 2**32 + episode
    large = [one for one in classes if sum(map(len, one.photos)) >= options.shots + options.queries]
    order = keys(
        np.array([text_id(one.class_key) for one in large], np.uint64).view(np.int64), "episode", seed
    )
    way = 0
    for position in sorted(range(len(large)), key=lambda n: (order[n], large[n].class_key.encode())):
        one = large[position]
        found = _photos(one, seed, options)
        if found is None:
            continue
        for role, photos in zip(("support", "query"), found, strict=True):
            for photo in photos:
                yield episode, way, one.label, role, photo
        way += 1
        if way == options.ways:
            return
    raise InfeasibleSplitError(
        f"no episodes: {counted(way, 'class')} of the part {does(way, 'have')} {options.shots} + "
        f"{options.queries} photos in separate groups in episode {episode:,}; {options.ways} are asked for",
        hint="Ask for fewer ways, shots or queries, or take a part or a split with more photos per class.",
    )


def _photos(one: _Class, seed: int, options: EpisodeOptions) -> tuple[list[int], list[int]] | None:
    """Support and query photos of a class; None where its groups do not give them."""
    order = keys(np.array([group for _, group in one.groups], np.int64), "episode", seed)
    waiting = sorted(range(len(order)), key=lambda n: (order[n], one.groups[n]))
    found = []
    for wanted in (options.shots, options.queries):
        taken: list[NDArray[np.int64]] = []
        while waiting and sum(map(len, taken)) < wanted:
            taken.append(one.photos[waiting.pop(0)])
        photos = np.concatenate(taken) if taken else np.zeros(0, np.int64)
        if len(photos) < wanted:
            return None
        by_key = photos[np.lexsort((photos, keys(photos, "episode", seed)))]
        found.append(sorted(by_key[:wanted].tolist()))
    return found[0], found[1]
