"""Photos of a range of taxa, sorted and written as one part of a built catalogue, with what it counts.

Both `build` and `annotate` end here. A part is finished when its `.json` is there, written last: that is
what a build that was interrupted goes on from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from arboretum_metadata.schema import BUILT_PHOTOS, CATALOG_COUNTS, SHARED_PHOTOS, Table
from arboretum_tools.catalog.layouts.built import COUNTED_COLUMNS
from arboretum_tools.catalog.layouts.built_files import part_name
from arboretum_tools.catalog.layouts.relations import fingerprint_of
from arboretum_tools.stable_key import key_sql
from arboretum_tools.system.atomic_files import canonical_json, read_json, whole_file, write_json
from arboretum_tools.tabular.query import Connection, arrow_batches, identifier, parquet_source, rows
from arboretum_tools.tabular.tables import METADATA_KEY, PHOTO_ENCODINGS, arrow_schema
from arboretum_tools.version import __version__

#: Rows per row group: small enough to prune to a family, large enough to compress.
ROW_GROUP_ROWS = 122_880

#: Columns of a photo that a source may or may not have.
OPTIONAL = tuple(
    column.name for column in BUILT_PHOTOS.columns if column.name not in ("photo_id", "tax", "ext", "url")
)

#: Of these, what a build keeps only if it is asked to: larger than all the rest, and rarely needed.
ON_DEMAND = ("observation_uuid",)


@dataclass(frozen=True, slots=True)
class PartCounts:
    """What one part holds.

    Attributes:
        photos: rows.
        taxa: its least and its greatest `tax`.
        keys: sum of the photos' fingerprint keys by class_key ("" = none).
        known: photos with a value, by column and by where the value comes from.
    """

    photos: int
    taxa: tuple[int, int]
    keys: Mapping[str, int]
    known: Mapping[str, Mapping[str, int]]


def write_part(
    connection: Connection,
    relation: str,
    columns: Sequence[str],
    *,
    folder: Path,
    number: int,
    taxonomy: str,
    known: Mapping[str, Mapping[str, int]],
) -> PartCounts:
    """Writes a relation of photos as part `number`, its tallies beside it, and last what it counts.

    Args:
        connection: has `relation` and the table `taxa`.
        relation: a table with photo_id, tax, ext, url and `columns`.
        columns: the optional columns that this catalogue has.
        folder: where parts are written.
        number: of the part.
        taxonomy: hash of the taxa table.
        known: photos with a value, by column and source.
    """
    listed = ["photo_id", "tax", "ext", "url", *columns]
    chosen = ", ".join(map(identifier, listed))
    write_parquet(
        connection,
        f"SELECT {chosen} FROM {relation} ORDER BY tax, photo_id",
        BUILT_PHOTOS,
        folder / part_name(number),
        taxonomy,
    )
    observed = "count(observation_id)" if "observation_id" in columns else "0"
    by = ", ".join(c if c in columns else f"NULL::VARCHAR AS {c}" for c in COUNTED_COLUMNS)
    tally = f"{relation}_tally"
    connection.execute(
        f"CREATE TABLE {tally} AS SELECT tax, {by}, count(*) AS n, {observed}::BIGINT AS n_observation, "
        f"sum({key_sql('photo_id', 'fingerprint', 0)}) AS keys FROM {relation} GROUP BY ALL"
    )
    write_parquet(
        connection,
        f"SELECT * EXCLUDE (keys) FROM {tally} ORDER BY ALL",
        CATALOG_COUNTS,
        folder / f"tally-{number:05d}.parquet",
        taxonomy,
    )
    sums = rows(
        connection,
        f"SELECT coalesce(class_key, ''), sum(keys), sum({tally}.n) FROM {tally} JOIN taxa USING (tax) "
        "GROUP BY 1",
    )
    ((first, last),) = rows(connection, f"SELECT min(tax), max(tax) FROM {tally}")
    connection.execute(f"DROP TABLE {tally}")
    counts = PartCounts(
        photos=sum(int(str(photos)) for _, _, photos in sums),
        taxa=(int(str(first)), int(str(last))),
        keys={str(name): int(str(keys)) for name, keys, _ in sums},
        known=known,
    )
    write_json(
        folder / f"part-{number:05d}.json",
        {
            "photos": counts.photos,
            "taxa": counts.taxa,
            "keys": fingerprint_terms(counts.keys),
            "known": counts.known,
        },
    )
    return counts


def fingerprint_terms(keys: Mapping[str, int]) -> str:
    """What the photos of some classes add to the fingerprint; such terms add up mod 2^64."""
    return fingerprint_of(keys.items())


def finished(folder: Path, number: int) -> Mapping[str, Any] | None:
    """What a finished part counted; None if it is not finished."""
    path = folder / f"part-{number:05d}.json"
    return dict(read_json(path)) if path.is_file() else None


def fingerprint(parts: Iterable[Mapping[str, Any]]) -> str:
    """The fingerprint of a catalogue from those of its parts."""
    return f"{sum(int(part['keys'], 16) for part in parts) % 2**64:016x}"


def coverage(parts: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Photos with a value, by column and by where it comes from."""
    total: dict[str, dict[str, int]] = {}
    for part in parts:
        for column, by_source in part["known"].items():
            here = total.setdefault(column, {})
            for source, count in by_source.items():
                here[source] = here.get(source, 0) + count
    return total


#: The files that `shared_part` names.
SHARED_PARTS = "shared-*.parquet"


def gather_tallies(connection: Connection, folder: Path, parts: int, to: Path, taxonomy: str) -> None:
    """Writes counts.parquet from the tallies of all parts."""
    files = [folder / f"tally-{number:05d}.parquet" for number in range(parts)]
    write_parquet(connection, f"FROM {parquet_source(files)} ORDER BY ALL", CATALOG_COUNTS, to, taxonomy)


def shared_part(number: int) -> str:
    """File name of the photos of a part that have several observations, until all parts are there."""
    return f"shared-{number:05d}.parquet"


def write_shared(connection: Connection, relation: str, to: Path, taxonomy: str) -> None:
    """Writes the photos that have several observations, if there are any."""
    if connection.execute(f"SELECT 1 FROM {relation} LIMIT 1").fetchall():
        write_parquet(connection, f"FROM {relation} ORDER BY ALL", SHARED_PHOTOS, to, taxonomy)


def write_parquet(connection: Connection, sql: str, table: Table, to: Path, taxonomy: str) -> None:
    """Writes the result of a query as Parquet, whole or not at all, marked with the taxa table's hash.

    Args:
        connection: asks.
        sql: a query whose columns are among those of `table`; the file has these, in the table's order.
        table: gives types and order.
        to: the file.
        taxonomy: hash of the taxa table.
    """
    text = canonical_json({"toolkit_version": __version__, "taxonomy": taxonomy})
    there = connection.execute(f"DESCRIBE {sql}").fetchall()
    names = {name for name, *_ in there}
    fields = [field for field in arrow_schema(table) if field.name in names]
    schema = pa.schema(fields, metadata={METADATA_KEY: text.encode()})
    coded = {name: coding for name, coding in PHOTO_ENCODINGS.items() if name in names}
    with (
        whole_file(to) as temporary,
        # One writer, one batch a row group: DuckDB's own writer would mark columns as required from part to
        # part as it happens to find no null, and then readers refuse to read the parts together.
        pq.ParquetWriter(
            temporary,
            schema,
            compression="zstd",
            compression_level=3,
            use_dictionary=[field.name for field in fields if field.name not in coded],
            column_encoding=coded,
        ) as writer,
    ):
        for batch in arrow_batches(connection, sql, size=ROW_GROUP_ROWS):
            columns = [batch.column(field.name).cast(field.type) for field in fields]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))


def taxonomy_of(taxa: pa.Table) -> str:
    """16 hex digits that stand for a taxa table: its names, not how many photos they have."""
    digest = hashlib.sha256()
    names = [name for name in taxa.column_names if name not in ("n", "n_catalog")]
    for batch in taxa.select(names).to_batches(max_chunksize=100_000):
        columns = (batch.column(name).to_pylist() for name in names)
        digest.update("".join(f"{row!r}\n" for row in zip(*columns, strict=True)).encode())
    return digest.hexdigest()[:16]
