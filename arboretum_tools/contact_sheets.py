"""One picture of a split: its classes from head to tail, their train counts, and some photos of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from arboretum_metadata.vocab import FEW_BELOW, MANY_ABOVE
from arboretum_tools.atomic_files import check_output, whole_file
from arboretum_tools.bands import BANDS, Band, shot_band
from arboretum_tools.errors import SplitError, UsageError
from arboretum_tools.images import PICTURES, Canvas, Color
from arboretum_tools.samples import join
from arboretum_tools.split.manifest import Split, open_split
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.wording import counted

#: More classes than this are shown by an even pick from head to tail, and the picture says so.
MAX_CLASSES = 40

PHOTOS_PER_CLASS = 3

# A picture of more classes takes a gigabyte to draw; more photos would be smaller than 36 pixels.
_MOST_CLASSES, _MOST_PHOTOS = 2_000, 10

_PAPER: Color = (251, 249, 244)
_CARD: Color = (255, 255, 255)
_EMPTY: Color = (236, 232, 222)
_RULE: Color = (224, 219, 207)
_INK: Color = (29, 36, 33)
_FAINT: Color = (108, 114, 108)

# Told apart by people who do not tell red from green, and named in words beside every count.
_BAND_COLORS: dict[Band, Color] = {"many": (16, 92, 104), "medium": (217, 147, 32), "few": (168, 52, 92)}

_WIDTH = 2_000
_MARGIN = 64
_COLUMNS = 4
_GUTTER = 24
_PADDING = 14
_TILE_GAP = 6
_CHART_TOP = 230
_CHART_HEIGHT = 250
_GRID_TOP = 616


@dataclass(frozen=True, slots=True)
class _Class:
    """A class as it is drawn.

    Attributes:
        label: its place from head to tail.
        name: the larger line.
        second: the smaller line.
        count: train photos.
        photos: encoded images, with what to call each in an error.
    """

    label: int
    name: str
    second: str
    count: int
    photos: tuple[tuple[str, bytes], ...]

    @property
    def band(self) -> Band:
        return shot_band(self.count)


def contact_sheet(
    split: Split | str | Path,
    *,
    images: str | Path = "images",
    to: str | Path,
    max_classes: int = MAX_CLASSES,
    photos_per_class: int = PHOTOS_PER_CLASS,
    note: str = "",
    overwrite: bool = False,
) -> Path:
    """Draws the classes of a split as one picture, 2,000 pixels wide, and returns its path.

    The same split and images give the same picture. Where a class has fewer photos, or the store lacks them,
    a tile stays empty.

    Args:
        split: the folder of a split, or a split; it needs a part `train`.
        images: the image store.
        to: the file to write, ending in .png, .jpg, .jpeg or .webp.
        max_classes: at most so many classes are shown, 1 to 2,000.
        photos_per_class: photos of each class, 1 to 10.
        note: a line at the foot, such as where the photos come from.
        overwrite: replace a file that is there.

    Raises:
        UsageError: a number out of these bounds, or a name that ends in something else.
        TargetExistsError: the file is there and may not be replaced, or lies in the split or the store.
        SplitError: the split cannot be read, or has no train photos.
        StoreError: `images` is not an image store.
        UndecodableImageError: one of the photos cannot be decoded.

    >>> import arboretum_tools as at
    >>> at.contact_sheet("splits/aves-lt100", images="images", to="classes.png")
    PosixPath('classes.png')
    """
    if max_classes < 1 or photos_per_class < 1:
        raise UsageError("a contact sheet shows at least 1 class and 1 photo of each")
    if max_classes > _MOST_CLASSES or photos_per_class > _MOST_PHOTOS:
        most = f"{counted(_MOST_CLASSES, 'class')} and {counted(_MOST_PHOTOS, 'photo')} of each"
        raise UsageError(f"a contact sheet has room for {most}")
    to = Path(to)
    form = PICTURES.get(to.suffix.lower())
    if form is None:
        raise UsageError(f"{to} ends in none of {', '.join(PICTURES)}", hint="The suffix decides the format.")
    opened = split if isinstance(split, Split) else open_split(split)
    check_output(to, overwrite=overwrite, inputs=[Path(images), *([opened.path] if opened.path else [])])
    counts = opened.class_counts
    if not any(counts):
        raise SplitError(f"the split {opened.path or opened.name} has no train photos to show")
    shown = _evenly(len(counts), max_classes)
    classes = _classes(opened, ImageStore.open(images), shown, photos_per_class)
    canvas = Canvas((_WIDTH, _height(len(classes), photos_per_class)), _PAPER)
    _head(canvas, opened)
    _chart(canvas, counts)
    _grid(canvas, classes, len(counts), max(counts), photos_per_class)
    canvas.text((_MARGIN, canvas.size[1] - 34), canvas.fitted(note, 22, _WIDTH - 2 * _MARGIN), 22, _FAINT)
    with whole_file(to) as temporary:
        temporary.write_bytes(canvas.encoded(form))
    return to


def _evenly(total: int, most: int) -> list[int]:
    """At most `most` of 0..total-1, evenly spread, the first and the last among them."""
    picked = np.linspace(0, total - 1, min(total, most))
    return sorted(set(np.rint(picked).astype(int).tolist()))


def _classes(split: Split, store: ImageStore, labels: list[int], photos_per_class: int) -> list[_Class]:
    samples = join(split, "train", store)
    order = samples.shuffled(0)
    by_label = samples.labels[order]
    shown = []
    for row in split.classes.take(labels).to_pylist():
        positions = order[by_label == row["label"]][:photos_per_class]
        ids = samples.photo_ids[positions]
        images = store.read_many(samples.locations[positions], ids)
        photos = [(f"photo {photo_id}", data) for photo_id, data in zip(ids.tolist(), images, strict=True)]
        name, second = _two_names(row)
        shown.append(_Class(row["label"], name, second, row["n_train"], tuple(photos)))
    return shown


def _two_names(row: Mapping[str, Any]) -> tuple[str, str]:
    if row["common_name"]:
        return row["common_name"], row["name"]
    return row["name"], f"{row['rank']}, no common name"


def _column_width() -> int:
    return (_WIDTH - 2 * _MARGIN - (_COLUMNS - 1) * _GUTTER) // _COLUMNS


def _tile_edge(photos_per_class: int) -> int:
    inside = _column_width() - 2 * _PADDING - (photos_per_class - 1) * _TILE_GAP
    return inside // photos_per_class


def _card_height(photos_per_class: int) -> int:
    return _tile_edge(photos_per_class) + 2 * _PADDING + 84


def _height(classes: int, photos_per_class: int) -> int:
    rows = -(-classes // _COLUMNS)
    return _GRID_TOP + rows * (_card_height(photos_per_class) + _GUTTER) + _MARGIN - _GUTTER


def _head(canvas: Canvas, split: Split) -> None:
    counts = split.class_counts
    canvas.text((_MARGIN, 112), canvas.fitted(split.name, 60, _WIDTH - 2 * _MARGIN), 60, _INK, bold=True)
    phrases = [counted(len(counts), "class"), counted(sum(counts), "train photo")]
    phrases += [f"{split.num_photos(part):,} {part}" for part in split.parts if part != "train"]
    if min(counts):
        phrases.append(f"head to tail {max(counts):,} : {min(counts):,}, ratio {max(counts) / min(counts):g}")
    canvas.text((_MARGIN, 162), "   ·   ".join(phrases), 28, _FAINT)


def _chart(canvas: Canvas, counts: list[int]) -> None:
    """Train photos of every class, head to tail, one bar a class; with many classes one a pixel."""
    left, width = _MARGIN, _WIDTH - 2 * _MARGIN
    bottom = _CHART_TOP + _CHART_HEIGHT
    most = max(counts)
    bars = min(len(counts), width)
    gap = 4 if bars <= 60 else 2 if bars <= 300 else 0
    step = width / bars
    for bar in range(bars):
        count = counts[bar * len(counts) // bars]
        # No class with a photo vanishes.
        height = max(2, round(_CHART_HEIGHT * count / most)) if count else 0
        start, end = (
            round(left + bar * step),
            max(round(left + (bar + 1) * step) - gap, round(left + bar * step) + 1),
        )
        canvas.rectangle(
            (start, bottom - height, end, bottom), _BAND_COLORS[shot_band(count)], radius=gap and 2
        )
    canvas.text((left, _CHART_TOP - 12), f"{most:,}", 26, _BAND_COLORS[shot_band(most)], bold=True)
    tail_top = bottom - max(2, round(_CHART_HEIGHT * counts[-1] / most))
    tail = (left + width - 1, tail_top - 12)
    canvas.text(tail, f"{counts[-1]:,}", 26, _BAND_COLORS[shot_band(counts[-1])], bold=True, anchor="rs")
    canvas.rectangle((left, bottom + 2, left + width, bottom + 4), _RULE)
    _legend(canvas, counts, bottom + 48)


def _legend(canvas: Canvas, counts: list[int], baseline: int) -> None:
    bands = Counter(map(shot_band, counts))
    meaning = {
        "many": f"more than {MANY_ABOVE} photos",
        "medium": f"{FEW_BELOW} to {MANY_ABOVE}",
        "few": f"fewer than {FEW_BELOW}",
    }
    left = float(_MARGIN)
    for band in BANDS:
        canvas.rectangle((left, baseline - 21, left + 22, baseline + 1), _BAND_COLORS[band], radius=5)
        text = f"{band}, {meaning[band]}: {counted(bands[band], 'class')}"
        canvas.text((left + 34, baseline), text, 26, _INK)
        left += 34 + canvas.text_width(text, 26) + 56


def _grid(canvas: Canvas, classes: list[_Class], total: int, most: int, photos_per_class: int) -> None:
    title = "Every class, head to tail"
    if len(classes) < total:
        title = (
            f"{len(classes):,} of the {counted(total, 'class')}, evenly picked from head to tail; "
            f"{total - len(classes):,} more are not shown"
        )
    canvas.text((_MARGIN, _GRID_TOP - 22), title, 28, _FAINT)
    width, height = _column_width(), _card_height(photos_per_class)
    for position, shown in enumerate(classes):
        row, column = divmod(position, _COLUMNS)
        corner = (_MARGIN + column * (width + _GUTTER), _GRID_TOP + row * (height + _GUTTER))
        _card(canvas, shown, corner, most, photos_per_class)


def _card(canvas: Canvas, shown: _Class, corner: tuple[int, int], most: int, photos_per_class: int) -> None:
    left, top = corner
    right, color = left + _column_width(), _BAND_COLORS[shown.band]
    canvas.rectangle((left, top, right, top + _card_height(photos_per_class)), _CARD, radius=12)
    edge = _tile_edge(photos_per_class)
    for position in range(photos_per_class):
        start = left + _PADDING + position * (edge + _TILE_GAP)
        box = (start, top + _PADDING, start + edge, top + _PADDING + edge)
        if position < len(shown.photos):
            name, data = shown.photos[position]
            canvas.photo(box, data, radius=8, name=name)
        else:
            canvas.rectangle(box, _EMPTY, radius=8)
    inner_left, inner_right = left + _PADDING, right - _PADDING
    first = top + _PADDING + edge + 34
    count = f"{shown.count:,}"
    room = inner_right - inner_left - canvas.text_width(count, 28) - 16
    canvas.text((inner_left, first), canvas.fitted(shown.name, 25, room), 25, _INK, bold=True)
    canvas.text((inner_right - 1, first), count, 28, color, bold=True, anchor="rs")
    room = inner_right - inner_left - canvas.text_width(shown.band, 21) - 16
    canvas.text((inner_left, first + 29), canvas.fitted(shown.second, 21, room), 21, _FAINT)
    canvas.text((inner_right, first + 29), shown.band, 21, color, anchor="rs")
    track = first + 42
    canvas.rectangle((inner_left, track, inner_right, track + 6), _EMPTY, radius=3)
    filled = max(6, round((inner_right - inner_left) * shown.count / most))
    canvas.rectangle((inner_left, track, inner_left + filled, track + 6), color, radius=3)
