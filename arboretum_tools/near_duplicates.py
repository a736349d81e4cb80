"""Photos that show the same: bursts, crops, mirrored, rotated, resized or compressed copies.

Three looks, each at fewer pairs than the one before:

1. **A hash**: what stands out of its surroundings, at 16 x 16 points, of the whole photo and of five crops of
   it. Photos whose hashes correlate are candidates. Mirrored copies are found by the same products, since a
   mirror changes the sign of what is odd and nothing else.
2. **Layout**: at 64 x 64 pixels they are aligned, by scale, angle and shift, as far as copies differ in them.
   The colors of what is aligned must then agree over the whole picture, but for exposure and white balance:
   the same bird before another background is another photo.
3. **Small crops**: at 192 x 192 pixels, the windows with the most detail must agree, in their colors, with
   what lies at their place in the other photo. Rows and columns of a window are centred, so that a horizon or
   a gradient says nothing: two skies are alike only if the birds in them are.

How well two things agree is 2 ab / (aa + bb): their correlation where both stand out equally, and less where
one is the paler.

The hashes of all photos are compared, in blocks whose products numpy hands to BLAS; the pixels of a photo
only with those of the `MOST_ALIKE` others whose hashes are most like its own. That bounds what takes time
where everything looks alike: drawn pictures, one feeder before one camera. Hashes and thumbnails lie in
files, so memory does not grow with the photos.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from arboretum_tools.events import OnEvent, PhotoDone, StageFinished, StageStarted, UnitDone, ignore
from arboretum_tools.imaging import images
from arboretum_tools.photos.photo_ids import PhotoIds
from arboretum_tools.store import ImageStore
from arboretum_tools.stored_photos import images_of
from arboretum_tools.system.temporary_folders import TemporaryFolder
from arboretum_tools.tabular.arrays import from_numpy, to_numpy

#: Columns of the pairs that are found.
PAIRS = pa.schema(
    {
        "photo_id": pa.int64(),
        "other_id": pa.int64(),
        "similarity": pa.float64(),
        "mirrored": pa.bool_(),
    }
)

#: With so many others, whose hashes are most like its own, a photo is compared by pixels.
MOST_ALIKE = 16

#: The least agreement of the small crops of near-duplicates.
LEAST_SIMILARITY = 0.92

# The least correlation of candidates, and of two photos that are aligned; the least agreement of layouts.
_LEAST_HASH, _LEAST_ALIGNED, _LEAST_LAYOUT = 0.72, 0.8, 0.96

# Pixels of a side: of what is decoded, of what is aligned, of a layout, of a hash.
_FULL, _SMALL, _LAYOUT, _POINTS = 192, 64, 32, 16

# The whole photo, and crops of 11/12 of its sides: pixels from the top and from the left.
_CROPPED = 176
_CROPS = ((8, 8), (0, 0), (0, 16), (16, 0), (16, 16))

# Scales and angles (degrees) by which copies are aligned, and the most pixels of a shift.
_WARPS = tuple((scale, angle) for scale in (0.88, 0.94, 1.0, 1.06, 1.13) for angle in (-2, 0, 2))
_SHIFT = 5

# Pixels of a window, by how many it may lie elsewhere, and how many windows are compared.
_WINDOW, _ELSEWHERE, _MOST_WINDOWS = 32, 6, 6

# A window with less detail than this says nothing, and layouts may differ by as much (standard deviation of
# the logarithm of a color).
_LEAST_DETAIL = 0.02

# What is added to values of 0 to 255 before the logarithm is taken, so that the noise of shadows says little.
_DARK = 32

# What red, green and blue add to grey.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

# Photos whose hashes are multiplied at a time.
_BLOCK = 1024

# Decoded photos that are kept for the next pair.
_KEPT = 256

_Pixels = NDArray[np.float32]
_Colors = NDArray[np.uint8]


def near_duplicate_pairs(store: ImageStore, photo_ids: PhotoIds, *, on_event: OnEvent = ignore) -> pa.Table:
    """All pairs of near-duplicates among some photos of a store; those that cannot be decoded are in none.

    Args:
        store: holds the photos.
        photo_ids: those to compare; what the store does not hold is passed over.
        on_event: progress.

    Returns:
        The columns of PAIRS, ascending: the two photos, photo_id the smaller one; the mean agreement of
        their small crops, LEAST_SIMILARITY to 1; whether one is the mirror image of the other.

    Raises:
        StoreError: a tar or an index of the store is not there or damaged.

    >>> import arboretum_tools as at
    >>> from arboretum_tools.near_duplicates import near_duplicate_pairs
    >>> from arboretum_tools.photos.photo_ids import PhotoIds
    >>> store = at.open_store("images")
    >>> near_duplicate_pairs(store, PhotoIds.of(store.index(0)["photo_id"].to_pylist()[:50])).num_rows
    0
    """
    held = images_of(store, photo_ids)
    photos = _Photos(store, held, on_event)
    on_event(StageStarted("comparing photos", len(photos), "photo"))
    best: dict[tuple[int, int], tuple[float, bool]] = {}
    for one, other, mirrored in photos.candidates(on_event):
        similarity = photos.similarity(one, other, mirrored=mirrored)
        if similarity:
            first, second = sorted((int(photos.ids[one]), int(photos.ids[other])))
            best[first, second] = max((similarity, mirrored), best.get((first, second), (0.0, False)))
    on_event(StageFinished("comparing photos"))
    rows = [(*pair, *best[pair]) for pair in sorted(best)]
    columns = zip(*rows, strict=True) if rows else ((),) * 4
    types = (np.int64, np.int64, np.float64, np.bool_)
    return pa.Table.from_arrays(
        [from_numpy(np.array(values, kind)) for values, kind in zip(columns, types, strict=True)],
        schema=PAIRS,
    )


class _Photos:
    """The photos that are compared: hashes and thumbnails in files, larger pictures on demand."""

    def __init__(self, store: ImageStore, held: pa.Table, on_event: OnEvent) -> None:
        self._store, self._held = store, held
        self._folder = TemporaryFolder("near-duplicates")
        count = len(held)
        self.ids: NDArray[np.int64] = to_numpy(held["photo_id"])
        shape = (count, 1 + len(_CROPS), _POINTS * _POINTS)
        self._hashes = self._file("hashes", shape, np.float16)
        self._thumbnails = self._file("thumbnails", (count, _SMALL, _SMALL), np.uint8)
        self._layouts = self._file("layouts", (count, 3, _LAYOUT, _LAYOUT), np.uint8)
        self._colors = lru_cache(_KEPT)(self._decoded)
        readable = np.zeros(count, np.bool_)
        on_event(StageStarted("reading photos", count, "photo"))
        for row in range(count):
            try:
                colors = self._decoded(row)
            except images.UndecodableImageError:
                continue
            readable[row] = True
            grey = np.tensordot(_LUMA, colors, 1).astype(np.float32)
            self._hashes[row] = _hashes(grey)
            self._thumbnails[row] = _shrunk(grey, _SMALL).round()
            self._layouts[row] = _shrunk(colors, _LAYOUT).round()
            on_event(PhotoDone(int(self.ids[row]), "written", int(self._place(row)[2])))
        on_event(StageFinished("reading photos"))
        self.unreadable = int(count - readable.sum())

    def __len__(self) -> int:
        return len(self._held)

    def _file(self, name: str, shape: tuple[int, ...], kind: type) -> NDArray[np.generic]:
        if not shape[0]:
            return np.zeros(shape, kind)
        return np.memmap(self._folder.path / name, dtype=kind, mode="w+", shape=shape)

    def _place(self, row: int) -> tuple[int, int, int]:
        names = ("shard", "offset", "size_bytes")
        shard, offset, size = (self._held[name][row].as_py() for name in names)
        return shard, offset, size

    def _decoded(self, row: int) -> _Colors:
        photo_id = int(self.ids[row])
        data = self._store.read_bytes(*self._place(row), photo_id)
        return images.color_square(data, _FULL, name=f"photo {photo_id}")

    def candidates(self, on_event: OnEvent) -> Iterator[tuple[int, int, bool]]:
        """Pairs whose hashes correlate, the most alike of each photo: two rows, and whether mirrored."""
        chosen = self._file("candidates", (len(self), MOST_ALIKE), np.int64)
        starts = range(0, len(self), _BLOCK)
        for start in starts:
            chosen[start : start + _BLOCK] = self._most_alike(start, starts)
        for row in range(len(self)):
            for candidate in chosen[row].tolist():
                other, mirrored = divmod(candidate, 2)
                # A pair that both name is looked at once.
                if candidate >= 0 and (other > row or 2 * row + mirrored not in chosen[other]):
                    yield row, other, bool(mirrored)
            on_event(UnitDone(1))

    def _most_alike(self, start: int, starts: range) -> NDArray[np.int64]:
        """For each photo of a block twice the row of another, plus 1 if it is mirrored; -1 = no more."""
        mine = self._folded(start)
        rows = len(mine[0])
        scores = np.full((rows, MOST_ALIKE), -1, np.float32)
        chosen = np.full((rows, MOST_ALIKE), -1, np.int64)
        for later in starts:
            others = mine if later == start else self._folded(later)
            here = [_products(*both) for both in zip(mine, others, strict=True)]
            there = [_products(*both) for both in zip(others, mine, strict=True)]
            both = []
            for sign in (1, -1):
                alike = (here[0] + sign * here[1]).max(1)
                both.append(np.maximum(alike, (there[0] + sign * there[1]).max(1).T))
            found = np.stack(both, -1)
            if later == start:
                found[np.arange(rows), np.arange(rows)] = -1
            found[found <= _LEAST_HASH] = -1
            found = found.reshape(rows, -1)
            names = np.broadcast_to(2 * later + np.arange(found.shape[1]), found.shape)
            scores = np.concatenate([scores, found], 1)
            chosen = np.concatenate([chosen, np.where(found < 0, -1, names)], 1)
            # Of equal scores the lower row, so that neither blocks nor machines decide.
            order = np.argsort(-scores, axis=1, kind="stable")[:, :MOST_ALIKE]
            scores, chosen = np.take_along_axis(scores, order, 1), np.take_along_axis(chosen, order, 1)
        return chosen

    def _folded(self, start: int) -> tuple[_Pixels, _Pixels]:
        """What is even and what is odd in the hashes of a block: a mirror turns the sign of the odd half."""
        points = np.asarray(self._hashes[start : start + _BLOCK], np.float32)
        points = points.reshape(*points.shape[:2], _POINTS, _POINTS)
        left, right = points[..., : _POINTS // 2], points[..., : _POINTS // 2 - 1 : -1]
        half = np.float32(math.sqrt(0.5))
        flat = (*points.shape[:2], -1)
        return ((left + right) * half).reshape(flat), ((left - right) * half).reshape(flat)

    def similarity(self, one: int, other: int, *, mirrored: bool) -> float:
        """How well the small crops of two photos agree once they are aligned; 0 where they do not."""
        flip = slice(None, None, -1 if mirrored else 1)
        first, second = (np.asarray(self._thumbnails[row], np.float32) for row in (one, other))
        aligned = _aligned(_detail(first), _detail(second[:, flip]))
        if aligned is None or not _layouts_agree(
            self._layouts[one], self._layouts[other][..., flip], *aligned
        ):
            return 0.0
        return _crops_alike(self._colors(one), self._colors(other)[..., flip], *aligned)


def _products(crops: _Pixels, whole: _Pixels) -> _Pixels:
    """Products of all crops of some photos with others as a whole: photo, crop, other photo."""
    found: _Pixels = crops.reshape(-1, crops.shape[-1]) @ whole[:, 0].T
    return found.reshape(*crops.shape[:2], len(whole))


def _shrunk(pixels: _Pixels | _Colors, side: int) -> _Pixels:
    """The means of squares, of which there are `side` a side."""
    size = pixels.shape[-1] // side
    squares = pixels.reshape(*pixels.shape[:-2], side, size, side, size)
    means: _Pixels = squares.mean((-3, -1), dtype=np.float32)
    return means


def _hashes(grey: _Pixels) -> _Pixels:
    """Of a photo and of its crops: what stands out of its surroundings, of length 1."""
    cuts = [grey, *(grey[y : y + _CROPPED, x : x + _CROPPED] for y, x in _CROPS)]
    points = np.log(np.stack([_shrunk(cut, _POINTS) for cut in cuts]) + 16)
    found = (_blurred(points, 3) - _blurred(points, 9)).reshape(len(cuts), -1)
    found -= found.mean(1, keepdims=True)
    hashes: _Pixels = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6)
    return hashes


def _blurred(pixels: _Pixels, width: int) -> _Pixels:
    """The means of squares of an odd width; beyond the edge a gradient goes on, and so leaves nothing."""
    half = width // 2
    for axis in (-1, -2):
        around = [(0, 0)] * pixels.ndim
        around[axis] = (half, half)
        wide = np.moveaxis(np.pad(pixels, around, mode="reflect", reflect_type="odd"), axis, 0)
        sums = np.cumsum(wide, axis=0, dtype=np.float64)
        means = sums[width - 1 :].copy()
        means[1:] -= sums[:-width]
        pixels = np.moveaxis((means / width).astype(np.float32), 0, axis)
    return pixels


def _detail(thumbnail: _Pixels) -> _Pixels:
    points = np.log(thumbnail + 16)
    return _blurred(points, 3) - _blurred(points, 17)


def _lattice(side: int, scale: float, angle: float, down: float, right: float) -> tuple[_Pixels, _Pixels]:
    """Where each pixel of an aligned picture is in the picture that is warped: rows and columns."""
    middle, turn = (side - 1) / 2, math.radians(angle)
    y, x = np.mgrid[:side, :side] - middle
    y, x = y - down, x - right
    rows = middle + scale * (math.cos(turn) * y - math.sin(turn) * x)
    columns = middle + scale * (math.sin(turn) * y + math.cos(turn) * x)
    return rows.astype(np.float32), columns.astype(np.float32)


def _sampling(
    side: int, rows: _Pixels, columns: _Pixels
) -> tuple[NDArray[np.intp], _Pixels, NDArray[np.bool_]]:
    """Bilinear sampling: four pixels of each point, their weights, and whether the point is inside."""
    inside = (rows >= 0) & (rows <= side - 1) & (columns >= 0) & (columns <= side - 1)
    rows, columns = np.clip(rows, 0, side - 1.001), np.clip(columns, 0, side - 1.001)
    top, left = rows.astype(np.intp), columns.astype(np.intp)
    down, right = rows - top, columns - left
    corner = top * side + left
    pixels = np.stack([corner, corner + 1, corner + side, corner + side + 1])
    weights = np.stack([(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right])
    return pixels, (weights * inside).astype(np.float32), inside


@lru_cache(1)
def _warps() -> tuple[NDArray[np.intp], _Pixels, _Pixels]:
    found = [_sampling(_SMALL, *_lattice(_SMALL, *warp, 0, 0)) for warp in _WARPS]
    pixels, weights, inside = (np.stack(one) for one in zip(*found, strict=True))
    return pixels, weights, inside.astype(np.float32)


def _aligned(one: _Pixels, other: _Pixels) -> tuple[float, float, float, float] | None:
    """Scale, angle and shift (down, right; shares of a side) under which two details agree, if they do."""
    pixels, weights, inside = _warps()
    warped = (other.ravel()[pixels] * weights).sum(1)
    size = _SMALL + 3 * _SHIFT + 1
    product = np.fft.rfft2(one, (size, size)) * np.conj(np.fft.rfft2(warped, (size, size)))
    shifts = np.arange(-_SHIFT, _SHIFT + 1)
    sums = np.fft.irfft2(product, (size, size))[:, shifts][:, :, shifts].reshape(len(warped), -1)
    sums /= np.sqrt((warped**2).sum((1, 2)) + 1e-9)[:, None]
    best: tuple[float, int, int, int] = (_LEAST_ALIGNED, -1, 0, 0)
    # The product is not centred: the first few warps are compared exactly.
    for warp in np.argsort(-sums.max(1))[:3].tolist():
        down, right = (int(shifts[n]) for n in divmod(int(sums[warp].argmax()), len(shifts)))
        value = _correlation(one, warped[warp], inside[warp], down, right)
        best = max(best, (value, warp, down, right))
    value, warp, down, right = best
    return None if warp < 0 else (*_WARPS[warp], down / _SMALL, right / _SMALL)


def _correlation(one: _Pixels, other: _Pixels, inside: _Pixels, down: int, right: int) -> float:
    """Of two pictures where both are, the other one moved down and to the right."""
    mine = (slice(max(0, down), _SMALL + min(0, down)), slice(max(0, right), _SMALL + min(0, right)))
    theirs = (slice(max(0, -down), _SMALL - max(0, down)), slice(max(0, -right), _SMALL - max(0, right)))
    weight = inside[theirs]
    a, b = one[mine] * weight, other[theirs] * weight
    a, b = (a - a.sum() / weight.sum()) * weight, (b - b.sum() / weight.sum()) * weight
    return float((a * b).sum() / math.sqrt(float((a * a).sum() * (b * b).sum()) + 1e-9))


def _centred(windows: _Pixels) -> _Pixels:
    """Without the means of rows and columns: a horizon, a gradient or a stem says nothing."""
    rows, columns = windows.mean(-1, keepdims=True), windows.mean(-2, keepdims=True)
    centred: _Pixels = windows - rows - columns + windows.mean((-1, -2), keepdims=True)
    return centred


def _warped(
    colors: _Pixels, scale: float, angle: float, down: float, right: float
) -> tuple[_Pixels, NDArray[np.bool_]]:
    """A picture in several colors, aligned; shifts are shares of a side. And where it is known."""
    side = colors.shape[-1]
    pixels, weights, inside = _sampling(side, *_lattice(side, scale, angle, down * side, right * side))
    found: _Pixels = (colors.reshape(len(colors), -1)[:, pixels] * weights).sum(1)
    return found, inside


def _layouts_agree(one: _Colors, other: _Colors, *aligned: float) -> bool:
    """Whether the colors of two pictures agree all over once they are aligned, but for a factor a color."""
    mine, theirs = (_blurred(np.log(colors + np.float32(_DARK)), 3) for colors in (one, other))
    theirs, inside = _warped(theirs, *aligned)
    both = [colors[:, inside] for colors in (mine, theirs)]
    a, b = (colors - colors.mean(1, keepdims=True) for colors in both)
    least = 2 * a.size * _LEAST_DETAIL**2
    unlike = float(((a - b) ** 2).sum()) / (float((a * a).sum() + (b * b).sum()) + least)
    return bool(1 - unlike >= _LEAST_LAYOUT)


def _crops_alike(one: _Colors, other: _Colors, *aligned: float) -> float:
    """The mean agreement of the windows with the most detail with what lies at their place in the other.

    Below the least that makes near-duplicates it is 0.
    """
    mine, theirs = (_blurred(np.log(colors + np.float32(_DARK)), 3) for colors in (one, other))
    theirs, inside = _warped(theirs, *aligned)
    around = _WINDOW + 2 * _ELSEWHERE
    steps = range(0, _FULL - around + 1, _WINDOW // 2)
    windows = []
    for y, x in ((y, x) for y in steps for x in steps):
        if inside[y : y + around, x : x + around].all():
            top, left = y + _ELSEWHERE, x + _ELSEWHERE
            window = _centred(mine[:, top : top + _WINDOW, left : left + _WINDOW])
            windows.append((float((window * window).sum()), y, x, window))
    windows.sort(key=lambda one: (-one[0], *one[1:3]))
    if not windows or windows[0][0] < windows[0][3].size * _LEAST_DETAIL**2:
        return 0.0
    chosen: list[tuple[float, int, int, _Pixels]] = []
    for energy, y, x, window in windows:
        if len(chosen) == _MOST_WINDOWS or energy < 0.1 * windows[0][0]:
            break
        if all(abs(y - top) >= _WINDOW or abs(x - left) >= _WINDOW for _, top, left, _ in chosen):
            chosen.append((energy, y, x, window))
    total = sum(math.sqrt(energy) for energy, *_ in chosen)
    best = total
    for energy, y, x, window in chosen:
        best -= (1 - _agreement(window, theirs[:, y : y + around, x : x + around])) * math.sqrt(energy)
        if best < LEAST_SIMILARITY * total:
            return 0.0  # Not even if all other windows agreed.
    return best / total


def _agreement(window: _Pixels, region: _Pixels) -> float:
    """Of a window with the place in a region that is most like it: every other place, then those around."""
    energy = float((window * window).sum())
    last = 2 * _ELSEWHERE

    @lru_cache(None)
    def at(top: int, left: int) -> float:
        there = _centred(region[:, top : top + _WINDOW, left : left + _WINDOW])
        return 2 * float(np.vdot(there, window)) / (float(np.vdot(there, there)) + energy + 1e-9)

    steps = range(0, last + 1, 2)
    y, x = max(((y, x) for y in steps for x in steps), key=lambda place: at(*place))
    rows, columns = (range(max(0, n - 1), min(last, n + 1) + 1) for n in (y, x))
    return max(at(y, x) for y in rows for x in columns)
