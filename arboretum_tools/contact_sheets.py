"""One picture of a split or a selection: its classes from head to tail, their counts, some photos of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from arboretum_metadata.vocab import FEW_BELOW, MANY_ABOVE
from arboretum_tools.errors import MissingPhotosError, SplitError, UsageError
from arboretum_tools.imaging.images import PICTURES, Canvas, Color, wrapped
from arboretum_tools.options import takes
from arboretum_tools.options.contact_sheet import ContactSheetOptions
from arboretum_tools.photos.credit import credit_line
from arboretum_tools.samples import Samples, join
from arboretum_tools.split.files.manifest import Split, open_split
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.system.atomic_files import check_output, whole_file
from arboretum_tools.taxa.bands import BANDS, Band, shot_band
from arboretum_tools.wording import counted

if TYPE_CHECKING:
    from arboretum_tools.catalog import Selection

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
_GUTTER = 24
_PADDING = 14
_TILE_GAP = 6
_CHART_TOP = 230
_CHART_HEIGHT = 250
_GRID_TOP = 616
_CREDIT = 16
_CREDIT_LINE = 22


@dataclass(frozen=True, slots=True)
class _Class:
    """A class as it is drawn.

    Attributes:
        label: its place from head to tail.
        name: the larger line.
        second: the smaller line.
        count: train photos.
        photos: encoded images by their photo ids.
    """

    label: int
    name: str
    second: str
    count: int
    photos: tuple[tuple[int, bytes], ...]

    @property
    def band(self) -> Band:
        return shot_band(self.count)


@dataclass(frozen=True, slots=True)
class _Grid:
    """How the cards of the classes lie: lengths in pixels.

    Attributes:
        columns: cards side by side.
        photos: tiles of a card.
    """

    columns: int
    photos: int

    @property
    def card_width(self) -> int:
        return (_WIDTH - 2 * _MARGIN - (self.columns - 1) * _GUTTER) // self.columns

    @property
    def tile(self) -> int:
        inside = self.card_width - 2 * _PADDING - (self.photos - 1) * _TILE_GAP
        return inside // self.photos

    @property
    def card_height(self) -> int:
        return self.tile + 2 * _PADDING + 84

    def height(self, classes: int) -> int:
        rows = -(-classes // self.columns)
        return rows * (self.card_height + _GUTTER) - _GUTTER


@takes(ContactSheetOptions)
def contact_sheet(what: Split | Selection | str | Path, options: ContactSheetOptions) -> Path:
    """Draws classes as one picture, 2,000 pixels wide, and returns its path.

    The same photos give the same picture. Where a class has fewer photos, or the store lacks them, a tile
    stays empty.

    Args:
        what: a split with a part `train`, the folder of one, or a selection.
        options: {options}

    Raises:
        UsageError: an option is out of its bounds, or the file's name ends in something else.
        TargetExistsError: the file is there and may not be replaced, or lies in the split or the store.
        SplitError: the split cannot be read, or has no train photos.
        MissingPhotosError: the store holds none of the photos to show.
        StoreError: `images` is not an image store.
        UndecodableImageError: one of the photos cannot be decoded.

    >>> import arboretum_tools as at
    >>> at.contact_sheet("splits/aves-lt100", images="images", to="classes.png")
    PosixPath('classes.png')
    """
    to = Path(options.to)
    form = PICTURES.get(to.suffix.lower())
    if form is None:
        raise UsageError(f"{to} ends in none of {', '.join(PICTURES)}", hint="The suffix decides the format.")
    split = _split(what)
    check_output(
        to,
        overwrite=options.overwrite,
        inputs=[Path(options.images), *([split.path] if split.path else [])],
    )
    counts = split.class_counts
    if not any(counts):
        raise SplitError(f"the split {split.path or split.name} has no train photos to show")
    shown = _evenly(len(counts), options.max_classes)
    grid = _Grid(options.columns, options.photos_per_class)
    store = ImageStore.open(options.images)
    samples = join(split, "train", store)
    classes = _classes(split, store, samples, shown, grid.photos)
    ids = {photo_id for one in classes for photo_id, _ in one.photos}
    if not ids:
        raise MissingPhotosError(
            f"{store.location} holds none of the photos to show; nothing was written",
            by_status=samples.missing_by_status,
            hint="Download the split first, or name the store that holds its photos with --images.",
        )
    lines = _credit_lines(split, ids) if options.credits else []
    foot = _GRID_TOP + grid.height(len(classes)) + 44
    canvas = Canvas((_WIDTH, foot + len(lines) * _CREDIT_LINE + 64), _PAPER)
    # Nothing of a selection is held out, so that none of it is for training more than the rest.
    noun = "train photo" if isinstance(what, Split | str | Path) else "photo"
    _head(canvas, split, noun, missing=samples.missing.num_rows)
    _chart(canvas, counts)
    _cards(canvas, classes, len(counts), max(counts), grid)
    for number, line in enumerate(lines):
        canvas.text((_MARGIN, foot + number * _CREDIT_LINE), line, _CREDIT, _FAINT)
    note = canvas.fitted(options.note, 22, _WIDTH - 2 * _MARGIN)
    canvas.text((_MARGIN, canvas.size[1] - 34), note, 22, _FAINT)
    with whole_file(to) as temporary:
        temporary.write_bytes(canvas.encoded(form))
    return to


def _split(what: Split | Selection | str | Path) -> Split:
    if isinstance(what, Split):
        return what
    if isinstance(what, str | Path):
        return open_split(what)
    # Only a selection needs the database that makes a split of it.
    from arboretum_tools.split.make import whole

    return whole(what)


def _credit_lines(split: Split, ids: set[int]) -> list[str]:
    """Whom to credit for the photos that are shown, in lines of the picture's width."""
    by_line: dict[str, list[int]] = {}
    wanted = pa.array(sorted(ids), pa.int64())
    for batch in split.batches("train", ("photo_id", "observer_name", "license")):
        rows = batch.filter(pc.is_in(batch["photo_id"], wanted))
        for row in rows.to_pylist():
            line = credit_line(row["observer_name"], row["license"]) or "licence not known"
            by_line.setdefault(line, []).append(row["photo_id"])
    if not by_line:
        return []
    told = "; ".join(f"{line}: {', '.join(map(str, sorted(by_line[line])))}" for line in sorted(by_line))
    return wrapped(f"Photos: {told}.", _CREDIT, _WIDTH - 2 * _MARGIN)


def _evenly(total: int, most: int) -> list[int]:
    """At most `most` of 0..total-1, evenly spread, the first and the last among them."""
    picked = np.linspace(0, total - 1, min(total, most))
    return sorted(set(np.rint(picked).astype(int).tolist()))


def _classes(
    split: Split, store: ImageStore, samples: Samples, labels: list[int], photos_per_class: int
) -> list[_Class]:
    order = samples.shuffled(0)
    by_label = samples.labels[order]
    shown = []
    for row in split.classes.take(labels).to_pylist():
        positions = order[by_label == row["label"]][:photos_per_class]
        ids = samples.photo_ids[positions]
        images = store.read_many(samples.locations[positions], ids)
        photos = tuple(zip(ids.tolist(), images, strict=True))
        name, second = _two_names(row)
        shown.append(_Class(row["label"], name, second, row["n_train"], photos))
    return shown


def _two_names(row: Mapping[str, Any]) -> tuple[str, str]:
    if row["common_name"]:
        return row["common_name"], row["name"]
    return row["name"], f"{row['rank']}, no common name"


def _head(canvas: Canvas, split: Split, noun: str, *, missing: int) -> None:
    counts = split.class_counts
    canvas.text((_MARGIN, 112), canvas.fitted(split.title, 60, _WIDTH - 2 * _MARGIN), 60, _INK, bold=True)
    phrases = [counted(len(counts), "class"), counted(sum(counts), noun)]
    if missing:
        phrases[-1] += f", {missing:,} of them not in the store"
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
    for band in filter(bands.get, BANDS):
        canvas.rectangle((left, baseline - 21, left + 22, baseline + 1), _BAND_COLORS[band], radius=5)
        text = f"{band}, {meaning[band]}: {counted(bands[band], 'class')}"
        canvas.text((left + 34, baseline), text, 26, _INK)
        left += 34 + canvas.text_width(text, 26) + 56


def _cards(canvas: Canvas, classes: list[_Class], total: int, most: int, grid: _Grid) -> None:
    title = "Every class, head to tail"
    if len(classes) < total:
        title = (
            f"{len(classes):,} of the {counted(total, 'class')}, evenly picked from head to tail; "
            f"{total - len(classes):,} more are not shown"
        )
    canvas.text((_MARGIN, _GRID_TOP - 22), title, 28, _FAINT)
    for position, shown in enumerate(classes):
        row, column = divmod(position, grid.columns)
        left = _MARGIN + column * (grid.card_width + _GUTTER)
        top = _GRID_TOP + row * (grid.card_height + _GUTTER)
        _card(canvas, shown, (left, top), most, grid)


def _card(canvas: Canvas, shown: _Class, corner: tuple[int, int], most: int, grid: _Grid) -> None:
    left, top = corner
    right, color = left + grid.card_width, _BAND_COLORS[shown.band]
    canvas.rectangle((left, top, right, top + grid.card_height), _CARD, radius=12)
    edge = grid.tile
    for position in range(grid.photos):
        start = left + _PADDING + position * (edge + _TILE_GAP)
        box = (start, top + _PADDING, start + edge, top + _PADDING + edge)
        if position < len(shown.photos):
            photo_id, data = shown.photos[position]
            canvas.photo(box, data, radius=8, name=f"photo {photo_id}")
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
