"""Darwin Core archives: GBIF's downloads, iNaturalist's own (`gbif-observations-dwca.zip`), those of others.

The id of a photo stands in the address of the picture, or in that of its page. `catalogNumber` is the number
of the observation. Photos of other publishers are no photos of iNaturalist, whatever their addresses look
like: they are counted by publisher. iNaturalist gives its research-grade observations to GBIF, and no others.
"""

from __future__ import annotations

from pathlib import Path

from arboretum_metadata.vocab import INATURALIST_PAGE, INATURALIST_PHOTO, RANKS
from arboretum_tools.catalog.building.spellings import value_sql
from arboretum_tools.catalog.sources.archive import ID, is_archive, open_archive
from arboretum_tools.catalog.sources.convert import marked_sql, spool
from arboretum_tools.catalog.sources.source import Reading, Rows
from arboretum_tools.tabular.query import identifier, literal, parquet_source, rows, whole_sql

NAME = "GBIF"

# iNaturalist's own archive has `scientificName` alone: its first two words are genus and epithet, where its
# rank is species or lower. A hybrid keeps its whole name, without the authors that follow it at GBIF.
_BARE = "trim(replace(@scientificName, coalesce(@scientificNameAuthorship, ''), ''))"
_BINOMIAL = (
    f"nullif(concat_ws(' ', split_part({_BARE}, ' ', 1), nullif(split_part({_BARE}, ' ', 2), '')), '')"
)
_HYBRID = "(contains(@scientificName, '×') OR lower(@taxonRank) IN ('hybrid', 'infrahybrid'))"
_BELOW_GENUS = "lower(@taxonRank) IN ('species', 'subspecies', 'variety', 'form', 'infraspecies')"

_CORE = {
    "archive_id": f"@{ID}",
    **{rank: f"@{rank}" for rank in RANKS if rank != "species"},
    "species": f"CASE WHEN {_HYBRID} THEN split_part({_BARE}, ' ', -1) ELSE "
    "coalesce(@specificEpithet, nullif(split_part(@species, ' ', 2), ''), "
    f"CASE WHEN {_BELOW_GENUS} THEN nullif(split_part({_BARE}, ' ', 2), '') END) END",
    "scientific_name": f"CASE WHEN {_HYBRID} THEN {marked_sql(_BARE, _HYBRID)} ELSE "
    f"coalesce(@species, @genus || ' ' || @specificEpithet, CASE WHEN {_BELOW_GENUS} THEN {_BINOMIAL} END, "
    "@scientificName) END",
    # Others number their taxa as well.
    "taxon_id": f"CASE WHEN lower(@institutionCode) = 'inaturalist' THEN {whole_sql('@taxonID')} END",
    "observation_id": whole_sql("@catalogNumber"),
    "observer_name": "coalesce(@recordedBy, @inaturalistLogin)",
    "life_stage": value_sql("life_stage", "@lifeStage"),
    "stated_stage": "@lifeStage",
    "iucn": "@iucnRedListCategory",
    "latitude": "TRY_CAST(@decimalLatitude AS DOUBLE)",
    "longitude": "TRY_CAST(@decimalLongitude AS DOUBLE)",
    "observed_on": "TRY_CAST(substr(@eventDate, 1, 10) AS DATE)",
    "publisher": "coalesce(@publisher, @institutionCode, @datasetName)",
}


def _id_in(column: str, pattern: str) -> str:
    return f"nullif(regexp_extract({column}, {literal(f'(?i){pattern}')}, 1), '')"


# The medium is a photo unless it says otherwise.
_OTHER_MEDIUM = (
    "(lower(coalesce(@type, '')) IN ('sound', 'movingimage', 'video', 'interactiveresource') "
    "OR regexp_matches(lower(coalesce(@format, '')), '^(audio|video)'))"
)
_MEDIA = {
    "archive_id": f"@{ID}",
    # Other hosts number their photos as well: theirs are other organisms.
    "photo_id": f"TRY_CAST(coalesce({_id_in('@identifier', INATURALIST_PHOTO)}, "
    f"{_id_in('@references', INATURALIST_PAGE)}, {_id_in('@identifier', INATURALIST_PAGE)}) AS BIGINT)",
    "ext": "coalesce(nullif(regexp_extract(@identifier, '\\.([A-Za-z0-9]+)([?#].*)?$', 1), ''), "
    "replace(nullif(regexp_extract(lower(@format), '^image/([a-z]+)$', 1), ''), 'jpeg', 'jpg'))",
    "license": "@license",
    "other_medium": _OTHER_MEDIUM,
    "addressed": "@identifier IS NOT NULL OR @references IS NOT NULL",
    "media_publisher": "@publisher",
    "host": "nullif(regexp_extract(@identifier, '^[a-zA-Z0-9+.-]+://([^/?#:]+)', 1), '')",
}

# Stages outside the vocabulary that are named in the note, and publishers that are listed by name.
_SHOWN, _PUBLISHERS = 8, 1_000

recognises = is_archive


def read(path: Path, reading: Reading) -> Rows:
    """The media of iNaturalist with what their occurrences say of them.

    Raises:
        CatalogError: a text is missing or damaged.
    """
    archive = open_archive(path)
    files = [reading.spool / name for name in ("core.parquet", "media.parquet")]
    for text, columns, file in zip((archive.core, archive.media), (_CORE, _MEDIA), files, strict=True):
        spool(reading.connection, text, columns, file, reading.losses)
    core, media = (parquet_source([file]) for file in files)
    if reading.listed is None:
        _count_others(reading, archive.media.member.label, core, media)
    photos = reading.spool / "photos.parquet"
    order = ", ".join(map(identifier, _CORE))
    reading.connection.execute(
        f"""
        COPY (
            WITH media AS (
                FROM {media} {reading.listed_sql()} WHERE photo_id IS NOT NULL AND NOT other_medium),
            occurrences AS (FROM {core} SEMI JOIN media USING (archive_id)
                QUALIFY row_number() OVER (PARTITION BY archive_id ORDER BY {order}) = 1)
            SELECT photo_id, scientific_name, {", ".join(map(identifier, RANKS))},
                NULL::VARCHAR AS common_name, ext, taxon_id, observation_id, observer_name, license,
                life_stage, 'research' AS quality_grade, latitude, longitude, observed_on, iucn
            FROM media JOIN occurrences USING (archive_id)
        ) TO {literal(str(photos))} (FORMAT parquet)
        """
    )
    unmapped = rows(
        reading.connection,
        f"SELECT stated_stage, count(*) FROM {core} WHERE life_stage IS NULL AND stated_stage IS NOT "
        "NULL GROUP BY 1 ORDER BY 2 DESC, 1",
    )
    for file in files:
        file.unlink()
    named = ", ".join(f"{stage!r} ({int(str(count)):,})" for stage, count in unmapped[:_SHOWN])
    note = f"occurrences with a life stage outside the vocabulary, left unknown: {named}" if named else ""
    return Rows([photos], {photos: (str(path), False)}, note)


def _count_others(reading: Reading, file: str, core: str, media: str) -> None:
    """Gives the media of which no photo is made to the losses, by reason and publisher."""
    reason = (
        "CASE WHEN other_medium THEN 'not_a_photo' WHEN NOT addressed THEN 'no_address' "
        "WHEN photo_id IS NULL THEN 'other_host' ELSE 'no_occurrence' END"
    )
    counts = rows(
        reading.connection,
        f"""
        WITH publishers AS (SELECT archive_id, min(publisher) AS publisher, true AS there FROM {core}
            WHERE archive_id IS NOT NULL GROUP BY 1)
        SELECT {reason} AS reason, coalesce(media_publisher, publisher, 'unknown publisher') AS publisher,
            coalesce(' (' || host || ')', '') AS host, count(*) AS n
        FROM {media} LEFT JOIN publishers USING (archive_id)
        WHERE other_medium OR photo_id IS NULL OR there IS NULL
        GROUP BY ALL ORDER BY reason, n DESC, publisher, host
        """,
    )
    for number, (why, publisher, host, count) in enumerate(counts):
        detail = f"{publisher}{host}" if number < _PUBLISHERS else "other publishers"
        reading.losses.add(str(why), file, detail=detail, rows=int(str(count)))
