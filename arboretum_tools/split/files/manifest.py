"""A split as files: `split.json`, `classes.parquet`, one Parquet file a part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from arboretum_metadata.schema import (
    CLASSES,
    EXCLUDED,
    JOINED,
    LEFT_OUT,
    PART,
    PUBLISHED_FILES,
    UNUSED_CLASSES,
)
from arboretum_tools.display import notebook_views
from arboretum_tools.errors import SplitError
from arboretum_tools.photos.photo_plan import COLUMNS, PhotoPlan
from arboretum_tools.split.files.part_files import BATCH_ROWS, PartFiles, SavedParts, part_batches
from arboretum_tools.system.atomic_files import placed, read_json, refuse_existing, whole_folder, write_json
from arboretum_tools.tabular.tables import PHOTO_ENCODINGS, read_table, write_table
from arboretum_tools.wording import counted, did_you_mean, one_line

FORMAT_VERSION = 1

# What else people call a part.
_ALSO_CALLED = {"training": "train", "valid": "val", "validation": "val"}

#: Every part there may be, in the order in which they are shown.
PARTS = ("train", "val", "test")

# Columns of a part that no row may lack.
_CHECKED = ("photo_id", "label", "ext")


@dataclass(frozen=True, slots=True, repr=False)
class Split:
    """A split: its classes, its parts, and how it was made.

    Attributes:
        name: the folder's name when it is saved without another.
        classes: one row per class, in label order, the columns of `arboretum_metadata.schema.CLASSES`.
        tables: the parts there are, by name, each sorted by (label, photo_id), the columns of `PART`.
        meta: what split.json holds.
        left_out: photos that the image store did not hold, sorted; None where no store was asked.
        unused_classes: classes of the selection that take no part, most photos first.
        excluded: what was kept out by `--exclude`; None where nothing was.
        joined: pairs of photos that show the same, and the groups that they join; None where there are none.
        files: which file each photo is, of a published split; None where photos have ids of iNaturalist.
        path: the folder that it was loaded from or saved to; None while it is only in memory.
    """

    name: str
    classes: pa.Table
    tables: Mapping[str, pa.Table]
    meta: Mapping[str, Any]
    left_out: pa.Table | None = None
    unused_classes: pa.Table | None = None
    excluded: pa.Table | None = None
    joined: pa.Table | None = None
    files: pa.Table | None = None
    path: Path | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        photos = ", ".join(f"{self.num_photos(part):,} {part}" for part in self.parts)
        return f"Split({self.name!r}: {counted(self.num_classes, 'class')}; photos: {photos})"

    def _repr_html_(self) -> str:
        rows = [(part, self.num_photos(part)) for part in self.parts]
        return notebook_views.card(
            f"{self.name}: {counted(self.num_classes, 'class')}",
            notebook_views.curve(self.class_counts),
            notebook_views.table(("part", "photos"), rows),
        )

    def plot(self) -> notebook_views.View:
        """The long tail of what is trained on as a curve, from head to tail, for notebooks.

        >>> import arboretum_tools as at
        >>> at.open_split("splits/aves-lt100").plot().html[:4]
        '<svg'
        """
        return notebook_views.View(notebook_views.curve(self.class_counts))

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that exist, train first."""
        return tuple(part for part in PARTS if part in self.tables)

    @property
    def title(self) -> str:
        """The name, or what is selected in words where `all` is all that the name says of it.

        >>> import arboretum_tools as at
        >>> at.open_split("splits/aves-lt100").title
        'aves-lt100'
        """
        words: str = self.meta.get("selection_english", self.name)
        return words if self.name == "all" else self.name

    @property
    def num_classes(self) -> int:
        """C, the number of classes."""
        return int(self.classes.num_rows)

    @property
    def class_counts(self) -> list[int]:
        """Train photos per class, index = label: what long-tailed losses call `cls_num_list`."""
        counts: list[int] = self.classes["n_train"].to_pylist()
        return counts

    @property
    def sha256(self) -> dict[str, str]:
        """Content hashes of the parts and of the classes; equal means the same split."""
        hashes: dict[str, str] = dict(self.meta["sha256"])
        return hashes

    def part_named(self, name: str) -> str:
        """The part that is meant by a name: `val` by `validation`, in any case.

        Raises:
            SplitError: this split has no such part.

        >>> import arboretum_tools as at
        >>> at.open_split("splits/aves-lt100").part_named("validation")
        'val'
        """
        part = _ALSO_CALLED.get(name.lower(), name.lower())
        if part not in self.tables:
            raise SplitError(
                f"the split {self.path or self.name} has no part {name!r}",
                hint=f"It has {', '.join(self.parts)}. {did_you_mean(part, self.parts)}".rstrip(),
            )
        return part

    def part(self, name: str) -> pa.Table:
        """The rows of one part.

        Raises:
            SplitError: this split has no such part.

        >>> import arboretum_tools as at
        >>> split = at.open_split("splits/aves-lt100")
        >>> split.part("test").num_rows
        210
        """
        return self.tables[self.part_named(name)]

    def num_photos(self, name: str) -> int:
        """Number of photos of one part.

        Raises:
            SplitError: this split has no such part, or its file cannot be read.

        >>> import arboretum_tools as at
        >>> split = at.open_split("splits/aves-lt100")
        >>> split.num_photos("train")
        956
        """
        name = self.part_named(name)
        if isinstance(self.tables, PartFiles):
            return self.tables.num_rows(name)
        return int(self.part(name).num_rows)

    def batches(self, name: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of one part, in its order, some thousand rows at a time.

        Where the split was opened with `in_memory=False`, no more than these rows are ever held.

        Raises:
            SplitError: this split has no such part, or its file cannot be read.

        >>> import arboretum_tools as at
        >>> split = at.open_split("splits/aves-lt100")
        >>> sum(batch.num_rows for batch in split.batches("val", ["photo_id"]))
        105
        """
        name = self.part_named(name)
        if isinstance(self.tables, PartFiles):
            yield from self.tables.batches(name, columns)
        else:
            yield from self.part(name).select(list(columns)).to_batches(max_chunksize=BATCH_ROWS)

    def plan(self, parts: Iterable[str] | None = None) -> PhotoPlan:
        """What a download of these photos fetches.

        Args:
            parts: which parts of the split; None = all.

        Raises:
            SplitError: the split has no such part, or its ids are not those of iNaturalist.

        >>> import arboretum_tools as at
        >>> split = at.open_split("splits/aves-lt100")
        >>> split.plan(["test"]).source["english"]
        'the split aves-lt100 (test)'
        """
        if self.meta["recipe"].get("profile") == "imported":
            raise SplitError(
                f"the split {self.name} was imported: its photo ids are numbers of ours, and iNaturalist has "
                "other photos under them",
                hint="Get its images from those who published them, and make a store of them with `arboretum "
                "import-images FOLDER --split`. Nothing was fetched.",
            )
        chosen = self.parts if parts is None else tuple(self.part_named(part) for part in parts)
        tables = [self.part(part).select(list(COLUMNS)) for part in chosen]
        source = {
            "kind": "split",
            "english": f"the split {self.name} ({', '.join(chosen)})",
            "criteria": self.meta["recipe"],
            "sha256": {part: self.sha256[part] for part in chosen},
        }

        def batches() -> Iterable[pa.RecordBatch]:
            return list(pa.concat_tables(tables).sort_by("photo_id").to_batches()) if tables else []

        return PhotoPlan(batches, source)

    def why_empty(self) -> str:
        """Nothing to say, as a split has photos.

        >>> import arboretum_tools as at
        >>> at.open_split("splits/aves-lt100").why_empty()
        ''
        """
        return ""

    def count_classes(self) -> int:
        """Number of classes.

        >>> import arboretum_tools as at
        >>> split = at.open_split("splits/aves-lt100")
        >>> split.count_classes()
        21
        """
        return self.num_classes

    def count_by(self, *columns: str) -> list[tuple[Any, ...]]:
        """Photos of all parts by the values of some columns: the values and how many, each once.

        >>> import arboretum_tools as at
        >>> split = at.open_split("splits/aves-lt100")
        >>> sorted(split.count_by("life_stage"), key=str)[:2]
        [('adult', 456), ('egg', 1)]
        """
        counts: Counter[tuple[Any, ...]] = Counter()
        for part in self.parts:
            for batch in self.batches(part, columns):
                counts.update(zip(*(batch[name].to_pylist() for name in columns), strict=True))
        return [(*values, photos) for values, photos in counts.items()]

    def save(self, path: str | Path) -> Path:
        """Writes the split as a folder, whole or not at all; the same split there again is left as it is.

        Raises:
            TargetExistsError: the folder holds something else.

        >>> import arboretum_tools as at
        >>> split = at.open_split("splits/aves-lt100")
        >>> split.save("splits/copy") == split.save("splits/copy")
        True
        """
        path = Path(path)
        if not self.is_saved_at(path):
            with whole_folder(path) as folder:
                self.write_into(folder)
        return path

    def is_saved_at(self, path: Path) -> bool:
        """Whether the folder already holds this very split, by its hash and that of its catalogue.

        Raises:
            TargetExistsError: the folder holds something else.
        """
        if (path / "split.json").is_file():
            found = open_split(path, in_memory=False)
            same = found.meta.get("split_sha256") == self.meta["split_sha256"]
            if same and found.meta["catalog"]["fingerprint"] == self.meta["catalog"]["fingerprint"]:
                return True
            refuse_existing(path, f"another split: {_difference(found.meta, self.meta)}")
        refuse_existing(path)
        return False

    def write_into(self, folder: Path) -> None:
        """Writes the files of the split into an empty folder, `split.json` last."""
        provenance = {"recipe_sha256": self.meta["recipe_sha256"], "catalog": self.meta["catalog"]}
        write_table(folder / "classes.parquet", self.classes, CLASSES, provenance)
        for part in self.tables:
            batches = part_batches(self.tables, part, PART.names)
            write_table(
                folder / f"{part}.parquet",
                batches,
                PART,
                {"part": part, **provenance},
                encodings=PHOTO_ENCODINGS,
            )
        if self.left_out is not None:
            write_table(folder / "left_out.parquet", self.left_out, LEFT_OUT, provenance)
        if self.unused_classes is not None:
            write_table(folder / "unused_classes.parquet", self.unused_classes, UNUSED_CLASSES, provenance)
        if self.excluded is not None:
            write_table(folder / "excluded.parquet", self.excluded, EXCLUDED, provenance)
        if self.joined is not None:
            write_table(folder / "joined.parquet", self.joined, JOINED, provenance)
        if self.files is not None:
            write_table(folder / "files.parquet", self.files, PUBLISHED_FILES, provenance)
        # Last, so that a folder with a split.json is a whole split.
        write_json(folder / "split.json", self.meta)


@contextmanager
def saving() -> Iterator[Callable[[Split, Path], bool]]:
    """Gives what saves splits that belong together: all of them are there at the end, or none of them.

    It takes a split and its folder, and returns whether that very split was there already. Each split is
    written when it is given, under another name, so that only one is held at a time.

    Raises:
        TargetExistsError: a folder holds something else; nothing was written then.
    """
    with ExitStack() as stack:

        def save(split: Split, path: Path) -> bool:
            with placed(path):
                path.exists()  # An error of the system names this path here, and a file in it below.
            if split.is_saved_at(path):
                return True
            split.write_into(stack.enter_context(whole_folder(path)))
            return False

        yield save


def open_split(path: str | Path, *, in_memory: bool = True) -> Split:
    """Opens a split folder.

    The files are untrusted: columns and types are checked, labels must be 0 to C-1, and no path is ever
    taken from them. The content hashes are not recomputed here; `audit_split` does that.

    Args:
        path: the folder.
        in_memory: hold the rows of the parts, some 110 bytes per photo; else they are read anew each time
            they are asked for, and `Split.batches` goes through them in bounded memory.

    Raises:
        SplitError: the folder is not a split, or its files do not agree.

    >>> import arboretum_tools as at
    >>> at.open_split("splits/aves-lt100")
    Split('aves-lt100': 21 classes; photos: 956 train, 105 val, 210 test)
    """
    path = Path(path)

    def refuse(what: str) -> SplitError:
        files = () if path.exists() else sorted(path.parent.glob("*/split.json"))
        near = did_you_mean(path.name, {file.parent.name: str(file.parent) for file in files})
        hint = near or "Make it with `arboretum make-split`, or name the folder of a split."
        return SplitError(what, hint=hint)

    meta = _meta(path, refuse)
    classes = read_table(path / "classes.parquet", CLASSES, refuse)
    if not classes.num_rows:
        raise refuse(f"{path / 'classes.parquet'} has no class")
    if classes["label"].to_pylist() != list(range(classes.num_rows)):
        raise refuse(f"{path / 'classes.parquet'}: the labels are not 0 to {classes.num_rows - 1} in order")
    for name in ("n_train", "n_val", "n_test"):
        if pc.min(classes[name]).as_py() < 0:
            raise refuse(f"{path / 'classes.parquet'}: {name} is below 0")
    on_disk = SavedParts(path, [part for part in PARTS if part in meta["sha256"]], refuse)
    tables: Mapping[str, pa.Table] = dict(on_disk) if in_memory else on_disk
    for part in tables:
        batches = tables[part].to_batches() if in_memory else on_disk.batches(part, _CHECKED)
        _check_part(path / f"{part}.parquet", batches, classes.num_rows, refuse)
    left_out, unused = path / "left_out.parquet", path / "unused_classes.parquet"
    files, excluded = path / "files.parquet", path / "excluded.parquet"
    joined = path / "joined.parquet"
    return Split(
        name=path.resolve().name,
        classes=classes,
        tables=tables,
        meta=meta,
        left_out=read_table(left_out, LEFT_OUT, refuse) if left_out.exists() else None,
        unused_classes=read_table(unused, UNUSED_CLASSES, refuse) if unused.exists() else None,
        excluded=read_table(excluded, EXCLUDED, refuse) if excluded.exists() else None,
        joined=read_table(joined, JOINED, refuse) if joined.exists() else None,
        files=read_table(files, PUBLISHED_FILES, refuse) if files.exists() else None,
        path=path,
    )


def _difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """What sets the split in a folder apart from the one that was to be written: there, and here."""
    old, new = there["recipe"], here["recipe"]
    names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    if names:
        values = [
            "selection"
            if name == "selection"
            else f"{name} {_shown(old, name)} there, {_shown(new, name)} here"
            for name in names
        ]
        return f"its recipe differs in {'; '.join(values)}"
    if there["catalog"].get("fingerprint") != here["catalog"]["fingerprint"]:
        return "the same recipe over a catalogue with other photos or classes"
    parts = [
        f"{key} of {name}"
        for key in ("sha256", "rows_sha256")
        for name, digest in here[key].items()
        if there.get(key, {}).get(name) != digest
    ]
    return f"the same recipe and photos; {', '.join(parts) or 'split_sha256'} differs"


def _shown(recipe: Mapping[str, Any], name: str) -> str:
    value = recipe.get(name)
    return "none" if value is None else str(value)


def _meta(path: Path, refuse: Callable[[str], SplitError]) -> dict[str, Any]:
    """What split.json holds: every key that is asked for later, of the kind that it must be."""
    file = path / "split.json"
    if not file.exists():
        if not path.exists():
            raise refuse(f"there is no split {path}")
        what = "it is a file, and a split is a folder" if path.is_file() else "it has no split.json"
        raise refuse(f"{path} is not a split: {what}")
    try:
        meta = read_json(file)
    except (OSError, ValueError) as error:
        raise refuse(f"{file} cannot be read: {one_line(error)}") from error
    needed = ("recipe", "recipe_sha256", "catalog", "counts", "sha256")
    if not isinstance(meta, dict) or any(name not in meta for name in ("format_version", *needed)):
        raise refuse(f"{file} lacks one of: format_version, {', '.join(needed)}")
    if meta["format_version"] != FORMAT_VERSION:
        raise refuse(
            f"{path} has format version {meta['format_version']!r}; this toolkit reads {FORMAT_VERSION}"
        )
    for name in needed:
        kind = str if name == "recipe_sha256" else dict
        if not isinstance(meta[name], kind):
            raise refuse(f"{file}: {name} is not what it must be")
    if not any(part in meta["sha256"] for part in PARTS):
        raise refuse(f"{file} names no part")
    if not all(isinstance(value, str) for value in meta["sha256"].values()):
        raise refuse(f"{file}: sha256 holds something that is not a hash")
    return meta


def _check_part(path: Path, batches: Iterable[pa.RecordBatch], num_classes: int, refuse: Any) -> None:
    for batch in batches:
        for name in _CHECKED:
            if batch[name].null_count:
                raise refuse(f"{path} has nulls in {name}")
        if batch.num_rows == 0:
            continue
        bounds = pc.min_max(batch["label"]).as_py()
        if bounds["min"] < 0 or bounds["max"] >= num_classes:
            raise refuse(f"{path} has labels outside 0..{num_classes - 1}")
        if pc.min(batch["photo_id"]).as_py() < 1:
            raise refuse(f"{path} has a photo_id below 1")
