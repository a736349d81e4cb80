"""The raw layout as the relations that everything else asks: `photos` and `classes`.

`photos` has one row per photo after duplicates are resolved, with the columns of the schema, `class_key`
(species) and `hybrid`. `classes` has one row a class_key, and `shared_photos` every observation of the photos
that have several. All are made in three passes over the files: names with their counts, repeated photo ids,
and (on demand) the fingerprint. Nothing is sorted, and of a large catalogue no row is kept in memory but the
names, the few repeated ids, and one slice of the photo ids at a time.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from arboretum_metadata.schema import CATALOG, LINEAGE
from arboretum_metadata.vocab import CLASS_RANKS, EXTENSIONS, VOCABULARIES
from arboretum_tools.catalog.building.losses import REASONS as LOSSES
from arboretum_tools.catalog.building.spellings import is_exact, unknown, value_sql
from arboretum_tools.catalog.layouts.files import RawFiles
from arboretum_tools.events import OnEvent, UnitDone, ignore
from arboretum_tools.tabular.query import Connection, identifier, parquet_source, rows, whole_sql
from arboretum_tools.taxa.identity import HYBRID_SQL, class_key_sql
from arboretum_tools.wording import counted, does, plural

#: Columns of `photos`, in the order in which they are written.
PHOTO_COLUMNS = (*(column.name for column in CATALOG.columns if column.name != "photo_url"), "url")

# Where photos live whose address is given by id and extension. A pattern without parameters, because
# DuckDB compiles one that changes from row to row anew for every row.
_DERIVABLE = (
    r"^https?://inaturalist-open-data\.s3\.amazonaws\.com/photos/([0-9]+)/"
    r"(?:original|large|medium|small|thumb|square)\.[A-Za-z0-9]+$"
)

#: Columns that hold names.
NAME_COLUMNS = (*LINEAGE, "scientific_name", "common_name")
# A negative one is unknown, as -1 stands for it where a column has to have a number.
_NUMBERS = ("observation_id", "observer_id", "taxon_id")
# A position needs both coordinates, on the globe; anything else counts as no position.
_POSITION = ("latitude", "longitude")
_ON_GLOBE = "latitude BETWEEN -90 AND 90 AND longitude BETWEEN -180 AND 180"

# Photo ids that are compared with each other at a time, which bounds memory: about 0.5 GB.
_IDS_AT_A_TIME = 16_000_000

# Up to so many rows (some 20 MB), they are read once and kept: every later question to the files would spend
# more time on being planned than on being answered.
_KEPT_ROWS = 50_000

# Spellings that a sentence names.
_SHOWN = 8

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
        unknown_values: kept, with that value unknown: rows by column and spelling outside its vocabulary.
        losses: left out while the sources were read: rows by reason, a key of `losses.REASONS`.
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
    unknown_values: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    losses: Mapping[str, int] = field(default_factory=dict)

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
            - sum(self.losses.values())
        )

    @property
    def summary(self) -> str:
        """In one phrase, how many rows are left out and how many are kept with a defect."""
        out = self.rows - self.photos
        kept = self.no_class + self.control_characters
        kept += sum(sum(texts.values()) for texts in self.unknown_values.values())
        phrases = [f"{counted(out, 'row')} {does(out, 'are')} left out"] if out else []
        if kept:
            phrases.append(f"{counted(kept, 'row') if not out else f'{kept:,}'} kept with a defect")
        return ", ".join(phrases)

    @property
    def sentences(self) -> list[str]:
        """One short phrase for each kind that occurs."""
        kinds = (
            (self.exact_duplicates, f"{plural(self.exact_duplicates, 'exact duplicate')}: left out"),
            (
                self.repeated_photo_id,
                f"{plural(self.repeated_photo_id, 'repeat')} of a photo_id within its class: left out",
            ),
            (
                self.conflicting_rows,
                f"listed under two or more classes ({counted(self.conflicting_photos, 'photo')}): left out",
            ),
            (self.bad_photo_id, "without a photo_id of 1 or more: left out"),
            (self.bad_extension, "without a known image extension: left out"),
            (self.no_class, "without kingdom, genus or epithet: kept, in no species class"),
            (self.control_characters, "with control characters in a name: kept, the characters made spaces"),
        )
        lost = (
            (count, LOSSES[reason].replace(" ", "s ", count != 1)) for reason, count in self.losses.items()
        )
        return [f"{count:,} {what}" for count, what in (*kinds, *lost) if count] + [
            f"{sum(texts.values()):,} with a {column} outside the vocabulary, taken as unknown: "
            + ", ".join(f"{text[:40]!r} ({count:,})" for text, count in list(texts.items())[:_SHOWN])
            for column, texts in self.unknown_values.items()
        ]


def prepare(connection: Connection, files: RawFiles, on_event: OnEvent = ignore) -> Defects:
    """Makes `photos`, `classes` and `lineages` on the connection and counts what is wrong with the rows.

    The result depends neither on the order of files and rows nor on threads. Checks that cost something on
    every row (extensions, blanks, control characters) are put into `photos` only where a first look found
    that some row needs them.

    Args:
        connection: where they are made.
        files: the rows.
        on_event: gets UnitDone for the rows: a third of them after each of three passes over all.
    """
    run, third = connection.execute, files.rows // 3
    kind = "TABLE" if files.rows <= _KEPT_ROWS else "VIEW"
    folded = _other_spellings(connection, files)
    run(f"CREATE {kind} source AS {_source_sql(files, folded)}")
    bad_id, bad_ext = _integers(
        connection,
        "SELECT count(*) FILTER (photo_id IS NULL OR photo_id < 1), "
        "count(*) FILTER (photo_id >= 1 AND ext IS NULL) FROM source",
    )
    on_event(UnitDone(third))
    needed = ["photo_id >= 1"] * bool(bad_id) + ["ext IS NOT NULL"] * bool(bad_ext)
    run(f"CREATE VIEW valid AS SELECT * FROM source WHERE {' AND '.join(needed) or 'true'}")
    names = ", ".join(map(identifier, NAME_COLUMNS))
    run(f"CREATE TABLE named AS SELECT {names}, taxon_id, count(*) AS n FROM valid GROUP BY ALL")
    on_event(UnitDone(third))
    control, unclean = _unclean(connection)
    run("CREATE TABLE repeated (photo_id BIGINT)")
    slices = -(-files.rows // _IDS_AT_A_TIME)
    for number in range(slices):
        part = f"WHERE photo_id % {slices} = {number} " if slices > 1 else ""
        run(f"INSERT INTO repeated SELECT photo_id FROM valid {part}GROUP BY photo_id HAVING count(*) > 1")
        on_event(UnitDone(third // slices))
    repeated_rows, distinct_rows, kept_rows, conflict_rows, conflict_photos = _resolve_repeated(connection)
    others = ", ".join(
        f"CASE WHEN {_ON_GLOBE} THEN {c} END AS {c}" if c in _POSITION else identifier(c)
        for c in PHOTO_COLUMNS
        if c not in NAME_COLUMNS
    )
    run(
        f"CREATE VIEW photos AS SELECT *, {class_key_sql('species')} AS class_key, {HYBRID_SQL} AS hybrid "
        f"FROM (SELECT {_names_sql(clean=unclean)}, {others} FROM valid "
        "ANTI JOIN repeated USING (photo_id) "
        f"UNION ALL BY NAME SELECT {names}, {others} FROM kept)"
    )
    # The rows of `photos` by their names, without reading them again: all, less those that repeat.
    run(
        f"CREATE TABLE lineages AS SELECT *, {class_key_sql('species')} AS class_key FROM ("
        f"SELECT {names}, taxon_id, sum(n)::BIGINT AS n FROM ("
        f"SELECT {_names_sql(clean=unclean)}, taxon_id, n FROM named "
        f"UNION ALL BY NAME SELECT {names}, taxon_id, -copies AS n FROM repeated_rows "
        f"UNION ALL BY NAME SELECT {names}, taxon_id, 1 AS n FROM kept) GROUP BY ALL HAVING sum(n) > 0)"
    )
    run(_classes_sql())
    (no_class,) = _integers(connection, "SELECT sum(n) FROM lineages WHERE class_key IS NULL")
    on_event(UnitDone(files.rows - 2 * third - slices * (third // max(slices, 1))))
    return Defects(
        rows=files.rows,
        bad_photo_id=bad_id,
        bad_extension=bad_ext,
        exact_duplicates=repeated_rows - distinct_rows,
        repeated_photo_id=distinct_rows - kept_rows - conflict_rows,
        conflicting_rows=conflict_rows,
        conflicting_photos=conflict_photos,
        no_class=no_class,
        control_characters=control,
        unknown_values=unknown(connection, parquet_source(files.files), folded),
    )


def unknown_values(connection: Connection, files: RawFiles) -> dict[str, dict[str, int]]:
    """Rows by column and spelling of values that are in no vocabulary."""
    return unknown(connection, parquet_source(files.files), _other_spellings(connection, files))


def _other_spellings(connection: Connection, files: RawFiles) -> dict[str, str]:
    """Columns of a vocabulary with a text that is spelled otherwise, with their SQL: mostly none.

    To fold spellings takes longer than all else that is asked of a small catalogue.
    """
    texts = {column: _text(files, column) for column in VOCABULARIES if files.has(column)}
    source = parquet_source(files.files)
    return {c: text for c, text in texts.items() if not is_exact(connection, source, c, text)}


def _text(files: RawFiles, column: str) -> str:
    return f"coalesce({', '.join(map(identifier, files.columns[column]))})::VARCHAR"


def where_is(
    connection: Connection, files: RawFiles, condition: str, parameters: Sequence[object] = ()
) -> str:
    """File and row of the first row that meets a condition; for errors.

    Args:
        connection: asks.
        files: are read again.
        condition: names columns of the schema as `@column`.
        parameters: of the condition.
    """

    def value(column: str) -> str:
        return f"coalesce({', '.join(map(identifier, files.columns[column]))})"

    found = rows(
        connection,
        f"SELECT filename, file_row_number, {value('photo_id')} "
        f"FROM {parquet_source(files.files, filename=True, row=True)} "
        f"WHERE {re.sub('@([a-z_]+)', lambda match: value(match[1]), condition)} "
        "ORDER BY filename, file_row_number LIMIT 1",
        parameters,
    )
    if not found:
        return str(files.root)
    name, row, photo_id = found[0]
    origin, same_rows = files.origins.get(Path(str(name)), (str(name), True))
    return f"{origin}, row {int(str(row)) + 1:,}" if same_rows else f"{origin}, photo {photo_id}"


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


def _source_sql(files: RawFiles, folded: Collection[str]) -> str:
    """The files as one relation with our names and types; every value that does not fit is NULL.

    Args:
        files: are read.
        folded: columns of a vocabulary whose spellings are not all its own.
    """
    columns = [
        f"{_column_sql(files, c.name, c.type, folded)} AS {identifier(c.name)}" for c in CATALOG.columns
    ]
    numbers = ", ".join(f"CASE WHEN {name} >= 0 THEN {name} END AS {name}" for name in _NUMBERS)
    table = (
        f"SELECT * REPLACE ({numbers}) FROM (SELECT {', '.join(columns)} FROM {parquet_source(files.files)})"
    )
    # The ends that nearly every address has are compared as they are; only the others need a pattern. No IN
    # list: DuckDB makes a join of a long one, which then runs for every query, asked or not.
    usual = [spelling for ext in EXTENSIONS for spelling in (ext, ext.upper())]
    ends = " ".join(f"WHEN ends_with(photo_url, '.{ext}') THEN '{ext}'" for ext in usual)
    same = " ".join(f"WHEN '{ext}' THEN '{ext}'" for ext in usual)
    known = "|".join(EXTENSIONS)
    pattern = f"(?i)\\.({known})([?#].*)?$"
    from_url = f"CASE {ends} ELSE nullif(regexp_extract(photo_url, '{pattern}', 1), '') END"
    odd = f"CASE WHEN regexp_full_match(ext, '(?i){known}') THEN ext END"
    ext = f"CASE WHEN ext IS NULL THEN {from_url} ELSE CASE ext {same} ELSE {odd} END END"
    # A derivable address names this very photo and ends in this very extension.
    derivable = " ".join(
        f"WHEN photo_url = '{scheme}://inaturalist-open-data.s3.amazonaws.com/photos/' || photo_id || "
        "'/medium.' || ext THEN NULL"
        for scheme in ("http", "https")
    )
    return (
        f"SELECT *, CASE WHEN photo_url IS NULL THEN NULL {derivable} "
        f"WHEN regexp_extract(photo_url, '{_DERIVABLE}', 1) = photo_id::VARCHAR "
        "AND ends_with(photo_url, '.' || ext) THEN NULL ELSE photo_url END AS url "
        f"FROM (SELECT * REPLACE ({ext} AS ext) FROM ({table}))"
    )


def _column_sql(files: RawFiles, name: str, type_name: str, folded: Collection[str]) -> str:
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
            return f"CASE WHEN {is_uuid} THEN {uuid} ELSE {whole_sql(f'{column}::VARCHAR')} END"
    if name in NAME_COLUMNS or name == "photo_url":
        # Names are cleaned where some need it; most of a catalogue is names and addresses.
        return f"{column}::VARCHAR"
    if name in folded:
        return value_sql(name, f"{column}::VARCHAR")
    if sql_type == "VARCHAR":
        # Empty texts are how CSV exports write what is unknown.
        return f"nullif(trim({column}::VARCHAR), '')"
    floats = any(str(found) in ("double", "float", "halffloat") for found in spellings.values())
    if floats and type_name in ("int64", "int32"):
        # pandas makes floats of whole numbers with gaps. A cast would round one that is not whole to another
        # id; above 2^53 floats skip numbers, so the id that was meant is lost.
        number = f"{column}::DOUBLE"
        whole = f"{number} = trunc({number}) AND abs({number}) <= 9007199254740992"
        return f"CASE WHEN {whole} THEN TRY_CAST({number} AS {sql_type}) END"
    return f"TRY_CAST({column} AS {sql_type})"


def _value_type(found: object) -> object:
    return getattr(found, "value_type", found)


def _names_sql(*, clean: bool) -> str:
    if not clean:
        return ", ".join(map(identifier, NAME_COLUMNS))
    return ", ".join(f"{_cleaned(name)} AS {identifier(name)}" for name in NAME_COLUMNS)


def _cleaned(name: str) -> str:
    """A name in NFC, with control characters made spaces and no blanks around; NULL where nothing is left.

    Of `species`, the epithet alone where the column has a binomial. A hybrid whose epithet is that of one of
    its parents is a taxon of its own: its epithet is then all that follows the genus, with the mark.
    """
    text = f"nullif(trim(regexp_replace(nfc_normalize({identifier(name)}), '{_CONTROL}+', ' ', 'g')), '')"
    if name != "species":
        return text
    whole = f"regexp_replace({_cleaned('scientific_name')}, ' [xX] ', ' × ', 'g')"
    genus = f"({_cleaned('genus')} || ' ')"
    epithet = (
        f"CASE WHEN starts_with({text}, {genus}) THEN substr({text}, length({genus}) + 1) ELSE {text} END"
    )
    words = f"string_split({whole}, ' ')"
    # A mark alone as epithet, as published metadata have it, is nobody else's.
    of_parent = f"({epithet}) <> '×' AND ({epithet}) IN ({words}[2], {words}[-1])"
    return (
        f"CASE WHEN {HYBRID_SQL} AND starts_with({whole}, {genus}) AND {of_parent} "
        f"THEN substr({whole}, length({genus}) + 1) ELSE {epithet} END"
    )


def _resolve_repeated(connection: Connection) -> tuple[int, int, int, int, int]:
    """Makes `kept`: of each photo_id that repeats, the one row that stays, if any does; and `shared_photos`.

    Returns: rows with a repeated id, distinct ones among them, rows kept, rows of photos under two or more
    classes (distinct ones), and those photos.
    """
    columns = ", ".join(map(identifier, PHOTO_COLUMNS))
    run = connection.execute
    (repeated,) = _integers(connection, "SELECT count(*) FROM repeated")
    # To plan how names are cleaned takes longer than all the rest where no id repeats.
    names = f"REPLACE ({_names_sql(clean=True)})" if repeated else ""
    run(
        f"CREATE TABLE repeated_rows AS SELECT {columns}, photo_url, class_key, count(*) AS copies FROM ("
        f"SELECT * {names} FROM valid "
        "WHERE photo_id IN (SELECT photo_id FROM repeated)), "
        f"LATERAL (SELECT {class_key_sql('species')} AS class_key) GROUP BY ALL"
    )
    # What is in no species class may still be in two genera, families or orders.
    above = " OR ".join(
        f"count(DISTINCT kingdom || '|' || {identifier(rank)}) > 1" for rank in CLASS_RANKS[1:]
    )
    run(
        "CREATE TABLE conflicting AS SELECT photo_id FROM repeated_rows GROUP BY photo_id "
        f"HAVING count(DISTINCT coalesce(class_key, '')) > 1 OR (max(class_key) IS NULL AND ({above})) "
        "ORDER BY photo_id"
    )
    run(
        "CREATE VIEW shared_photos AS SELECT photo_id, observation_id FROM repeated_rows "
        "ANTI JOIN conflicting USING (photo_id) WHERE observation_id IS NOT NULL "
        "GROUP BY photo_id, observation_id QUALIFY count(*) OVER (PARTITION BY photo_id) > 1"
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


def _unclean(connection: Connection) -> tuple[int, bool]:
    """How many rows have a control character in a name, and whether any name has to be cleaned at all."""
    control = f"regexp_matches(concat_ws(' ', {', '.join(map(identifier, NAME_COLUMNS))}), '{_CONTROL}')"
    other = " OR ".join(f"{identifier(name)} IS DISTINCT FROM {_cleaned(name)}" for name in NAME_COLUMNS)
    rows_, tuples = _integers(
        connection,
        f"SELECT sum(n) FILTER ({control}), count(*) FILTER ({other}) FROM named",
    )
    return rows_, bool(tuples)


def _integers(connection: Connection, sql: str) -> tuple[int, ...]:
    return tuple(int(str(value or 0)) for value in rows(connection, sql)[0])
