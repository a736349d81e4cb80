"""`annotate`: a column of a built catalogue filled in from a table of the user's.

The table has photo_id or observation_id and the value. Rules, in this order:

- a value outside the vocabulary is no value; such values are listed with their counts;
- where rows of one id do not agree, the value that most of them give stands; a tie is no value, and counted;
- a photo that has a value already keeps it, unless `overwrite`; where the two differ it is counted.

Where the value comes from is kept: for a life stage in `life_stage_source`, for every column in
catalog.json. The catalogue is replaced once the new one is whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from arboretum_tools.catalog.building import parts
from arboretum_tools.catalog.building.build import catalog_json, close_folder
from arboretum_tools.catalog.building.spellings import value_sql
from arboretum_tools.catalog.building.staging import refuse_foreign, replace_catalog, work_folder, working
from arboretum_tools.catalog.layouts import built_files
from arboretum_tools.catalog.layouts.files import default_path
from arboretum_tools.catalog.sources.containers import file_member
from arboretum_tools.catalog.sources.convert import spool, uuid_sql
from arboretum_tools.catalog.sources.delimited import COMMA, TAB, header, with_header
from arboretum_tools.display import notebook_views
from arboretum_tools.display.progress import shows_progress
from arboretum_tools.errors import BadInputError, CatalogError
from arboretum_tools.events import StageFinished, StageStarted, UnitDone
from arboretum_tools.options import takes
from arboretum_tools.options.catalog import AnnotateOptions
from arboretum_tools.system.atomic_files import sha256_of_json
from arboretum_tools.tabular.query import Connection, identifier, literal, parquet_source, rows
from arboretum_tools.tabular.tables import repeated
from arboretum_tools.wording import one_line

#: Names of the column that joins, in the order in which they are looked for.
KEYS = ("photo_id", "observation_id")


@dataclass(frozen=True, slots=True)
class AnnotateReport:
    """What an annotation came to.

    Attributes:
        path: the catalogue.
        column: that was filled in.
        key: the column that joined.
        rows: rows of the table.
        unmapped: values outside the vocabulary by number of rows, most first.
        undecided: ids whose rows do not agree, with no value given most often.
        matched: photos of the catalogue that the table has a value for.
        filled: photos that got a value and had none.
        changed: photos whose value was replaced by another one (only with `overwrite`).
        kept: photos that keep a value other than the table's.
        known_before: photos with a value before.
        known: photos with a value now.
    """

    path: Path
    column: str
    key: str
    rows: int
    unmapped: Mapping[str, int]
    undecided: int
    matched: int
    filled: int
    changed: int
    kept: int
    known_before: int
    known: int

    _repr_html_ = notebook_views.report

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "path": str(self.path)}


@shows_progress
@takes(AnnotateOptions)
def annotate_catalog(
    catalog: str | Path | None, table: str | Path, options: AnnotateOptions
) -> AnnotateReport:
    r"""Fills in a column of a built catalogue from a Parquet, CSV or TSV file.

    Args:
        catalog: the catalogue's folder; default `$ARBORETUM_CATALOG`, else `./catalog`.
        table: has photo_id or observation_id, and a column called as `column` (case does not matter in its
            values).
        options: {options}
        threads: default all cores.
        progress: draw bars where somebody watches and no `on_event` is given.
        on_event: progress.

    Raises:
        CatalogError: the catalogue is not a built one.
        BadInputError: the table cannot be read or lacks columns.
        UsageError: a column that cannot be annotated.

    >>> import arboretum_tools as at
    >>> from pathlib import Path
    >>> _ = at.build_catalog("catalog", "annotated")
    >>> unknown = at.open_catalog("annotated").select(life_stage_unknown="only", limit=1).to_arrow()
    >>> _ = Path("stages.csv").write_text(f"photo_id,life_stage\n{unknown['photo_id'][0]},Adult\n")
    >>> at.annotate_catalog("annotated", "stages.csv").filled
    1
    """
    column, overwrite, on_event = options.column, options.overwrite, options.on_event
    target, table = Path(catalog) if catalog is not None else default_path(), Path(table)
    if not built_files.is_built(target):
        raise CatalogError(
            f"{target} is not a built catalogue, and published files are never changed",
            path=target,
            hint="Build one first: arboretum catalog build SRC --out DIR.",
        )
    refuse_foreign(target)
    files = built_files.find_built(target)
    name = options.source or table.name
    plan = sha256_of_json(
        {"annotate": str(table.resolve()), "column": column, "fingerprint": files.meta["fingerprint"]}
    )
    with work_folder(target, f"{plan}\n") as work, working(work, options.threads) as connection:
        new = work / "new"
        shutil.rmtree(new, ignore_errors=True)
        (new / built_files.PHOTOS).mkdir(parents=True)
        key, listed, unmapped, undecided = _decide(connection, table, column, work)
        if key == "observation_id" and not files.has("observation_id"):
            raise BadInputError(
                f"{table} joins by observation_id, which the catalogue at {target} lacks",
                hint="Join by photo_id, or build the catalogue with iNaturalist Open Data.",
            )
        connection.execute(f"CREATE TABLE taxa AS FROM {parquet_source([target / built_files.TAXA])}")
        totals = [0] * 5
        on_event(StageStarted("annotating", int(files.meta["photos"]), "photo"))
        for number, part in enumerate(files.parts):
            columns, known, counted = _part(connection, part, files, column, key, name, overwrite=overwrite)
            photos = parts.write_part(
                connection,
                "bucket",
                columns,
                folder=new / built_files.PHOTOS,
                number=number,
                taxonomy=files.taxonomy,
                known=known,
            ).photos
            connection.execute("DROP TABLE bucket")
            totals = [total + one for total, one in zip(totals, counted, strict=True)]
            on_event(UnitDone(photos))
        on_event(StageFinished("annotating"))
        for file in (target / built_files.TAXA, target / built_files.CLASSES, *files.extras):
            shutil.copyfile(file, new / file.name)
        meta = _meta(connection, new, files, column, name, overwrite=overwrite)
        close_folder(connection, new, meta)
        replace_catalog(new, target)
    matched, filled, changed, kept, before = totals
    return AnnotateReport(
        target,
        column,
        key,
        listed,
        unmapped,
        undecided,
        matched,
        filled,
        changed,
        kept,
        before,
        before + filled,
    )


def _decide(
    connection: Connection, table: Path, column: str, work: Path
) -> tuple[str, int, dict[str, int], int]:
    """Makes `decided`: one value an id. Gives the key, rows, values outside the vocabulary, ties."""
    key, relation = _relation(connection, table, column, work)
    number = f"coalesce(TRY_CAST({key} AS BIGINT), {uuid_sql(f'{key}::VARCHAR')})"
    # Vocabularies are small: their own spelling by that in lower case.
    value = value_sql(column, f"{column}::VARCHAR")
    connection.execute(
        f"CREATE TABLE votes AS SELECT {number} AS id, {value} AS value, trim({column}::VARCHAR) AS stated, "
        f"count(*) AS n FROM {relation} GROUP BY ALL"
    )
    (listed,) = rows(connection, "SELECT coalesce(sum(n), 0) FROM votes")[0]
    unmapped = rows(
        connection,
        "SELECT stated, sum(n) FROM votes WHERE value IS NULL AND coalesce(stated, '') <> '' "
        "GROUP BY 1 ORDER BY 2 DESC, 1",
    )
    connection.execute(
        "CREATE TABLE decided AS SELECT id, value, ties FROM ("
        "SELECT id, value, n, count(*) OVER (PARTITION BY id, n) AS ties, "
        "max(n) OVER (PARTITION BY id) AS most FROM ("
        "SELECT id, value, sum(n) AS n FROM votes WHERE id IS NOT NULL AND value IS NOT NULL GROUP BY ALL)) "
        "WHERE n = most"
    )
    (undecided,) = rows(connection, "SELECT count(DISTINCT id) FROM decided WHERE ties > 1")[0]
    connection.execute("DELETE FROM decided WHERE ties > 1")
    connection.execute("DROP TABLE votes")
    counts = {str(stated): int(str(count)) for stated, count in unmapped}
    return key, int(str(listed)), counts, int(str(undecided))


def _relation(connection: Connection, table: Path, column: str, work: Path) -> tuple[str, str]:
    """The key of a table, and the table as a relation."""
    if not table.is_file():
        raise BadInputError(f"there is no table {table}")
    plain = table.name.removesuffix(".gz")
    if plain.endswith((".csv", ".tsv", ".txt")):
        member, dialect = file_member(table), COMMA if plain.endswith(".csv") else TAB
        text = with_header(member, dialect)
        key = _key(table, header(member, dialect), column)
        file = work / "table.parquet"
        spool(connection, text, {key: f"@{key}", column: f"@{column}"}, file)
        return key, parquet_source([file])
    try:
        found = pq.read_schema(table).names
    except (pa.ArrowInvalid, OSError) as error:
        raise BadInputError(
            f"{table} is neither a whole Parquet file nor named .csv or .tsv: {one_line(error)}",
            hint="Give Parquet, CSV or TSV. Nothing was changed.",
        ) from error
    return _key(table, found, column), parquet_source([table])


def _key(table: Path, found: Sequence[str], column: str) -> str:
    if twice := [name for name in repeated(found) if name in (*KEYS, column)]:
        raise BadInputError(
            f"{table} has more than one column {', '.join(twice)}",
            hint="Write it again with each column once. Nothing was changed.",
        )
    keys = [key for key in KEYS if key in found]
    if not keys or column not in found:
        missing = [] if keys else [" or ".join(KEYS)]
        missing += [] if column in found else [column]
        raise BadInputError(
            f"{table} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; it has "
            f"{', '.join(found)}",
            hint="Name its columns so. Nothing was changed.",
        )
    return keys[0]


def _part(
    connection: Connection,
    part: Path,
    files: built_files.BuiltFiles,
    column: str,
    key: str,
    name: str,
    *,
    overwrite: bool,
) -> tuple[list[str], dict[str, dict[str, int]], tuple[int, ...]]:
    """Makes `bucket` out of a part; gives its columns, coverage of this column, and five counts."""
    old = f"p.{column}" if files.has(column) else "NULL::VARCHAR"
    has_source = files.has("life_stage_source")
    new = f"coalesce(decided.value, {old})" if overwrite else f"coalesce({old}, decided.value)"
    taken = "decided.value IS NOT NULL" + ("" if overwrite else f" AND {old} IS NULL")
    values = {c: f"p.{identifier(c)}" for c in parts.OPTIONAL if files.has(c)} | {column: new}
    if column == "life_stage":
        was = "p.life_stage_source" if has_source else "NULL::VARCHAR"
        values["life_stage_source"] = f"CASE WHEN {taken} THEN {literal(name)} ELSE {was} END"
    columns = [c for c in parts.OPTIONAL if c in values]
    source = f"{parquet_source([part])} p LEFT JOIN decided ON p.{key} = decided.id"
    chosen = ", ".join(f"{values[c]} AS {identifier(c)}" for c in columns)
    connection.execute(
        f"CREATE TABLE bucket AS SELECT p.photo_id, p.tax, p.ext, p.url, {chosen} FROM {source}"
    )
    differs = f"decided.value IS NOT NULL AND {old} IS NOT NULL AND decided.value <> {old}"
    counted = rows(
        connection,
        f"SELECT count(decided.value), count(*) FILTER (decided.value IS NOT NULL AND {old} IS NULL), "
        f"count(*) FILTER ({differs} AND {overwrite}), count(*) FILTER ({differs} AND NOT {overwrite}), "
        f"count({old}), count(*) FILTER ({taken}) FROM {source}",
    )[0]
    *five, given = (int(str(count)) for count in counted)
    return columns, {column: {name: given}}, tuple(five)


def _meta(
    connection: Connection,
    new: Path,
    files: built_files.BuiltFiles,
    column: str,
    name: str,
    *,
    overwrite: bool,
) -> dict[str, Any]:
    every = [parts.finished(new / built_files.PHOTOS, number) or {} for number in range(len(files.parts))]
    given = parts.coverage(every)[column]
    known = {c: dict(by_source) for c, by_source in files.meta["coverage"].items()}
    stood = known.get(column, {})
    if overwrite:
        # What the table gave is counted anew; the rest is what stood there, less what it replaced.
        file = parquet_source(
            [new / built_files.PHOTOS / built_files.part_name(n) for n in range(len(files.parts))]
        )
        (total,) = rows(connection, f"SELECT count({column}) FROM {file}")[0]
        before = [source for source in stood if source != name]
        left = int(str(total)) - given[name]
        known[column] = {before[0] if len(before) == 1 else "before": left} if left else {}
        known[column][name] = given[name]
    else:
        # Nothing was replaced: what stood there stands, whoever gave it, this table included.
        known[column] = {**stood, name: stood.get(name, 0) + given[name]}
    added = [column, *(["life_stage_source"] if column == "life_stage" else [])]
    present = {*files.meta["columns"], *added}
    return {
        **files.meta,
        **catalog_json(connection, every, files.taxonomy),
        "columns": [c for c in parts.OPTIONAL if c in present],
        "coverage": known,
        "annotations": [*files.meta["annotations"], {"column": column, "source": name}],
    }
