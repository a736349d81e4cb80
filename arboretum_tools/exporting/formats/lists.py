"""Text lists for long-tailed training: MDCS, DeiT-LT, BalancedMetaSoftmax, PaCo, LIFT and their family.

    images/00000_Turdus_migratorius/123.jpg     every image of every part
    <NAME>_train.txt, _val.txt, _test.txt       `relative/path label` a line
    cls_freq/<NAME>.json                        train images per class, a JSON list, index = label
    classnames.txt                              `<folder> <name words>` a line, in label order (LIFT)
    metadata.csv                                the photos of test with their names (BioCLIP, BioTrove)
    prompts.json                                the ten captions of every class, for zero-shot evaluation

One form serves them all, because all read a line by `line.split()[0]` and `line.split()[1]` and join the
first to one root (MDCS `data_loader/imagenet_lt_data_loaders.py`, DeiT-LT `datasets.py`, BalancedMetaSoftmax
`data/dataloader.py`). So: no white space in a path, ASCII, forward slashes, no header, no blank line. Every
class has an image in every part: MDCS's balanced sampler crashes on a gap, DeiT-LT numbers the classes anew
without a word, and a shot report divides by nothing. Labels run by descending train count, which makes the
re-sorting in DeiT-LT (`np.argsort` of the counts) and in MDCS's `places_loader.py` change nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from arboretum_tools.errors import UsageError
from arboretum_tools.exporting.base import Source
from arboretum_tools.exporting.documents.evaluators import write_metadata
from arboretum_tools.exporting.documents.hub_configs import write_configs
from arboretum_tools.exporting.image_files import class_folders, rows_of, write_images
from arboretum_tools.exporting.staging import Staging
from arboretum_tools.options import check
from arboretum_tools.options.export import ListsOptions
from arboretum_tools.system.atomic_files import canonical_json
from arboretum_tools.taxa.captions import CAPTION_TYPES, Names, captions
from arboretum_tools.taxa.identity import slug

_README = (
    "Lists for long-tailed training (MDCS, DeiT-LT and their family). `datasets.load_dataset` of this folder "
    "gives their lines; images come with the Hugging Face export: `arboretum export SPLIT --format hf`."
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}")


@dataclass(frozen=True, kw_only=True)
class Lists(ListsOptions):
    """The format with its options."""

    format: ClassVar[str] = "lists"
    needs_every_class: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check(self)
        if self.name is not None and not _NAME.fullmatch(self.name):
            raise UsageError(
                f"{self.name!r} cannot be the name of a list",
                hint="Give at most 60 letters, digits, _ or -; loaders cut paths at white space.",
            )

    def options(self) -> Mapping[str, Any]:
        """The options in force."""
        return {"name": self.name, "resize": self.resize}

    def write(self, source: Source, work: Staging) -> Mapping[str, Any]:
        """Writes the images and the lists over them."""
        folders = class_folders(source)
        name = self.name or slug(source.split.name)[:60] or "split"

        def path_of(label: int, photo_id: int) -> str:
            return f"images/{folders[label]}/{photo_id}.jpg"

        made_anew: Counter[str] = Counter()
        for part in source.parts:
            made_anew.update(write_images(source, part, work, path_of, resize=self.resize))
            with work.path(f"{name}_{part}.txt").open("w", encoding="ascii") as file:
                file.writelines(
                    f"{path_of(label, photo)} {label}\n" for photo, label in rows_of(source, part)
                )
        classes = source.classes()
        if "train" in source.parts:
            counts = np.bincount(source.parts["train"].labels, minlength=len(classes)).tolist()
            work.path(f"cls_freq/{name}.json").write_text(canonical_json(counts) + "\n", encoding="ascii")
        names = [
            f"{folder} {' '.join(row['name'].split())}\n"
            for folder, row in zip(folders, classes, strict=True)
        ]
        work.path("classnames.txt").write_text("".join(names), encoding="utf-8")
        texts = [captions(Names.of(row)) for row in classes]
        prompts = {kind: [of_class[kind] for of_class in texts] for kind in CAPTION_TYPES}
        work.path("prompts.json").write_text(canonical_json(prompts, indent=1) + "\n", encoding="utf-8")
        files = {part: f"{name}_{part}.txt" for part in source.parts}
        write_configs(work.folder, source, files, _README)
        evaluated = write_metadata(source, work, lambda _, label, photo_id: path_of(label, photo_id))
        return {"lists": name, "metadata_csv": evaluated, "made_anew": dict(sorted(made_anew.items()))}
