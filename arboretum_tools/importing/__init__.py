"""Making an image store of files: the images of a published split, or a folder per class.

Every file passes the checks of a download. What the store holds already is not read again; what it lacks is.
The folder is only read.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from arboretum_metadata.schema import LEFT_OUT_FILES
from arboretum_tools.catalog.saving import save_rows
from arboretum_tools.display.progress import shows_progress
from arboretum_tools.downloading.resize import Resize
from arboretum_tools.errors import BadInputError, UsageError
from arboretum_tools.events import PhotoDone, StageFinished, StageStarted, UnitDone
from arboretum_tools.importing import catalog_file
from arboretum_tools.importing.listing import File, files_of_classes, files_of_split
from arboretum_tools.importing.reading import Reader
from arboretum_tools.importing.report import ImportReport, LeftOut
from arboretum_tools.options import takes
from arboretum_tools.options.download import ImportOptions
from arboretum_tools.split.files.content_hashes import ids_of
from arboretum_tools.split.files.manifest import Split, open_split
from arboretum_tools.store import inventory
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.store.shards.layout import PATHS, StoreConfig, check_place
from arboretum_tools.store.storage import as_named, storage_at
from arboretum_tools.store.writer import StoreWriter
from arboretum_tools.system.atomic_files import check_output, check_suffix, refuse_inside
from arboretum_tools.system.temporary_folders import TemporaryFolder
from arboretum_tools.tabular import query

_LISTING = pa.schema(
    {
        "number": pa.int64(),
        "photo_id": pa.int64(),
        "path": pa.string(),
        "url": pa.string(),
        "label": pa.string(),
        "size_bytes": pa.int64(),
        "status": pa.string(),
        "reason": pa.string(),
    }
)

# Files that are Python objects at one time.
_BLOCK = 2_000

# What a file has come to: how the store has it now, and why it is left out.
_NOW = """
CREATE OR REPLACE TABLE now AS
WITH known AS (
    SELECT photo_id, max_by(
        struct_pack(status := status, url := url, source_bytes := source_bytes, error := error),
        (status = 'ok')::BIGINT * 281474976710656 + shard
    ) AS best
    FROM {index} SEMI JOIN listing USING (photo_id) GROUP BY photo_id
)
SELECT listing.*, best.status AS state, best.error AS error,
    coalesce(best.status = 'ok' AND (best.url <> url OR best.source_bytes <> size_bytes), false) AS changed
FROM listing LEFT JOIN known USING (photo_id)
"""

_LEFT_OUT = """
SELECT path, CASE WHEN changed THEN 'changed' ELSE state END AS status,
    CASE WHEN changed THEN 'other bytes of this path are in the store' ELSE coalesce(error, '') END AS reason
FROM now WHERE changed OR state <> 'ok'
"""


@shows_progress
@takes(ImportOptions)
def import_images(folder: str | Path, options: ImportOptions) -> ImportReport:
    """Makes an image store of the files of a folder, each checked as a download checks a photo.

    With an imported split, those that it names are taken, under its photo ids. Without one, the folder has a
    folder per class; a photo id is then a hash of the file's path, and `out` becomes a catalogue that says
    which photo is of which class. Called again, it takes what has come since, and what was left out.

    Links are not followed. A file that is no whole image, or cannot be read, is written down in the store
    with the reason.

    Args:
        folder: the folder; it is only read.
        options: {options}
        progress: draw bars where somebody watches and no `on_event` is given.
        on_event: called with each event of `arboretum_tools.events`, in order, by the thread that works.

    Raises:
        BadInputError: the folder is not there, holds no file to import, or a folder in it is not named after
            a species; nothing was changed.
        SplitError: the split was not imported.
        StoreError: the store holds other photos, another resize, or another command writes into it.
        TargetExistsError: `images`, `out` or `left_out` holds something else.
        OutOfSpaceError: the disk is full; what was imported is kept.
        UsageError: neither a split nor `out` is given, or a value that an option does not take.
        KeyboardInterrupt: Ctrl-C; what was imported is kept, and the same call goes on from there.

    >>> import arboretum_tools as at
    >>> split = at.open_split("splits/aves-lt100")
    >>> report = at.export(split, images="images", to="birds", format="imagefolder")
    >>> at.import_images("birds/train", images="mine", out="mine.parquet").images
    956
    >>> at.make_split(at.open_catalog("mine.parquet"), lt_ratio=10, store="mine").num_classes
    9
    """
    began, folder = time.monotonic(), Path(folder)
    what = _checked(folder, options)
    resize = None if options.resize is None else Resize(options.resize, options.resize_filter or "area")
    with (
        TemporaryFolder("import") as own,
        closing(query.connect()) as connection,
        query.plain_errors(f"comparing {folder} with the image store"),
    ):
        files = files_of_classes(folder) if what is None else files_of_split(folder, what)
        _list(connection, own / "listing.parquet", files, options)
        _check_listing(connection, folder, what)
        if what is None:
            labels = query.rows(
                connection, "SELECT DISTINCT label FROM listing WHERE label IS NOT NULL ORDER BY label"
            )
            taxa = catalog_file.taxa([str(label) for (label,) in labels], options.names)
            pq.write_table(taxa, own / "taxa.parquet")
            _view(connection, "taxa", own / "taxa.parquet")
        run = _Run(connection, options, Reader(folder, options.max_pixels, options.check == "decode", resize))
        config = StoreConfig(
            "original",
            None if resize is None else resize.to_dict(),
            PATHS if what is None else ids_of(what.files),
        )
        run.fill(config)
        store = ImageStore.open(storage_at(options.images))
        connection.execute(_NOW.format(index=inventory.index_source(store.index_files())))
        if options.out is not None and what is None:
            catalog_file.write(Path(options.out), store, connection, own, overwrite=options.overwrite)
        if options.left_out is not None:
            rows = query.arrow_batches(connection, f"{_LEFT_OUT} ORDER BY path, status")
            save_rows(Path(options.left_out), rows, LEFT_OUT_FILES, {})
        return run.report(folder, what, time.monotonic() - began)


def _checked(folder: Path, options: ImportOptions) -> Split | None:
    """The split whose files are asked for, once nothing speaks against beginning."""
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "is not there"
        raise BadInputError(f"{folder} {what}; nothing was imported", hint="Name the folder of the images.")
    split = options.split
    if split is None and options.out is None:
        raise UsageError(
            "without a split, the folders are the classes, and a catalogue has to record them",
            hint="Name its file, such as --out photos.parquet, or the imported split with --split.",
        )
    if split is not None and options.out is not None:
        raise UsageError(
            "a split knows its photos, and no catalogue is made of them", hint="Leave --out or --split out."
        )
    for path, suffixes in ((options.out, (".parquet",)), (options.left_out, (".parquet", ".csv"))):
        if path is None:
            continue
        check_suffix(Path(path), suffixes)
        # A catalogue is compared when it is made: the same one is left as it is.
        check_output(Path(path), overwrite=options.overwrite or path == options.out, inputs=[folder])
    storage = storage_at(options.images)
    if not storage.remote:
        refuse_inside(storage.scratch, [folder])
    check_place(storage)
    if split is None:
        return None
    split = split if isinstance(split, Split) else open_split(split)
    if split.files is None:
        raise BadInputError(
            f"the split {split.path or split.name} was not imported and names no files; nothing was changed",
            hint="`arboretum download --split` fetches photos of iNaturalist; a folder per class needs "
            "no split, but --out.",
        )
    return split


def _list(connection: query.Connection, path: Path, files: Iterable[File], options: ImportOptions) -> None:
    """Writes the files down, and makes them the table `listing`."""
    options.on_event(StageStarted("list", None, "file"))
    with pq.ParquetWriter(path, _LISTING, compression="zstd") as writer:
        for block in _blocks(files):
            writer.write_batch(pa.RecordBatch.from_pylist(block, schema=_LISTING))
            options.on_event(UnitDone(len(block)))
    options.on_event(StageFinished("list"))
    _view(connection, "listing", path)


def _blocks(files: Iterable[File]) -> Iterator[list[dict[str, Any]]]:
    block: list[dict[str, Any]] = []
    for number, file in enumerate(files):
        names = ("photo_id", "path", "url", "label", "size_bytes", "status", "reason")
        block.append({"number": number} | {name: getattr(file, name) for name in names})
        if len(block) == _BLOCK:
            yield block
            block = []
    if block:
        yield block


def _view(connection: query.Connection, name: str, path: Path) -> None:
    connection.execute(f"CREATE VIEW {name} AS SELECT * FROM {query.parquet_source([path])}")


def _check_listing(connection: query.Connection, folder: Path, split: Split | None) -> None:
    """Refuses a folder of which nothing can be taken, and two files of one number."""
    twice = query.rows(
        connection,
        "SELECT min(path), max(path) FROM listing GROUP BY photo_id HAVING count(*) > 1 ORDER BY ALL LIMIT 1",
    )
    for one, other in twice:
        raise BadInputError(
            f"{one} and {other} in {folder} have the same photo id; nothing was imported",
            hint="Rename one of them: the id is a hash of the path.",
        )
    ((usable, first),) = query.rows(
        connection, "SELECT count(*) FILTER (status IS NULL), arg_min(path, number) FROM listing"
    )
    if usable:
        return
    if split is None:
        raise BadInputError(
            f"{folder} has no file in a folder of a class; nothing was imported",
            hint="Each class has a folder of its own in it, such as 'Vulpes vulpes/IMG_1.JPG'.",
        )
    raise BadInputError(
        f"none of the files that the split {split.path or split.name} names is in {folder}; nothing was "
        f"imported. The first would be {folder / str(first)}",
        hint="Name the folder in which the paths of the split's files.parquet begin.",
    )


@dataclass(slots=True)
class _Run:
    """Fills the store, and counts.

    Attributes:
        connection: has the listing.
        options: of the import.
        reader: makes photos of files.
        tried: files that were read.
        stored: images that were stored.
        size_bytes: their bytes.
    """

    connection: query.Connection
    options: ImportOptions
    reader: Reader
    tried: int = 0
    stored: int = 0
    size_bytes: int = 0

    def fill(self, config: StoreConfig) -> None:
        """Reads every file that the store does not hold, and adds what became of it."""
        on_event = self.options.on_event
        with StoreWriter.create(self.options.images, config, on_event=on_event) as writer:
            store = ImageStore.open(writer.storage)
            self.connection.execute(_NOW.format(index=inventory.index_source(store.index_files())))
            ((files, left),) = query.rows(
                self.connection,
                "SELECT count(*), count(*) FILTER (state IS NULL OR state NOT IN "
                "('ok', 'withdrawn')) FROM now",
            )
            on_event(StageStarted("import", int(str(files)), "file", done=int(str(files)) - int(str(left))))
            before: dict[int, tuple[str | None, str | None]] = {}
            for record, data in self.reader.read_all(self._to_do(before)):
                self.tried += 1
                # What is as it was is not written down twice.
                if (record.status, record.error) != before.pop(record.photo_id):
                    writer.add(record, data)
                if data is not None:
                    self.stored += 1
                    self.size_bytes += len(data)
                on_event(PhotoDone(record.photo_id, record.status, len(data or b"")))
            on_event(StageFinished("import"))

    def _to_do(self, before: dict[int, tuple[str | None, str | None]]) -> Iterator[dict[str, Any]]:
        batches = query.arrow_batches(
            self.connection,
            "SELECT photo_id, path, url, status, reason, state, error FROM now "
            "WHERE state IS NULL OR state NOT IN ('ok', 'withdrawn') ORDER BY number",
            size=_BLOCK,
        )
        for batch in batches:
            for file in batch.to_pylist():
                before[file["photo_id"]] = file["state"], file["error"]
                yield file

    def report(self, folder: Path, split: Split | None, seconds: float) -> ImportReport:
        """What it came to."""
        ((files, images, classes),) = query.rows(
            self.connection,
            "SELECT count(*), count(*) FILTER (state = 'ok'), count(DISTINCT label) FILTER (state = 'ok') "
            "FROM now",
        )
        reasons = query.rows(
            self.connection,
            f"SELECT status, {inventory.REASON} AS why, count(*) AS n, min(path) FROM "
            f"(SELECT path, status, reason AS error FROM ({_LEFT_OUT})) GROUP BY status, why "
            "ORDER BY n DESC, status, why LIMIT 20",
        )
        return ImportReport(
            folder=str(folder),
            store=str(as_named(self.options.images)),
            files=int(str(files)),
            images=int(str(images)),
            tried=self.tried,
            stored=self.stored,
            size_bytes=self.size_bytes,
            left_out=tuple(LeftOut(str(s), str(why), int(str(n)), str(path)) for s, why, n, path in reasons),
            classes=None if split is not None else int(str(classes)),
            catalog=None if self.options.out is None else Path(self.options.out),
            seconds=seconds,
        )
