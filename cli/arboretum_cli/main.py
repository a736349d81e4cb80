"""The command `arboretum`: its commands by name, and what a run of it returns."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from arboretum_cli.commands import config, demo
from arboretum_cli.commands.images import (
    browse,
    contact_sheet,
    doctor,
    download,
    import_images,
    status,
    store,
    verify,
)
from arboretum_cli.commands.metadata import catalog, select, species, stats, taxa
from arboretum_cli.commands.splits import audit_split, episodes, make_split, publish
from arboretum_cli.commands.training import compare, evaluate, export, train, zero_shot
from arboretum_cli.flags import settings
from arboretum_cli.flags.declared import repeated
from arboretum_cli.flags.volume import with_volume
from arboretum_cli.printing import errors

#: Every command with its line in the overview, in the order of the flow.
COMMANDS: dict[str, tuple[Callable[..., None], str]] = {
    "demo": (demo.demo, "Run the whole pipeline, offline, in under a minute."),
    "taxa": (taxa.taxa, "Show what a catalogue holds of a taxon."),
    "stats": (stats.stats, "Count a catalogue, a selection or a split."),
    "select": (select.select, "Count, explain and save a selection."),
    "species": (species.species, "List every species of a selection."),
    "download": (download.download, "Fetch photos into an image store."),
    "import-images": (import_images.import_images, "Make an image store of files."),
    "status": (status.status, "Show what an image store holds and lacks."),
    "verify": (verify.verify, "Check every image against its hash."),
    "doctor": (doctor.doctor, "Find out why downloads fail."),
    "browse": (browse.browse, "Look at photos in the browser."),
    "contact-sheet": (contact_sheet.contact_sheet, "Draw classes as one picture."),
    "make-split": (make_split.make_split, "Make a long-tailed split."),
    "episodes": (episodes.episodes, "Draw few-shot episodes from a split."),
    "audit-split": (audit_split.audit_split, "Check that a split keeps its promises."),
    "publish": (publish.publish, "Write a split as a folder for publication."),
    "export": (export.export, "Write a split or a selection for training code."),
    "train": (train.train, "Train a long-tailed method on a split."),
    "zero-shot": (zero_shot.zero_shot, "Predict a split by a CLIP model, from the names of its classes."),
    "evaluate": (evaluate.evaluate, "Report predictions as long-tailed papers do."),
    "compare": (compare.compare, "Compare training runs on one split."),
    "config": (config.config, "Show the settings in effect here."),
}

app = typer.Typer(
    name="arboretum",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(requested: bool) -> None:
    if requested:
        from arboretum_tools.version import __version__

        typer.echo(f"arboretum {__version__}")
        raise typer.Exit


@app.callback()
def arboretum(
    context: typer.Context,
    _: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """From 134.6 million iNaturalist photos to the subset your model should be trained on.

    \b
    Begin with:
        arboretum demo                        the whole pipeline, offline, in a minute
    \b
    Then, in a folder with a catalog/:
        arboretum download --taxa Aves        fetch the photos into images/
        arboretum make-split --lt-ratio 100   a long-tailed split of them into splits/
        arboretum export splits/aves-lt100 --format webdataset --out wds

    Exit codes: 0 done, 1 internal error, 2 usage, 3 bad input, 4 too many photos failed, 5 unknown or
    ambiguous taxon, 6 verification failed, 130 and 143 interrupted with the state kept.
    """
    if context.invoked_subcommand != "config":
        context.default_map = settings.default_map(context.command)


for _name, (_command, _line) in COMMANDS.items():
    app.command(_name, short_help=_line)(with_volume(_command))

#: Groups of commands: their commands, and the line of the group.
GROUPS: dict[str, tuple[typer.Typer, dict[str, tuple[Callable[..., None], str]], str]] = {
    "catalog": (catalog.app, catalog.COMMANDS, "Fetch, build, annotate and check a catalogue."),
    "store": (store.app, store.COMMANDS, "Prune and merge image stores."),
}

for _name, (_group, _commands, _line) in GROUPS.items():
    app.add_typer(_group, name=_name, short_help=_line)


def run(arguments: list[str]) -> int:
    """Runs the command line and gives the code of its outcome."""
    if arguments[:1] == ["evaluate"]:
        arguments = repeated(arguments, "--against")
    return errors.run(app, arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits with the code of its outcome."""
    code = run(list(sys.argv[1:] if arguments is None else arguments))
    # A second Ctrl-C while the interpreter ends would hide the code.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)
