"""Class folders: torchvision's and timm's ImageFolder, Hugging Face's `imagefolder`.

    train/00000_Turdus_migratorius/123.jpg ...
    val/...
    test/...
    metadata.csv                photos of test with their names, for BioCLIP's and BioTrove's evaluators

The rules of the readers that decide the details:

- torchvision (`torchvision/datasets/folder.py`, `find_classes`) and timm (`timm/data/readers/
  reader_image_folder.py`) number the classes by the sorted names of their folders, torchvision by plain and
  timm by natural order: the label in front, padded with zeros, makes both agree with the label;
- torchvision raises on a class folder without an image and timm leaves the class out without a word, so that
  all later labels shift: a class without a photo in a part is refused;
- Hugging Face takes the splits from the names of the folders, and `val` for `validation`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from arboretum_tools.exporting.base import Source
from arboretum_tools.exporting.documents.evaluators import write_metadata
from arboretum_tools.exporting.image_files import class_folders, write_images
from arboretum_tools.exporting.staging import Staging
from arboretum_tools.options import check
from arboretum_tools.options.export import ImageOptions


@dataclass(frozen=True, kw_only=True)
class ImageFolder(ImageOptions):
    """The format with its options."""

    format: ClassVar[str] = "imagefolder"
    needs_every_class: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check(self)

    def options(self) -> Mapping[str, Any]:
        """The options in force."""
        return {"resize": self.resize}

    def write(self, source: Source, work: Staging) -> Mapping[str, Any]:
        """Writes one folder per part, one folder per class in it."""
        folders = class_folders(source)

        def path_of(part: str, label: int, photo_id: int) -> str:
            return f"{part}/{folders[label]}/{photo_id}.jpg"

        made_anew: Counter[str] = Counter()
        for part in source.parts:
            path_of_part = partial(path_of, part)
            made_anew.update(write_images(source, part, work, path_of_part, resize=self.resize))
        return {
            "metadata_csv": write_metadata(source, work, path_of),
            "made_anew": dict(sorted(made_anew.items())),
        }
