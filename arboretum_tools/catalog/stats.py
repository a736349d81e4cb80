"""`catalog_stats`: the numbers of a catalogue that people put into a paper or a slide."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from arboretum_metadata.vocab import GROUPS, RANKS
from arboretum_tools.catalog.catalog import Catalog
from arboretum_tools.catalog.relations import Relations
from arboretum_tools.catalog.select import Selection
from arboretum_tools.errors import BadInputError
from arboretum_tools.publish import whole_file
from arboretum_tools.query import identifier, literal
from arboretum_tools.wording import counted

#: Shares of the species below which a quantile of photos a species lies.
QUANTILES = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1)

#: Least photos a species, for the table that says what a threshold would keep.
THRESHOLDS = (1, 2, 5, 10, 20, 30, 50, 100, 200, 500, 1_000, 5_000, 10_000, 50_000)

_OTHER = "other"


@dataclass(frozen=True, slots=True)
class Table:
    """One table: what it is, its columns, and its rows; numbers are numbers."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class CatalogStats:
    """The tables of a catalogue or of a selection of it.

    Attributes:
        english: what is counted.
        photos: photos of it.
        species: species classes of it.
        tables: in the order in which they read.
        counts: photos of every species, most first: the long tail.
    """

    english: str
    photos: int
    species: int
    tables: tuple[Table, ...]
    counts: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON; the long tail is left to the tables."""
        return {
            "english": self.english,
            "photos": self.photos,
            "species": self.species,
            "tables": [asdict(table) for table in self.tables],
        }

    def to_markdown(self) -> str:
        """Every table in Markdown."""
        parts = [f"{self.english}: {counted(self.photos, 'photo')} of {self.species:,} species."]
        for table in self.tables:
            lines = [f"### {table.title}", "", _row(table.columns)]
            lines.append(_row("---:" if _numeric(table, i) else "---" for i in range(len(table.columns))))
            lines += [_row(_cell(value) for value in row) for row in table.rows]
            parts.append("\n".join(lines))
        return "\n\n".join(parts) + "\n"

    def to_csv(self) -> str:
        """Every table below the other, each row led by the name of its table."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        for table in self.tables:
            writer.writerow(["table", *table.columns])
            writer.writerows([table.name, *map(_safe, row)] for row in table.rows)
        return out.getvalue()


def catalog_stats(what: Catalog | Selection, *, top: int = 10) -> CatalogStats:
    """Counts a catalogue, or a selection of it.

    A built catalogue answers from its tables of names and counts where the selection allows.

    Args:
        what: a Catalog stands for all of its photos, of any grade.
        top: species in the tables of the most and the least photographed.
    """
    selection = what if isinstance(what, Selection) else what.select(quality_grade="any")
    catalog = selection.catalog
    relation, photos = selection.tally("*")
    found = selection.explanation
    species = catalog.table(
        f"SELECT class_key, scientific_name, common_name, n, {_group_sql()} AS group_name FROM ("
        f"SELECT class_key, ({photos})::BIGINT AS n FROM {relation} "
        f"WHERE ({found.condition}) AND class_key IS NOT NULL GROUP BY class_key) "
        "JOIN classes USING (class_key) ORDER BY n DESC, class_key",
        found.parameters,
    )
    counts = [int(n) for n in species["n"].to_pylist()]
    groups = species["group_name"].to_pylist()

    def by(column: str) -> tuple[tuple[Any, ...], ...]:
        if not catalog.has(column):
            return ()
        rows = catalog.rows(
            f"SELECT coalesce({column}, 'unknown'), ({photos})::BIGINT AS n FROM {relation} "
            f"WHERE {found.condition} GROUP BY 1 ORDER BY n DESC, 1",
            found.parameters,
        )
        total = sum(int(str(n)) for _, n in rows)
        return tuple((str(value), int(str(n)), _percent(int(str(n)), total)) for value, n in rows)

    names = list(
        zip(
            species["scientific_name"].to_pylist(),
            (name or "" for name in species["common_name"].to_pylist()),
            counts,
            strict=True,
        )
    )
    tables = [
        Table("group", "Groups", ("group", "species", "photos", "% of photos"), _by_group(groups, counts)),
        Table(
            "rarity",
            "Species by photos",
            ("band", "species", "photos", "% of photos"),
            tuple(_by_band(counts)),
        ),
        Table(
            "quantile",
            "Photos a species",
            ("share of species", "photos"),
            tuple((f"{q:.0%}", _quantile(counts, q)) for q in QUANTILES) if counts else (),
        ),
        Table(
            "threshold",
            "What a least number of photos keeps",
            ("least photos", "species", "photos", "% of photos"),
            tuple(_by_threshold(counts)),
        ),
        Table("license", "Licences", ("licence", "photos", "%"), by("license")),
        Table("life_stage", "Life stages", ("life stage", "photos", "%"), by("life_stage")),
        Table("quality_grade", "Quality grades", ("grade", "photos", "%"), by("quality_grade")),
        Table("iucn", "IUCN categories", ("category", "photos", "%"), by("iucn")),
        Table("rank", "Taxa by rank", ("rank", "taxa"), _by_rank(catalog, relation, found)),
        Table("top", "Most photographed species", ("species", "common name", "photos"), tuple(names[:top])),
        Table(
            "bottom", "Least photographed species", ("species", "common name", "photos"), tuple(names[-top:])
        ),
    ]
    return CatalogStats(
        english=selection.english,
        photos=selection.count(),
        species=len(counts),
        tables=tuple(table for table in tables if table.rows),
        counts=tuple(counts),
    )


def figures(stats: CatalogStats, folder: str | Path, *, form: str = "png") -> list[Path]:
    """Draws the groups and the long tail; gives the files.

    Args:
        stats: of a catalogue.
        folder: where the figures are written.
        form: png, pdf or svg.

    Raises:
        BadInputError: matplotlib is not installed, or there is nothing to draw.
    """
    if form not in ("png", "pdf", "svg"):
        raise BadInputError(f"figures can be png, pdf or svg, not {form!r}")
    if not stats.counts:
        raise BadInputError("there are no species to draw")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise BadInputError(
            "figures need matplotlib, which is not installed",
            hint="Install the extra: pip install 'arboretum-tools[plots]'.",
        ) from None
    # Figures of their own, without pyplot: no state, no window, no font cache message.
    long_tail = Figure(figsize=(6, 4), layout="constrained")
    axes = long_tail.add_subplot(
        xscale="log", yscale="log", xlabel="species, most photographed first", ylabel="photos"
    )
    axes.plot(range(1, len(stats.counts) + 1), stats.counts, color="#2f6b3a")
    axes.axhline(30, color="#888888", linewidth=0.8, linestyle="--")
    axes.annotate(
        "30 photos", (1, 30), textcoords="offset points", xytext=(2, 3), fontsize=8, color="#666666"
    )
    axes.set_title(f"{counted(stats.photos, 'photo')} of {len(stats.counts):,} species", fontsize=10)
    groups = next(table for table in stats.tables if table.name == "group")
    by_group = Figure(figsize=(7, 1.1 + 0.3 * len(groups.rows)), layout="constrained")
    for place, (title, column, color) in enumerate((("species", 1, "#8a6d3b"), ("photos", 2, "#2f6b3a"))):
        panel = by_group.add_subplot(1, 2, place + 1, title=title)
        panel.barh([row[0] for row in groups.rows], [row[column] for row in groups.rows], color=color)
        panel.invert_yaxis()
        panel.spines[["top", "right"]].set_visible(False)
    written = []
    for name, figure in (("long-tail", long_tail), ("groups", by_group)):
        path = Path(folder) / f"{name}.{form}"
        with whole_file(path) as temporary:
            figure.savefig(temporary, format=form, dpi=200)
        written.append(path)
    return written


def _group_sql() -> str:
    cases = " ".join(
        f"WHEN {identifier(group.rank)} = {literal(group.name)} THEN {literal(group.name)}"
        for group in GROUPS.values()
    )
    return f"CASE {cases} ELSE {literal(_OTHER)} END"


def _by_group(groups: Sequence[str], counts: Sequence[int]) -> tuple[tuple[Any, ...], ...]:
    species: dict[str, int] = {}
    photos: dict[str, int] = {}
    for group, count in zip(groups, counts, strict=True):
        species[group] = species.get(group, 0) + 1
        photos[group] = photos.get(group, 0) + count
    order = sorted(species, key=lambda group: (group == _OTHER, -photos[group], group))
    total = sum(counts)
    return tuple((group, species[group], photos[group], _percent(photos[group], total)) for group in order)


def _by_band(counts: Sequence[int]) -> Iterable[tuple[Any, ...]]:
    total = sum(counts)
    bands = (
        ("few (under 20)", 1, 19),
        ("medium (20 to 100)", 20, 100),
        ("many (over 100)", 101, 2**62),
        ("rare (under 30)", 1, 29),
    )
    for name, least, most in bands:
        inside = [count for count in counts if least <= count <= most]
        yield name, len(inside), sum(inside), _percent(sum(inside), total)


def _by_threshold(counts: Sequence[int]) -> Iterable[tuple[Any, ...]]:
    total = sum(counts)
    for least in THRESHOLDS:
        inside = [count for count in counts if count >= least]
        if inside:
            yield least, len(inside), sum(inside), _percent(sum(inside), total)


def _by_rank(catalog: Relations, relation: str, found: Any) -> tuple[tuple[Any, ...], ...]:
    # A taxon is its name and its kingdom: genera of two kingdoms may share their name.
    columns = ", ".join(
        "count(DISTINCT class_key)"
        if rank == "species"
        else f"count(DISTINCT (kingdom, {identifier(rank)})) FILTER ({identifier(rank)} IS NOT NULL)"
        for rank in RANKS
    )
    source = "lineages" if relation == "counts" else "photos"
    if relation == "counts":
        sql = f"SELECT {columns} FROM lineages WHERE tax IN (SELECT tax FROM counts WHERE {found.condition})"
    else:
        sql = f"SELECT {columns} FROM {source} WHERE {found.condition}"
    counts = catalog.rows(sql, found.parameters)[0]
    return tuple((rank, int(str(count))) for rank, count in zip(RANKS, counts, strict=True))


def _quantile(counts: Sequence[int], share: float) -> int:
    """The count below or at which this share of the species lies (nearest rank; `counts` descend)."""
    rising = len(counts) - 1
    return counts[rising - min(rising, max(0, -(-int(share * len(counts) * 1000) // 1000) - 1))]


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _numeric(table: Table, place: int) -> bool:
    return all(isinstance(row[place], int | float) for row in table.rows)


def _cell(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    # Names come from the metadata, which are untrusted.
    return str(value).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _safe(value: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@" and value else value
