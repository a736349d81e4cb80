"""`arboretum catalog`: fetch, build, annotate and check a catalogue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arboretum_cli._output import result, size, table
from arboretum_cli._progress import Progress

if TYPE_CHECKING:
    from arboretum_tools.catalog.build import BuildReport
    from arboretum_tools.catalog.check import CheckReport

_Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
_To = Annotated[
    Path | None,
    typer.Option(
        "--to",
        help="The catalogue's folder. [default: $ARBORETUM_CATALOG, else ./catalog]",
        metavar="DIR",
        show_default=False,
    ),
]

#: Examples of a finding that are shown on a terminal.
_SHOWN = 5


def build(
    sources: Annotated[
        list[Path],
        typer.Argument(
            help="Published Parquet or CSV; the folder or tar of iNaturalist Open Data; a Darwin Core "
            "archive of GBIF. Several are joined by photo id.",
            metavar="SRC...",
        ),
    ],
    to: _To = None,
    json: _Json = False,
) -> None:
    """Build a catalogue that answers quickly, from any source.

    A catalogue that is there is replaced once the new one is whole. A build that was interrupted goes on
    where it stopped when the same command is given again. In Python: `build_catalog(sources, to)`.

    \b
    Examples:
        arboretum catalog build BioTrove-Train/ --to catalog
        arboretum catalog build BioTrove-Train/ inaturalist-open-data/ gbif.zip --to catalog
    """
    from arboretum_tools.catalog.build import build_catalog

    with Progress() as progress:
        report = build_catalog(sources, to, on_event=progress)
    result(json, report.to_dict(), _built_lines(report))


def _built_lines(report: BuildReport) -> list[str]:
    per_photo = report.size_bytes / report.photos
    lines = [
        f"{report.path}: {report.photos:,} photos of {report.classes:,} species, {report.taxa:,} taxa, "
        f"{size(report.size_bytes)} ({per_photo:.1f} bytes a photo), fingerprint {report.fingerprint}",
        *(f"  of {report.defects.rows:,} rows {said}" for said in report.defects.sentences),
    ]
    rows = [
        (column, source, count, f"{100 * count / report.photos:.1f} %")
        for column, by_source in report.coverage.items()
        for source, count in by_source.items()
    ]
    if rows:
        lines += ["", *table(("column", "from", "photos", "of all"), rows)]
    if report.resumed_parts:
        lines += ["", f"{report.resumed_parts:,} parts were there from an earlier run"]
    return lines


def check(
    catalog: Annotated[
        Path | None,
        typer.Argument(
            help="The catalogue. [default: $ARBORETUM_CATALOG, else ./catalog]",
            metavar="CATALOG",
            show_default=False,
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 6 if anything at all was found.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Also write the report as JSON.", metavar="FILE")
    ] = None,
    json: _Json = False,
) -> None:
    """Say what is wrong with a catalogue, raw or built.

    Exits 6 if a built catalogue does not hold what it says of itself; with --strict also for defects that
    the reader resolves (duplicates, holes in lineages, homonyms and so on). In Python:
    `check_catalog(catalog)`.

    \b
    Examples:
        arboretum catalog check
        arboretum catalog check BioTrove-Train/ --strict -o defects.json
    """
    from arboretum_tools.catalog import open_catalog
    from arboretum_tools.catalog.check import check_catalog
    from arboretum_tools.errors import VerificationError
    from arboretum_tools.publish import write_json

    report = check_catalog(open_catalog(catalog))
    if out is not None:
        write_json(out, report.to_dict())
    result(json, report.to_dict(), _check_lines(report))
    if not report.sound or (strict and report.findings):
        kinds = ", ".join(f.name for f in report.findings if f.fatal or strict)
        raise VerificationError(
            f"the catalogue {report.path} has {kinds}",
            hint="Build it again with `arboretum catalog build`."
            if not report.sound
            else "Without --strict these are counted and resolved by the rules named above.",
        )


def _check_lines(report: CheckReport) -> list[str]:
    lines = [
        f"{report.path}: {report.layout}, {report.rows:,} rows, {report.photos:,} photos; extensions "
        + ", ".join(f"{ext} {count:,}" for ext, count in report.extensions)
    ]
    for finding in report.findings:
        lines.append(f"{finding.count:,} {finding.what}")
        lines += [f"    {example}" for example in finding.examples[:_SHOWN]]
        if len(finding.examples) > _SHOWN:
            lines.append("    ...")
    return lines if report.findings else [*lines, "nothing is wrong with it"]


#: Every command of the group with its line in the overview.
COMMANDS: dict[str, tuple[Callable[..., None], str]] = {
    "build": (build, "Build a catalogue that answers quickly, from any source."),
    "check": (check, "Say what is wrong with a catalogue."),
}

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def catalog() -> None:
    """Fetch, build, annotate and check the catalogue: the table of photos that everything else asks."""


for _name, (_command, _line) in COMMANDS.items():
    app.command(_name, short_help=_line)(_command)
