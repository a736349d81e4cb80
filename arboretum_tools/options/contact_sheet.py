"""The options of a contact sheet: the classes of a split as one picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from arboretum_tools.options import Option, check
from arboretum_tools.options.store import ImagesOption


@dataclass(frozen=True, kw_only=True)
class ContactSheetOptions:
    """What `contact_sheet` takes."""

    to: Annotated[
        str | Path,
        Option(
            "File to write, ending in .png, .jpg, .jpeg, .webp or .pdf.",
            metavar="FILE",
            flag="out",
            short="o",
            required=True,
        ),
    ]
    images: ImagesOption = "images"
    max_classes: Annotated[
        int,
        Option("At most so many classes, evenly picked from head to tail.", metavar="N", least=1, most=2_000),
    ] = 40
    # A picture of more classes takes a gigabyte to draw; more photos would be smaller than 36 pixels.
    photos_per_class: Annotated[
        int, Option("Photos of each class.", metavar="N", flag="per-class", least=1, most=10)
    ] = 3
    columns: Annotated[int, Option("Classes side by side.", metavar="N", least=1, most=8)] = 4
    credits: Annotated[
        bool,
        Option(
            "Leave out the credit lines at the foot, which most licences ask for wherever a photo is shown.",
            flag="no-credits",
        ),
    ] = True
    note: Annotated[
        str, Option("A line at the foot, such as where the photos come from.", metavar="TEXT")
    ] = ""
    overwrite: Annotated[bool, Option("Replace a file that is there.")] = False

    def __post_init__(self) -> None:
        check(self)
