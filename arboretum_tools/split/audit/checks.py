"""The promises of a split that its tables alone can prove or break. Pure: files in, findings out."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from arboretum_tools.tabular.arrays import from_numpy, to_numpy
from arboretum_tools.wording import counted, does

Outcome = Literal["kept", "broken", "not promised", "not checkable"]

# Examples that a finding names.
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Check:
    """One promise and what became of it.

    Attributes:
        name: of the promise, in a few words.
        outcome: `kept`; `broken`; `not promised` (counted all the same); `not checkable`, with the reason.
        detail: what was found, a sentence without its full stop.
        examples: ids or names that show it, a few.
    """

    name: str
    outcome: Outcome
    detail: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Files:
    """A split as it lies on disk.

    Attributes:
        meta: split.json.
        classes: classes.parquet.
        parts: the parts that split.json names, but for the columns that only the hashes ask for.
        batches: all columns of a part, in the order of its rows, a batch at a time.
        parts_there: the part files that are in the folder.
        unused: unused_classes.parquet, where there is one.
        excluded: excluded.parquet, where there is one.
        joined: joined.parquet, where there is one.
    """

    meta: Mapping[str, Any]
    classes: pa.Table
    parts: Mapping[str, pa.Table]
    batches: Callable[[str], Iterator[pa.RecordBatch]]
    parts_there: tuple[str, ...]
    unused: pa.Table | None
    excluded: pa.Table | None = None
    joined: pa.Table | None = None

    @property
    def recipe(self) -> Mapping[str, Any]:
        """How split.json says that it was made."""
        recipe: Mapping[str, Any] = self.meta["recipe"]
        return recipe

    @property
    def imported(self) -> bool:
        """Whether it is a published split: no catalogue, labels as published."""
        return self.recipe.get("profile") == "imported"


def all_checks(files: Files) -> Iterator[Check]:
    """Every check that needs no images, in the order in which they are shown."""
    photos = _photos(files)
    checks: dict[str, Callable[[], Iterable[Check]]] = {
        "files": lambda: [_parts(files)],
        "labels": lambda: [_labels(files)],
        "order": lambda: [_order(files)],
        "parts disjoint": lambda: [
            _photos_once(photos),
            _kept_apart(files, photos, "observation_id", "observation", ["observation_id"]),
            _kept_apart(files, photos, "observer_id", "observer-per-species", ["label", "observer_id"]),
        ],
        "counts": lambda: [_counts(files)],
        "every class in every part": lambda: [_every_class(files)],
        "counts equal the profile": lambda: [_profile(files)],
        "classes and counts as listed": lambda: _lists(files),
        "largest that the selection carries": lambda: [_largest(files)],
        "ratio": lambda: [_ratio(files)],
        "shot bands": lambda: [_shots(files)],
    }
    yield from guarded(checks)


def guarded(checks: Mapping[str, Callable[[], Iterable[Check]]]) -> Iterator[Check]:
    """Runs checks by name; one that the files are not fit for is a broken promise of that name."""
    for name, run in checks.items():
        try:
            yield from list(run())
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            # The files are untrusted: what cannot even be compared is not kept.
            yield found(name, True, f"the files lack what it needs: {type(error).__name__}: {error}")


def found(name: str, broken: bool, detail: str, examples: Any = ()) -> Check:
    """A promise that is kept or broken."""
    shown = tuple(str(example) for example in list(examples)[:_EXAMPLES])
    return Check(name, "broken" if broken else "kept", detail, shown)


def _parts(files: Files) -> Check:
    wrong = sorted(set(files.parts) ^ set(files.parts_there))
    return found("files", bool(wrong), f"the parts that split.json names: {', '.join(files.parts)}", wrong)


def _labels(files: Files) -> Check:
    labels = files.classes["label"].to_pylist()
    keys = files.classes["class_key"].to_pylist()
    names = files.classes["name"].to_pylist()
    outside = [
        label
        for table in files.parts.values()
        for label in table["label"].unique().to_pylist()
        if label is None or not 0 <= label < len(labels)
    ]
    broken = labels != list(range(len(labels))) or bool(outside)
    broken = broken or len(set(keys)) != len(keys) or len(set(names)) != len(names)
    return found(
        "labels",
        broken,
        f"labels run from 0 to {len(labels) - 1}; no class key or name is used twice",
        outside,
    )


def _order(files: Files) -> Check:
    wrong = []
    for part, table in files.parts.items():
        label, photo = (np.diff(to_numpy(table[name])) for name in ("label", "photo_id"))
        if ((label < 0) | ((label == 0) & (photo <= 0))).any():
            wrong.append(part)
    counts, keys = files.classes["n_train"].to_pylist(), files.classes["class_key"].to_pylist()
    ranked = [(-count, key.encode()) for count, key in zip(counts, keys, strict=True)]
    if not files.imported and ranked != sorted(ranked):
        wrong.append("classes")
    order = "rows are sorted by label, then photo_id"
    if not files.imported:
        order += "; labels by train photos, most first, then by class key"
    return found("order", bool(wrong), order, wrong)


def _photos(files: Files) -> pa.Table:
    """photo_id, label, observation_id, observer_id and `part`, a number, of all photos."""
    return pa.concat_tables(
        table.select(["photo_id", "label", "observation_id", "observer_id"]).append_column(
            "part", from_numpy(np.full(len(table), position, np.int8))
        )
        for position, table in enumerate(files.parts.values())
    )


def _photos_once(photos: pa.Table) -> Check:
    ids = to_numpy(photos["photo_id"])
    values, times = np.unique(ids[ids > 0], return_counts=True)
    twice, bad = values[times > 1], ids[ids < 1]
    detail = f"each of the {counted(len(photos), 'photo')} appears once"
    if len(twice) or len(bad):
        counts = ((len(twice), "appear", "more than once"), (len(bad), "have", "an id below 1"))
        detail = " and ".join(
            f"{counted(n, 'photo')} {does(n, verb)} {what}" for n, verb, what in counts if n
        )
    return found("parts disjoint by photo", bool(len(twice) or len(bad)), detail, [*twice, *bad])


def _kept_apart(files: Files, photos: pa.Table, column: str, group: str, keys: list[str]) -> Check:
    """Whether no group has photos in two parts; counted where the recipe does not promise it."""
    name = f"parts disjoint by {'observer and species' if group == 'observer-per-species' else group}"
    known = photos.filter(photos[column].is_valid())
    without = len(photos) - len(known)
    promised = files.meta.get("group_by") == group
    if not len(known):
        return Check(name, "not checkable", f"no photo has an {column}, as the catalogue had none")
    if len(files.parts) == 1:
        return Check(name, "not checkable", "there is one part only")
    values = [to_numpy(known[key]) for key in keys]
    of_part = to_numpy(known["part"])
    order = np.lexsort((of_part, *reversed(values)))
    values, of_part = [column[order] for column in values], of_part[order]
    # Sorted by group and part: a group is in two parts where its first and its last photo are.
    first = np.flatnonzero(np.r_[True, np.any([np.diff(column) for column in values], axis=0)])
    last = np.r_[first[1:], len(known)] - 1
    shared = first[of_part[first] != of_part[last]]
    what = counted(len(first), "observation" if group == "observation" else "pair")
    what += "" if group == "observation" else " of observer and species"
    detail = f"none of the {what} is in two parts"
    if len(shared):
        detail = f"{len(shared):,} of the {what} {does(len(shared), 'are')} in two parts"
    if without:
        detail += f"; {counted(without, 'photo')} without {column} {does(without, 'are')} left out of account"
    outcome: Outcome = "broken" if len(shared) else "kept"
    if not promised and len(shared):
        outcome = "not promised"
        detail += f"; this split is grouped by {files.meta.get('group_by')}, which does not prevent it"
    groups = [tuple(column.item(row) for column in values) for row in shared[:_EXAMPLES].tolist()]
    shown = (f"label {g[0]} of observer {g[1]}" if len(g) > 1 else str(g[0]) for g in groups)
    return Check(name, outcome, detail, tuple(shown))


def _counts(files: Files) -> Check:
    wrong = []
    for part in ("train", "val", "test"):
        table = files.parts.get(part)
        labels = np.array([], np.int32) if table is None else to_numpy(table["label"].drop_null())
        numbers = np.bincount(labels[labels >= 0], minlength=len(files.classes))
        stated = files.classes[f"n_{part}"].to_pylist()
        wrong += [f"{part} of class {i}" for i, n in enumerate(stated) if n != numbers[i]]
        if table is not None and files.meta.get("counts", {}).get(part) != len(table):
            wrong.append(f"counts.{part} of split.json")
    stated = files.meta.get("counts", {})
    photos = [n for name, n in stated.items() if name not in ("selected", "classes_left_out")]
    if "selected" in stated and stated["selected"] != sum(photos):
        wrong.append("counts of split.json do not add up to the selection")
    counts = files.classes["n_train"].to_pylist()
    for name, value in (("M", max(counts)), ("m", min(counts)), ("C", len(counts))):
        if files.meta.get(name) != value:
            wrong.append(f"{name} of split.json")
    detail = (
        "classes.parquet and split.json count what the parts hold: "
        f"{counted(len(counts), 'class')}, {counted(sum(counts), 'train photo')}"
    )
    return found("counts", bool(wrong), detail, wrong)


def _every_class(files: Files) -> Check:
    """Every class in every part, and with exactly the photos that were held out for it."""
    wrong = []
    expected = {"val": files.recipe.get("val_per_class"), "test": files.recipe.get("test_per_class")}
    keys = files.classes["class_key"].to_pylist()
    stages = files.recipe.get("stages")
    for part in files.parts:
        for label, count in enumerate(files.classes[f"n_{part}"].to_pylist()):
            held = expected.get(part) if not files.imported else None
            if stages:
                held = stages.get(keys[label].rpartition("|")[2])
            if count < 1 or (held is not None and count != held):
                wrong.append(f"class {label} has {count} in {part}")
    names = ", ".join(files.parts)
    if files.imported and wrong:
        return Check(
            "every class in every part", "not promised", counted(len(wrong), "gap"), tuple(wrong[:_EXAMPLES])
        )
    return found(
        "every class in every part",
        bool(wrong),
        f"every class is in {names}, with as many photos held out as asked",
        wrong,
    )


def _exp(top: int, ratio: float, classes: int) -> list[int]:
    return [math.floor(top * ratio ** (-i / (classes - 1)) + 1e-9) for i in range(classes)]


def _step(top: int, ratio: float, classes: int) -> list[int]:
    return [top if 2 * (i + 1) <= classes else math.floor(top / ratio + 1e-9) for i in range(classes)]


def _pareto(top: int, ratio: float, classes: int) -> list[int]:
    slope = (ratio ** (1 / 6) - 1) / (classes - 1)
    return [math.floor(top / (1 + i * slope) ** 6 + 1e-9) for i in range(classes)]


_FORMULAS: dict[str, Callable[[int, float, int], list[int]]] = {
    "exp": _exp,
    "step": _step,
    "pareto": _pareto,
    "balanced": _exp,
}


def _ranked(files: Files) -> list[dict[str, Any]]:
    rows = files.classes.select(["class_key", "n_available", "n_selected", "n_train"]).to_pylist()
    return sorted(rows, key=lambda row: (-row["n_available"], row["class_key"].encode()))


def _profile(files: Files) -> Check:
    """The train photos of every class, from the formula, at the class's place by capacity."""
    name, profile = "counts equal the profile", files.recipe.get("profile")
    rows = _ranked(files)
    counts = [row["n_train"] for row in rows]
    least = 1
    if profile in _FORMULAS and len(counts) > 1:
        ratio = float(files.recipe["lt_ratio"])
        expected = _FORMULAS[profile](max(counts), ratio, len(counts))
        detail = f"they follow {profile} at ratio {ratio:g} over {counted(len(counts), 'class')}"
    elif profile in ("natural", "all"):
        cap = files.recipe.get("max_per_class") if profile == "natural" else None
        least = (files.recipe.get("min_per_class") if profile == "natural" else None) or 1
        expected = [row["n_available"] if cap is None else min(row["n_available"], cap) for row in rows]
        detail = "as found" + (f", at most {cap:,} a class" if cap is not None else "")
    elif profile == "counts":
        # Which numbers they are, the hash of the list says.
        expected = sorted(counts, reverse=True)
        detail = f"given for {counted(len(counts), 'class')}, the largest for the class with the most photos"
    elif profile == "benchmark":
        expected = [0] * len(counts)
        detail = "test photos only"
        if "train" in files.parts or "val" in files.parts:
            return found(name, True, detail, [part for part in files.parts if part != "test"])
    elif files.imported:
        return Check(name, "not promised", "a published split: its counts follow no formula of ours")
    else:
        return found(name, True, f"{profile!r} over {len(counts)} classes is not a known profile")
    wrong = [
        f"{row['class_key']}: {row['n_train']}, not {n}"
        for row, n in zip(rows, expected, strict=True)
        if row["n_train"] != n or row["n_train"] > row["n_available"] or row["n_selected"] < least
    ]
    return found(name, bool(wrong), detail, wrong)


def _lists(files: Files) -> Iterator[Check]:
    """That the classes, and their counts, are those of the lists that the recipe has hashes of."""
    recipe, classes = files.recipe, files.classes
    lists = {
        "class_list": ("classes as listed", sorted(classes["class_key"].to_pylist(), key=str.encode)),
        "counts": ("counts as listed", sorted(classes["n_train"].to_pylist(), reverse=True)),
    }
    for key, (name, values) in lists.items():
        if recipe.get(key) is not None:
            text = "".join(f"{value}\n" for value in values)
            broken = hashlib.sha256(text.encode()).hexdigest() != recipe[key]
            yield found(name, broken, f"{counted(len(values), 'line')} by their hash in the recipe")
    if recipe.get("seeds") is not None:
        seeds = ", ".join(map(str, recipe["seeds"]))
        yield found(
            "seed of its set",
            recipe["seed"] not in recipe["seeds"],
            f"seed {recipe['seed']} of the set {seeds}",
        )


def _largest(files: Files) -> Check:
    """That neither a class more nor a photo more in the smallest class would have been possible."""
    name, recipe = "largest that the selection carries", files.recipe
    if recipe.get("profile") not in _FORMULAS or files.unused is None:
        return Check(name, "not promised", "the profile asks for no largest split")
    fixed = [k for k in ("num_classes", "min_per_class", "max_per_class") if recipe.get(k) is not None]
    # Where a list names the classes, no other one could have taken part.
    listed = recipe.get("class_list") is not None
    fixed += ["num_classes"] if listed else []
    others = [] if listed else files.unused["n_available"].to_pylist()
    free = sorted([*files.classes["n_available"].to_pylist(), *others], reverse=True)
    counts = files.classes["n_train"].to_pylist()
    classes, top = len(counts), max(counts)
    family = [int(r) for r in recipe.get("lt_ratios") or ()]
    ratio = float(min(family, default=0) or recipe["lt_ratio"])
    unit = math.lcm(*family) if family else ratio

    def fits(number: int, units: int) -> bool:
        if number > sum(n > 0 for n in free):
            return False
        expected = _FORMULAS[recipe["profile"]](math.ceil(units * unit - 1e-9), ratio, number)
        return all(n <= a for n, a in zip(expected, free, strict=False))

    units = round(top / unit) if family else min(counts)
    least = max(1, math.ceil(101 / unit))
    broken = []
    if not {"min_per_class", "max_per_class"} & set(fixed) and fits(classes, units + 1):
        broken.append(f"a largest class of {math.ceil((units + 1) * unit - 1e-9)} was possible")
    start = units if {"min_per_class", "max_per_class"} & set(fixed) else (least if units >= least else 1)
    if "num_classes" not in fixed and fits(classes + 1, start):
        broken.append(f"{counted(classes + 1, 'class')} were possible")
    if "num_classes" not in fixed and not fixed and units < least and fits(2, least):
        broken.append("a largest class of more than 100 was possible")
    detail = (
        f"neither more than {counted(classes, 'class')} nor a larger first class than {top:,} was possible"
    )
    names = ["class_list" if listed and one == "num_classes" else one for one in fixed]
    return found(name, bool(broken), detail + (f"; fixed: {', '.join(names)}" if names else ""), broken)


def _ratio(files: Files) -> Check:
    counts = files.classes["n_train"].to_pylist()
    if "train" not in files.parts:
        return Check("ratio", "not promised", "there is no train part")
    if not min(counts):
        return Check("ratio", "not checkable", "a class has no train photos")
    achieved = max(counts) / min(counts)
    asked = files.meta.get("ratio_asked")
    wrong = []
    if files.meta.get("ratio_achieved") != achieved:
        wrong.append(f"ratio_achieved of split.json is {files.meta.get('ratio_achieved')}")
    if asked is not None:
        # m is whole, so a ratio that is not is met from above, by less than one photo of the head.
        exact = (
            achieved == asked
            if float(asked).is_integer()
            else 0 <= achieved * min(counts) - asked * min(counts) < 1
        )
        if not exact or asked != files.recipe.get("lt_ratio"):
            wrong.append(f"asked {asked}")
    detail = f"{max(counts):,} / {min(counts):,} train photos = {achieved:g}"
    return found(
        "ratio", bool(wrong), detail + ("" if asked is None else f"; {asked:g} was asked for"), wrong
    )


def _shots(files: Files) -> Check:
    if "train" not in files.parts:
        return Check("shot bands", "not promised", "there is no train part")
    wrong = [
        row["class_key"]
        for row in files.classes.select(["class_key", "n_train", "shot"]).to_pylist()
        if row["shot"] != ("many" if row["n_train"] > 100 else "medium" if row["n_train"] >= 20 else "few")
    ]
    return found(
        "shot bands",
        bool(wrong),
        "each class is in its band: many (over 100 train photos), medium (20 to 100), few (under 20)",
        wrong,
    )
