"""Published splits, read into a Split without a catalogue: iNaturalist competitions and long-tailed lists.

- Text lists, `path label` a line: ImageNet-LT and Places-LT (Liu et al. 2019), iNaturalist 2018 as in
  classifier-balancing (Kang et al. 2020), and whatever else is written so.
- The COCO-like JSON of the iNaturalist competitions 2017 to 2021, with `categories.json` of 2018 beside it.
- The CSV files of the benchmarks of Arboretum, one part `test`: a row per photo with its species, its life
  stage, or its pair of look-alikes.

Labels stay as published. A photo is known by its path: its photo_id is a number of ours, in the order of
first appearance in train, val, test, and `files.parquet` says which path it is. A path that stands in two
parts (the common iNaturalist 2018 protocol tests on the validation set) is one photo in two parts, and
`audit-split` says so.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from arboretum_metadata.schema import CLASSES, PART, PUBLISHED_FILES
from arboretum_metadata.vocab import GROUPS, LIFE_STAGE_RANK, RANKS
from arboretum_tools.errors import SplitError
from arboretum_tools.photos.photo_ids import PHOTO_COLUMNS
from arboretum_tools.split.files.content_hashes import hashed
from arboretum_tools.split.files.manifest import FORMAT_VERSION, PARTS, Split
from arboretum_tools.system.regular_files import regular
from arboretum_tools.tabular.tables import arrow_schema, repeated
from arboretum_tools.taxa.bands import shot_band
from arboretum_tools.taxa.identity import folder_names
from arboretum_tools.version import __version__
from arboretum_tools.wording import counted, one_line

#: Rank of a class that is no taxon.
CATEGORY = "category"

_PART_OF_NAME = re.compile(r"(?<![a-z])(train|val|test)(?![a-su-z])")


@dataclass(frozen=True, slots=True)
class _Photo:
    """One line of a list.

    Attributes:
        path: as published.
        label: as published.
        width: in pixels, where given.
        height: in pixels, where given.
        life_stage: where given.
    """

    path: str
    label: int
    width: int | None = None
    height: int | None = None
    life_stage: str | None = None


@dataclass(frozen=True, slots=True)
class _Source:
    """One file: the part that it is, its photos, what it says of the classes by label, and look-alikes."""

    part: str
    photos: list[_Photo]
    classes: Mapping[int, Mapping[str, Any]]
    pairs: tuple[tuple[int, int], ...] = ()


def import_split(files: Iterable[str | Path], *, name: str | None = None) -> Split:
    r"""Reads the files of a published split.

    Args:
        files: one per part, told by `train`, `val` or `test` in their names (a CSV without is `test`); and a
            categories.json, if there is one.
        name: of the split; default the name of the train file without its part.

    Raises:
        SplitError: a file cannot be read, is no such list, or its part cannot be told; or labels are missing.

    >>> import arboretum_tools as at
    >>> from pathlib import Path
    >>> _ = Path("train.txt").write_text("a/1.jpg 0\na/2.jpg 0\nb/3.jpg 1\n")
    >>> at.import_split(["train.txt"], name="mine")
    Split('mine': 2 classes; photos: 3 train)
    """
    paths = sorted((Path(file) for file in files), key=lambda path: (path.name, str(path)))
    extra: dict[int, Mapping[str, Any]] = {}
    sources: dict[str, _Source] = {}
    read = []
    for path in paths:
        text = _text(path)
        parsed = _json(path, text) if path.suffix.lower() == ".json" else None
        read.append({"name": path.name, "sha256": hashlib.sha256(text.encode()).hexdigest()})
        if isinstance(parsed, list):
            extra = _described(path, parsed)
            continue
        if path.suffix.lower() == ".csv":
            source = _from_table(path, text)
        else:
            source = _from_list(path, text) if parsed is None else _from_competition(path, parsed)
        if source.part in sources:
            raise SplitError(f"two files are the part {source.part}: {path.name} is the second")
        sources[source.part] = source
    if not sources:
        raise SplitError("no list of photos was named", hint="Name the train, val and test files.")
    ordered = [sources[part] for part in PARTS if part in sources]
    if not any(source.photos for source in ordered):
        raise SplitError(f"no photo is listed in {', '.join(path.name for path in paths)}")
    try:
        return _split(ordered, extra, read, name or _name(paths))
    except UnicodeEncodeError as error:
        # JSON can hold half a character.
        raise SplitError(f"a name or path in the lists is no text: {error.object!r:.80}") from error


def _text(path: Path) -> str:
    try:
        return regular(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SplitError(f"{path} cannot be read: {one_line(error)}") from error


def _json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SplitError(f"{path} is not JSON: {error}") from error


def _label(text: str) -> int | None:
    """A label as it is written; None of what is none, or larger than a split holds."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _described(path: Path, rows: list[Any]) -> dict[int, Mapping[str, Any]]:
    """What a categories.json says of the classes, by label."""
    found: dict[int, Mapping[str, Any]] = {}
    for row in rows:
        if isinstance(row, dict) and "id" in row:
            label = _label(str(row["id"]))
            if label is None:
                raise SplitError(f"{path}: the id {row['id']!r:.60} of a category is not a label")
            found[label] = row
    return found


def _part(path: Path) -> str:
    found = _PART_OF_NAME.findall(path.name.lower())
    if len(set(found)) != 1:
        raise SplitError(
            f"{path.name} does not say which part it is",
            hint="The name of the file holds one of train, val, test.",
        )
    return str(found[0])


def _from_list(path: Path, text: str) -> _Source:
    photos = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        words = line.split()
        # The label is the last word: a path may hold a space, whatever the loaders make of it.
        label = _label(words[-1])
        if len(words) < 2 or label is None:
            raise SplitError(f"{path}, line {number}: {line[:60]!r} is not `path label`")
        photos.append(_Photo(line.rsplit(maxsplit=1)[0], label))
    return _Source(_part(path), photos, {})


def _from_table(path: Path, text: str) -> _Source:
    """A benchmark of Arboretum; labels are its column `idx`, else the order of first appearance."""
    try:
        rows = csv.DictReader(io.StringIO(text.lstrip("\ufeff")))
        columns, lines = list(rows.fieldnames or ()), list(rows)
    except csv.Error as error:
        raise SplitError(f"{path} cannot be read: {error}") from error
    if twice := repeated(columns):
        raise SplitError(f"{path} has more than one column {', '.join(twice)}")
    name = next((one for one in ("scientific_name", "scientificName") if one in columns), None)
    photo = next((one for one in ("path", *PHOTO_COLUMNS) if one in columns), None)
    if name is None or photo is None:
        raise SplitError(
            f"{path} has not the columns of a published benchmark",
            hint="Those have scientific_name (or scientificName), and path, filenumber or inat21_filename.",
        )
    photos: list[_Photo] = []
    labels: dict[tuple[str, str], int] = {}
    classes: dict[int, dict[str, Any]] = {}
    pairs: dict[str, list[int]] = {}
    for number, row in enumerate(lines, start=2):
        where, own = (row[photo] or "").strip(), (row[name] or "").strip()
        stage, index = (row.get("life_stages") or "").strip(), (row.get("idx") or "").strip()
        label = _label(index) if index else labels.setdefault((own, stage), len(labels))
        if not where or not own or label is None:
            raise SplitError(f"{path}, line {number}: a row without photo or species, or with a bad idx")
        if label not in classes:
            species = (row.get("species") or "").strip() or " ".join(own.split()[1:])
            classes[label] = {
                **{rank: row.get(rank) for rank in RANKS},
                "genus": row.get("genus") or own.partition(" ")[0],
                "specific_epithet": species,
                "name": f"{own} ({stage.lower()})" if stage else own,
                "common_name": row.get("common_name"),
                "rank of the class": LIFE_STAGE_RANK if stage else "species",
            }
            if row.get("pair"):
                pairs.setdefault(str(row["pair"]), []).append(label)
        ending = "" if PurePosixPath(where).suffix else ".jpg"
        photos.append(_Photo(where + ending, label, life_stage=stage.lower() or None))
    alike = tuple((two[0], two[1]) for two in pairs.values() if len(two) == 2)
    part = _part(path) if _PART_OF_NAME.search(path.name.lower()) else "test"
    return _Source(part, photos, classes, alike)


def _from_competition(path: Path, stated: Any) -> _Source:
    try:
        images = {row["id"]: row for row in stated["images"]}
        categories = sorted(stated.get("categories", ()), key=lambda row: row["id"])
        ids = [row["id"] for row in categories] or sorted({a["category_id"] for a in stated["annotations"]})
        labels = {category: label for label, category in enumerate(ids)}
        photos = [
            _Photo(
                str(images[one["image_id"]]["file_name"]),
                labels[one["category_id"]],
                _size(images[one["image_id"]], "width"),
                _size(images[one["image_id"]], "height"),
            )
            for one in stated["annotations"]
        ]
        return _Source(_part(path), photos, {labels[row["id"]]: row for row in categories})
    except (KeyError, TypeError, AttributeError) as error:
        raise SplitError(
            f"{path} is not the annotations of an iNaturalist competition: "
            f"{'it lacks ' if isinstance(error, KeyError) else 'what it says is none: '}{error}",
            hint="It needs images, annotations, categories; test files without annotations have no labels.",
        ) from error


def _size(image: Mapping[str, Any], name: str) -> int | None:
    value = image.get(name)
    return value if isinstance(value, int) and 0 < value < 2**31 else None


def _name(paths: Sequence[Path]) -> str:
    named = [path.stem for path in paths if _PART_OF_NAME.search(path.name.lower())]
    stem = (named or [path.stem for path in paths if path.suffix.lower() == ".csv"])[0].lower()
    return re.sub(r"[^a-z0-9]+", "-", _PART_OF_NAME.sub("", stem)).strip("-") or "published"


def _split(
    sources: Sequence[_Source],
    extra: Mapping[int, Mapping[str, Any]],
    read: list[dict[str, str]],
    name: str,
) -> Split:
    number: dict[str, int] = {}
    for source in sources:
        for photo in source.photos:
            number.setdefault(photo.path, len(number) + 1)
    classes = _classes(sources, extra)
    tables = {source.part: _part_table(source.photos, number) for source in sources}
    largest, smallest = max(classes["n_train"].to_pylist()), min(classes["n_train"].to_pylist())
    recipe = {"profile": "imported", "files": read}
    meta: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "toolkit_version": __version__,
        "recipe": recipe,
        "selection_english": f"as published in {', '.join(file['name'] for file in read)}",
        "catalog": {"layout": "none", "rows": len(number), "fingerprint": ""},
        "group_by_requested": "none",
        "group_by": "none",
        "M": largest,
        "m": smallest,
        "C": classes.num_rows,
        "ratio_asked": None,
        "ratio_achieved": largest / smallest if smallest else None,
        "counts": {part: table.num_rows for part, table in tables.items()},
    }
    keys = classes["class_key"].to_pylist()
    if pairs := [[keys[one], keys[other]] for source in sources for one, other in source.pairs]:
        meta["pairs"] = pairs
    files = {"photo_id": list(number.values()), "path": list(number)}
    return Split(
        name=name,
        classes=classes,
        tables=tables,
        meta=hashed(meta, classes, tables),
        files=pa.table(files, schema=arrow_schema(PUBLISHED_FILES)),
    )


def _part_table(photos: Sequence[_Photo], number: Mapping[str, int]) -> pa.Table:
    ordered = sorted(photos, key=lambda photo: (photo.label, number[photo.path]))
    columns: dict[str, list[Any]] = {column: [None] * len(ordered) for column in PART.names}
    columns["photo_id"] = [number[photo.path] for photo in ordered]
    columns["label"] = [photo.label for photo in ordered]
    columns["ext"] = [PurePosixPath(photo.path).suffix.lstrip(".") or "jpg" for photo in ordered]
    columns["life_stage"] = [photo.life_stage for photo in ordered]
    columns["width"] = [photo.width for photo in ordered]
    columns["height"] = [photo.height for photo in ordered]
    return pa.table(columns, schema=arrow_schema(PART))


def _classes(sources: Sequence[_Source], extra: Mapping[int, Mapping[str, Any]]) -> pa.Table:
    counts = {source.part: Counter(photo.label for photo in source.photos) for source in sources}
    described: dict[int, Mapping[str, Any]] = {}
    for source in sources:
        described.update(source.classes)
    labels = set(described).union(*counts.values())
    total = len(labels)
    missing = next((label for label in range(total) if label not in labels), None)
    if missing is not None:
        raise SplitError(
            f"the lists have {counted(total, 'label')} and none is {missing}",
            hint="Labels are 0 to C-1 without a gap; are the lists of one split?",
        )
    folders = _folders(sources)
    rows = [
        _class(label, {**described.get(label, {}), **extra.get(label, {})}, folders) for label in range(total)
    ]
    names = Counter(row["name"] for row in rows)
    for label, row in enumerate(rows):
        if names[row["name"]] > 1:
            row["name"] = f"{row['name']} ({label})"
    folder_of = folder_names([row["name"] for row in rows])
    for label, row in enumerate(rows):
        row["folder"] = folder_of[label]
        row["class_key"] = f"published|{row['name']}"
        for part in PARTS:
            row[f"n_{part}"] = counts.get(part, Counter())[label]
            # Lists name no encounters; of no photos there are none.
            for group in ("observations", "observers"):
                row[f"{group}_{part}"] = None if row[f"n_{part}"] else 0
        row["n_catalog"] = row["n_selected"] = row["n_train"] + row["n_val"] + row["n_test"]
        row["n_available"] = row["n_train"]
        row["shot"] = shot_band(row["n_train"])
    return pa.Table.from_pylist(rows, schema=arrow_schema(CLASSES))


def _folders(sources: Sequence[_Source]) -> dict[int, str]:
    """The folder of a class's first photo without what all photos share; "" where folders tell no classes."""
    first: dict[int, PurePosixPath] = {}
    for photo in sources[0].photos:
        first.setdefault(photo.label, PurePosixPath(photo.path).parent)
    rooted = {path.is_absolute() for path in first.values()}
    shared = os.path.commonpath(list(map(str, first.values()))) if len(first) > 1 and len(rooted) == 1 else ""
    return {label: str(path.relative_to(shared)) if shared else str(path) for label, path in first.items()}


def _class(label: int, described: Mapping[str, Any], folders: Mapping[int, str]) -> dict[str, Any]:
    """A class as the competition describes it: a taxon with what is known of its lineage."""
    known = {rank: _word(described.get(rank)) for rank in RANKS}
    known["species"] = _word(described.get("specific_epithet"))
    group = GROUPS.get(str(described.get("supercategory")))
    if group is not None and not known[group.rank]:
        known[group.rank] = group.name
    name = _word(described.get("name"))
    folder = folders.get(label, "")
    return {
        "label": label,
        "name": name or (folder if folder not in ("", ".") else f"class {label}"),
        "scientific_name": name or folder or f"class {label}",
        "common_name": _word(described.get("common_name")),
        "taxon_id": None,
        "rank": described.get("rank of the class", "species") if described else CATEGORY,
        **known,
    }


def _word(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None
