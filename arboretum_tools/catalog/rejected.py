"""The rows that a catalogue leaves out, each with the reason: counted, listed, and never lost without a word.

`raw` decides which they are; here they become one relation, `rejected`, over both layouts. A build writes it
into the catalogue, as its sources may be gone when someone asks.
"""

from __future__ import annotations

from pathlib import Path

from arboretum_metadata.schema import REJECTED
from arboretum_tools.catalog.built_files import REJECTED as REJECTED_FILE
from arboretum_tools.catalog.files import RawFiles
from arboretum_tools.catalog.raw import TYPES, Defects, where_is
from arboretum_tools.query import Connection, identifier, parquet_source, rows

#: Reasons in the order in which they are told.
REASONS = (
    "exact_duplicates",
    "repeated_photo_id",
    "conflicting_photos",
    "bad_photo_id",
    "bad_extension",
)

_COLUMNS = ", ".join(map(identifier, REJECTED.names))


def counts(defects: Defects) -> dict[str, int]:
    """Rows left out by reason, those that there are."""
    by_reason = {
        "exact_duplicates": defects.exact_duplicates,
        "repeated_photo_id": defects.repeated_photo_id,
        "conflicting_photos": defects.conflicting_rows,
        "bad_photo_id": defects.bad_photo_id,
        "bad_extension": defects.bad_extension,
    }
    return {reason: by_reason[reason] for reason in REASONS if by_reason[reason]}


def of_rows(connection: Connection) -> None:
    """Makes `rejected` from what `raw.prepare` made; nothing is read until it is asked."""
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
    selects = (f"SELECT '{reason}', {sql}" for reason, sql in kinds.items())
    connection.execute(f"CREATE VIEW rejected ({_COLUMNS}) AS {' UNION ALL '.join(selects)}")


def of_catalogue(connection: Connection, root: Path) -> None:
    """Makes `rejected` from the file of a built catalogue, empty where the build left nothing out."""
    file = root / REJECTED_FILE
    if file.is_file():
        connection.execute(f"CREATE VIEW rejected AS FROM {parquet_source([file])}")
        return
    columns = ", ".join(f"{identifier(c.name)} {TYPES[c.type]}" for c in REJECTED.columns)
    connection.execute(f"CREATE TABLE rejected ({columns})")


def listed_sql() -> str:
    """All rejected rows in the order of the file."""
    return f"SELECT {_COLUMNS} FROM rejected ORDER BY ALL"


def first_locations(connection: Connection, files: RawFiles) -> list[str]:
    """For each reason that occurs, where the first row of it stands, as a phrase."""
    phrases = []
    for reason in REASONS:
        found = rows(
            connection, f"SELECT photo_id FROM rejected WHERE reason = '{reason}' ORDER BY 1 LIMIT 1"
        )
        if found:
            (photo_id,) = found[0]
            location = where_is(connection, files, "@photo_id IS NOT DISTINCT FROM ?", [photo_id])
            phrases.append(f"{reason.replace('_', ' ')}, such as photo {photo_id}: {location}")
    return phrases
