"""`arboretum taxa`: what a catalogue holds of a taxon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from arboretum_cli.flags import completion
from arboretum_cli.flags.declared import takes
from arboretum_cli.flags.shared import CatalogPath, Json
from arboretum_cli.printing.output import result, table
from arboretum_cli.printing.progress import Progress
from arboretum_tools.options import Option
from arboretum_tools.options.catalog import TaxonOptions
from arboretum_tools.wording import counted

if TYPE_CHECKING:
    from arboretum_tools.catalog.overview import Branch, TaxonReport

# Branches that are shown of a taxon without --tree.
_SHOWN = 15


@dataclass(frozen=True, kw_only=True)
class OwnOptions(TaxonOptions):
    """What `arboretum taxa` takes besides a taxon and a catalogue."""

    tree: Annotated[bool, Option("Show the ranks below as a tree.")] = False
    levels: Annotated[int, Option("Ranks of the tree.", metavar="N", least=1, most=7)] = 2


@takes(own=OwnOptions)
def taxa(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A taxon, as --taxa takes it: scientific name of any rank, common name, taxon id. Without "
            "one the whole catalogue.",
            metavar="NAME",
            show_default=False,
            autocompletion=completion.taxa,
        ),
    ] = None,
    *,
    own: OwnOptions,
    catalog: CatalogPath = None,
    json: Json = False,
) -> None:
    """Show what a catalogue holds of a taxon: lineage, child taxa, photos, rarity, coverage.

    Photos of every grade are counted. In Python: `describe_taxon(catalog, name)`.

    \b
    Examples:
        arboretum taxa
        arboretum taxa Odonata
        arboretum taxa beetles --tree --levels 1
    """
    from arboretum_tools.catalog import open_catalog
    from arboretum_tools.catalog.overview import describe_taxon

    with Progress() as progress:
        opened = open_catalog(catalog, on_event=progress)
        report = describe_taxon(opened, name, levels=own.levels if own.tree else 1)
    result(json, report.to_dict(), _lines(report, tree=own.tree))


def _lines(report: TaxonReport, *, tree: bool) -> list[str]:
    own = f"{report.rank} {report.name}" if report.rank else "the whole catalogue"
    if report.common_names:
        own += f" ({', '.join(report.common_names)})"
    if report.taxon_id is not None:
        own += f", taxon id {report.taxon_id}"
    rarity = report.rarity
    lines = [own]
    if report.lineage:
        lines.append(" > ".join(report.lineage.values()))
    if report.inactive:
        lines.append(f"{report.inactive.sentence}")
    if report.former_names:
        lines.append(f"formerly {', '.join(report.former_names)}")
    lines += [
        f"{counted(report.photos, 'photo')} of {report.classes:,} species",
        f"species by photos: {rarity['rare']:,} rare (under 30); {rarity['few']:,} few (under 20), "
        f"{rarity['medium']:,} medium (20 to 100), {rarity['many']:,} many (over 100)",
        _coverage("life stage", report.life_stages, report.photos),
        _coverage("licence", report.licenses, report.photos),
    ]
    if report.iucn:
        known = {category: count for category, count in report.iucn.items() if category}
        listed = ", ".join(f"{category} {count:,}" for category, count in known.items())
        lines.append(f"species by IUCN category: {listed or 'none known'}")
    if report.branches:
        lines.append("")
        lines += _tree(report.branches) if tree else _children(report.branches)
    return lines


def _coverage(what: str, counts: Mapping[str, int], photos: int) -> str:
    known = {value: count for value, count in counts.items() if value}
    share = 100 * sum(known.values()) / photos if photos else 0
    listed = ", ".join(f"{value} {count:,}" for value, count in known.items())
    return f"{what} known of {share:.0f} %" + (f": {listed}" if listed else "")


def _children(branches: tuple[Branch, ...]) -> list[str]:
    rows = [(_name(b), b.common_name or "", b.photos, b.classes) for b in branches[:_SHOWN]]
    lines = table((branches[0].rank, "common name", "photos", "species"), rows)
    if len(branches) > _SHOWN:
        lines.append(f"... and {len(branches) - _SHOWN:,} more")
    return lines


def _tree(branches: tuple[Branch, ...]) -> list[str]:
    return [
        f"{'  ' * (b.depth - 1)}{b.rank} {_name(b)}"
        + (f" ({b.common_name})" if b.common_name else "")
        + f": {counted(b.photos, 'photo')} of {b.classes:,} species"
        for b in branches
    ]


def _name(branch: Branch) -> str:
    return branch.name or "(not identified further)"
