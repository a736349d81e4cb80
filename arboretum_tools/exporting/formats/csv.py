"""One table a part and a folder of images: open_clip's `--dataset-type csv`.

    images/00000_Turdus_migratorius/123.jpg     every image of every part
    train.csv, val.csv, test.csv                filepath, title, label, photo_id; tab-separated

open_clip (`src/open_clip_train/data.py`, `CsvDataset`) reads the table with pandas, by default with a tab as
separator and the columns `filepath` and `title`, and opens `filepath` from the folder that it runs in: start
the training in the export's folder. `title` is the `sci_com` caption. Text is quoted and otherwise as it is,
for a model learns from it: a spreadsheet runs a caption that begins with `=`, `+`, `-` or `@`.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from arboretum_tools.errors import UsageError
from arboretum_tools.exporting.base import Source
from arboretum_tools.exporting.documents.hub_configs import write_configs
from arboretum_tools.exporting.image_files import class_folders, rows_of, write_images
from arboretum_tools.exporting.staging import Staging
from arboretum_tools.options import check
from arboretum_tools.options.export import CsvOptions
from arboretum_tools.taxa.captions import CAPTION_TYPES, Names, captions
from arboretum_tools.wording import did_you_mean

_README = (
    "Tables for open_clip (`--dataset-type csv`). `datasets.load_dataset` of this folder gives their rows; "
    "images come with the Hugging Face export: `arboretum export SPLIT --format hf`."
)
_COLUMNS = ("filepath", "title", "label", "photo_id")


@dataclass(frozen=True, kw_only=True)
class Csv(CsvOptions):
    """The format with its options."""

    format: ClassVar[str] = "csv"
    needs_every_class: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check(self)
        if self.caption not in CAPTION_TYPES:
            raise UsageError(
                f"{self.caption!r} is not a caption type; there are {', '.join(CAPTION_TYPES)}",
                hint=did_you_mean(self.caption, tuple(CAPTION_TYPES)),
            )

    def options(self) -> Mapping[str, Any]:
        """The options in force."""
        return {"caption": self.caption, "resize": self.resize}

    def write(self, source: Source, work: Staging) -> Mapping[str, Any]:
        """Writes the images and the tables over them."""
        folders = class_folders(source)
        titles = [captions(Names.of(row))[self.caption] for row in source.classes()]  # type: ignore[index]

        def path_of(label: int, photo_id: int) -> str:
            return f"images/{folders[label]}/{photo_id}.jpg"

        made_anew: Counter[str] = Counter()
        for part in source.parts:
            made_anew.update(write_images(source, part, work, path_of, resize=self.resize))
            with work.path(f"{part}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
                writer.writerow(_COLUMNS)
                writer.writerows(
                    (path_of(label, photo), titles[label], label, photo)
                    for photo, label in rows_of(source, part)
                )
        files = {part: f"{part}.csv" for part in source.parts}
        write_configs(work.folder, source, files, _README, sep="\t")
        return {"made_anew": dict(sorted(made_anew.items()))}
