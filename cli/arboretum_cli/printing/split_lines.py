"""What make-split prints of a split, of one that was made again, and of one that was imported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arboretum_cli.printing.output import table
from arboretum_tools.wording import counted, does

if TYPE_CHECKING:
    from arboretum_tools.split import Split
    from arboretum_tools.split.reproduce import RemadeSplit


def split_lines(split: Split, folder: Path | None, there: bool) -> list[str]:
    """A split that was made: its classes and parts, what became of the other photos, and where it lies."""
    meta, counts = split.meta, split.meta["counts"]
    unused = {
        "in no class of this rank": counts["no_class"],
        "hybrids left out": counts["hybrids_left_out"],
        "kept out by --exclude": counts.get("excluded", 0),
        "not in the store": counts["not_in_store"],
        "in held-out groups, not needed": counts["held_out_unused"],
        "in observations of two classes, set aside": counts["in_two_classes"],
        "of images in two classes, left out": counts.get("image_in_two_classes", 0),
        "between two sides, left out": counts.get("between_sides", 0),
        "on no side, left out": counts.get("on_no_side", 0),
        "not drawn": counts["not_drawn"],
    }
    idle = counts["classes_left_out"]
    return [
        *(_benchmark(split) if "benchmark" in meta["recipe"] else _long_tail(split)),
        f"of {counted(counts['selected'], 'selected photo')}: "
        + ("; ".join(f"{count:,} {what}" for what, count in unused.items() if count) or "all are used")
        + (f"; {counted(idle, 'class')} {does(idle, 'take')} no part" if idle else ""),
        *_sides(meta),
        *_set_aside(meta),
        *_joined(meta),
        _written(folder, there),
    ]


def _long_tail(split: Split) -> list[str]:
    meta, classes = split.meta, split.classes
    shots = dict.fromkeys(("many", "medium", "few"), 0)
    for shot in classes["shot"].to_pylist():
        shots[shot] += 1
    head, tail = classes.slice(0, 1).to_pylist()[0], classes.slice(len(classes) - 1).to_pylist()[0]
    return [
        f"{counted(meta['C'], 'class')}, ratio {meta['ratio_achieved']:g}{_asked(meta)}: "
        f"{counted(meta['M'], 'train photo')} ({head['name']}) "
        f"to {meta['m']:,} ({tail['name']}); grouped by {meta['group_by']}",
        *table(("part", "photos"), [(part, split.num_photos(part)) for part in split.parts]),
        f"shots: {shots['many']} many (over 100), {shots['medium']} medium (20 to 100), "
        f"{shots['few']} few (under 20)",
    ]


def _asked(meta: Mapping[str, Any]) -> str:
    """The ratio that was asked for, where it is not whole and so is met from above."""
    asked = meta["ratio_asked"]
    return "" if asked in (None, meta["ratio_achieved"]) else f" ({asked:g} asked)"


def grouping_note(split: Split) -> str:
    """Why `auto` did not keep encounters together, and what would; "" where it did or was not asked to."""
    meta = split.meta
    if len(split.parts) < 2 or (meta["group_by_requested"], meta["group_by"]) != ("auto", "photo"):
        return ""
    return (
        "grouped by photo, as no selected photo has an observation: photos of one encounter may be in two "
        "parts; a build with Open Data has observations"
    )


def _benchmark(split: Split) -> list[str]:
    from arboretum_tools.split.stats import split_stats

    recipe, found = split.meta["recipe"], split_stats(split)
    photos, tests = counted(recipe["test_per_class"], "photo"), split.num_photos("test")
    if stages := recipe.get("stages"):
        photos = ", ".join(f"{number:,} {stage}" for stage, number in stages.items()) + " photos"
    pairs = split.meta.get("pairs")
    groups = ", ".join(f"{group.classes:,} {name}" for name, group in found.groups.items())
    return [
        f"{counted(found.classes, 'class')}, {photos} of each, {counted(tests, 'test photo')} in "
        f"all; grouped by {split.meta['group_by']}",
        f"pairs: {len(pairs):,}" if pairs else f"classes by group: {groups}",
    ]


def _written(folder: Path | None, there: bool) -> str:
    if folder is None:
        return "nothing written"
    if there:
        return f"{folder} was there already, the same split; nothing written"
    return f"written to {folder}"


def _joined(meta: Any) -> list[str]:
    pairs = meta.get("joined")
    if not pairs:
        return []
    by = ", ".join(f"{count:,} by {reason}" for reason, count in pairs.items())
    return [f"kept in one part or left out because photos show the same: {by} (joined.parquet)"]


def _sides(meta: Mapping[str, Any]) -> list[str]:
    """What a split by place, time or person makes of the whole selection."""
    from arboretum_tools.split.recipes.split_by import parse_rule

    sides = meta.get("sides")
    if sides is None:
        return []
    rule = parse_rule(meta["recipe"]["split_by"])
    there = ", ".join(
        f"{part} {photos:,} in {sides['units'][part]:,} {rule.units}"
        for part, photos in sides["photos"].items()
    )
    lost = {
        f"without {rule.known}": sides[f"without_{rule.known}"],
        "between two sides": sides["between_sides"],
    }
    left_out = ", ".join(f"{counted(n, 'photo')} {what}" for what, n in lost.items() if n)
    lines = [f"split by {rule}, photos of all classes: {there}"]
    if left_out:
        lines.append(f"left out of all classes: {left_out}")
    if short := sides["classes_not_on_every_side"]:
        lines.append(
            f"{counted(short, 'class')} {does(short, 'have')} too few photos on a side: n_available 0 in "
            "unused_classes.parquet"
        )
    return lines


def _set_aside(meta: Any) -> list[str]:
    below = meta["photos_rolled_up"]
    if not below:
        return []
    photos = counted(below, "photo")
    return [f"{photos} of subspecies, varieties and forms {does(below, 'count')} with their species"]


def again_lines(made: RemadeSplit, source: Path) -> list[str]:
    """A split that was made again: whether it is the same, and what differs."""
    if made.same:
        return [f"made again from {source}: the same split, by all content hashes"]
    catalogue = "has other photos or classes" if made.catalog_changed else "has the same photos and classes"
    lines = [
        f"made again from {source}: NOT the same split; {', '.join(made.differing)} differ",
        f"by its fingerprint the catalogue {catalogue}",
    ]
    found = made.differences
    if found is None:
        return [*lines, "the old split's files are not beside it, so its photos cannot be compared"]
    lines += table(
        ("photos", "what became of them"),
        [
            (found.gone, "gone: no longer in the catalogue"),
            (found.renamed, "renamed: under another class now"),
            (found.moved, "moved: in another part or none, because others came or went"),
            (found.new, "new: were not in the old split"),
        ],
    )
    shown = found.renamings[:10]
    lines += [
        f"  {old} is now {new or 'in no class'}: {counted(count, 'photo')}" for old, new, count in shown
    ]
    return lines


def imported_lines(split: Split, folder: Path, there: bool) -> list[str]:
    """A published split: its classes, ratio and bands, and where it lies."""
    from arboretum_tools.split.stats import split_stats

    found = split_stats(split)
    bands = ", ".join(f"{band.classes:,} {shot}" for shot, band in found.bands.items())
    ratio = f"none, as a class has no {found.part} photos" if found.ratio is None else f"{found.ratio:g}"
    photos = f"{found.largest:,} to {counted(found.smallest, f'{found.part} photo')}"
    return [
        f"{counted(found.classes, 'class')}, {photos}, ratio {ratio}" + (f"; {bands}" if bands else ""),
        *table(("part", "photos"), found.photos.items()),
        _written(folder, there),
    ]
