"""`check_catalog`: what is wrong with a catalogue, counted, with examples; and whether a build is sound.

Of rows that are left out or changed the report says by which rule. Nothing here changes a catalogue.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from arboretum_metadata.schema import REJECTED
from arboretum_metadata.vocab import RANKS, VOCABULARIES
from arboretum_tools.catalog.building import rejected
from arboretum_tools.catalog.building.losses import REASONS as LOSSES
from arboretum_tools.catalog.catalog import Catalog
from arboretum_tools.catalog.layouts.files import find_files
from arboretum_tools.catalog.layouts.raw import NAME_COLUMNS
from arboretum_tools.display import notebook_views
from arboretum_tools.system.atomic_files import check_output
from arboretum_tools.tabular.query import identifier, literal
from arboretum_tools.tabular.tables import write_table
from arboretum_tools.taxa.identity import HYBRID_SQL
from arboretum_tools.wording import plural

#: Examples that are kept of a finding.
EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of defect.

    Attributes:
        name: short, for machines.
        count: how many, of `what`.
        what: what is counted, a noun that agrees with `count` first, and what becomes of it.
        fatal: whether the catalogue cannot be trusted for it.
        examples: at most EXAMPLES, in a fixed order.
    """

    name: str
    count: int
    what: str
    fatal: bool = False
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found.

    Attributes:
        path: the catalogue.
        layout: `raw` or `built`.
        rows: rows of its sources.
        photos: photos after duplicates are resolved.
        findings: kinds that occur.
        extensions: photos by extension, case kept, most first.
    """

    path: Path
    layout: str
    rows: int
    photos: int
    findings: tuple[Finding, ...]
    extensions: tuple[tuple[str, int], ...]

    @property
    def sound(self) -> bool:
        """Whether nothing fatal was found."""
        return not any(finding.fatal for finding in self.findings)

    _repr_html_ = notebook_views.report

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "path": str(self.path),
            "layout": self.layout,
            "rows": self.rows,
            "photos": self.photos,
            "sound": self.sound,
            "findings": [asdict(finding) for finding in self.findings],
            "extensions": dict(self.extensions),
        }


def check_catalog(catalog: Catalog) -> CheckReport:
    """Looks a catalogue through: rows, names, values, and for a built one its own promises.

    Reads every row once or twice; memory does not grow with the photos.

    Raises:
        CatalogError: a file of it cannot be read.

    >>> import arboretum_tools as at
    >>> report = at.check_catalog(at.open_catalog("catalog"))
    >>> report.sound
    True
    """
    found = [*_rows(catalog), *_names(catalog), *_values(catalog)]
    if own := _OF_LAYOUT.get(catalog.layout):
        found += own(catalog)
    extensions = catalog.rows("SELECT ext, count(*) FROM photos GROUP BY 1 ORDER BY 2 DESC, 1")
    return CheckReport(
        path=catalog.path,
        layout=catalog.layout,
        rows=catalog.defects.rows,
        photos=len(catalog),
        findings=tuple(finding for finding in found if finding.count),
        extensions=tuple((str(ext), int(str(count))) for ext, count in extensions),
    )


def write_rejected(catalog: Catalog, to: str | Path, *, overwrite: bool = False) -> int:
    """Writes the rows that a catalogue leaves out, with the reason, as Parquet; gives how many lines.

    Args:
        catalog: raw or built.
        to: the file; columns as `rejected.parquet` of a built catalogue.
        overwrite: replace a file that is there.

    Raises:
        TargetExistsError: the file is there and may not be replaced, or lies in the catalogue.
    """
    check_output(Path(to), overwrite=overwrite, inputs=[catalog.path])
    batches = catalog.batches(rejected.listed_sql())
    return write_table(Path(to), batches, REJECTED, {"fingerprint": catalog.fingerprint})


def _rows(catalog: Catalog) -> list[Finding]:
    """Defects of rows; a built catalogue has them from its build."""
    defects = catalog.defects

    def photos(reason: str) -> tuple[str, ...]:
        return _examples(
            catalog,
            f"SELECT DISTINCT coalesce({rejected.PLACE_SQL}, photo_id::VARCHAR, '(no number)') AS name, "
            f"photo_id, line FROM rejected WHERE reason = '{reason}' ORDER BY photo_id, line, name "
            f"LIMIT {EXAMPLES}",
        )

    found = (
        ("exact_duplicates", defects.exact_duplicates, "row there already: one is kept"),
        (
            "repeated_photo_id",
            defects.repeated_photo_id,
            "row of a photo that its class has already: the smallest (observation_id, photo_url) is kept",
        ),
        (
            "conflicting_photos",
            defects.conflicting_photos,
            "photo under two or more classes: all rows of such a photo are left out",
        ),
        ("bad_photo_id", defects.bad_photo_id, "row without a photo_id of 1 or more: left out"),
        ("bad_extension", defects.bad_extension, "row without a known image extension: left out"),
        *((reason, count, LOSSES[reason]) for reason, count in defects.losses.items()),
    )
    return [
        *(_finding(name, count, what, examples=photos(name) if count else ()) for name, count, what in found),
        _finding(
            "no_class",
            defects.no_class,
            "photo without kingdom, genus or epithet: kept, in no species class",
            False,
            _examples(
                catalog,
                "SELECT DISTINCT coalesce(scientific_name, '(no name)') FROM lineages "
                f"WHERE class_key IS NULL ORDER BY 1 LIMIT {EXAMPLES}",
            ),
        ),
        _finding(
            "control_characters",
            defects.control_characters,
            "row with control characters in a name: kept, the characters made spaces",
        ),
    ]


def _names(catalog: Catalog) -> list[Finding]:
    upper = [rank for rank in RANKS if rank != "species"]
    holes = " OR ".join(
        f"({identifier(above)} IS NULL AND {identifier(below)} IS NOT NULL)"
        for above, below in itertools.pairwise(upper)
    )
    homonyms = " UNION ALL ".join(
        f"SELECT '{rank}:' || {identifier(rank)} AS term, list(DISTINCT kingdom ORDER BY kingdom) "
        f"AS kingdoms FROM lineages WHERE {identifier(rank)} IS NOT NULL AND kingdom IS NOT NULL "
        f"GROUP BY {identifier(rank)} HAVING count(DISTINCT kingdom) > 1"
        for rank in upper[1:]
    )
    homonyms += (
        " UNION ALL SELECT 'species:' || genus || ' ' || species, list(DISTINCT kingdom ORDER BY kingdom) "
        "FROM lineages WHERE class_key IS NOT NULL GROUP BY genus, species HAVING count(DISTINCT kingdom) > 1"
    )
    lineage = ", ".join(map(identifier, RANKS))
    several = (
        f"SELECT class_key FROM (SELECT DISTINCT class_key, {lineage} FROM lineages "
        "WHERE class_key IS NOT NULL) GROUP BY class_key HAVING count(*) > 1"
    )
    return [
        _listed(
            catalog,
            "rank_holes",
            "SELECT DISTINCT coalesce(class_key, scientific_name, '(no name)') AS name FROM lineages "
            f"WHERE {holes}",
            "name without a rank between two others: kept, outside that clade",
        ),
        _listed(
            catalog,
            "homonyms",
            f"SELECT term || ' (' || array_to_string(kingdoms, ', ') || ')' AS name FROM ({homonyms})",
            "name that taxa of several kingdoms share: told apart as kingdom>rank:name",
        ),
        _listed(
            catalog,
            "several_lineages",
            f"SELECT class_key AS name FROM ({several})",
            "class whose rows do not agree on the lineage: the most frequent one stands for the class",
        ),
        _listed(
            catalog,
            "hybrids",
            f"SELECT DISTINCT scientific_name AS name FROM lineages WHERE {HYBRID_SQL}",
            "name of a hybrid: kept, and left out of splits without --hybrids",
        ),
    ]


def _values(catalog: Catalog) -> list[Finding]:
    found = []
    for column, vocabulary in VOCABULARIES.items():
        counts = dict(catalog.defects.unknown_values.get(column, {}))
        if catalog.has(column):
            # A catalogue of an older build has the spellings themselves.
            known = ", ".join(map(literal, vocabulary))
            values = catalog.rows(
                f"SELECT {column}, count(*) FROM photos WHERE {column} NOT IN ({known}) GROUP BY 1 "
                "ORDER BY 2 DESC, 1"
            )
            counts |= {str(value): int(str(count)) for value, count in values}
        found.append(
            _finding(
                f"unknown_{column}",
                sum(counts.values()),
                f"photo whose {column} is outside the vocabulary: unknown, which no filter lets pass",
                False,
                tuple(f"{value} ({count:,})" for value, count in list(counts.items())[:EXAMPLES]),
            )
        )
    found.append(
        _listed(
            catalog,
            "own_url",
            "SELECT url AS name FROM photos WHERE url IS NOT NULL",
            "photo whose address does not follow from photo_id and extension: the address is kept",
        )
    )
    return found


def _as_published(catalog: Catalog) -> list[Finding]:
    """What the relations of a raw catalogue have mended already; a build leaves none of it."""
    empty = find_files(catalog.path).empty
    return [
        *_spellings(catalog),
        *_positions(catalog),
        _finding(
            "empty_columns",
            len(empty),
            "column without a value in any row: counts as absent, and filters that need it say so",
            examples=empty,
        ),
    ]


def _spellings(catalog: Catalog) -> list[Finding]:
    decomposed = " UNION ".join(
        f"SELECT {column} AS name FROM named WHERE {column} <> nfc_normalize({column})"
        for column in map(identifier, NAME_COLUMNS)
    )
    return [
        _listed(
            catalog,
            "not_nfc",
            decomposed,
            "name with decomposed accents: read in the composed form (NFC), as one name with it",
        ),
        _listed(
            catalog,
            "binomial_species",
            "SELECT DISTINCT species AS name FROM named WHERE starts_with(trim(species), trim(genus) || ' ')",
            "species that repeats its genus: read as the epithet alone",
        ),
    ]


def _positions(catalog: Catalog) -> list[Finding]:
    if not (catalog.has("latitude") and catalog.has("longitude")):
        return []
    off = (
        "(latitude IS NULL) <> (longitude IS NULL) OR latitude NOT BETWEEN -90 AND 90 "
        "OR longitude NOT BETWEEN -180 AND 180 OR isnan(latitude) OR isnan(longitude)"
    )
    return [
        _listed(
            catalog,
            "bad_position",
            f"SELECT photo_id || ': ' || coalesce(latitude::VARCHAR, '?') || ', ' || "
            f"coalesce(longitude::VARCHAR, '?') AS name FROM valid WHERE {off}",
            "row with half a position, or one off the globe: the position is taken as unknown",
        )
    ]


def _part_taxa(catalog: Catalog) -> Finding:
    """Whether each part holds no taxa but those that catalog.json says, by which files are left shut."""
    taxa = "SELECT parse_filename(filename), min(tax), max(tax) FROM parts GROUP BY 1 ORDER BY 1"
    part_taxa = catalog.meta.get("part_taxa", ())
    # Who has not said anything promises nothing.
    wrong = [
        str(part)
        for (part, least, most), (first, last) in zip(
            catalog.rows(taxa) if part_taxa else (), part_taxa, strict=True
        )
        if int(str(least)) < first or int(str(most)) > last
    ]
    return _finding(
        "wrong_part_taxa",
        len(wrong),
        "part with other taxa than catalog.json says",
        fatal=True,
        examples=tuple(wrong[:EXAMPLES]),
    )


def _promises(catalog: Catalog) -> list[Finding]:
    """What a built catalogue says of itself against its files."""
    checks = (
        (
            "unsorted",
            "SELECT count(*) FROM (SELECT tax, photo_id, lag(tax) OVER w AS t, lag(photo_id) OVER w AS p "
            "FROM parts WINDOW w AS (PARTITION BY tax ORDER BY photo_id)) WHERE p >= photo_id",
            "photo there twice",
        ),
        (
            "unknown_tax",
            "SELECT count(*) FROM (SELECT DISTINCT tax FROM parts) ANTI JOIN taxa USING (tax)",
            "value of tax that taxa.parquet lacks",
        ),
        (
            "wrong_counts",
            "SELECT count(*) FROM taxa FULL JOIN (SELECT tax, count(*) AS photos FROM parts GROUP BY tax) "
            "USING (tax) FULL JOIN (SELECT tax, sum(n) AS tallied FROM counts GROUP BY tax) USING (tax) "
            "WHERE n IS DISTINCT FROM photos OR n IS DISTINCT FROM tallied",
            "taxon whose photos are not as many as taxa.parquet or counts.parquet says",
        ),
    )
    found = [
        _finding(name, int(str(catalog.rows(sql)[0][0])), what, fatal=True) for name, sql, what in checks
    ]
    reasons = catalog.rows("SELECT reason, sum(rows)::BIGINT FROM rejected GROUP BY 1")
    listed = {str(reason): int(str(count)) for reason, count in reasons}
    counted = catalog.count_fingerprint()
    differs = counted != catalog.fingerprint
    return [
        *found,
        _part_taxa(catalog),
        _finding(
            "wrong_rejected",
            # A catalogue of a build that kept no list promises none.
            int(bool(listed) and listed != rejected.counts(catalog.defects)),
            "list of rows left out that does not have as many as the build counted",
            fatal=True,
        ),
        _finding(
            "wrong_fingerprint",
            int(differs),
            "fingerprint that the photos do not give",
            fatal=True,
            examples=(f"catalog.json says {catalog.fingerprint}, the photos give {counted}",)
            if differs
            else (),
        ),
    ]


# What there is to look at in one layout only.
_OF_LAYOUT: dict[str, Callable[[Catalog], list[Finding]]] = {"raw": _as_published, "built": _promises}


def _listed(catalog: Catalog, name: str, sql: str, what: str) -> Finding:
    """A finding of everything that a query for one column `name` returns."""
    count = int(str(catalog.rows(f"SELECT count(*) FROM ({sql})")[0][0]))
    examples = _examples(catalog, f"SELECT name FROM ({sql}) ORDER BY 1 LIMIT {EXAMPLES}") if count else ()
    return _finding(name, count, what, False, examples)


def _examples(catalog: Catalog, sql: str) -> tuple[str, ...]:
    return tuple(str(value) for value, *_ in catalog.rows(sql))


def _finding(
    name: str, count: int, what: str, fatal: bool = False, examples: tuple[str, ...] = ()
) -> Finding:
    """A finding whose `what` begins with a noun in the singular."""
    noun, _, rest = what.partition(" ")
    return Finding(name, count, f"{plural(count, noun)} {rest}", fatal, examples)
