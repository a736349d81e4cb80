"""Observations as iNaturalist itself gives them: what each column means, for its export and its API.

Both come here as rows of text, one per photo, with the columns that iNaturalist's export has (`image_url`,
`taxon_genus_name` and so on) and those that only the API knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from arboretum_metadata.vocab import INATURALIST_PHOTO, RANKS
from arboretum_tools.catalog.building.losses import LISTED
from arboretum_tools.catalog.sources.convert import marked_sql, named, spool_batches, uuid_sql
from arboretum_tools.catalog.sources.delimited import LINE
from arboretum_tools.catalog.sources.source import Reading, Rows
from arboretum_tools.tabular.query import identifier, literal, parquet_source, rows, whole_sql

#: Columns of which one has the address of the photo, in the order in which they are looked for.
ADDRESSES = ("image_url", "photo_url")

_ADDRESS = f"coalesce({', '.join(f'@{name}' for name in ADDRESSES)})"

# What iNaturalist calls iconic: kingdoms, a phylum, and classes of animals.
_KINGDOMS = ("Plantae", "Fungi", "Protozoa", "Chromista", "Animalia")
_CLASSES = ("Aves", "Mammalia", "Reptilia", "Amphibia", "Actinopterygii", "Insecta", "Arachnida")


def _one_of(values: Sequence[str], text: str) -> str:
    return f"{text} IN ({', '.join(map(literal, values))})"


_ICONIC = "@iconic_taxon_name"
_HYBRID = "(contains(@scientific_name, '×') OR lower(coalesce(@taxon_rank, '')) IN ('hybrid', 'infrahybrid'))"
# A name of two words, the second one in lower case, is a species; of three, something below it.
_BINOMIAL = "regexp_matches(@scientific_name, '^[[:upper:]][^ ]+ [[:lower:]]') AND NOT " + _HYBRID
_FILLED = {
    "kingdom": f"CASE WHEN {_one_of(_KINGDOMS, _ICONIC)} THEN {_ICONIC} "
    f"WHEN {_one_of((*_CLASSES, 'Mollusca'), _ICONIC)} THEN 'Animalia' END",
    "phylum": f"CASE WHEN {_ICONIC} = 'Mollusca' THEN {_ICONIC} END",
    "class": f"CASE WHEN {_one_of(_CLASSES, _ICONIC)} THEN {_ICONIC} END",
    "genus": f"CASE WHEN {_BINOMIAL} OR {_HYBRID} THEN split_part(@scientific_name, ' ', 1) END",
}


def _decimal(column: str) -> str:
    """A number that a spreadsheet may have given a decimal comma."""
    return f"TRY_CAST(replace({column}, ',', '.') AS DOUBLE)"


#: The raw layout, out of the columns of the text.
_COLUMNS = {
    "photo_id": f"TRY_CAST(nullif(regexp_extract({_ADDRESS}, {literal(f'(?i){INATURALIST_PHOTO}')}, 1), '') "
    "AS BIGINT)",
    "ext": f"nullif(regexp_extract({_ADDRESS}, '\\.([A-Za-z0-9]+)([?#].*)?$', 1), '')",
    "scientific_name": marked_sql("@scientific_name", _HYBRID),
    **{
        rank: f"coalesce(@taxon_{rank}_name, {_FILLED.get(rank, 'NULL')})"
        for rank in RANKS
        if rank != "species"
    },
    "species": f"CASE WHEN {_HYBRID} THEN split_part(@scientific_name, ' ', -1) ELSE "
    "coalesce(nullif(split_part(@taxon_species_name, ' ', 2), ''), "
    f"CASE WHEN {_BINOMIAL} THEN split_part(@scientific_name, ' ', 2) END) END",
    "common_name": "@common_name",
    "taxon_id": whole_sql("@taxon_id"),
    "observation_id": f"coalesce({whole_sql('@id')}, {uuid_sql('@uuid')})",
    "observer_id": whole_sql("@user_id"),
    "observer_name": "coalesce(@user_name, @user_login)",
    "license": "@photo_license",
    "life_stage": "coalesce(@life_stage, @field_life_stage)",
    "quality_grade": "@quality_grade",
    "latitude": _decimal("@latitude"),
    "longitude": _decimal("@longitude"),
    "observed_on": "TRY_CAST(substr(@observed_on, 1, 10) AS DATE)",
    "width": "TRY_CAST(@width AS INTEGER)",
    "height": "TRY_CAST(@height AS INTEGER)",
    "position": "TRY_CAST(@position AS INTEGER)",
}

# Why no photo is made of a row, and what tells which row it is.
_BAD_ID = f"@id IS NOT NULL AND {whole_sql('@id')} IS NULL"
_LOST = {
    "reason": f"CASE WHEN {_ADDRESS} IS NULL THEN 'no_address' WHEN {_BAD_ID} THEN 'bad_observation_id' "
    f"WHEN {_COLUMNS['photo_id']} IS NULL THEN 'other_host' END",
    "line": f"TRY_CAST(@{LINE} AS BIGINT)",
    "detail": f"CASE WHEN {_ADDRESS} IS NULL OR {_BAD_ID} THEN 'observation ' || coalesce(@id, @uuid, '?') "
    f"ELSE {_ADDRESS} END",
}

#: Columns of text that are asked for.
ASKED = tuple(dict.fromkeys(name for sql in (*_COLUMNS.values(), *_LOST.values()) for name in named(sql)))


def read(path: Path, texts: Iterator[tuple[str, Iterator[pa.RecordBatch]]], reading: Reading) -> Rows:
    """The photos of texts; their other rows go to the losses.

    Args:
        path: what was named, for messages.
        texts: what each is called, and its rows, with the columns ASKED as text.
        reading: see `Format.read`.
    """
    schema = pa.schema([(name, pa.string()) for name in ASKED])
    columns = {**_COLUMNS, **({"observation_uuid": "lower(@uuid)"} if reading.uuids else {})}
    written: list[Path] = []
    for label, batches in texts:
        file = reading.spool / f"text-{len(written):05d}.parquet"
        spool_batches(reading.connection, batches, schema, {**columns, **_LOST}, file)
        written.append(file)
        if reading.listed is None:
            _lose(reading, label, parquet_source([file]))
    photos = reading.spool / "photos.parquet"
    own = ", ".join(f"own.{identifier(name)}" for name in columns)
    listed = reading.listed_sql() or "own"
    reading.connection.execute(
        f"COPY (SELECT {own} FROM {parquet_source(written)} {listed} WHERE own.reason IS NULL) "
        f"TO {literal(str(photos))} (FORMAT parquet)"
    )
    for file in written:
        file.unlink()
    return Rows([photos], {photos: (str(path), False)})


def _lose(reading: Reading, label: str, relation: str) -> None:
    """Gives the rows of which no photo is made to the losses."""
    for reason, count in rows(
        reading.connection,
        f"SELECT reason, count(*) FROM {relation} WHERE reason IS NOT NULL GROUP BY 1 ORDER BY 1",
    ):
        listed = rows(
            reading.connection,
            f"SELECT line, detail FROM {relation} WHERE reason = ? ORDER BY line, detail LIMIT {LISTED}",
            [reason],
        )
        for line, detail in listed:
            line_number = int(str(line)) if line is not None else None
            reading.losses.add(str(reason), label, line=line_number, detail=str(detail))
        if (more := int(str(count)) - len(listed)) > 0:
            reading.losses.add(str(reason), label, detail="more rows of this file", rows=more)
