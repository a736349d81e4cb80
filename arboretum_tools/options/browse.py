"""The options of the page that shows photos, and of the gallery that is written of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from arboretum_tools.events import OnEvent, ignore
from arboretum_tools.options import Option, check
from arboretum_tools.options.store import ImagesOption


@dataclass(frozen=True, kw_only=True)
class ShownOptions:
    """What both take.

    Attributes:
        catalog: names the photos of a store: a `Catalog`, or where one lies; None = the default catalogue, if
            there is one.
        on_event: is told of progress.
    """

    images: ImagesOption = "images"
    show: Annotated[
        str,
        Option(
            "Begin with this filter: what stands behind the ? in the address of the page, such as "
            "band=few&license=CC-BY.",
            metavar="FILTER",
        ),
    ] = ""
    catalog: object = None
    on_event: OnEvent = ignore

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class BrowseOptions(ShownOptions):
    """What `browse` takes."""

    predictions: Annotated[
        str | Path | Sequence[str | Path] | None,
        Option(
            "Predictions for one part of the split, as `arboretum evaluate` reads them; those of a second "
            "model are compared with them.",
            metavar="FILE",
            many=True,
            commas=False,
            on_command_line="May be given twice.",
        ),
    ] = None
    part: Annotated[str, Option("The part that was predicted.", metavar="PART")] = "test"
    marks: Annotated[
        str | Path,
        Option(
            "Where marked photos are listed: a file for --exclude and --photo-ids. It is made with the first "
            "mark.",
            metavar="FILE",
        ),
    ] = "marks.csv"
    host: Annotated[
        str,
        Option(
            "Serve at this address, for whoever has the token that is printed. Without it the page can be "
            "seen from this machine alone.",
            metavar="ADDRESS",
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int | None,
        Option(
            "Serve at this port; 0 = any that is free.",
            metavar="N",
            least=0,
            most=65_535,
            default="8723, or the next that is free",
        ),
    ] = None
    open: Annotated[bool, Option("Do not open the page in a browser.", flag="no-open")] = True


@dataclass(frozen=True, kw_only=True)
class GalleryOptions(ShownOptions):
    """What `save_gallery` takes.

    Attributes:
        progress: draw bars where somebody watches and no `on_event` is given.
    """

    to: Annotated[
        str | Path | None,
        Option(
            "Write the photos of the filter as a page into this folder instead: it opens from disk and from "
            "any web server.",
            metavar="DIR",
            flag="out",
            short="o",
        ),
    ] = None
    most: Annotated[
        int,
        Option("--out: at most so many photos, of every class its share.", metavar="N", least=1, most=10_000),
    ] = 2_000
    progress: bool = True


@dataclass(frozen=True, kw_only=True)
class BrowseCommandOptions(BrowseOptions, GalleryOptions):
    """What `arboretum browse` takes: the options of both."""
