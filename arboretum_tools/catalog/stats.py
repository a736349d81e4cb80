"""`catalog_stats`: the numbers of a catalogue that people put into a paper or a slide."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from arboretum_metadata.vocab import GROUPS, RANKS
from arboretum_tools.catalog.catalog import Catalog
from arboretum_tools.catalog.selection import Selection, SpeciesCount
from arboretum_tools.display import notebook_views
from arboretum_tools.errors import BadInputError
from arboretum_tools.imaging import figures as drawing
from arboretum_tools.options import takes
from arboretum_tools.options.catalog import CatalogStatsOptions
from arboretum_tools.tabular import markdown
from arboretum_tools.tabular.query import identifier, literal
from arboretum_tools.tabular.spreadsheets import plain
from arboretum_tools.wording import counted

#: Shares of the species below which a quantile of photos per species lies.
QUANTILES = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1)

#: Least photos per species, for the table that says what a threshold would keep.
THRESHOLDS = (1, 2, 5, 10, 20, 30, 50, 100, 200, 500, 1_000, 5_000, 10_000, 50_000)

# Columns by which photos are counted.
_COLUMNS = ("license", "life_stage", "quality_grade", "iucn")

_ABOVE = tuple(rank for rank in RANKS if rank != "species")
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
        tail: the long tail, most photos first: (photos, how many species have so many).
    """

    english: str
    photos: int
    species: int
    tables: tuple[Table, ...]
    tail: tuple[tuple[int, int], ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """Photos of every species, most first; made of `tail` each time that it is asked for."""
        return tuple(chain.from_iterable(repeat(photos, species) for photos, species in self.tail))

    _repr_html_ = notebook_views.report

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
            numeric = [i for i in range(len(table.columns)) if _numeric(table, i)]
            rows = ([_cell(value) for value in row] for row in table.rows)
            lines = markdown.table(table.columns, rows, right=numeric)
            parts.append("\n".join([f"### {table.title}", "", *lines]))
        return "\n\n".join(parts) + "\n"

    def to_csv(self) -> str:
        """All tables as one, a row for each number: table, what is counted, measure, value."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("table", "row", "measure", "value"))
        for table in self.tables:
            for first, *values in table.rows:
                writer.writerows(
                    (table.name, plain(first), measure, plain(value))
                    for measure, value in zip(table.columns[1:], values, strict=True)
                )
        return out.getvalue()


@takes(CatalogStatsOptions)
def catalog_stats(what: Catalog | Selection, options: CatalogStatsOptions) -> CatalogStats:
    """Counts a catalogue, or a selection of it.

    A built catalogue answers from its tables of names and counts where the selection allows.

    Args:
        what: a Catalog stands for all of its photos, of any grade.
        options: {options}

    Raises:
        UsageError: `top` is below 0.

    >>> import arboretum_tools as at
    >>> birds = at.open_catalog("catalog").select("Aves")
    >>> print(at.catalog_stats(birds, top=1).to_csv().splitlines()[0])
    table,row,measure,value
    """
    top = options.top
    selection = what if isinstance(what, Selection) else what.select(quality_grade="any")
    groups = _species_by_group(selection)
    tail = _tail(groups)
    species = sum(number for _, number in tail)
    photos, by = _photos_by(selection)
    first, last = _rows(selection.species(top)), _rows(selection.species(top, last=True))
    names = ("species", "common name", "photos")
    tables = [
        Table("group", "Groups", ("group", "species", "photos", "% of photos"), _by_group(groups)),
        Table("rarity", "Species by photos", ("band", "species", "photos", "% of photos"), _by_band(tail)),
        Table(
            "rare",
            "Species that --rarity rare takes",
            ("band", "species", "photos", "% of photos"),
            (("rare (under 30)", *_between(tail, 1, 29)),) if tail else (),
        ),
        Table(
            "quantile",
            "Photos per species",
            ("share of species", "photos"),
            tuple((f"{q:.0%}", _quantile(tail, q)) for q in QUANTILES) if tail else (),
        ),
        Table(
            "threshold",
            "What a least number of photos keeps",
            ("least photos", "species", "photos", "% of photos"),
            _by_threshold(tail),
        ),
        Table("license", "Licences", ("licence", "photos", "%"), by["license"]),
        Table("life_stage", "Life stages", ("life stage", "photos", "%"), by["life_stage"]),
        Table("quality_grade", "Quality grades", ("grade", "photos", "%"), by["quality_grade"]),
        Table("iucn", "IUCN categories", ("category", "photos", "%"), by["iucn"]),
        Table("rank", "Taxa by rank", ("rank", "taxa"), _by_rank(selection, species)),
        Table("top", "Most photographed species", names, first),
        Table("bottom", "Least photographed species", names, last),
    ]
    return CatalogStats(
        english=selection.english,
        photos=photos,
        species=species,
        tables=tuple(table for table in tables if table.rows),
        tail=tail,
    )


def figures(
    stats: CatalogStats, folder: str | Path, *, form: str = "png", overwrite: bool = False
) -> list[Path]:
    """Draws the groups and the long tail; gives the files.

    Args:
        stats: of a catalogue.
        folder: where the figures are written.
        form: png, pdf or svg.
        overwrite: replace files that are there.

    Raises:
        TargetExistsError: a file is there and may not be replaced.
        UsageError: the form is another one.
        BadInputError: matplotlib is not installed, or there is nothing to draw.
    """
    names = ("long-tail", "groups")
    files = [drawing.target(Path(folder) / f"{name}.{form}", overwrite=overwrite) for name in names]
    if not stats.species:
        raise BadInputError("there are no species to draw")
    new = drawing.figure_class()
    return [
        drawing.save(draw(new, stats), path) for draw, path in zip((_long_tail, _groups), files, strict=True)
    ]


def _long_tail(new: Any, stats: CatalogStats) -> Any:
    """Photos per species, both axes logarithmic."""
    figure = new(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(
        xscale="log", yscale="log", xlabel="species, most photographed first", ylabel="photos"
    )
    axes.plot(range(1, stats.species + 1), stats.counts, color="#2f6b3a")
    axes.axhline(30, color="#888888", linewidth=0.8, linestyle="--")
    axes.annotate(
        "30 photos", (1, 30), textcoords="offset points", xytext=(2, 3), fontsize=8, color="#666666"
    )
    axes.set_title(f"{counted(stats.photos, 'photo')} of {stats.species:,} species", fontsize=10)
    for axis, most in ((axes.xaxis, stats.species), (axes.yaxis, stats.counts[0])):
        # In full, as 1,000 is easier to read than a power; of few decades also what lies between.
        steps = (1, 2, 5) if most <= 2_000 else (1,)
        ticks = [step * 10**power for power in range(len(str(most)) + 1) for step in steps]
        axis.set_ticks([tick for tick in ticks if tick <= most * 1.5])
        axis.set_major_formatter("{x:,.0f}")
        axis.set_minor_formatter("")
    return figure


def _groups(new: Any, stats: CatalogStats) -> Any:
    """Species and photos by group."""
    rows = next(table for table in stats.tables if table.name == "group").rows
    figure = new(figsize=(7, 1.1 + 0.3 * len(rows)), layout="constrained")
    for position, (title, column, color) in enumerate((("species", 1, "#8a6d3b"), ("photos", 2, "#2f6b3a"))):
        panel = figure.add_subplot(1, 2, position + 1, title=title)
        # Room for two: one bar alone is no wall.
        panel.barh([row[0] for row in rows], [row[column] for row in rows], color=color, height=0.7)
        panel.set_ylim(max(len(rows), 2) - 0.4, -0.6)
        panel.spines[["top", "right"]].set_visible(False)
        panel.xaxis.get_major_locator().set_params(integer=True, nbins=5)
        panel.xaxis.set_major_formatter("{x:,.0f}")
    return figure


def _group_sql() -> str:
    cases = " ".join(
        f"WHEN {identifier(group.rank)} = {literal(group.name)} THEN {literal(group.name)}"
        for group in GROUPS.values()
    )
    return f"CASE {cases} ELSE {literal(_OTHER)} END"


def _species_by_group(selection: Selection) -> list[tuple[str, int, int]]:
    """Which group, photos per species, and how many species of the group have so many."""
    sql, parameters = selection.species_sql()
    found = selection.catalog.rows(
        f"SELECT {_group_sql()}, n_selected, count(*) FROM ({sql}) GROUP BY ALL", parameters
    )
    return [(str(group), int(str(photos)), int(str(species))) for group, photos, species in found]


def _tail(groups: Iterable[tuple[str, int, int]]) -> tuple[tuple[int, int], ...]:
    tail = Counter[int]()
    for _, photos, species in groups:
        tail[photos] += species
    return tuple(sorted(tail.items(), reverse=True))


def _photos_by(selection: Selection) -> tuple[int, dict[str, tuple[tuple[Any, ...], ...]]]:
    """Photos in all, and by the values of each column; none of a column that the catalogue lacks."""
    there = [column for column in _COLUMNS if selection.catalog.has(column)]
    relation, photos = selection.tally("*")
    found = selection.explanation
    rows = selection.catalog.rows(
        f"SELECT {''.join(f'{column}, ' for column in there)}({photos})::BIGINT "
        f"FROM {selection.source(relation)} WHERE {found.condition} GROUP BY ALL",
        found.parameters,
    )
    totals = {column: Counter[str]() for column in there}
    total = 0
    for *values, number in rows:
        count = int(str(number))
        total += count
        for column, value in zip(there, values, strict=True):
            totals[column]["unknown" if value is None else str(value)] += count
    tables: dict[str, tuple[tuple[Any, ...], ...]] = dict.fromkeys(_COLUMNS, ())
    for column, by_value in totals.items():
        order = sorted(by_value.items(), key=lambda item: (-item[1], item[0]))
        tables[column] = tuple((value, count, _percent(count, total)) for value, count in order)
    return total, tables


def _rows(species: Iterable[SpeciesCount]) -> tuple[tuple[Any, ...], ...]:
    return tuple((one.scientific_name, one.common_name or "", one.n_selected) for one in species)


def _by_group(groups: Iterable[tuple[str, int, int]]) -> tuple[tuple[Any, ...], ...]:
    species, photos = Counter[str](), Counter[str]()
    for group, count, number in groups:
        species[group] += number
        photos[group] += count * number
    order = sorted(species, key=lambda group: (group == _OTHER, -photos[group], group))
    return tuple(
        (group, species[group], photos[group], _percent(photos[group], photos.total())) for group in order
    )


def _by_band(tail: Sequence[tuple[int, int]]) -> tuple[tuple[Any, ...], ...]:
    bands = (
        ("few (under 20)", 1, 19),
        ("medium (20 to 100)", 20, 100),
        ("many (over 100)", 101, 2**62),
    )
    return tuple((name, *_between(tail, least, most)) for name, least, most in bands)


def _by_threshold(tail: Sequence[tuple[int, int]]) -> tuple[tuple[Any, ...], ...]:
    rows = ((least, *_between(tail, least, 2**62)) for least in THRESHOLDS)
    return tuple(row for row in rows if row[1])


def _between(tail: Sequence[tuple[int, int]], least: int, most: int) -> tuple[int, int, float]:
    """Species with so many photos, their photos, and their share of all."""
    inside = [(photos, species) for photos, species in tail if least <= photos <= most]
    photos = sum(photos * species for photos, species in inside)
    total = sum(photos * species for photos, species in tail)
    return sum(species for _, species in inside), photos, _percent(photos, total)


def _by_rank(selection: Selection, species: int) -> tuple[tuple[Any, ...], ...]:
    # A taxon is its name and its kingdom: genera of two kingdoms may share their name.
    found, names = selection.explanation, ", ".join(identifier(rank) for rank in _ABOVE)
    if found.everything:
        source, parameters = "lineages", ()
    elif selection.tally("*")[0] == "counts":
        taken = f"SELECT tax FROM counts WHERE {found.condition}"
        source, parameters = f"lineages WHERE tax IN ({taken})", found.parameters
    else:
        source, parameters = f"{selection.source('photos')} WHERE {found.condition}", found.parameters
    counts = ", ".join(
        f"(SELECT count(*) FROM (SELECT DISTINCT kingdom, {identifier(rank)} FROM here "
        f"WHERE {identifier(rank)} IS NOT NULL))"
        for rank in _ABOVE
    )
    sql = f"WITH here AS MATERIALIZED (SELECT DISTINCT {names} FROM {source}) SELECT {counts}"
    (row,) = selection.catalog.rows(sql, parameters)
    return (*((rank, int(str(count))) for rank, count in zip(_ABOVE, row, strict=True)), ("species", species))


def _quantile(tail: Sequence[tuple[int, int]], share: float) -> int:
    """The photos at or below which this share of the species lies (nearest rank)."""
    last = sum(species for _, species in tail) - 1
    position = min(last, max(0, -(-int(share * (last + 1) * 1000) // 1000) - 1))
    for photos, species in reversed(tail):
        position -= species
        if position < 0:
            return photos
    raise AssertionError("a tail without species has no quantiles")


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def _numeric(table: Table, position: int) -> bool:
    return all(isinstance(row[position], int | float) for row in table.rows)


def _cell(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.2f}"
    # Names come from the metadata, which are untrusted.
    return markdown.cell(str(value))
