"""The options of an export, of each of its formats, and of a subset, which needs no export."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Protocol, get_args

from arboretum_tools.errors import UsageError
from arboretum_tools.events import OnEvent, ignore
from arboretum_tools.options import Option, check
from arboretum_tools.options.split import ExcludeOption
from arboretum_tools.options.store import ImagesOption

#: What iterating over a subset does at a photo that cannot be read or decoded.
OnError = Literal["raise", "skip"]

#: Every format by its name, which is that of its module in `exporting.formats`, and what it is for.
FORMATS: dict[str, str] = {
    "webdataset": "",
    "hf": "Hugging Face Parquet",
    "imagefolder": "",
    "lists": "MDCS, DeiT-LT and their kin",
    "csv": "open_clip",
    "inat-json": "iNaturalist 2018: DeiT, torchvision",
    "folder": "names and credits for people",
}

_named = [f"{name} ({what})" if what else name for name, what in FORMATS.items()]


class Format(Protocol):
    """An exporter: a format with its options, such as `exporting.WebDataset(even="drop")`."""

    @property
    def format(self) -> str:
        """Its name."""


@dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """What formats take that write images anew."""

    resize: Annotated[
        int | None,
        Option(
            "Shrink images so that their shorter side has at most this many pixels. Not for hf.",
            metavar="PIXELS",
            least=1,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class WebDatasetOptions(ImageOptions):
    """What the format `webdataset` takes, but for its captions."""

    samples_per_shard: Annotated[
        int | None,
        Option(
            "webdataset: maximum number of samples per shard. By default 10,000, or fewer, so that a part "
            "has 20 shards of at least 10 samples each.",
            metavar="N",
            least=1,
        ),
    ] = None
    even: Annotated[
        str | None,
        Option(
            "webdataset: make all train shards the same size: drop leaves out the samples left over, but "
            "never the last of a class; repeat repeats the first ones to fill up.",
            metavar="drop|repeat",
            choices=("drop", "repeat"),
            noun="way to make shards equal",
        ),
    ] = None
    world_size: Annotated[
        int,
        Option(
            "webdataset: number of processes that train together; a part has at least one shard for each of "
            "their workers, and with --even a multiple.",
            metavar="N",
            least=1,
        ),
    ] = 1
    workers: Annotated[int, Option("webdataset: loader workers per process.", metavar="N", least=1)] = 1
    keep_formats: Annotated[
        bool,
        Option("webdataset: keep PNG, GIF and WebP as they are; refused if that would mix formats in a set."),
    ] = False
    index_only: Annotated[
        bool,
        Option(
            "webdataset: write no shards, only an index over the store's own tars, for the package wids, and "
            "which of their photos belong to each part."
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class PlaceOptions:
    """What formats take that say where a photo was taken."""

    place: Annotated[bool, Option("hf, folder: leave latitude and longitude out.", flag="no-place")] = True


@dataclass(frozen=True, kw_only=True)
class HuggingFaceOptions(PlaceOptions):
    """What the format `hf` takes."""

    shard_bytes: Annotated[
        int,
        Option(
            "hf: approximate number of image bytes per file, which holds at most 25,000 photos; a part has "
            "20 files or more if that leaves 200 photos in each.",
            metavar="BYTES",
            least=1,
            default="500 MB",
        ),
    ] = 500_000_000


@dataclass(frozen=True, kw_only=True)
class ListsOptions(ImageOptions):
    """What the format `lists` takes."""

    name: Annotated[
        str | None,
        Option(
            "lists: the NAME of NAME_train.txt, at most 60 ASCII letters, digits, `_` or `-`.",
            metavar="NAME",
            default="the name of the split",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class CsvOptions(ImageOptions):
    """What the format `csv` takes."""

    caption: Annotated[str, Option("csv: the caption type of its titles.", metavar="TYPE")] = "sci_com"


@dataclass(frozen=True, kw_only=True)
class FolderOptions(ImageOptions, PlaceOptions):
    """What the format `folder` takes."""

    file_template: Annotated[
        str,
        Option(
            "folder: path of each photo, without its suffix; unknown values are left out. It may contain "
            "$scientific_name, $common_name, $kingdom to $genus, $photo_id, $part, $life_stage, "
            "$observed_on, $license, $observer.",
            metavar="TEMPLATE",
        ),
    ] = "$scientific_name/$scientific_name $photo_id $life_stage $observed_on $license"


@dataclass(frozen=True, kw_only=True)
class ExportOptions(WebDatasetOptions, HuggingFaceOptions, ListsOptions, CsvOptions, FolderOptions):
    """What `export` takes: its own options and those of all formats.

    Attributes:
        progress: draw bars where somebody watches and no `on_event` is given.
        on_event: is told of progress.
    """

    to: Annotated[str | Path, Option("Folder to write.", metavar="DIR", flag="out", short="o", required=True)]
    format: Annotated[
        str | Format,
        Option(
            f"{', '.join(_named[:-1])}, or {_named[-1]}.",
            metavar="FORMAT",
        ),
    ] = "webdataset"
    images: ImagesOption = "images"
    allow_missing: Annotated[
        bool, Option("Continue without photos that the store lacks; they are listed.")
    ] = False
    skip_bad: Annotated[
        bool,
        Option("Leave out photos that must be re-encoded but cannot be decoded; they are listed."),
    ] = False
    parts: Annotated[
        str | Iterable[str] | None,
        Option("Only these parts, joined by commas.", metavar="PARTS", many=True, default="all"),
    ] = None
    exclude: ExcludeOption = None
    drop_classes: Annotated[
        bool,
        Option("Leave out classes that lack photos in one of the parts, and renumber the others."),
    ] = False
    captions: Annotated[
        str | Iterable[str] | None,
        Option(
            "webdataset: caption types in addition to txt, which is always written: all (ten), none, or a "
            "list joined by commas.",
            metavar="TYPES",
            many=True,
            default="the five that Arboretum's own loader needs",
        ),
    ] = None
    templates: Annotated[
        str | Path | None,
        Option(
            'webdataset: your own captions, from a TOML file: txt = ["a photo of $common_name.", "a photo of '
            '$genus."] replaces the plain txt; any other name makes a member of that name.',
            metavar="FILE",
            flag="caption-template",
        ),
    ] = None
    seed: Annotated[int, Option("Seed of the order of the samples.", metavar="N")] = 0
    progress: bool = True
    on_event: OnEvent = ignore

    def __post_init__(self) -> None:
        check(self)
        if self.parts == ():
            raise UsageError("parts is given without a value", hint="Leave it out to take all.")


@dataclass(frozen=True, kw_only=True)
class SubsetOptions:
    """What `load_subset` takes."""

    images: ImagesOption = "images"
    part: Annotated[str, Option("The part: train, val or test.", metavar="PART")] = "train"
    allow_missing: Annotated[bool, Option("Leave out the photos that the store does not hold.")] = False
    on_error: Annotated[
        OnError,
        Option(
            "What iterating and `to_torch` do at a photo that cannot be read or decoded: raise, or skip it "
            "and note it in `Subset.skipped`. `subset[i]` raises either way.",
            choices=get_args(OnError),
            noun="way to treat photos that cannot be read",
        ),
    ] = "raise"
    same_classes_as: Annotated[
        str | Path | None,
        Option(
            "An export or another split, whose labels must mean the same classes: a model that was trained "
            "on the one is then tested on the other.",
        ),
    ] = None

    def __post_init__(self) -> None:
        check(self)
