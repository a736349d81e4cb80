"""A datasheet of a split, in the order of "Datasheets for Datasets" (Gebru et al., 2021), as Markdown.

Everything in it is counted or stands in the split; nothing is filled in that nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from arboretum_metadata.vocab import LICENSES
from arboretum_tools.publication.citations import bibtex, own_bibtex
from arboretum_tools.publication.composition import NOT_KNOWN, Composition
from arboretum_tools.publication.origin import DRAWN_FOR, FOLLOWS_PEOPLE, LABELS, Origin
from arboretum_tools.split.files.manifest import Split
from arboretum_tools.split.stats import split_stats
from arboretum_tools.system.atomic_files import canonical_json
from arboretum_tools.tabular.markdown import cell, table
from arboretum_tools.taxa.bands import BANDS
from arboretum_tools.version import __version__
from arboretum_tools.wording import counted

# Rows of a table that may have any number.
_SHOWN = 20


def datasheet(
    split: Split, origin: Origin, found: Composition, title: str, authors: Sequence[str], doi: str | None
) -> str:
    """The datasheet.

    Args:
        split: what it is about.
        origin: of its photos.
        found: what its photos are.
        title: of the publication.
        authors: as they are cited.
        doi: None where none was given.
    """
    sections = [
        f"# {cell(title)}",
        _identity(split, origin, authors, doi),
        f"## Composition\n\n{_composition(split, found)}",
        f"## Collection\n\n{_collection(origin)}",
        f"## Bias\n\n{bias(found)}",
        f"## Construction\n\n{_making(split)}",
        f"## Uses\n\n{_uses(split, origin)}",
        f"## Distribution and licences\n\n{_licences(found)}",
        f"## Maintenance\n\n{_maintenance()}",
        f"## Cite\n\nThis publication, as `CITATION.cff` does:\n\n"
        f"```bibtex\n{own_bibtex(title, authors, doi, split.meta.get('split_sha256'))}\n```\n\n"
        f"The metadata are those of\n\n```bibtex\n{bibtex()}\n```",
    ]
    return "\n\n".join(sections) + "\n"


def _identity(split: Split, origin: Origin, authors: Sequence[str], doi: str | None) -> str:
    rows = [
        ["made by", cell("; ".join(authors))],
        ["DOI", cell(doi) if doi else "none was given"],
        ["`split_sha256`", f"`{split.meta.get('split_sha256')}`"],
        ["photos", f"{origin.words}; they are not in this folder"],
    ]
    return _rows(["", ""], rows)


def _composition(split: Split, found: Composition) -> str:
    stats = split_stats(split)
    parts = [[part, f"{split.num_photos(part):,}"] for part in split.parts]
    text = [
        f"{counted(found.photos, 'photo')} of {counted(split.num_classes, 'class')}, named by `photo_id`, "
        "each with its class, observation, observer, licence and, where they are known, day, place and life "
        "stage.",
        _rows(["part", "photos"], parts, right=[1]),
    ]
    if "train" in split.parts:
        bands = [
            [band, f"{stats.bands[band].classes:,}", f"{stats.bands[band].photos:,}"]
            for band in BANDS
            if band in stats.bands
        ]
        text += [
            f"The largest class has {stats.largest:,} train photos and the smallest {stats.smallest:,}.",
            _rows(["shots", "classes", "train photos"], bands, right=[1, 2]),
        ]
    ranks = [[rank, f"{count:,}"] for rank, count in stats.ranks.items() if count]
    return "\n\n".join([*text, _rows(["rank", "taxa"], ranks, right=[1])])


def _collection(origin: Origin) -> str:
    if origin.drawn:
        return origin.collection
    return (
        f"{origin.collection} {LABELS}. Observers are given by the number and the name that they chose to be "
        "credited by."
    )


def bias(found: Composition) -> str:
    """How observers, places, years and stages are spread, and of how many photos they are not known."""
    lines = [FOLLOWS_PEOPLE]
    if found.observers:
        observers = len(found.observers)
        # A share of less than one of them is that one.
        most = "most active 1 %" if observers >= 100 else "most active one"
        tenth = (
            f", and the most active 10 % took {_percent(found.share_of_observers(0.1))}"
            if observers >= 10
            else ""
        )
        lines.append(
            f"**Observers.** {counted(observers, 'observer')}; the {most} took "
            f"{_percent(found.share_of_observers(0.01))} of the photos whose observer is known "
            f"({found.observers.total():,}){tenth}."
        )
    if found.cells:
        lines.append(
            f"**Places.** {counted(found.cells.total(), 'photo')} with a place: {_percent(found.north)} of "
            f"them north of the equator, in {counted(len(found.cells), 'cell')} of ten by ten degrees, the "
            "fullest of which holds "
            f"{_percent(max(found.cells.values()) / found.cells.total())}. Places of threatened species "
            "are blurred by iNaturalist."
        )
    if found.years:
        years = sorted(found.years)
        middle = _median(found.years)
        lines.append(f"**Time.** {years[0]} to {years[-1]}, half of the photos from {middle} or later.")
    stages = [[cell(name), f"{count:,}"] for name, count in found.stages.most_common()]
    lines.append(_rows(["life stage", "photos"], stages, right=[1]))
    unknown = {
        "observer": found.photos - found.observers.total(),
        "place": found.photos - found.cells.total(),
        "day": found.photos - found.years.total(),
        "licence": found.licenses[NOT_KNOWN],
    }
    lines.append(
        "Not known: "
        + ", ".join(f"{name} of {counted(count, 'photo')}" for name, count in unknown.items())
        + "."
    )
    return "\n\n".join(lines)


def _making(split: Split) -> str:
    meta = split.meta
    names = ("recipe", "selection_english", "group_by", "counts", "catalog", "toolkit_version")
    how = {name: meta[name] for name in names if name in meta}
    return (
        f"By `arboretum make-split`; described by arboretum-tools {__version__}. `arboretum audit-split` "
        "proves from these files what the recipe promises; with the same catalogue, `arboretum make-split "
        f"--from split.json` makes the same split.\n\n```json\n{canonical_json(how, indent=2)}\n```"
    )


def _uses(split: Split, origin: Origin) -> str:
    if origin.drawn:
        return DRAWN_FOR
    uses = [
        "training and evaluation of models that tell organisms apart, with the parts as they are",
        *(
            ["reports by shot band (many, medium, few), as `arboretum evaluate` writes them"]
            if "train" in split.parts
            else []
        ),
    ]
    against = [
        "the estimation of how common species are, or where they live: see Bias",
        "finding out who took a photo beyond crediting them",
    ]
    return "Made for:\n\n" + _list(uses) + "\n\nNot for:\n\n" + _list(against)


def _licences(found: Composition) -> str:
    rows = [
        [name, f"{count:,}", LICENSES[name].url if name in LICENSES else "may not be passed on"]
        for name, count in found.licenses.items()
    ]
    return (
        "The folder lists photo ids; it contains no photos. Each photo keeps the licence of its author, in "
        "the column `license`:\n\n" + _rows(["licence", "photos", ""], rows, right=[1])
    )


def _maintenance() -> str:
    return (
        "Photos can be taken down, renamed or relicensed at iNaturalist at any time; `arboretum download` "
        "reports which are gone, and `arboretum audit-split --catalog` what has changed since. A changed "
        "split has another `split_sha256`; this one does not change."
    )


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _median(years: Mapping[int, int]) -> int:
    half, seen = sum(years.values()) / 2, 0
    for year in sorted(years, reverse=True):
        seen += years[year]
        if seen >= half:
            return year
    raise ValueError("no years")


def _rows(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    lines = table(header, rows[:_SHOWN], right=right)
    more = len(rows) - _SHOWN
    return "\n".join(lines) + (f"\n\n... and {more:,} more." if more > 0 else "")


def _list(items: Iterable[Any]) -> str:
    return "\n".join(f"- {item}" for item in items)
