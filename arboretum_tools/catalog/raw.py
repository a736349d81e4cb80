"""The raw layout as the relations that everything else asks: `photos` and `classes`.

`photos` has one row a photo after duplicates are resolved, with the columns of the schema, `class_key`
(species) and `hybrid`. `classes` has one row a class_key. Both are made in a few passes over the files:
names with their counts, repeated photo ids, and (on demand) the fingerprint. Nothing is sorted and no row
is kept in memory but the names, the few repeated ids, and one slice of the photo ids at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

from arboretum_metadata.schema import CATALOG
from arboretum_metadata.vocab import EXTENSIONS
from arboretum_tools.catalog.files import RawFiles
from arboretum_tools.identity import HYBRID_SQL, class_key_sql
from arboretum_tools.query import Connection, identifier, literal, parquet_source, rows

#: Columns of `photos`, in the order in which they are written.
PHOTO_COLUMNS = (*(column.name for column in CATALOG.columns if column.name != "photo_url"), "url")

_AS_PUBLISHED = "http://inaturalist-open-data.s3.amazonaws.com/photos/"

# Where photos live whose address is given by id and extension. A pattern without parameters, because
# DuckDB compiles one that changes from row to row anew for every row.
_DERIVABLE = (
    r"^https?://inaturalist-open-data\.s3\.amazonaws\.com/photos/([0-9]+)/"
    r"(?:original|large|medium|small|thumb|square)\.[A-Za-z0-9]+$"
)

#: Columns that hold names.
NAME_COLUMNS = (
    "kingdom",
    "phylum",
    "class",
    "order",
    "family",
    "genus",
    "species",
    "scientific_name",
    "common_name",
)

# A position is both or nothing: half of one, or one off the globe, is none.
_ON_GLOBE = "latitude BETWEEN -90 AND 90 AND longitude BETWEEN -180 AND 180"

# Photo ids that are compared with each other at a time, which bounds memory: about 0.5 GB.
_IDS_AT_A_TIME = 16_000_000

_LINEAGE = ("kingdom", "phylum", "class", "order", "family", "genus", "species")
_CONTROL = "[\\x00-\\x1f\\x7f-\\x9f]"
_UUID = "[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}"
#: SQL types by the names of the data dictionary.
TYPES = {"string": "VARCHAR", "int64": "BIGINT", "int32": "INTEGER", "float64": "DOUBLE", "date32": "DATE"}


@dataclass(frozen=True, slots=True)
class Defects:
    """What was found wrong with the rows of a catalogue, in rows unless said otherwise.

    Attributes:
        rows: rows of the files.
        bad_photo_id: left out: photo_id is null, below 1, or no 64-bit integer.
        bad_extension: left out: neither photo_url nor ext gives one of the known extensions.
        exact_duplicates: left out: the same row again.
        repeated_photo_id: left out: the same photo in the same class again, with other values.
        conflicting_rows: left out: rows of photos that stand under two or more classes.
        conflicting_photos: those photos.
        no_class: kept, but in no species class: kingdom, genus or epithet is missing.
        control_characters: kept, with each control character in a name replaced by a space.
    """

    rows: int
    bad_photo_id: int
    bad_extension: int
    exact_duplicates: int
    repeated_photo_id: int
    conflicting_rows: int
    conflicting_photos: int
    no_class: int
    control_characters: int

    @property
    def photos(self) -> int:
        """Photos of the de-duplicated catalogue."""
        return (
            self.rows
            - self.bad_photo_id
            - self.bad_extension
            - self.exact_duplicates
            - self.repeated_photo_id
            - self.conflicting_rows
        )

    @property
    def sentences(self) -> list[str]:
        """One short phrase for each kind that occurs."""
        kinds = (
            (self.exact_duplicates, "exact duplicates: left out"),
            (self.repeated_photo_id, "repeats of a photo_id within its class: left out"),
            (
                self.conflicting_rows,
                f"under two classes at once, photos {self.conflicting_photos:,}: left out",
            ),
            (self.bad_photo_id, "without a photo_id of 1 or more: left out"),
            (self.bad_extension, "without a known image extension: left out"),
            (self.no_class, "without kingdom, genus or epithet: kept, in no species class"),
            (self.control_characters, "with control characters in a name: kept, the characters made spaces"),
        )
        return [f"{count:,} {what}" for count, what in kinds if count]


def prepare(connection: Connection, files: RawFiles) -> Defects:
    """Makes `photos`, `classes` and `lineages` on the connection and counts what is wrong with the rows.

    The result depends neither on the order of files and rows nor on threads.
    """
    run = connection.execute
    run(f"CREATE VIEW source AS {_source_sql(files)}")
    run("CREATE VIEW valid AS SELECT * FROM source WHERE photo_id >= 1 AND ext IS NOT NULL")
    run("CREATE TABLE repeated (photo_id BIGINT)")
    slices = -(-files.rows // _IDS_AT_A_TIME)
    for number in range(slices):
        run(
            f"INSERT INTO repeated SELECT photo_id FROM valid WHERE photo_id % {slices} = {number} "
            "GROUP BY photo_id HAVING count(*) > 1"
        )
    total, bad_id, bad_ext = _integers(
        connection,
        "SELECT count(*), count(*) FILTER (photo_id IS NULL OR photo_id < 1), "
        "count(*) FILTER (photo_id >= 1 AND ext IS NULL) FROM source",
    )
    repeated_rows, distinct_rows, kept_rows, conflict_rows, conflict_photos = _resolve_repeated(connection)
    plain = ", ".join(map(identifier, NAME_COLUMNS))
    run(f"CREATE TABLE named AS SELECT {plain}, taxon_id, count(*) AS n FROM valid GROUP BY ALL")
    dirty = _control_characters(connection)
    names = _names_sql(clean=bool(dirty))
    others = ", ".join(
        f"CASE WHEN {_ON_GLOBE} THEN {c} END AS {c}" if c in ("latitude", "longitude") else identifier(c)
        for c in PHOTO_COLUMNS
        if c not in NAME_COLUMNS
    )
    run(
        f"CREATE VIEW photos AS SELECT *, {class_key_sql('species')} AS class_key, {HYBRID_SQL} AS hybrid "
        "FROM ("
        f"SELECT {names}, {others} FROM valid WHERE photo_id NOT IN (SELECT photo_id FROM repeated) "
        f"UNION ALL BY NAME SELECT {_names_sql(clean=True)}, {others} FROM kept)"
    )
    # The names of all rows, less those of repeated photos, with those that stay: no second pass over rows.
    run(
        f"CREATE TABLE lineages AS SELECT *, {class_key_sql('species')} AS class_key FROM ("
        f"SELECT {plain}, taxon_id, sum(n)::BIGINT AS n FROM ("
        f"SELECT {names}, taxon_id, n FROM named "
        f"UNION ALL SELECT {plain}, taxon_id, -copies FROM repeated_rows "
        f"UNION ALL SELECT {_names_sql(clean=True)}, taxon_id, 1 FROM kept) GROUP BY ALL HAVING sum(n) > 0)"
    )
    run(_classes_sql())
    (no_class,) = _integers(connection, "SELECT coalesce(sum(n), 0) FROM lineages WHERE class_key IS NULL")
    return Defects(
        rows=total,
        bad_photo_id=bad_id,
        bad_extension=bad_ext,
        exact_duplicates=repeated_rows - distinct_rows,
        repeated_photo_id=distinct_rows - kept_rows - conflict_rows,
        conflicting_rows=conflict_rows,
        conflicting_photos=conflict_photos,
        no_class=no_class,
        control_characters=dirty,
    )


def where_is(connection: Connection, files: RawFiles, column: str, longest: int) -> str:
    """File and row of the first value of a text column with more than `longest` characters."""
    value = f"coalesce({', '.join(map(identifier, files.columns[column]))})"
    found = rows(
        connection,
        f"SELECT filename, file_row_number FROM {parquet_source(files.files, filename=True, row=True)} "
        f"WHERE length({value}) > {int(longest)} ORDER BY ALL LIMIT 1",
    )
    return f"{found[0][0]}, row {int(str(found[0][1])) + 1:,}" if found else str(files.root)


def _classes_sql() -> str:
    """A statement that makes `classes`: one row a class_key with its photos, names and lineage.

    The lineage is the most frequent tuple of the class (ties: the smallest bytes); common name and taxon id
    are the most frequent known ones, each by itself.
    """
    lineage = ", ".join(map(identifier, _LINEAGE))
    common = _most_frequent("common_name")
    taxon = _most_frequent("taxon_id")
    return f"""
    CREATE TABLE classes AS
    WITH tuples AS (
        SELECT class_key, {lineage}, sum(n) AS n FROM lineages WHERE class_key IS NOT NULL GROUP BY ALL
    ), total AS (
        SELECT class_key, sum(n)::BIGINT AS n_catalog FROM tuples GROUP BY class_key
    ), best AS (
        SELECT * EXCLUDE (n) FROM tuples
        QUALIFY row_number() OVER (PARTITION BY class_key ORDER BY n DESC, {lineage}) = 1
    )
    SELECT *, genus || ' ' || species AS scientific_name
    FROM total JOIN best USING (class_key)
    LEFT JOIN ({common}) USING (class_key) LEFT JOIN ({taxon}) USING (class_key)
    ORDER BY class_key
    """


def _most_frequent(column: str) -> str:
    return (
        f"SELECT class_key, {column} FROM lineages WHERE class_key IS NOT NULL AND {column} IS NOT NULL "
        f"GROUP BY class_key, {column} "
        f"QUALIFY row_number() OVER (PARTITION BY class_key ORDER BY sum(n) DESC, {column}) = 1"
    )


def _source_sql(files: RawFiles) -> str:
    """The files as one relation with our names and types; every value that does not fit is NULL."""
    columns = [f"{_column_sql(files, c.name, c.type)} AS {identifier(c.name)}" for c in CATALOG.columns]
    table = f"SELECT {', '.join(columns)} FROM {parquet_source(files.files)}"
    known = ", ".join(map(literal, EXTENSIONS))
    # What nearly every row has is told without a regular expression, which costs a microsecond a row.
    usual = " ".join(
        f"WHEN ends_with(photo_url, '.{ext}') THEN '{ext}'" for ext in ("jpg", "JPG", "jpeg", "JPEG", "png")
    )
    from_url = (
        "CASE WHEN contains(photo_url, '?') OR contains(photo_url, '#') OR photo_url IS NULL THEN NULL "
        f"{usual} END"
    )
    any_url = "nullif(regexp_extract(photo_url, '\\.([A-Za-z0-9]+)([?#].*)?$', 1), '')"
    ext = f"coalesce(ext, {from_url}, {any_url})"
    # A derivable address names this very photo; the extension was taken from it where there is no column.
    derivable = f"regexp_extract(photo_url, '{_DERIVABLE}', 1) = photo_id::VARCHAR"
    if files.has("ext"):
        derivable = f"({derivable}) AND ends_with(photo_url, '.' || ext)"
    as_published = f"photo_url = '{_AS_PUBLISHED}' || photo_id || '/medium.' || ext"
    return (
        f"SELECT *, CASE WHEN photo_url IS NULL OR {as_published} THEN NULL "
        f"WHEN NOT ({derivable}) THEN photo_url END AS url "
        f"FROM (SELECT * REPLACE (CASE WHEN lower({ext}) IN ({known}) THEN {ext} END AS ext) FROM ({table}))"
    )


def _column_sql(files: RawFiles, name: str, type_name: str) -> str:
    spellings = files.columns.get(name)
    sql_type = TYPES[type_name]
    if not spellings:
        return f"NULL::{sql_type}"
    column = f"coalesce({', '.join(map(identifier, spellings))})"
    if name == "observation_id":
        # Numbers as they are; a UUID is its first 8 bytes, big-endian, top bit cleared.
        hexadecimal = f"substr(replace(lower({column}::VARCHAR), '-', ''), 1, 16)"
        uuid = f"(('0x' || {hexadecimal})::UBIGINT & 9223372036854775807::UBIGINT)::BIGINT"
        is_uuid = f"regexp_full_match(lower({column}::VARCHAR), '{_UUID}')"
        if any(str(t).endswith(("string", "string_view")) for t in map(_value_type, spellings.values())):
            return f"CASE WHEN {is_uuid} THEN {uuid} ELSE TRY_CAST({column} AS BIGINT) END"
    if sql_type == "VARCHAR":
        # Empty texts are how CSV exports write what is unknown. `trim` walks through code points, so it is
        # asked only where there is something to trim.
        text = f"{column}::VARCHAR"
        spaced = f"{text} = '' OR starts_with({text}, ' ') OR ends_with({text}, ' ')"
        return f"CASE WHEN {spaced} THEN nullif(trim({text}), '') ELSE {text} END"
    return f"TRY_CAST({column} AS {sql_type})"


def _value_type(found: object) -> object:
    return getattr(found, "value_type", found)


def _names_sql(*, clean: bool) -> str:
    if not clean:
        return ", ".join(map(identifier, NAME_COLUMNS))
    return ", ".join(
        f"nullif(trim(regexp_replace({identifier(name)}, '{_CONTROL}+', ' ', 'g')), '') AS {identifier(name)}"
        for name in NAME_COLUMNS
    )


def _resolve_repeated(connection: Connection) -> tuple[int, int, int, int, int]:
    """Makes `kept`: of each photo_id that repeats, the one row that stays, if any does.

    Returns: rows with a repeated id, distinct ones among them, rows kept, rows of photos under two or more
    classes (distinct ones), and those photos.
    """
    columns = ", ".join(map(identifier, PHOTO_COLUMNS))
    run = connection.execute
    run(
        f"CREATE TABLE repeated_rows AS SELECT {columns}, photo_url, class_key, count(*) AS copies FROM ("
        f"SELECT * REPLACE ({_names_sql(clean=True)}) FROM valid "
        "WHERE photo_id IN (SELECT photo_id FROM repeated)), "
        f"LATERAL (SELECT {class_key_sql('species')} AS class_key) GROUP BY ALL"
    )
    run(
        "CREATE TABLE conflicting AS SELECT photo_id FROM repeated_rows GROUP BY photo_id "
        "HAVING count(DISTINCT coalesce(class_key, '')) > 1 ORDER BY photo_id"
    )
    # The whole row breaks what ties remain, so that the order of files never decides.
    run(
        f"CREATE TABLE kept AS SELECT {columns} FROM repeated_rows "
        "WHERE photo_id NOT IN (SELECT photo_id FROM conflicting) QUALIFY row_number() OVER ("
        f"PARTITION BY photo_id ORDER BY observation_id NULLS LAST, photo_url, {columns}) = 1"
    )
    counts = _integers(
        connection,
        "SELECT coalesce(sum(copies), 0), count(*), (SELECT count(*) FROM kept), "
        "count(*) FILTER (photo_id IN (SELECT photo_id FROM conflicting)), "
        "(SELECT count(*) FROM conflicting) FROM repeated_rows",
    )
    total, distinct, kept, conflicts, photos = counts
    return total, distinct, kept, conflicts, photos


def _control_characters(connection: Connection) -> int:
    text = " || ".join(f"coalesce({identifier(name)}, '')" for name in NAME_COLUMNS)
    (count,) = _integers(
        connection, f"SELECT coalesce(sum(n), 0) FROM named WHERE regexp_matches({text}, '{_CONTROL}')"
    )
    return count


def _integers(connection: Connection, sql: str) -> tuple[int, ...]:
    return tuple(int(str(value or 0)) for value in rows(connection, sql)[0])
