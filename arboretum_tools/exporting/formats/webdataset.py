"""WebDataset: tar shards that open_clip, Arboretum's own loader, timm and Hugging Face read unmodified.

    train-000000.tar ...    samples; members of one sample stand together, its key is the photo id
    sizes.json              samples per shard, by its name (open_clip, Arboretum's loader)
    __len__                 samples in the first part, for loaders that look for nothing else
    _info.json              splits, shards and their lengths (timm)

A sample has `jpg` (every image under this one suffix: anything else is made into a JPEG, and counted),
`cls` (the label as ASCII), `json`, `txt` (the `sci_com` caption) and one member for each caption type asked
for. With `keep_formats` images stay as they are, under the suffix of their format; a set that would then mix
suffixes is refused. With `index_only` none of this is written, but an index over the store's own tars
(`arboretum_tools.exporting.tar_index`). The rules of the readers that decide the details:

- webdataset takes the name up to its first dot as key, Hugging Face up to the first dot as well, so a
  caption's member is `<id>.sci_com.txt`;
- Hugging Face fixes members, fields and types by the first five samples, so every sample has every member
  and every field, of one type: an unknown text is "" and never null;
- timm reads `jpg` but not `jpeg`, and `cls` as ASCII int;
- distributed training hangs on uneven shards: `even` makes all shards of train equal, and their number a
  multiple of world size x workers;
- Arboretum's loader dies with `--text_type random` unless sci, com, taxon, sci_com and taxon_com are in
  every sample, so these five are the default.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import accumulate
from json.encoder import encode_basestring as _quoted
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from arboretum_metadata.vocab import RANKS
from arboretum_tools.errors import ExportError, UsageError
from arboretum_tools.events import Note, PhotoDone, ShardFinished
from arboretum_tools.exporting.base import (
    SPLIT_NAMES,
    Evened,
    Sample,
    Source,
    encoded,
    even_pieces,
    pieces_of_at_most,
)
from arboretum_tools.exporting.staging import Staging
from arboretum_tools.exporting.tar_index import indexed_sha256, write_tar_indexes
from arboretum_tools.exporting.tar_members import Members, member
from arboretum_tools.options import check
from arboretum_tools.options.export import WebDatasetOptions
from arboretum_tools.samples import Samples
from arboretum_tools.store.shards import tar
from arboretum_tools.system.atomic_files import canonical_json, write_json
from arboretum_tools.taxa.captions import (
    ARBORETUM_CAPTIONS,
    CAPTION_TYPES,
    DEFAULT_CAPTION,
    CaptionType,
    Names,
    Templates,
    captions,
)
from arboretum_tools.wording import counted

#: A shard holds at most this many samples unless told otherwise.
SAMPLES_PER_SHARD = 1_000

# Loaders spread shards over processes and workers: `datasets` 5.0 shuffled a stream of fewer than 20 files
# through one worker. Shards of fewer than 10 samples would buy nothing.
_WANTED_SHARDS = 20
_SMALLEST_SHARD = 10

# Pieces that the kernel takes in one call (IOV_MAX is 1024 on Linux and macOS).
_MOST_PIECES = 1_024

#: Which caption types to write: all ten, none, or these.
Captions = Literal["all", "none"] | Sequence[str]


@dataclass(frozen=True, kw_only=True)
class WebDataset(WebDatasetOptions):
    """The format with its options.

    Attributes:
        captions: caption types beside `txt`, which is always there: "all" ten, "none", or names of
            `captions.CAPTION_TYPES`; the default are the five that Arboretum's loader needs.
        templates: captions of one's own, each a member `<name>.txt` (`txt` replaces the plain `txt`).
    """

    captions: Captions = ARBORETUM_CAPTIONS
    templates: Templates = field(default_factory=Templates)

    format: ClassVar[str] = "webdataset"
    needs_every_class: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check(self)
        self.caption_types()
        if self.index_only:
            plain = WebDataset(index_only=False)
            names = [one.name for one in fields(self) if one.name != "index_only"]
            given = [name for name in names if getattr(self, name) != getattr(plain, name)]
            if given:
                raise UsageError(
                    f"--index-only writes no shards, so {', '.join(given)} would do nothing",
                    hint="Leave them out, or export without --index-only.",
                )

    def caption_types(self) -> tuple[CaptionType, ...]:
        """The caption types to write, in the order of `CAPTION_TYPES`.

        Raises:
            UsageError: there is no such type.
        """
        if isinstance(self.captions, str):
            if self.captions not in {"all", "none"}:
                raise _no_captions(self.captions)
            return CAPTION_TYPES if self.captions == "all" else ()
        for asked in self.captions:
            if asked not in CAPTION_TYPES:
                raise _no_captions(asked)
        return tuple(kind for kind in CAPTION_TYPES if kind in self.captions)

    def options(self) -> Mapping[str, Any]:
        """The options in force."""
        if self.index_only:
            return {"index_only": True}
        return {
            "captions": list(self.caption_types()),
            "templates": {name: list(forms) for name, forms in self.templates.forms.items()},
            "samples_per_shard": self.samples_per_shard,
            "even": self.even,
            "world_size": self.world_size,
            "workers": self.workers,
            "resize": self.resize,
            "keep_formats": self.keep_formats,
        }

    def shard_sizes(self, samples: int, *, even: bool = False) -> list[int]:
        """Samples of each shard of a part of so many samples.

        Args:
            samples: of the part, 1 or more.
            even: all of one size, as `even`, `world_size` and `workers` say, so that their sum may be less or
                more than `samples`; else they differ by at most one and nothing is left out.

        Raises:
            ExportError: there are fewer samples than shards, and none may be repeated.
        """
        most = self.samples_per_shard or SAMPLES_PER_SHARD
        shards = pieces_of_at_most(samples, most)
        if self.samples_per_shard is None:
            shards = max(shards, min(_WANTED_SHARDS, samples // _SMALLEST_SHARD))
        together = self.world_size * self.workers
        if not even:
            return even_pieces(samples, max(shards, min(together, samples)))
        shards = together * pieces_of_at_most(shards, together)
        size = samples // shards if self.even == "drop" else pieces_of_at_most(samples, shards)
        if size < 1:
            raise ExportError(
                f"{counted(samples, 'sample')} cannot fill {counted(shards, 'equal shard')}; nothing was "
                "written",
                hint="Use --even repeat, or a smaller --world-size or --workers.",
            )
        return [size] * shards

    def evened(self, part: str, samples: Samples, seed: int) -> Evened | None:
        """What makes the shards of train equal; None for the other parts, and without `even`.

        Raises:
            ExportError: there are fewer samples than shards, or they could be equal only without the last
                photo of a class.
        """
        if self.even is None or part != "train":
            return None
        total, order = len(samples), samples.shuffled(seed)
        sizes = self.shard_sizes(total, even=True)
        repeated = order[np.arange(total, max(total, sum(sizes))) % total]
        dropped: list[int] = []
        left = np.bincount(samples.labels)
        for position in order[::-1].tolist() if sum(sizes) < total else ():
            if len(dropped) == total - sum(sizes):
                break
            label = samples.labels[position]
            if left[label] > 1:
                left[label] -= 1
                dropped.append(position)
        if len(dropped) < total - sum(sizes):
            raise ExportError(
                f"{counted(len(sizes), 'equal shard')} would take the last photo of a class out of train; "
                "nothing was written",
                hint="Use --even repeat, or a smaller --world-size or --workers.",
            )
        return Evened(sizes, np.array(sorted(dropped), np.int64), repeated)

    def outside(self, source: Source, to: Path) -> Mapping[str, Any]:
        """What the store's own tars add to what decides the export."""
        return {"indexed_sha256": indexed_sha256(source, to)} if self.index_only else {}

    def write(self, source: Source, work: Staging) -> Mapping[str, Any]:
        """Writes shards, sizes.json, _info.json and __len__; or the index alone."""
        if self.index_only:
            return write_tar_indexes(source, work)
        writer = _SampleWriter(self, source)
        sizes: dict[str, int] = {}
        splits: dict[str, Any] = {}
        evened: dict[str, Any] = {}
        made_anew: Counter[str] = Counter()
        for part, samples in source.parts.items():
            even = source.evened.get(part)
            counts = even.sizes if even else self.shard_sizes(len(samples))
            if len(counts) < (together := self.world_size * self.workers):
                source.on_event(
                    Note(f"{part}: {counted(len(counts), 'shard')} for {together} workers, some get none")
                )
            shards = {f"{part}-{number:06d}.tar": size for number, size in enumerate(counts)}
            made_anew.update(_write_part(source, part, shards, writer, work))
            sizes |= shards
            # timm looks a split up by the name that it is given: `validation`, or as the shards are called.
            for name in dict.fromkeys((SPLIT_NAMES[part], part)):
                splits[name] = {
                    "name": name,
                    "num_samples": sum(counts),
                    "filenames": list(shards),
                    "shard_lengths": counts,
                }
            if even:
                evened = {
                    "shards": len(counts),
                    "samples_per_shard": counts[0],
                    "dropped": len(even.dropped),
                    "repeated": len(even.repeated),
                }
        write_json(work.folder / "sizes.json", sizes)
        write_json(work.folder / "_info.json", {"splits": splits})
        first = next(iter(splits.values()))
        work.path("__len__").write_text(str(first["num_samples"]), encoding="ascii")
        return {"made_anew": dict(sorted(made_anew.items())), **({"even": evened} if evened else {})}


def _no_captions(asked: object) -> UsageError:
    return UsageError(
        f"{asked!r} is not a caption type",
        hint=f"Give all, none, or some of {', '.join(CAPTION_TYPES)}.",
    )


def _write_part(
    source: Source, part: str, shards: Mapping[str, int], writer: _SampleWriter, work: Staging
) -> Counter[str]:
    """Writes the shards of a part; returns how many images were made anew, by what was done to them."""
    order = source.parts[part].shuffled(source.seed)
    total = len(order)
    made_anew: Counter[str] = Counter()
    ends = accumulate(shards.values())
    for (name, size), end in zip(shards.items(), ends, strict=True):

        def write(name: str = name, positions: range = range(end - size, end)) -> Mapping[str, int]:
            done: Counter[str] = Counter()
            path = work.path(name)
            samples = source.samples(part, order[np.arange(positions.start, positions.stop) % total])
            with path.open("wb", buffering=0) as file:
                for position, sample in zip(positions, samples, strict=True):
                    turn = position // total
                    key = f"{sample.photo_id}r{turn}" if turn else str(sample.photo_id)
                    parts, what = writer.parts(key, sample)
                    _write_all(file.fileno(), parts)
                    if what is not None:
                        done[what] += 1
                    source.on_event(PhotoDone(sample.photo_id, "written", len(sample.data)))
                _write_all(file.fileno(), [tar.END])
            source.on_event(ShardFinished(name, len(positions), path.stat().st_size))
            return done

        made_anew.update(work.step(name, write))
    return made_anew


class _SampleWriter:
    """Turns samples into tar members; what is the same for a whole class is made once."""

    def __init__(self, options: WebDataset, source: Source) -> None:
        self._resize, self._keep = options.resize, options.keep_formats
        self._suffix = _one_suffix(source) if options.keep_formats else "jpg"
        self._about: list[str] = []
        self._texts: list[Members] = []
        for row in source.classes():
            names = Names.of(row)
            by_type = captions(names)
            texts = {"txt": by_type[DEFAULT_CAPTION]}
            texts |= {f"{kind}.txt": by_type[kind] for kind in options.caption_types()}
            own = options.templates.captions(names)
            texts |= {"txt" if name == "txt" else f"{name}.txt": text for name, text in own.items()}
            members = [("cls", str(row["label"])), *texts.items()]
            self._texts.append(Members([(suffix, text.encode()) for suffix, text in members]))
            self._about.append(_about(row))

    def parts(self, key: str, stored: Sample) -> tuple[list[bytes], str | None]:
        """The bytes of a sample in pieces, and what was done to its image."""
        sample, what = encoded(stored, self._resize, keep_format=self._keep)
        about = self._about[sample.label] % (
            sample.height,
            _quoted(sample.license or ""),
            _quoted(sample.life_stage or ""),
            _quoted(sample.observer_name or ""),
            sample.photo_id,
            sample.sha256,
            sample.width,
        )
        return [
            *member(f"{key}.{self._suffix}", sample.data),
            *member(f"{key}.json", about.encode()),
            *self._texts[sample.label].parts(key),
        ], what


def _one_suffix(source: Source) -> str:
    """The suffix of all images of all parts.

    Raises:
        ExportError: they are of several formats.
    """
    counts: Counter[str] = Counter()
    for details in source.details.values():
        counts.update(details.formats)
    if len(counts) > 1:
        text = ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
        raise ExportError(
            f"the images are of several formats ({text}), and readers take the members of all samples from "
            "the first ones; nothing was written",
            hint="Leave --keep-formats out: what is no JPEG becomes one, and is counted.",
        )
    (name,) = counts
    return "jpg" if name == "jpeg" else name


def _about(row: Mapping[str, Any]) -> str:
    """The `json` member of a class's samples as a % format for the fields of the photo; keys sorted.

    A quarter of the cost of encoding a dictionary for every photo.
    """
    of_class = {
        "label": row["label"],
        "class_key": row["class_key"],
        "scientific_name": row["scientific_name"],
        "common_name": row["common_name"] or "",
        **{rank: row[rank] or "" for rank in RANKS},
    }
    fields = {name: canonical_json(value).replace("%", "%%") for name, value in of_class.items()}
    fields |= {"photo_id": "%d", "width": "%d", "height": "%d", "sha256": '"%s"'}
    # Written as JSON texts already.
    fields |= dict.fromkeys(("license", "life_stage", "observer_name"), "%s")
    return "{" + ",".join(f'"{name}":{fields[name]}' for name in sorted(fields)) + "}"


def _write_all(descriptor: int, parts: Sequence[bytes]) -> None:
    """Writes all pieces without joining them first, which would copy the image once more."""
    assert len(parts) <= _MOST_PIECES, "a sample has some dozens of pieces"
    written = os.writev(descriptor, parts)
    if written < sum(map(len, parts)):
        # A nearly full disk takes a part of it; writing the rest says why.
        rest = memoryview(b"".join(parts))[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]
