"""WebDataset: tar shards that open_clip, Arboretum's own loader, timm and Hugging Face read unmodified.

    train-000000.tar ...    samples; members of one sample stand together, its key is the photo id
    sizes.json              samples a shard, by its name (open_clip, Arboretum's loader)
    __len__                 samples in the first part, for loaders that look for nothing else
    _info.json              splits, shards and their lengths (timm)

A sample has `jpg` (every image under this one suffix: anything else is made into a JPEG, and counted),
`cls` (the label as ASCII), `json`, `txt` (the `sci_com` caption) and one member for each caption type asked
for. The rules of the readers that decide the details:

- webdataset takes the name up to its first dot as key, Hugging Face up to the first dot as well, so a
  caption's member is `<id>.sci_com.txt`;
- Hugging Face fixes members, fields and types by the first five samples, so every sample has every member
  and every field, of one type: an unknown text is "" and never null;
- timm reads `jpg` but not `jpeg`, and `cls` as ASCII int;
- Arboretum's loader dies with `--text_type random` unless sci, com, taxon, sci_com and taxon_com are in
  every sample, so these five are the default.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal

from arboretum_metadata.vocab import RANKS
from arboretum_tools.captions import (
    ARBORETUM_CAPTIONS,
    CAPTION_TYPES,
    DEFAULT_CAPTION,
    CaptionType,
    Names,
    captions,
)
from arboretum_tools.errors import UsageError
from arboretum_tools.events import PhotoDone, ShardFinished
from arboretum_tools.export.base import SPLIT_NAMES, Sample, Source, even_pieces, pieces_of_at_most
from arboretum_tools.publish import canonical_json, write_json
from arboretum_tools.store import tar

#: A shard holds at most this many samples unless told otherwise.
SAMPLES_PER_SHARD = 1_000

# Loaders spread shards over processes and workers: `datasets` 5.0 shuffled a stream of fewer than 20 files
# through one worker. Shards of fewer than 10 samples would buy nothing.
_WANTED_SHARDS = 20
_SMALLEST_SHARD = 10

_WRITE_BUFFER = 2**20

#: Which caption types to write: all ten, none, or these.
Captions = Literal["all", "none"] | Sequence[str]


@dataclass(frozen=True, slots=True)
class WebDataset:
    """Options of the format.

    Attributes:
        samples_per_shard: at most this many, 1 or more; None = at most SAMPLES_PER_SHARD, in at least 20
            shards a part where that leaves 10 samples or more in each.
        captions: caption types beside `txt`, which is always there: "all" ten, "none", or names of
            `captions.CAPTION_TYPES`; the default are the five that Arboretum's loader needs.
    """

    samples_per_shard: int | None = None
    captions: Captions = ARBORETUM_CAPTIONS

    format: ClassVar[str] = "webdataset"

    def __post_init__(self) -> None:
        if self.samples_per_shard is not None and self.samples_per_shard < 1:
            raise UsageError(f"a shard holds at least 1 sample, not {self.samples_per_shard}")
        self.caption_types()

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
        return {"captions": list(self.caption_types()), "samples_per_shard": self.samples_per_shard}

    def shard_sizes(self, samples: int) -> list[int]:
        """Samples of each shard of a part: they differ by at most one."""
        if self.samples_per_shard is not None:
            return even_pieces(samples, pieces_of_at_most(samples, self.samples_per_shard))
        wanted = min(_WANTED_SHARDS, samples // _SMALLEST_SHARD)
        return even_pieces(samples, max(wanted, pieces_of_at_most(samples, SAMPLES_PER_SHARD)))

    def write(self, source: Source, folder: Path) -> Mapping[str, Any]:
        """Writes shards, sizes.json, _info.json and __len__."""
        writer = _SampleWriter(source, self.caption_types())
        sizes: dict[str, int] = {}
        splits: dict[str, Any] = {}
        for part, samples in source.parts.items():
            shards = {
                f"{part}-{number:06d}.tar": size for number, size in enumerate(self.shard_sizes(len(samples)))
            }
            _write_part(source, part, shards, writer, folder)
            sizes |= shards
            name = SPLIT_NAMES[part]
            splits[name] = {
                "name": name,
                "num_samples": len(samples),
                "filenames": list(shards),
                "shard_lengths": list(shards.values()),
            }
        write_json(folder / "sizes.json", sizes)
        write_json(folder / "_info.json", {"splits": splits})
        first = next(iter(source.parts.values()))
        (folder / "__len__").write_text(str(len(first)), encoding="ascii")
        return {"converted_to_jpeg": dict(sorted(writer.converted.items()))}


def _no_captions(asked: object) -> UsageError:
    return UsageError(
        f"{asked!r} is no caption type",
        hint=f"Give all, none, or some of {', '.join(CAPTION_TYPES)}.",
    )


def _write_part(
    source: Source, part: str, shards: Mapping[str, int], writer: _SampleWriter, folder: Path
) -> None:
    samples = source.samples(part, source.parts[part].shuffled(source.seed))
    for name, size in shards.items():
        path = folder / name
        with path.open("wb", buffering=_WRITE_BUFFER) as file:
            for sample in islice(samples, size):
                writer.write(file, sample)
                source.on_event(PhotoDone(sample.photo_id, "written", len(sample.data)))
            file.write(tar.END)
        source.on_event(ShardFinished(name, size, path.stat().st_size))


class _SampleWriter:
    """Turns samples into tar entries; what is the same for a whole class is made once.

    Attributes:
        converted: images that were made into JPEGs, by the format they had.
    """

    def __init__(self, source: Source, caption_types: Sequence[CaptionType]) -> None:
        self.converted: Counter[str] = Counter()
        self._about: list[dict[str, Any]] = []
        self._texts: list[list[tuple[str, bytes]]] = []
        for row in source.classes():
            said = captions(Names.of(row))
            members = [("cls", str(row["label"])), ("txt", said[DEFAULT_CAPTION])]
            members += [(f"{kind}.txt", said[kind]) for kind in caption_types]
            self._texts.append([(suffix, text.encode()) for suffix, text in members])
            self._about.append(_about_class(row))

    def write(self, file: BinaryIO, sample: Sample) -> None:
        data, sha256, width, height = sample.data, sample.sha256, sample.width, sample.height
        if sample.format != "jpeg":
            from arboretum_tools.images import to_jpeg

            data, width, height = to_jpeg(data, name=f"photo {sample.photo_id}")
            sha256 = hashlib.sha256(data).hexdigest()
            self.converted[sample.format] += 1
        about = {
            **self._about[sample.label],
            "photo_id": sample.photo_id,
            "license": sample.license or "",
            "observer_name": sample.observer_name or "",
            "life_stage": sample.life_stage or "",
            "width": width,
            "height": height,
            "sha256": sha256,
        }
        _entry(file, f"{sample.photo_id}.jpg", data)
        _entry(file, f"{sample.photo_id}.json", canonical_json(about).encode())
        for suffix, text in self._texts[sample.label]:
            _entry(file, f"{sample.photo_id}.{suffix}", text)


def _about_class(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "label": row["label"],
        "class_key": row["class_key"],
        "scientific_name": row["scientific_name"],
        "common_name": row["common_name"] or "",
        **{rank: row[rank] or "" for rank in RANKS},
    }


def _entry(file: BinaryIO, name: str, body: bytes) -> None:
    file.write(tar.header(name, len(body)))
    file.write(body)
    file.write(tar.padding(len(body)))
