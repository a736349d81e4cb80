"""The layout of the iNaturalist competition of 2018: COCO-like JSON over a tree of images.

    train2018.json, val2018.json, test2018.json             info, images, annotations, categories, licenses
    categories.json                                         a list of the classes, position = label
    train_val2018/<supercategory>/<label>/123.jpg           images of train and val, as `file_name` says
    test2018/<supercategory>/<label>/123.jpg                images of test
    train_val2018/<label> -> <supercategory>/<label>        links, for DeiT and DeiT-LT
    2018/<supercategory> -> ../train_val2018/<supercategory>    links, for torchvision

The rules of the readers that decide the details:

- DeiT and DeiT-LT (`datasets.py`, `INatDataset`) number the classes by their first appearance in the train
  annotations, so images and annotations run by label; they index categories.json by `category_id`, so it is a
  list in label order; they tell classes by `name`, so names are unique; and they leave the supercategory out
  when they join a path, `root/train_val2018/<label>/123.jpg`, so links stand there;
- torchvision (`torchvision/datasets/inaturalist.py`, version 2018) wants `root/2018/<supercategory>/<label>/`
  with labels 0 to C-1 and nothing but such folders; it knows no parts, so it finds train and val together;
- a class of val or test that train lacks has no number in DeiT: a class without a photo in a part is refused.

The competition gave no labels of its test images; ours are in test2018.json. `id` of an image and of its
annotation is the photo id, a supercategory the Arboretum group of the class (Plantae, Aves, Mollusca, ...),
else its kingdom.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from arboretum_metadata.vocab import GROUPS, LICENSES, RANKS
from arboretum_tools.errors import ExportError
from arboretum_tools.exporting.base import Sample, Source
from arboretum_tools.exporting.documents.hub_configs import write_configs
from arboretum_tools.exporting.image_files import rows_of, write_images
from arboretum_tools.exporting.staging import Staging
from arboretum_tools.options import check
from arboretum_tools.options.export import ImageOptions
from arboretum_tools.system.atomic_files import canonical_json
from arboretum_tools.taxa.identity import slug

_IMAGES = {"train": "train_val2018", "val": "train_val2018", "test": "test2018"}

# What torchvision calls the folder of the images.
_TORCHVISION = "2018"

# A class whose kingdom is not known: the root of iNaturalist's taxonomy.
_ROOT = "Life"

_README = (
    "The layout of the iNaturalist competition of 2018. Images of train and val lie in one folder, as there: "
    "which is which, the JSON files say. `datasets.load_dataset` of this folder gives their rows; images "
    "come with the Hugging Face export: `arboretum export SPLIT --format hf`."
)

_UNKNOWN_LICENSE = 0
_LICENSE_IDS = {name: number for number, name in enumerate(LICENSES, start=1)}


@dataclass(frozen=True, kw_only=True)
class INatJson(ImageOptions):
    """The format with its options."""

    format: ClassVar[str] = "inat-json"
    needs_every_class: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check(self)

    def options(self) -> Mapping[str, Any]:
        """The options in force."""
        return {"resize": self.resize}

    def write(self, source: Source, work: Staging) -> Mapping[str, Any]:
        """Writes the images, the links to them, and the JSON files over them."""
        categories = [_category(row) for row in source.classes()]
        folders = [f"{category['supercategory']}/{category['id']}" for category in categories]
        made_anew: Counter[str] = Counter()
        for part in source.parts:

            def path_of(label: int, photo_id: int, part: str = part) -> str:
                return f"{_IMAGES[part]}/{folders[label]}/{photo_id}.jpg"

            def line(sample: Sample, path_of: Any = path_of) -> str:
                return canonical_json(_image(sample, path_of(sample.label, sample.photo_id)))

            made_anew.update(write_images(source, part, work, path_of, resize=self.resize, line=line))
            with work.path(f"{part}2018.json").open("w", encoding="utf-8") as file:
                file.writelines(_competition(source, part, work, categories))
        text = canonical_json(categories, indent=1) + "\n"
        work.path("categories.json").write_text(text, encoding="utf-8")
        files = {part: f"{part}2018.json" for part in source.parts}
        write_configs(work.folder, source, files, _README, field="images")
        if "train" in source.parts or "val" in source.parts:
            _link(work.folder, categories)
        return {"made_anew": dict(sorted(made_anew.items()))}


def _category(row: Mapping[str, Any]) -> dict[str, Any]:
    """A class as categories.json has it; a rank that is not known is "", because readers group by it."""
    group = next((name for name, group in GROUPS.items() if row[group.rank] == group.name), None)
    return {
        "id": row["label"],
        "name": row["name"],
        "common_name": row["common_name"] or "",
        "supercategory": group or slug(row["kingdom"] or "").capitalize() or _ROOT,
        **{rank: row[rank] or "" for rank in RANKS if rank != "species"},
        "specific_epithet": row["species"] or "",
    }


def _image(sample: Sample, file_name: str) -> dict[str, Any]:
    return {
        "id": sample.photo_id,
        "file_name": file_name,
        "width": sample.width,
        "height": sample.height,
        "license": _LICENSE_IDS.get(sample.license or "", _UNKNOWN_LICENSE),
        "rights_holder": sample.observer_name or "",
    }


def _competition(source: Source, part: str, work: Staging, categories: list[dict[str, Any]]) -> Iterator[str]:
    """The JSON file of a part, piece by piece: it has two lines per photo."""
    info = {"year": 2018, "description": source.split.name, "contributor": "iNaturalist, by way of Arboretum"}
    licenses = [{"id": _UNKNOWN_LICENSE, "name": "not known", "url": ""}]
    licenses += [
        {"id": _LICENSE_IDS[name], "name": name, "url": about.url} for name, about in LICENSES.items()
    ]
    annotations = (
        canonical_json({"id": photo_id, "image_id": photo_id, "category_id": label})
        for photo_id, label in rows_of(source, part)
    )
    yield f'{{"info": {canonical_json(info)},\n"images": [\n'
    yield from _joined(work.lines(part))
    yield '],\n"annotations": [\n'
    yield from _joined(annotations)
    yield '],\n"categories": [\n'
    yield from _joined(map(canonical_json, categories))
    yield '],\n"licenses": [\n'
    yield from _joined(map(canonical_json, licenses))
    yield "]}\n"


def _joined(entries: Iterable[str]) -> Iterator[str]:
    between = ""
    for entry in entries:
        yield between + entry.rstrip("\n")
        between = ",\n"
    yield "\n"


def _link(folder: Path, categories: list[dict[str, Any]]) -> None:
    images = _IMAGES["train"]
    links = {f"{images}/{row['id']}": f"{row['supercategory']}/{row['id']}" for row in categories}
    for name in sorted({row["supercategory"] for row in categories}):
        links[f"{_TORCHVISION}/{name}"] = f"../{images}/{name}"
    (folder / _TORCHVISION).mkdir(exist_ok=True)
    for name, target in links.items():
        link = folder / name
        if link.is_symlink():
            continue  # of a run that was interrupted
        try:
            link.symlink_to(target)
        except OSError as error:
            raise ExportError(
                f"{link} cannot be made a link: {error.strerror}; no export was published",
                hint="It takes a file system with symbolic links: choose another folder with --out.",
            ) from error
