"""`build_catalog`: sources in, a built catalogue out, in bounded memory.

1. What is not Parquet is spooled as Parquet; the first source lists the photos, the others add columns.
2. Duplicates are resolved and names counted as for a raw catalogue (the same code); the distinct names,
   sorted as lineages, become the taxa table.
3. One pass partitions the photos into buckets: ranges of `tax` with about `bucket_photos` photos each.
4. Bucket by bucket: join what the other sources bring, sort by (tax, photo_id), write the part.
5. The finished folder takes the catalogue's name; the catalogue that was there stays whole until then.

Steps 1 to 3 leave `state.json`, each bucket leaves its own; the same build started again goes on there.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arboretum_metadata.schema import CATALOG_CLASSES, REJECTED
from arboretum_metadata.schema import TAXA as TAXA_TABLE
from arboretum_tools.catalog import sources
from arboretum_tools.catalog.building import name_changes, parts, rejected
from arboretum_tools.catalog.building.joins import joined, shared_name
from arboretum_tools.catalog.building.partitions import (
    MOST_BUCKETS,
    PARTITIONED_ROWS,
    partition,
    read_bucket,
)
from arboretum_tools.catalog.building.staging import refuse_foreign, replace_catalog, work_folder, working
from arboretum_tools.catalog.layouts import built_files, raw
from arboretum_tools.catalog.layouts.built import TAXON_COLUMNS
from arboretum_tools.catalog.layouts.files import default_path
from arboretum_tools.catalog.sources import Source
from arboretum_tools.display import notebook_views
from arboretum_tools.display.progress import shows_progress
from arboretum_tools.errors import CatalogError, UsageError
from arboretum_tools.events import Note, StageFinished, StageStarted, UnitDone
from arboretum_tools.options import takes
from arboretum_tools.options.catalog import BuildOptions
from arboretum_tools.system.atomic_files import read_json, sha256_of_json, write_json
from arboretum_tools.tabular.query import (
    Connection,
    arrow_batches,
    arrow_table,
    identifier,
    parquet_source,
    rows,
)
from arboretum_tools.taxa.identity import HYBRID_SQL
from arboretum_tools.version import __version__
from arboretum_tools.wording import counted

if TYPE_CHECKING:
    import pyarrow as pa

# Buckets that are sorted and written at a time: one thread encodes a part, so a second one fills the cores.
_WORKERS = 2

#: Longer names are taken for damage.
LONGEST_NAME = 500

_STATE = "state.json"
_ORDER = 'kingdom, phylum, class, "order", family, genus, species, scientific_name, common_name, taxon_id'


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build came to.

    Attributes:
        path: the catalogue.
        photos: photos in it.
        classes: species classes in it.
        taxa: rows of its taxa table.
        size_bytes: of all its files.
        fingerprint: see `Catalog.fingerprint`.
        defects: what was found wrong with the rows.
        coverage: photos with a value, by optional column and by source.
        notes: what the sources said.
        resumed_parts: parts that an earlier run had finished.
    """

    path: Path
    photos: int
    classes: int
    taxa: int
    size_bytes: int
    fingerprint: str
    defects: raw.Defects
    coverage: Mapping[str, Mapping[str, int]]
    notes: tuple[str, ...]
    resumed_parts: int

    _repr_html_ = notebook_views.report

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "path": str(self.path)}


@shows_progress
@takes(BuildOptions)
def build_catalog(source: str | Path | Iterable[str | Path], options: BuildOptions) -> BuildReport:
    """Builds a catalogue from published metadata, iNaturalist Open Data and GBIF, alone or joined.

    The first source that was named lists the photos, in this order: published metadata, iNaturalist's export,
    its API, Open Data, Darwin Core archives. The others add what is missing, by photo_id. The content depends
    on the sources alone, never on the order of files or threads.

    Args:
        source: files and folders: Parquet or CSV as published; iNaturalist's CSV export or answers of its
            API; the folder or tar of Open Data; a Darwin Core archive, zip or folder. Each as often as
            wanted. Links to files are followed.
        options: {options}
        threads: default all cores.
        bucket_photos: photos per part, about; memory grows with it.
        progress: draw bars where somebody watches and no `on_event` is given.
        on_event: progress.

    Raises:
        CatalogError: a source is not there, damaged, or lacks columns; file and row are named.
        TargetExistsError: `to` holds something else.
        OutOfSpaceError: the disk is full. The old catalogue is as it was.

    >>> import arboretum_tools as at
    >>> report = at.build_catalog("catalog", "built")
    >>> len(at.open_catalog("built")) == len(at.open_catalog("catalog"))
    True
    """
    paths = [Path(source)] if isinstance(source, str | Path) else [Path(path) for path in source]
    target = Path(options.to) if options.to is not None else default_path()
    found = sources.recognise(paths)
    if options.bucket_photos < 1:
        raise UsageError(f"bucket_photos must be 1 or more, not {options.bucket_photos}")
    for path in paths:
        if target.resolve().is_relative_to(path.resolve()) or path.resolve().is_relative_to(target.resolve()):
            raise UsageError(
                f"the source {path} and the catalogue at {target} are one inside the other",
                hint="Name another folder with --out.",
            )
    refuse_foreign(target)
    plan = {
        "format": built_files.FORMAT_VERSION,
        # Parts of an interrupted build from before they said their taxa are written anew.
        "parts_say": "taxa",
        "toolkit": __version__,
        "bucket_photos": options.bucket_photos,
        "strict": options.strict,
        "observation_uuid": options.observation_uuid,
        "sources": {kind: [_stamp(path) for path in members] for kind, members in found.items()},
    }
    with work_folder(target, sha256_of_json(plan)) as work, working(work, options.threads) as connection:
        build = _Build(connection, work, options)
        build.prepare(found)
        resumed = build.write_parts()
        meta = build.finish(found)
        replace_catalog(work / "new", target)
    return BuildReport(
        path=target,
        photos=meta["photos"],
        classes=meta["classes"],
        taxa=meta["taxa"],
        size_bytes=sum(file.stat().st_size for file in target.rglob("*") if file.is_file()),
        fingerprint=meta["fingerprint"],
        defects=raw.Defects(**meta["defects"]),
        coverage=meta["coverage"],
        notes=tuple(meta["notes"]),
        resumed_parts=resumed,
    )


class _Build:
    """One build in its work folder; every step looks first whether it is done."""

    def __init__(self, connection: Connection, work: Path, options: BuildOptions) -> None:
        self._connection = connection
        self._strict = options.strict
        self._optional = [c for c in parts.OPTIONAL if options.observation_uuid or c not in parts.ON_DEMAND]
        self._work = work
        self._new = work / "new"
        self._bucket_photos = options.bucket_photos
        self._on_event = options.on_event
        self._state: dict[str, Any] = {}

    def prepare(self, found: Mapping[str, Sequence[Path]]) -> None:
        """Steps 1 to 3: spool, taxa, buckets."""
        state = self._work / _STATE
        if state.is_file():
            self._state = read_json(state)
            self._connection.execute(
                f"CREATE TABLE taxa AS FROM {parquet_source([self._new / built_files.TAXA])}"
            )
            return
        for folder in ("spool", "buckets", "new"):
            shutil.rmtree(self._work / folder, ignore_errors=True)
        (self._new / built_files.PHOTOS).mkdir(parents=True)
        ready = self._read(found)
        for column in parts.ON_DEMAND:
            if column in self._optional and not any(source.files.has(column) for source in ready):
                raise UsageError(
                    f"no source has the column {column}",
                    hint="iNaturalist Open Data has it. Nothing was changed.",
                )
        base = ready[0]
        losses = [loss for source in ready for loss in source.losses]
        for source in ready[1:]:
            for column, texts in raw.unknown_values(self._connection, source.files).items():
                named = ", ".join(f"{text[:40]!r} ({count:,})" for text, count in list(texts.items())[:8])
                self._on_event(
                    Note(f"{source.kind}: {column} outside the vocabulary, taken as unknown: {named}")
                )
        self._say("counting names and duplicates", base.files.rows, "row")
        defects = raw.prepare(self._connection, base.files, self._on_event)
        defects = rejected.with_losses(defects, losses)
        rejected.of_rows(self._connection, losses)
        self._done()
        if self._strict and rejected.counts(defects):
            self._refuse_rejected(ready, defects)
        if not defects.photos:
            raise CatalogError(
                f"nothing is left of the {counted(defects.rows, 'row')}: {'; '.join(defects.sentences)}",
                hint="A photo needs an id of 1 or more and a known image extension. Nothing was changed.",
            )
        self._refuse_long_names(base)
        taxonomy = self._number_taxa()
        self._gather_inactive(ready, taxonomy)
        if rejected.counts(defects):
            to = self._new / built_files.REJECTED
            parts.write_parquet(self._connection, rejected.listed_sql(), REJECTED, to, taxonomy)
        parts.write_shared(self._connection, "shared_photos", self._new / built_files.SHARED, taxonomy)
        self._say("partitioning photos into buckets", defects.photos, "photo")
        buckets = self._deal(base, defects.photos)
        self._done()
        self._state = {
            "taxonomy": taxonomy,
            "defects": asdict(defects),
            "buckets": buckets,
            "base": base.kind,
            "has": [column for column in self._optional if base.files.has(column)],
            "joins": {
                source.kind: {
                    "files": [str(file) for file in source.files.files],
                    "has": [c for c in self._optional if source.files.has(c)],
                }
                for source in ready[1:]
            },
            "notes": [source.note for source in ready if source.note],
        }
        write_json(state, self._state)

    def write_parts(self) -> int:
        """Step 4; returns how many parts were there already."""
        resumed = 0
        self._say("sorting and writing", self._state["defects"]["rows"], "photo")
        with ThreadPoolExecutor(_WORKERS) as pool:
            try:
                for photos, fresh in pool.map(self._write_part, range(len(self._state["buckets"]))):
                    resumed += not fresh
                    self._on_event(UnitDone(photos))
            except BaseException:
                # Nothing more is begun; what is being written ends first, and is there for the next run.
                pool.shutdown(cancel_futures=True)
                raise
        self._on_event(StageFinished("sorting and writing"))
        return resumed

    def _write_part(self, number: int) -> tuple[int, bool]:
        """Writes the part of a bucket unless it is there; gives its photos, and whether it was written."""
        there = parts.finished(self._new / built_files.PHOTOS, number)
        if there is not None:
            return int(there["photos"]), False
        file = self._work / "buckets" / self._state["buckets"][number]
        joins = {
            kind: (parquet_source([Path(file) for file in join["files"]]), join["has"])
            for kind, join in self._state["joins"].items()
        }
        bucket = f"bucket_{number}"
        with self._connection.cursor() as cursor, read_bucket(cursor, file, f"{bucket}_photos") as photos:
            columns, known = joined(
                cursor,
                photos,
                base=self._state["base"],
                has=self._state["has"],
                joins=joins,
                name=bucket,
            )
            shared = shared_name(bucket)
            if rows(cursor, f"SELECT 1 FROM duckdb_tables() WHERE table_name = '{shared}'"):
                to = self._new / built_files.PHOTOS / parts.shared_part(number)
                parts.write_shared(cursor, shared, to, self._state["taxonomy"])
                cursor.execute(f"DROP TABLE {shared}")
            counts = parts.write_part(
                cursor,
                bucket,
                columns,
                folder=self._new / built_files.PHOTOS,
                number=number,
                taxonomy=self._state["taxonomy"],
                known=known,
            )
            cursor.execute(f"DROP TABLE {bucket}")
        return counts.photos, True

    def finish(self, found: Mapping[str, Sequence[Path]]) -> dict[str, Any]:
        """The rest of step 4: what all parts together count, and catalog.json."""
        folder = self._new / built_files.PHOTOS
        every = [parts.finished(folder, number) or {} for number in range(len(self._state["buckets"]))]
        known = parts.coverage(every)
        meta = {
            **catalog_json(self._connection, every, self._state["taxonomy"]),
            "defects": self._state["defects"],
            # One without a single value counts as absent, as in a raw catalogue.
            "columns": [
                column
                for column in parts.OPTIONAL
                if column in known and (column == "life_stage_source" or any(known[column].values()))
            ],
            "coverage": known,
            "notes": self._state["notes"],
            "sources": [
                {"kind": kind, "names": [path.name for path in paths]} for kind, paths in found.items()
            ],
            "annotations": [],
        }
        close_folder(self._connection, self._new, meta)
        return meta

    def _read(self, found: Mapping[str, Sequence[Path]]) -> list[Source]:
        ready: list[Source] = []
        for position, (kind, paths) in enumerate(found.items()):
            spool = self._work / "spool" / str(position)
            spool.mkdir(parents=True)
            self._say(f"reading {kind}", None, "row")
            base = ready[0] if ready else None
            uuids = "observation_uuid" in self._optional
            ready.append(sources.read(kind, paths, spool, self._connection, base, uuids=uuids))
            self._done()
            if ready[-1].note:
                self._on_event(Note(f"{kind}: {ready[-1].note}"))
        return ready

    def _number_taxa(self) -> str:
        """Makes `taxa` and writes taxa.parquet and classes.parquet; gives the hash of the taxa."""
        self._connection.execute(
            f"CREATE TABLE taxa AS SELECT (row_number() OVER (ORDER BY {_ORDER}) - 1)::INTEGER AS tax, "
            f'taxon_id, scientific_name, common_name, kingdom, phylum, class, "order", family, genus, '
            f"species, class_key, {HYBRID_SQL} AS hybrid, n, n_catalog "
            "FROM lineages LEFT JOIN (SELECT class_key, n_catalog FROM classes) USING (class_key)"
        )
        taxonomy = parts.taxonomy_of(arrow_table(self._connection, "FROM taxa ORDER BY tax"))
        columns = ", ".join(map(identifier, TAXA_TABLE.names))
        write = (
            (f"SELECT {columns} FROM taxa ORDER BY tax", TAXA_TABLE, built_files.TAXA),
            ("SELECT * FROM classes ORDER BY class_key", CATALOG_CLASSES, built_files.CLASSES),
        )
        for sql, table, name in write:
            parts.write_parquet(self._connection, sql, table, self._new / name, taxonomy)
        return taxonomy

    def _gather_inactive(self, ready: Sequence[Source], taxonomy: str) -> None:
        for source in ready:
            if source.inactive:
                listed = None if source is ready[0] else parquet_source(source.files.files)
                to = self._new / built_files.INACTIVE
                name_changes.gather(self._connection, source.inactive, listed, to, taxonomy)

    def _deal(self, base: Source, photos: int) -> list[str]:
        """Writes the photos into one file per bucket; gives the files in the order of `tax`."""
        columns = ["photo_id", "ext", "url", *(c for c in self._optional if base.files.has(c))]
        same = " AND ".join(f"p.{c} IS NOT DISTINCT FROM t.{c}" for c in map(identifier, TAXON_COLUMNS))
        size = max(self._bucket_photos, -(-photos // MOST_BUCKETS))
        sql = (
            f"SELECT {', '.join(f'p.{identifier(c)}' for c in columns)}, t.tax, t.bucket "
            f"FROM photos p JOIN (SELECT *, ((sum(n) OVER (ORDER BY tax) - n) // {size})::INTEGER "
            f"AS bucket FROM taxa) t ON {same}"
        )

        def told() -> Iterator[pa.RecordBatch]:
            for batch in arrow_batches(self._connection, sql, size=PARTITIONED_ROWS):
                yield batch
                self._on_event(UnitDone(batch.num_rows))

        return [bucket.file.name for bucket in partition(told(), self._work / "buckets").values()]

    def _refuse_rejected(self, ready: Sequence[Source], defects: raw.Defects) -> None:
        listed = "; ".join(f"{count:,} {what}" for what, count in rejected.counts(defects).items())
        locations = "\n  ".join(rejected.first_locations(self._connection, ready[0].files))
        kinds = " and ".join(source.kind for source in ready if source is ready[0] or source.losses)
        raise CatalogError(
            f"rows of {kinds} would be left out ({listed.replace('_', ' ')}):\n  {locations}",
            hint="Without --strict they are left out by fixed rules and listed in rejected.parquet of the "
            "catalogue. Nothing was changed.",
        )

    def _refuse_long_names(self, base: Source) -> None:
        for column in raw.NAME_COLUMNS:
            found = rows(
                self._connection,
                f"SELECT left({identifier(column)}, 40), length({identifier(column)}) FROM lineages "
                f"WHERE length({identifier(column)}) > {LONGEST_NAME} ORDER BY ALL LIMIT 1",
            )
            if found:
                begin, length = found[0]
                raise CatalogError(
                    f"a {column} has {int(str(length)):,} characters and begins {begin!r}: "
                    f"{raw.where_is(self._connection, base.files, f'length(@{column}) > ?', [LONGEST_NAME])}",
                    hint=f"No name has more than {LONGEST_NAME}: the file is damaged. Nothing was changed.",
                )

    def _say(self, stage: str, total: int | None, unit: str) -> None:
        self._stage = stage
        self._on_event(StageStarted(stage, total, unit))

    def _done(self) -> None:
        self._on_event(StageFinished(self._stage))


def catalog_json(connection: Connection, every: Sequence[Mapping[str, Any]], taxonomy: str) -> dict[str, Any]:
    """What catalog.json says of the parts; the caller adds columns, sources and coverage."""
    (counts,) = rows(connection, "SELECT count(*), count(DISTINCT class_key) FROM taxa")
    return {
        "format_version": built_files.FORMAT_VERSION,
        "toolkit_version": __version__,
        "taxonomy": taxonomy,
        "fingerprint": parts.fingerprint(every),
        "photos": sum(part["photos"] for part in every),
        "taxa": int(str(counts[0])),
        "classes": int(str(counts[1])),
        "parts": len(every),
        "part_taxa": [part["taxa"] for part in every],
    }


def close_folder(connection: Connection, new: Path, meta: Mapping[str, Any]) -> None:
    """Gathers the tallies, removes what only a build needs, and writes catalog.json, which makes it whole."""
    folder = new / built_files.PHOTOS
    parts.gather_tallies(connection, folder, meta["parts"], new / built_files.COUNTS, meta["taxonomy"])
    shared = sorted(folder.glob(parts.SHARED_PARTS))
    if shared:
        parts.write_shared(connection, parquet_source(shared), new / built_files.SHARED, meta["taxonomy"])
    for path in [*folder.glob("*.json"), *folder.glob("tally-*.parquet"), *shared]:
        path.unlink()
    write_json(new / built_files.CATALOG_JSON, meta)


def _stamp(path: Path) -> list[Any]:
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return [[str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns] for f in files]
