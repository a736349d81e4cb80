"""The options of a download."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeAlias

from arboretum_metadata.vocab import CHECKS, MAX_PIXELS, PHOTO_SIZES, RESIZE_FILTERS, STATUSES, WITHDRAWN
from arboretum_tools.errors import UsageError
from arboretum_tools.events import OnEvent, ignore
from arboretum_tools.options import Option, check

#: Names the origin where the caller does not.
ORIGIN_VARIABLE = "ARBORETUM_ORIGIN"

#: States in which a photo may be tried again.
RETRIED = tuple(state for state in STATUSES if state not in ("ok", WITHDRAWN))

#: Most processes of one download.
MOST_PROCESSES = 64

_PRINTABLE = re.compile(r"[\x20-\x7e]+")


#: Which images are too large, before a photo is stored.
MaxPixelsOption: TypeAlias = Annotated[
    int,
    Option(
        "Refuse photos with more pixels than this; they become invalid, and their error says how many "
        "they have. Readers refuse images above the default.",
        metavar="N",
        least=1,
        most=MAX_PIXELS,
    ),
]

#: How a photo is checked before it is stored.
CheckOption: TypeAlias = Annotated[
    str,
    Option(
        "What to check before a photo is stored: bytes (type, size and end, and the hash if the host "
        "sends one) or decode (also the pixels, about 10 ms more per photo; finds some damage to "
        "pixels, but not all: see `verify`).",
        metavar="HOW",
        choices=CHECKS,
        noun="check",
    ),
]

#: The image store that is filled.
FilledOption: TypeAlias = Annotated[
    str | Path,
    Option(
        "The image store: a folder, created if it does not exist, or s3://BUCKET/PREFIX.",
        metavar="STORE",
    ),
]

#: How photos are shrunk before they are stored.
ResizeOption: TypeAlias = Annotated[
    int | None,
    Option(
        "Shrink each photo on arrival so that its shorter side has this many pixels, as a JPEG of "
        "quality 90; smaller photos stay as they are. All photos of a store are resized alike.",
        metavar="PIXELS",
    ),
]

#: By which filter.
FilterOption: TypeAlias = Annotated[
    str | None,
    Option(
        "With --resize: area (averages the area that each pixel covers) or lanczos (sharper, slower).",
        metavar="NAME",
        flag="filter",
        choices=RESIZE_FILTERS,
        default="area",
    ),
]


def check_filter(resize: int | None, resize_filter: str | None) -> None:
    """Refuses a filter where nothing is resized.

    Raises:
        UsageError: there is one.
    """
    if resize is None and resize_filter is not None:
        raise UsageError("filter is given without resize", hint="Give --resize too, or leave --filter out.")


class PhotoLookup(Protocol):
    """What finds photos by their ids: a Catalog."""

    def select(self, *, photo_ids: Any) -> Any:
        """The photos of these ids."""


@dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """How photos are fetched, by one process or by a task of many."""

    origin: Annotated[
        str | None,
        Option(
            "Fetch from this server, `scheme://host:port`, instead of the image hosts.",
            metavar="URL",
            default=f"${ORIGIN_VARIABLE}",
        ),
    ] = None
    connections: Annotated[
        int,
        Option(
            "Number of photos fetched at the same time, 1 to 256, over all processes.",
            metavar="N",
            least=1,
            most=256,
        ),
    ] = 32
    attempts: Annotated[int, Option("Maximum number of requests per photo.", metavar="N", least=1)] = 5
    deadline_s: Annotated[
        float,
        Option(
            "Total time allowed for all requests for one photo, in seconds, not counting the waits between "
            "them.",
            metavar="SECONDS",
            flag="deadline",
        ),
    ] = 60.0
    retry: Annotated[
        Iterable[str],
        Option(
            "States to try again besides pending: failed, gone, forbidden, invalid.",
            metavar="STATES",
            many=True,
            choices=RETRIED,
            noun="state that can be tried again",
        ),
    ] = ("failed",)
    max_failure_rate: Annotated[
        float,
        Option(
            "Share of photos, 0 to 1, that may end as forbidden, invalid or failed; above it the run ends "
            "with an error (exit code 4).",
            metavar="SHARE",
            least=0,
            most=1,
        ),
    ] = 0.05
    max_pixels: MaxPixelsOption = MAX_PIXELS
    check: CheckOption = "bytes"
    contact: Annotated[
        str | None,
        Option("Your address for the operators of the hosts; sent in the User-Agent.", metavar="MAIL_OR_URL"),
    ] = None
    allow_hosts: Annotated[
        Iterable[str],
        Option(
            "Another host that addresses in the metadata may point to; may be repeated.",
            metavar="HOST",
            flag="allow-host",
            many=True,
        ),
    ] = ()

    def __post_init__(self) -> None:
        check(self)
        if not self.deadline_s > 0:
            raise UsageError(f"deadline must be more than 0 seconds, not {self.deadline_s}")
        if self.contact is not None and not _PRINTABLE.fullmatch(self.contact):
            raise UsageError(f"contact must be one line of ASCII, not {self.contact!r}")


@dataclass(frozen=True, kw_only=True)
class DownloadArguments(TaskOptions):
    """What `download` takes by name.

    Attributes:
        catalog: in which the photo ids to fetch are looked up.
        progress: draw bars where somebody watches and no `on_event` is given.
        on_event: called with each event of `arboretum_tools.events`, in order, by the thread that works.
    """

    images: FilledOption = "images"
    size: Annotated[
        str,
        Option(
            "original (2048 px), large (1024), medium (500), small (240), thumb (100) or square (75). A "
            "store holds one size.",
            metavar="SIZE",
            choices=tuple(PHOTO_SIZES),
            noun="photo size",
        ),
    ] = "medium"
    resize: ResizeOption = None
    resize_filter: FilterOption = None
    processes: Annotated[
        int,
        Option(
            "Number of processes that fetch side by side on this machine, to use more cores.",
            metavar="N",
            least=1,
            most=MOST_PROCESSES,
        ),
    ] = 1
    yes: Annotated[bool, Option("Do not stop before a download of more than 100 GB.")] = False
    allow_empty: Annotated[
        bool, Option("Create the store even if no photo is selected, instead of ending with an error.")
    ] = False
    catalog: PhotoLookup | None = None
    progress: bool = True
    on_event: OnEvent = ignore


#: What the names of folders are.
FOLDER_NAMES = ("species", "labels")


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """What `import_images` takes by name.

    Attributes:
        progress: draw bars where somebody watches and no `on_event` is given.
        on_event: called with each event of `arboretum_tools.events`, in order, by the thread that works.
    """

    images: FilledOption = "images"
    split: Annotated[
        str | Path | Any | None,
        Option(
            "Take the files that this imported split names (`make-split --import`), and no others.",
            metavar="DIR",
        ),
    ] = None
    out: Annotated[
        str | Path | None,
        Option(
            "Write the catalogue of the images to this Parquet file, to select from and to split. Needed "
            "without --split.",
            metavar="FILE",
            short="o",
        ),
    ] = None
    names: Annotated[
        str,
        Option(
            "What the names of the folders are: species (`Vulpes vulpes`, `Vulpes_vulpes` or "
            "`00012_Vulpes_vulpes`), or labels, any text, whose classes `make-split --rank genus` takes.",
            metavar="KIND",
            choices=FOLDER_NAMES,
            noun="kind of folder names",
        ),
    ] = "species"
    left_out: Annotated[
        str | Path | None,
        Option(
            "List each file that was not imported, with the reason, in this file: Parquet or CSV.",
            metavar="FILE",
        ),
    ] = None
    overwrite: Annotated[bool, Option("Replace the files that --out and --left-out name.")] = False
    max_pixels: MaxPixelsOption = MAX_PIXELS
    check: CheckOption = "bytes"
    resize: ResizeOption = None
    resize_filter: FilterOption = None
    progress: bool = True
    on_event: OnEvent = ignore

    def __post_init__(self) -> None:
        check(self)
        check_filter(self.resize, self.resize_filter)
