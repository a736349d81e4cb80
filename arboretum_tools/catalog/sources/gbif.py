"""GBIF's Darwin Core archive of iNaturalist (dataset 50c9509d-22c7-4a22-a47d-8c48425ef4a7).

A zip (or its folder) with `occurrence.txt` and `multimedia.txt`: tab-separated, no quotes, joined by
`gbifID`. The photo id stands in the address of the picture. `catalogNumber` is the observation's number. GBIF
takes research-grade observations only.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from arboretum_metadata.vocab import INATURALIST_PHOTO, RANKS
from arboretum_tools.catalog.files import RawFiles
from arboretum_tools.catalog.sources.convert import Bundle, spool_bundle
from arboretum_tools.catalog.sources.delimited import folder_members, zip_members
from arboretum_tools.catalog.spellings import value_sql
from arboretum_tools.query import Connection, identifier, literal, parquet_source, rows, whole_sql

NAME = "GBIF"

_FILES = ("occurrence.txt", "multimedia.txt")

_COLUMNS = {
    "occurrence.txt": {
        "gbif_id": "@gbifID",
        **{rank: f"@{rank}" for rank in RANKS if rank != "species"},
        "species": "coalesce(@specificEpithet, nullif(split_part(@species, ' ', 2), ''))",
        "scientific_name": "coalesce(@species, @genus || ' ' || @specificEpithet, @scientificName)",
        "observation_id": whole_sql("@catalogNumber"),
        "observer_name": "@recordedBy",
        "life_stage": value_sql("life_stage", "@lifeStage"),
        "stated_stage": "@lifeStage",
        "iucn": "@iucnRedListCategory",
        "latitude": "TRY_CAST(@decimalLatitude AS DOUBLE)",
        "longitude": "TRY_CAST(@decimalLongitude AS DOUBLE)",
        "observed_on": "TRY_CAST(substr(@eventDate, 1, 10) AS DATE)",
    },
    "multimedia.txt": {
        "gbif_id": "@gbifID",
        "photo_id": (
            # Other hosts number their photos as well: theirs are other organisms.
            f"TRY_CAST(regexp_extract(@identifier, {literal(f'(?i){INATURALIST_PHOTO}')}, 1) AS BIGINT)"
        ),
        "ext": "nullif(regexp_extract(@identifier, '\\.([A-Za-z0-9]+)([?#].*)?$', 1), '')",
        "license": "@license",
    },
}

_NEEDED = {"occurrence.txt": ("gbifID",), "multimedia.txt": ("gbifID", "identifier")}

# Stages outside the vocabulary that are named in the note.
_SHOWN = 8

_BUNDLE = Bundle(
    files=_FILES,
    columns=_COLUMNS,
    needed=_NEEDED,
    called="a Darwin Core archive of GBIF",
    whole="Ask GBIF for the format Darwin Core Archive, which has both; the simple CSV has no photos.",
    shape="a Darwin Core archive as GBIF writes it",
)


def recognises(path: Path) -> bool:
    """Whether a path is a zip, or a folder with these files."""
    if path.is_dir():
        return "occurrence.txt" in folder_members(path, _FILES)
    return path.is_file() and (path.suffix == ".zip" or zipfile.is_zipfile(path))


def read(path: Path, spool_folder: Path, connection: Connection, base: RawFiles | None) -> str:
    """Writes `photos.parquet` with the columns of the raw layout; as `open_data.read`.

    Returns:
        A sentence on life stages outside the vocabulary, or "".
    """
    members = folder_members(path, _FILES) if path.is_dir() else zip_members(path, _FILES)
    files = spool_bundle(connection, _BUNDLE, path, members, spool_folder)
    occurrences, media = (parquet_source([files[name]]) for name in _FILES)
    listed = f"own SEMI JOIN {parquet_source(base.files)} base USING (photo_id)" if base else ""
    ranks = ", ".join(map(identifier, RANKS))
    order = ", ".join(map(identifier, _COLUMNS["occurrence.txt"]))
    connection.execute(
        f"""
        COPY (
            WITH media AS (FROM {media} {listed} WHERE photo_id IS NOT NULL),
            occurrences AS (FROM {occurrences} SEMI JOIN media USING (gbif_id)
                QUALIFY row_number() OVER (PARTITION BY gbif_id ORDER BY {order}) = 1)
            SELECT photo_id, scientific_name, {ranks}, NULL::VARCHAR AS common_name, ext, observation_id,
                observer_name, license, life_stage, 'research' AS quality_grade, latitude, longitude,
                observed_on, iucn
            FROM media JOIN occurrences USING (gbif_id)
        ) TO {literal(str(spool_folder / "photos.parquet"))} (FORMAT parquet)
        """
    )
    unmapped = rows(
        connection,
        f"SELECT stated_stage, count(*) FROM {occurrences} WHERE life_stage IS NULL AND stated_stage IS NOT "
        "NULL GROUP BY 1 ORDER BY 2 DESC, 1",
    )
    for file in files.values():
        file.unlink()
    if not unmapped:
        return ""
    named = ", ".join(f"{stage!r} ({int(str(count)):,})" for stage, count in unmapped[:_SHOWN])
    return f"occurrences with a life stage outside the vocabulary, left unknown: {named}"
