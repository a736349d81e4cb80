"""iNaturalist Open Data: photos, observations, taxa, observers.

https://github.com/inaturalist/inaturalist-open-data: tab-separated, unquoted, stray quotes are letters.
`ancestry` joins taxon ids by a slash (the documentation says a backslash), broadest first, the taxon itself
left out. Observations are known by UUID, as numbers by the rule of the data dictionary. Licences are
spelled as in our vocabulary.
"""

from __future__ import annotations

from pathlib import Path

from arboretum_metadata.vocab import RANKS
from arboretum_tools.catalog.layouts.built_files import INACTIVE
from arboretum_tools.catalog.sources.containers import members
from arboretum_tools.catalog.sources.convert import marked_sql, spool, uuid_sql
from arboretum_tools.catalog.sources.delimited import TAB, header, with_header
from arboretum_tools.catalog.sources.source import Reading, Rows
from arboretum_tools.errors import CatalogError
from arboretum_tools.tabular.query import Connection, identifier, literal, parquet_source, whole_sql
from arboretum_tools.wording import counted

NAME = "iNaturalist Open Data"

_FILES = ("photos.csv", "observations.csv", "taxa.csv", "observers.csv")

_COLUMNS = {
    "photos.csv": {
        "photo_id": whole_sql("@photo_id"),
        "observation_id": uuid_sql("@observation_uuid"),
        "observer_id": whole_sql("@observer_id"),
        "ext": "@extension",
        "license": "@license",
        "width": "TRY_CAST(@width AS INTEGER)",
        "height": "TRY_CAST(@height AS INTEGER)",
        "position": "TRY_CAST(@position AS INTEGER)",
    },
    "observations.csv": {
        "observation_id": uuid_sql("@observation_uuid"),
        "latitude": "TRY_CAST(@latitude AS DOUBLE)",
        "longitude": "TRY_CAST(@longitude AS DOUBLE)",
        "taxon_id": whole_sql("@taxon_id"),
        "quality_grade": "@quality_grade",
        "observed_on": "TRY_CAST(@observed_on AS DATE)",
    },
    "taxa.csv": {
        "taxon_id": whole_sql("@taxon_id"),
        "ancestry": "@ancestry",
        "rank": "@rank",
        "name": "@name",
        "active": "lower(@active) IN ('true', 't', '1')",
    },
    "observers.csv": {
        "observer_id": whole_sql("@observer_id"),
        "observer_name": "coalesce(@name, @login)",
    },
}

# What each file must have for anything to be made of it.
_NEEDED = {
    "photos.csv": ("photo_id", "observation_uuid", "extension"),
    "observations.csv": ("observation_uuid", "taxon_id"),
    "taxa.csv": ("taxon_id", "ancestry", "rank", "name"),
    "observers.csv": ("observer_id", "login"),
}

_LINEAGES = "lineages.parquet"

_HYBRID = "rank IN ('hybrid', 'infrahybrid')"
_MARKED = marked_sql("name", _HYBRID)


def inactive_sql(lineages: str) -> str:
    """A query for the inactive taxa, with the active ones that the taxa alone tell (see `catalog.renames`).

    Args:
        lineages: a relation of all taxa: taxon_id, rank, name, active, and the seven ranks.
    """
    return f"""
        WITH every AS (FROM {lineages}), old AS (FROM every WHERE NOT active),
        same AS (SELECT old.taxon_id, min(a.taxon_id) AS active_id FROM old JOIN every a
            ON a.active AND a.name = old.name AND a.rank = old.rank
            AND coalesce(a.kingdom, '') = coalesce(old.kingdom, '') GROUP BY 1),
        moved AS (SELECT old.taxon_id, min(a.taxon_id) AS active_id FROM old JOIN every a
            ON a.active AND a.rank = 'species' AND old.rank = 'species'
            AND a.family = old.family AND a.species = old.species GROUP BY 1 HAVING count(*) = 1)
        SELECT old.taxon_id, old.rank, old.name, old.kingdom, a.name AS active_name,
            a.taxon_id AS active_taxon_id, CASE WHEN same.active_id IS NOT NULL THEN 'name'
            WHEN moved.active_id IS NOT NULL THEN 'epithet' END AS told_by
        FROM old LEFT JOIN same USING (taxon_id) LEFT JOIN moved USING (taxon_id)
        LEFT JOIN every a ON a.taxon_id = coalesce(same.active_id, moved.active_id)
    """


def recognises(path: Path) -> bool:
    """Whether a folder or archive has these files: their names, and columns that nothing else has."""
    found = members(path)
    return (
        {"photos.csv", "observations.csv"} <= found.keys()
        and "meta.xml" not in found
        and any("observation_uuid" in header(found[name], TAB) for name in _FILES if name in found)
    )


def read(path: Path, reading: Reading) -> Rows:
    """The rows of `photos.csv` with what the other three say of them, and the inactive taxa.

    Raises:
        CatalogError: a file is missing, damaged, or lacks columns.
    """
    connection, spool_folder = reading.connection, reading.spool
    files = _spooled(path, reading)
    tables = {name.removesuffix(".csv"): parquet_source([file]) for name, file in files.items()}
    listed = reading.listed_sql()
    photos = spool_folder / "photos.parquet"
    lineages = _lineages(connection, tables["taxa"], spool_folder)
    ranks = ", ".join(map(identifier, RANKS))
    connection.execute(
        f"""
        COPY (
            WITH listed AS (FROM {tables["photos"]} {listed}),
            -- An observation, observer or taxon that is there twice would make photos twice.
            observations AS (FROM {tables["observations"]} SEMI JOIN listed USING (observation_id)
                QUALIFY row_number() OVER (
                    PARTITION BY observation_id ORDER BY {_order("observations")}) = 1),
            observers AS (SELECT observer_id, min(observer_name) AS observer_name
                FROM {tables["observers"]} GROUP BY observer_id),
            lineages AS (FROM {lineages})
            SELECT photo_id, {_MARKED} AS scientific_name, {ranks}, NULL::VARCHAR AS common_name, ext,
                taxon_id, observation_id, observer_id, observer_name, license, quality_grade, latitude,
                longitude, observed_on, width, height, position{", observation_uuid" if reading.uuids else ""}
            FROM listed LEFT JOIN observations USING (observation_id)
            LEFT JOIN observers USING (observer_id) LEFT JOIN lineages USING (taxon_id)
        ) TO {literal(str(photos))} (FORMAT parquet)
        """
    )
    inactive = connection.execute(
        f"SELECT count(*) FROM {tables['observations']} SEMI JOIN (FROM {lineages} WHERE NOT active) "
        "USING (taxon_id)"
    ).fetchall()[0][0]
    told = spool_folder / INACTIVE
    connection.execute(f"COPY ({inactive_sql(lineages)}) TO {literal(str(told))} (FORMAT parquet)")
    for file in (*files.values(), spool_folder / _LINEAGES):
        file.unlink()
    note = f"{counted(inactive, 'observation')} under names that are no longer active" if inactive else ""
    return Rows([photos], {photos: (str(path), False)}, note, told)


def _spooled(path: Path, reading: Reading) -> dict[str, Path]:
    """The four texts as Parquet, by name."""
    found = members(path)
    missing = [name for name in _FILES if name not in found]
    if missing:
        raise CatalogError(
            f"{path} lacks {', '.join(missing)} of {NAME}",
            path=path,
            hint="The four files belong together: photos, observations, taxa, observers (.csv or .csv.gz).",
        )
    photos = _COLUMNS["photos.csv"] | (
        {"observation_uuid": "lower(@observation_uuid)"} if reading.uuids else {}
    )
    written = {}
    for name in _FILES:
        text = with_header(found[name], TAB)
        lacking = [column for column in _NEEDED[name] if column not in text.names]
        if lacking:
            raise CatalogError(
                f"{found[name].name} lacks the column{'s' * (len(lacking) > 1)} {', '.join(lacking)}",
                hint=f"It should be the tab-separated file of {NAME}. Nothing was changed.",
            )
        written[name] = reading.spool / f"{name}.parquet"
        columns = photos if name == "photos.csv" else _COLUMNS[name]
        spool(reading.connection, text, columns, written[name], reading.losses)
    return written


def _lineages(connection: Connection, taxa: str, folder: Path) -> str:
    """All taxa as a relation: taxon_id, name, rank, active and the seven ranks, `species` being the epithet.

    The epithet is the last word of the species' name; below species that of the species above; a hybrid
    has the last word of its own.
    """
    above = ", ".join(
        f"max(name) FILTER (rank = '{rank}') AS {identifier(rank if rank != 'species' else 'binomial')}"
        for rank in RANKS
    )
    upper = ", ".join(identifier(rank) for rank in RANKS if rank != "species")
    sql = f"""
        WITH taxa AS (FROM {taxa} QUALIFY row_number() OVER (
            PARTITION BY taxon_id ORDER BY {_order("taxa")}) = 1),
        steps AS (
            SELECT taxon_id, unnest(string_split(replace(coalesce(ancestry, ''), '\\', '/'), '/')) AS step
            FROM taxa
            UNION ALL SELECT taxon_id, taxon_id::VARCHAR FROM taxa
        ), ranked AS (
            SELECT steps.taxon_id, {above} FROM steps
            JOIN taxa AS upper ON TRY_CAST(steps.step AS BIGINT) = upper.taxon_id GROUP BY 1
        )
        SELECT taxon_id, name, rank, active, {upper}, CASE
            WHEN {_HYBRID} THEN split_part(name, ' ', -1)
            WHEN binomial IS NOT NULL THEN split_part(binomial, ' ', -1) END AS species
        FROM taxa LEFT JOIN ranked USING (taxon_id)
    """
    connection.execute(f"COPY ({sql}) TO {literal(str(folder / _LINEAGES))} (FORMAT parquet)")
    return parquet_source([folder / _LINEAGES])


def _order(name: str) -> str:
    return ", ".join(identifier(column) for column in _COLUMNS[f"{name}.csv"])
