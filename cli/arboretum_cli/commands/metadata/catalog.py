"""`arboretum catalog`: fetch, build, annotate and check a catalogue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arboretum_cli.flags.declared import Given, takes
from arboretum_cli.flags.shared import Json, Overwrite
from arboretum_cli.flags.volume import with_volume
from arboretum_cli.printing.output import result, say, table
from arboretum_cli.printing.progress import Progress
from arboretum_tools.options import Option
from arboretum_tools.options.catalog import AnnotateOptions, BuildOptions, ChangesOptions, PullOptions
from arboretum_tools.wording import counted, does, size

if TYPE_CHECKING:
    from arboretum_tools.catalog.building.build import BuildReport
    from arboretum_tools.catalog.check import CheckReport

#: Examples of a finding that are shown on a terminal.
_SHOWN = 5


@takes(options=BuildOptions)
def build(
    sources: Annotated[
        list[Path],
        typer.Argument(
            help="Published Parquet or CSV; iNaturalist's CSV export or answers of its API; the folder or "
            "tar of iNaturalist Open Data; a Darwin Core archive. Several are joined by photo id.",
            metavar="SRC",
        ),
    ],
    options: Given,
    json: Json = False,
) -> None:
    """Build a fast catalogue from any source.

    An existing catalogue is replaced once the new one is complete. After an interruption, the same command
    continues where it stopped. Rows that are left out (duplicates, photos under
    two classes, bad ids, photos of other hosts) are counted, and listed in rejected.parquet. In Python:
    `build_catalog(sources, to)`.

    \b
    Examples:
        arboretum catalog build BioTrove-Train/ --out catalog
        arboretum catalog build BioTrove-Train/ inaturalist-open-data/ gbif.zip --out catalog
        arboretum catalog build observations-123.csv inaturalist-open-data/ --out catalog
        arboretum catalog build inaturalist-open-data/ --observation-uuid --out catalog
    """
    from arboretum_tools.catalog.building.build import build_catalog

    with Progress() as progress:
        report = build_catalog(sources, **options, on_event=progress)
    result(json, report.to_dict(), _built_lines(report))


def _built_lines(report: BuildReport) -> list[str]:
    from arboretum_tools.catalog.layouts.built_files import REJECTED

    per_photo = report.size_bytes / report.photos
    lines = [
        f"{report.path}: {counted(report.photos, 'photo')} of {report.classes:,} species, "
        f"{counted(report.taxa, 'taxon')}, "
        f"{size(report.size_bytes)} ({per_photo:.1f} bytes per photo), fingerprint {report.fingerprint}",
        *([f"  of {counted(report.defects.rows, 'row')}:"] if report.defects.sentences else []),
        *(f"    {sentence}" for sentence in report.defects.sentences),
    ]
    if (listed := report.path / REJECTED).is_file():
        lines.append(f"  rows left out are listed in {listed}")
    rows = [
        (column, source, count, f"{100 * count / report.photos:.1f} %")
        for column, by_source in report.coverage.items()
        for source, count in by_source.items()
    ]
    if rows:
        lines += ["", *table(("column", "from", "photos", "of all"), rows)]
    if report.resumed_parts:
        lines += [
            "",
            f"{counted(report.resumed_parts, 'part')} {does(report.resumed_parts, 'were')} there from an "
            "earlier run",
        ]
    return lines


@dataclass(frozen=True, kw_only=True)
class Fetch:
    """What `arboretum catalog pull` takes besides what names the files."""

    to: Annotated[Path, Option("Where to put the files.", metavar="DIR", flag="out", short="o")] = Path(
        "published"
    )
    dry_run: Annotated[bool, Option("Only say what would be fetched.")] = False


@takes(options=PullOptions, own=Fetch)
def pull(options: Given, own: Fetch, json: Json = False) -> None:
    """Download the published metadata from the Hugging Face hub.

    After an interruption, the same command continues where it stopped. $HF_ENDPOINT names another
    hub. In Python: `plan_pull(repo)` and `pull(plan, to)` of `arboretum_tools.catalog.pull`.

    \b
    Examples:
        arboretum catalog pull --dry-run
        arboretum catalog pull --out published && arboretum catalog build published --out catalog
    """
    from arboretum_tools.catalog import pull as library

    plan = library.plan_pull(**options)
    text = (
        f"{plan.repository} at {plan.revision[:12]}: {counted(len(plan.files), 'file')}, "
        f"{size(plan.size_bytes)}, about {counted(plan.rows_about, 'row')}"
    )
    if own.dry_run:
        result(json, plan.to_dict(), [text, "nothing was fetched"])
        return
    say(text)
    with Progress() as progress:
        library.pull(plan, own.to, on_event=progress)
    result(json, {**plan.to_dict(), "path": str(own.to)}, [f"{counted(len(plan.files), 'file')} in {own.to}"])


@dataclass(frozen=True, kw_only=True)
class Values:
    """Where the values come from."""

    table: Annotated[
        Path,
        Option(
            "Parquet, CSV or TSV with photo_id or observation_id, and the column.",
            metavar="FILE",
            flag="from",
            required=True,
        ),
    ]


@takes(values=Values, options=AnnotateOptions)
def annotate(
    values: Values,
    options: Given,
    catalog: Annotated[
        Path | None,
        typer.Argument(
            help="The built catalogue. [default: $ARBORETUM_CATALOG, else ./catalog]",
            metavar="CATALOG",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Fill in a column of a built catalogue from a table.

    Where rows for the same photo disagree, the most frequent value wins, and a tie means unknown; a photo
    keeps the value it already has, unless --overwrite is given. In Python: `annotate_catalog(catalog, table,
    column)`.

    \b
    Examples:
        arboretum catalog annotate --from stages.csv --column life_stage
        arboretum catalog annotate catalog --from iucn.parquet --column iucn --source "Red List 2026-1"
    """
    from arboretum_tools.catalog.annotate import annotate_catalog as run

    with Progress() as progress:
        report = run(catalog, values.table, **options, on_event=progress)
    photos = report.known_before, report.known
    lines = [
        f"{report.path}: {report.column} known of {counted(photos[0], 'photo')} before, of "
        f"{photos[1]:,} now; joined by {report.key}",
        f"{counted(report.rows, 'row')}; {counted(report.matched, 'photo')} matched: {report.filled:,} "
        f"filled, {report.changed:,} changed, {report.kept:,} kept another value",
    ]
    if report.undecided:
        lines.append(f"{counted(report.undecided, 'id')} whose rows do not agree: left as before")
    if report.unmapped:
        named = ", ".join(f"{value!r} ({count:,})" for value, count in list(report.unmapped.items())[:_SHOWN])
        lines.append(
            f"{counted(len(report.unmapped), 'value')} outside the vocabulary, taken as unknown: {named}"
        )
    result(json, report.to_dict(), lines)


@dataclass(frozen=True, kw_only=True)
class Reports:
    """What `arboretum catalog check` writes, and when it fails."""

    strict: Annotated[bool, Option("Exit 6 if anything at all was found.")] = False
    out: Annotated[Path | None, Option("Also write the report as JSON.", metavar="FILE", short="o")] = None
    rejected: Annotated[
        Path | None, Option("Also write the rows that are left out as Parquet.", metavar="FILE")
    ] = None


@takes(own=Reports)
def check(
    own: Reports,
    catalog: Annotated[
        Path | None,
        typer.Argument(
            help="The catalogue. [default: $ARBORETUM_CATALOG, else ./catalog]",
            metavar="CATALOG",
            show_default=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Report what is wrong with a catalogue, raw or built.

    Exits with 6 if a built catalogue does not match what it records about itself; with --strict also for
    defects that the reader resolves (duplicates, gaps in lineages, homonyms and so on). In Python:
    `check_catalog(catalog)`.

    \b
    Examples:
        arboretum catalog check
        arboretum catalog check BioTrove-Train/ --strict -o defects.json
        arboretum catalog check BioTrove-Train/ --rejected rejected.parquet
    """
    from arboretum_tools.catalog import open_catalog
    from arboretum_tools.catalog.check import check_catalog, write_rejected
    from arboretum_tools.errors import UsageError, VerificationError
    from arboretum_tools.system.atomic_files import check_output, write_json

    opened, out, rejected = open_catalog(catalog), own.out, own.rejected
    if out is not None and rejected is not None and out.resolve() == rejected.resolve():
        raise UsageError(f"--out and --rejected name one file, {out}: give each its own")
    for file in filter(None, (out, rejected)):
        check_output(file, overwrite=overwrite, inputs=[opened.path])
    report = check_catalog(opened)
    if rejected is not None:
        lines = write_rejected(opened, rejected, overwrite=overwrite)
        say(f"{counted(lines, 'line')} on rows left out in {rejected}")
    if out is not None:
        write_json(out, report.to_dict())
    result(json, report.to_dict(), _check_lines(report))
    if not report.sound or (own.strict and report.findings):
        kinds = ", ".join(f.name for f in report.findings if f.fatal or own.strict)
        raise VerificationError(
            f"the catalogue at {report.path} has {kinds}",
            hint="Build it again with `arboretum catalog build`."
            if not report.sound
            else "Without --strict these are counted and resolved by the rules named above.",
        )


def _check_lines(report: CheckReport) -> list[str]:
    lines = [
        f"{report.path}: {report.layout}, {counted(report.rows, 'row')}, {counted(report.photos, 'photo')}; "
        "extensions " + ", ".join(f"{ext} {count:,}" for ext, count in report.extensions)
    ]
    for finding in report.findings:
        lines.append(f"{finding.count:,} {finding.what}")
        lines += [f"    {example}" for example in finding.examples[:_SHOWN]]
        if len(finding.examples) > _SHOWN:
            lines.append("    ...")
    return lines if report.findings else [*lines, "nothing is wrong with it"]


@takes(options=ChangesOptions)
def update(
    old: Annotated[Path, typer.Argument(help="The older catalogue.", metavar="OLD")],
    new: Annotated[Path, typer.Argument(help="The newer one.", metavar="NEW")],
    options: Given,
    json: Json = False,
) -> None:
    """List what is new in a catalogue since an older one: photos added, removed, relabelled, relicensed.

    Neither catalogue is changed; each may be built or published Parquet. In Python:
    `catalog_changes(old, new)`.

    \b
    Examples:
        arboretum catalog update catalog catalog-2026-12
        arboretum catalog update catalog catalog-2026-12 --out changes.parquet
    """
    from arboretum_tools.catalog.building.changes import catalog_changes

    with Progress() as progress:
        report = catalog_changes(old, new, **options, on_event=progress)
    lines = [
        f"{counted(report.photos_before, 'photo')} in {report.old}, {report.photos:,} in {report.new}; "
        f"{report.unchanged:,} unchanged",
        *table(("change", "photos"), report.changes.items()),
        *([] if report.licenses_compared else ["licences were not compared: not both catalogues have them"]),
        *([f"listed in {report.out}"] if report.out is not None else []),
    ]
    result(json, report.to_dict(), lines)


#: Every command of the group with its line in the overview.
COMMANDS: dict[str, tuple[Callable[..., None], str]] = {
    "pull": (pull, "Fetch the published metadata."),
    "build": (build, "Build a catalogue that answers quickly, from any source."),
    "annotate": (annotate, "Fill in a column from a table."),
    "update": (update, "List what is new since an older catalogue."),
    "check": (check, "Say what is wrong with a catalogue."),
}

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def catalog() -> None:
    """Fetch, build, annotate, compare and check catalogues: tables of photos that everything else asks."""


for _name, (_command, _line) in COMMANDS.items():
    app.command(_name, short_help=_line)(with_volume(_command))
