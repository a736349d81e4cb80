"""The promise that the photos of a split are those that its seed draws, as far as its files can prove it.

Per class the groups stand in the order of (key_holdout(group id), group id, kind): those of test come first,
then those of val, then those of train. The stable key is written down here a second time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from arboretum_tools.split.audit.checks import Check, Files, found
from arboretum_tools.split.audit.joined import groups_of
from arboretum_tools.tabular.arrays import to_numpy
from arboretum_tools.wording import counted, does

# Standard deviations above its mean that the last of the n first keys of a class may lie.
_DEVIATIONS = 6


def checks(files: Files) -> Iterator[Check]:
    """The checks of how the photos were drawn; none where no seed decided it."""
    if files.imported or files.recipe.get("benchmark") or files.recipe.get("profile") == "all":
        return
    if files.recipe.get("split_by") is None:
        yield _hold_out(files)
    yield _train(files)


def _fmix32(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    low = np.uint64(0xFFFFFFFF)
    x = ((x ^ (x >> np.uint64(16))) * np.uint64(2246822507)) & low
    x = ((x ^ (x >> np.uint64(13))) * np.uint64(3266489909)) & low
    return x ^ (x >> np.uint64(16))


def stable_keys(ids: NDArray[np.int64] | NDArray[np.uint64], role: str, seed: int) -> NDArray[np.uint64]:
    """The stable key of ids above 0 for a role under a seed."""
    text = f"arboretum-key-v1\0{role}\0{seed}".encode()
    salt = np.uint64(int.from_bytes(hashlib.sha256(text).digest()[:4], "little"))
    wide = ids.astype(np.uint64)
    return _fmix32((wide & np.uint64(0xFFFFFFFF)) ^ _fmix32((wide >> np.uint64(32)) ^ salt))


def _hold_out(files: Files) -> Check:
    name, seed = "drawn: hold-out by the seed", int(files.recipe["seed"])
    ends = {}
    for part in ("test", "val", "train"):
        if part not in files.parts or not len(files.parts[part]):
            continue
        table = files.parts[part]
        group, kind = groups_of(files, table)
        key, label = stable_keys(group, "holdout", seed), to_numpy(table["label"])
        order = np.lexsort((kind, group, key, label))
        first = np.flatnonzero(np.r_[True, np.diff(label[order]) != 0])
        last = np.r_[first[1:], len(order)] - 1
        ends[part] = tuple(
            {int(label[i]): (int(key[i]), int(group[i]), int(kind[i])) for i in order[edge]}
            for edge in (first, last)
        )
    if len(ends) < 2:
        return Check(name, "not checkable", "there is one part only")
    wrong = [
        f"class {label}: {earlier} and {later}"
        for earlier, later in pairwise(ends)
        for label, last_key in ends[earlier][1].items()
        if label in ends[later][0] and last_key >= ends[later][0][label]
    ]
    classes = len({one.partition(":")[0] for one in wrong})
    detail = f"in {counted(classes, 'class')} seed {seed} holds out other groups"
    if not wrong:
        detail = f"in every class the order of groups under seed {seed} is {', then '.join(ends)}"
    return found(name, bool(wrong), detail, wrong)


def _train(files: Files) -> Check:
    """Whether the train photos can be the first by key of as many as the class says to have.

    The photos that were not drawn are not in the files, so this is a bound on the greatest key: n of N keys
    lie almost surely under it. It sees photos chosen by anything but the key, and a capacity that is forged.
    """
    name, seed = "drawn: train by the seed", int(files.recipe["seed"])
    if "train" not in files.parts or not len(files.parts["train"]):
        return Check(name, "not promised", "there is no train part")
    label = to_numpy(files.parts["train"]["label"])
    key = stable_keys(to_numpy(files.parts["train"]["photo_id"]), "train", seed)
    most = np.zeros(len(files.classes), np.uint64)
    # A label outside is a broken promise of its own.
    inside = (label >= 0) & (label < len(most))
    np.maximum.at(most, label[inside], key[inside])
    n, there = (to_numpy(files.classes[column]).astype(float) for column in ("n_train", "n_available"))
    bound = (n + _DEVIATIONS * np.sqrt(n) + 2 * _DEVIATIONS) / np.maximum(there, 1)
    # What another split or a list took out went by a choice of its own, perhaps by these very keys.
    chosen = "exclude" in files.recipe or any(
        {"photo_ids", "observation_ids"} & set(one) for one in files.recipe["selection"]["any_of"]
    )
    wrong = np.flatnonzero(((most / 2**32 > bound) & (not chosen)) | (n > there))
    selected = to_numpy(files.classes["n_selected"]).astype(float)
    held = sum(to_numpy(files.classes[f"n_{part}"]).astype(float) for part in ("val", "test"))
    wrong = np.union1d(wrong, np.flatnonzero(there + held > selected))
    keys = files.classes["class_key"]
    detail = f"no class has a train photo that seed {seed} would pass over for a class of its capacity"
    if len(wrong):
        classes, have = counted(len(wrong), "class"), does(len(wrong), "have")
        detail = f"{classes} {have} train photos that seed {seed} would not draw, or an impossible capacity"
    return found(name, bool(len(wrong)), detail, [keys[int(i)].as_py() for i in wrong])
