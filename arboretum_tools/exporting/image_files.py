"""Images as files in class folders: what the formats `imagefolder`, `lists`, `csv` and `inat-json` share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from arboretum_tools.events import PhotoDone
from arboretum_tools.exporting.base import Sample, Source, encoded
from arboretum_tools.exporting.staging import Staging
from arboretum_tools.taxa.identity import folder_names

# Images per step: what an interrupted export does again at most.
_STEP = 500

# Ids that are turned into Python values at a time: bounds memory, shows in no output.
_ROWS = 5_000

#: Where an image goes, relative to the export: from (label, photo_id).
PathOf = Callable[[int, int], str]


def class_folders(source: Source) -> list[str]:
    """The folder of each class, index = label: label and ASCII slug, made anew from the name.

    The names that a split's classes.parquet gives are not used: it may have come from anywhere.
    """
    return folder_names([row["name"] for row in source.classes()])


def write_images(
    source: Source,
    part: str,
    work: Staging,
    path_of: PathOf,
    *,
    resize: int | None,
    line: Callable[[Sample], str] | None = None,
) -> Mapping[str, int]:
    """Writes the images of a part, every one as a JPEG.

    torchvision leaves out `.gif` without a word and timm `.webp`, so what is no JPEG becomes one.

    Args:
        source: gives the samples.
        part: name of the part.
        work: where they are written.
        path_of: where each goes.
        resize: shrink images whose shorter side is longer than this many pixels; None = leave them.
        line: what to note of each image as it was written, without a line break; `Work.lines` gives the lines
            back, in the order of the samples.

    Returns:
        How many were made anew, by what was done to them.
    """
    made_anew: Counter[str] = Counter()
    order = source.parts[part].by_label()
    total = len(order)
    for start in range(0, total, _STEP):

        def write(start: int = start) -> Mapping[str, int]:
            done: Counter[str] = Counter()
            lines: list[str] = []
            for stored in source.samples(part, order[start : start + _STEP]):
                sample, what = encoded(stored, resize)
                if what is not None:
                    done[what] += 1
                work.path(path_of(sample.label, sample.photo_id)).write_bytes(sample.data)
                if line is not None:
                    lines.append(line(sample) + "\n")
                source.on_event(PhotoDone(sample.photo_id, "written", len(sample.data)))
            if line is not None:
                work.note_lines(part, start, lines)
            return done

        made_anew.update(work.step(f"{part} {start}", write))
    return made_anew


def rows_of(source: Source, part: str) -> Iterator[tuple[int, int]]:
    """(photo_id, label) of a part by (label, photo_id)."""
    samples = source.parts[part]
    order = samples.by_label()
    for start in range(0, len(samples), _ROWS):
        rows = order[start : start + _ROWS]
        yield from zip(samples.photo_ids[rows].tolist(), samples.labels[rows].tolist(), strict=True)
