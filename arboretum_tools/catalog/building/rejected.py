"""The rows that a catalogue leaves out, each with the reason: counted, listed, and never lost without a word.

`raw` decides which they are; here they become one relation, `rejected`, over both layouts. A build writes it
into the catalogue, as its sources may be gone when someone asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from arboretum_metadata.schema import REJECTED
from arboretum_tools.catalog.building.losses import REASONS as LOSSES
from arboretum_tools.catalog.building.losses import Loss
from arboretum_tools.catalog.layouts.built_files import REJECTED as REJECTED_FILE
from arboretum_tools.catalog.layouts.files import RawFiles
from arboretum_tools.catalog.layouts.raw import TYPES, Defects, where_is
from arboretum_tools.tabular.query import Connection, identifier, parquet_source, rows

#: Where a row that was left out while its source was read stands, and what is wrong with it; else NULL.
PLACE_SQL = "file || coalesce(', line ' || line, '') || coalesce(': ' || detail, '')"

#: Reasons in the order in which they are told.
REASONS = (
    *LOSSES,
    "exact_duplicates",
    "repeated_photo_id",
    "conflicting_photos",
    "bad_photo_id",
    "bad_extension",
)

# What `Loss` says of its columns, and how many are inserted at a time.
_OF_LOSS = ("reason", "rows", "file", "line", "detail")
_BATCH = 1_000

_COLUMNS = ", ".join(map(identifier, REJECTED.names))
_TYPED = ", ".join(f"{identifier(c.name)} {TYPES[c.type]}" for c in REJECTED.columns)


def counts(defects: Defects) -> dict[str, int]:
    """Rows left out by reason, those that there are."""
    by_reason = {
        "exact_duplicates": defects.exact_duplicates,
        "repeated_photo_id": defects.repeated_photo_id,
        "conflicting_photos": defects.conflicting_rows,
        "bad_photo_id": defects.bad_photo_id,
        "bad_extension": defects.bad_extension,
        **defects.losses,
    }
    return {reason: by_reason[reason] for reason in REASONS if by_reason.get(reason)}


def with_losses(defects: Defects, losses: Sequence[Loss]) -> Defects:
    """The defects of the rows that were read, and the rows that were left out while they were."""
    found = {reason: sum(loss.rows for loss in losses if loss.reason == reason) for reason in LOSSES}
    found = {reason: count for reason, count in found.items() if count}
    return replace(defects, rows=defects.rows + sum(found.values()), losses=found)


def of_rows(connection: Connection, losses: Sequence[Loss] = ()) -> None:
    """Makes `rejected` from what `raw.prepare` made and from `losses`; nothing is read until it is asked."""
    connection.execute(f"CREATE TABLE losses ({_TYPED})")
    values = ", ".join(f"unnest(?::{TYPES[REJECTED[name].type]}[]) {name}" for name in _OF_LOSS)
    for start in range(0, len(losses), _BATCH):
        # A statement for each row takes 60 times as long.
        batch = losses[start : start + _BATCH]
        lists = [[getattr(loss, name) for loss in batch] for name in _OF_LOSS]
        connection.execute(f"INSERT INTO losses BY NAME SELECT {values}", lists)
    by_class = "photo_id, class_key, min(scientific_name)"
    bad = "photo_id, NULL, scientific_name, count(*) FROM source"
    kinds = {
        "exact_duplicates": f"{by_class}, sum(copies - 1)::BIGINT FROM repeated_rows WHERE copies > 1 "
        "GROUP BY photo_id, class_key",
        "repeated_photo_id": "photo_id, min(class_key), min(scientific_name), count(*) - 1 "
        "FROM repeated_rows ANTI JOIN conflicting USING (photo_id) GROUP BY photo_id HAVING count(*) > 1",
        "conflicting_photos": f"{by_class}, count(*) FROM repeated_rows "
        "SEMI JOIN conflicting USING (photo_id) GROUP BY photo_id, class_key",
        "bad_photo_id": f"{bad} WHERE photo_id IS NULL OR photo_id < 1 GROUP BY photo_id, scientific_name",
        "bad_extension": f"{bad} WHERE photo_id >= 1 AND ext IS NULL GROUP BY photo_id, scientific_name",
    }
    nowhere = "NULL::VARCHAR, NULL::BIGINT, NULL::VARCHAR"
    selects = (
        f"SELECT '{reason}', own.*, {nowhere} FROM (SELECT {sql}) own" for reason, sql in kinds.items()
    )
    every = " UNION ALL ".join([*selects, "FROM losses"])
    connection.execute(f"CREATE VIEW rejected ({_COLUMNS}) AS {every}")


def of_catalogue(connection: Connection, root: Path) -> None:
    """Makes `rejected` from the file of a built catalogue, empty where the build left nothing out."""
    connection.execute(f"CREATE TABLE nothing_rejected ({_TYPED})")
    file = root / REJECTED_FILE
    # An older build has no column that says where a row stands.
    listed = f"UNION ALL BY NAME FROM {parquet_source([file])}" if file.is_file() else ""
    connection.execute(f"CREATE VIEW rejected AS FROM nothing_rejected {listed}")


def listed_sql() -> str:
    """All rejected rows in the order of the file."""
    return f"SELECT {_COLUMNS} FROM rejected ORDER BY ALL"


def first_locations(connection: Connection, files: RawFiles) -> list[str]:
    """For each reason that occurs, where the first row of it stands, as a phrase."""
    phrases = []
    for reason in REASONS:
        found = rows(
            connection,
            f"SELECT photo_id, {PLACE_SQL} FROM rejected WHERE reason = '{reason}' "
            "ORDER BY photo_id, file, line, detail LIMIT 1",
        )
        if found and found[0][1]:
            phrases.append(f"{reason.replace('_', ' ')}, such as {found[0][1]}")
        elif found:
            photo_id, _ = found[0]
            location = where_is(connection, files, "@photo_id IS NOT DISTINCT FROM ?", [photo_id])
            phrases.append(f"{reason.replace('_', ' ')}, such as photo {photo_id}: {location}")
    return phrases
