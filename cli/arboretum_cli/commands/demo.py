"""`arboretum demo`: the whole chain, offline, on the bundled sample and an origin server on loopback."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arboretum_cli.flags.declared import takes
from arboretum_cli.printing.output import duration, say, table
from arboretum_tools.options import Option
from arboretum_tools.wording import counted, size

if TYPE_CHECKING:
    from arboretum_tools.testing.origin import Origin

#: What the demo stands for, in the order in which it runs: each can be typed by hand.
STEPS = (
    ("Fetch the photos of all birds", ["download", "--taxa", "Aves", "--size", "small"]),
    ("Make a long-tailed split of what came", ["make-split", "--lt-ratio", "100"]),
    (
        "Write it as WebDataset shards",
        ["export", "splits/aves-lt100", "--format", "webdataset", "--out", "wds"],
    ),
    ("Write it as a Hugging Face dataset", ["export", "splits/aves-lt100", "--format", "hf", "--out", "hf"]),
)

_SPLIT = "splits/aves-lt100"
_SHEET = "contact-sheet.png"
_NOTE = "photos drawn, not taken"
# Says that a folder is the demo's own, so that only such a one is written into again.
_MARK = ".arboretum-demo"


@dataclass(frozen=True, kw_only=True)
class OwnOptions:
    """What `arboretum demo` takes."""

    out: Annotated[Path, Option("Folder to work in; made if it is not there.", metavar="DIR", short="o")] = (
        Path("arboretum-demo")
    )
    serve: Annotated[bool, Option("Keep the origin server up, so that each command can be run by hand.")] = (
        False
    )


@takes(own=OwnOptions)
def demo(
    context: typer.Context,
    own: OwnOptions,
) -> None:
    """Run the whole pipeline, offline, in under a minute: from metadata to a subset ready for training.

    Opens the bundled sample catalogue (real names, invented photos), starts an origin server on loopback that
    draws the photos, and runs the real commands, printing each as you would type it. Leaves a folder to
    explore, with a contact sheet of the split, head to tail.

    \b
    Examples:
        arboretum demo
        arboretum demo --out /tmp/demo --serve
    """
    from arboretum_metadata.sample import catalog_path
    from arboretum_tools.testing.origin import Origin

    started = time.monotonic()
    folder = own.out.absolute()
    _prepare(folder, catalog_path())
    with Origin(catalog_path()) as origin, _inside(folder, origin):
        say(f"origin server on {origin.url}, drawing the photos of the bundled sample (invented, not taken)")
        _typed(f"cd {shlex.quote(str(folder))}", f"export ARBORETUM_ORIGIN={origin.url}")
        for title, command in STEPS:
            typer.echo(f"\n# {title}")
            _typed(shlex.join(["arboretum", *command]))
            # The whole command line again, as if it were typed.
            context.find_root().command.main(command, prog_name="arboretum", standalone_mode=False)
        _python()
        typer.echo("\n".join(["", *_came_out(), "", f"done in {duration(time.monotonic() - started)}"]))
        typer.echo(f"look into  {folder}\nand at     {folder / _SHEET}")
        if own.serve:
            _wait(folder, origin)
        else:
            typer.echo("The server has ended with this; `arboretum demo --serve` keeps it up, to type along.")


def _prepare(folder: Path, sample: Path) -> None:
    """Makes the folder with a copy of the sample as `catalog/`; a demo's own folder is used again."""
    from arboretum_tools.errors import TargetExistsError
    from arboretum_tools.system.atomic_files import placed, refuse_existing

    if not (folder / _MARK).exists():
        try:
            with placed(folder):
                refuse_existing(folder)
                folder.mkdir(parents=True, exist_ok=True)
        except TargetExistsError as error:
            raise TargetExistsError(error.message, hint="Choose another folder with --out.") from error
        (folder / _MARK).touch()
    shutil.copytree(sample, folder / "catalog", dirs_exist_ok=True)


@contextlib.contextmanager
def _inside(folder: Path, origin: Origin) -> Iterator[None]:
    """In the folder, with the environment that the printed lines set."""
    before = os.environ.get("ARBORETUM_ORIGIN")
    os.environ["ARBORETUM_ORIGIN"] = origin.url
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        os.environ.pop("ARBORETUM_ORIGIN")
        if before is not None:
            os.environ["ARBORETUM_ORIGIN"] = before


def _python() -> None:
    """The third known line, and the picture."""
    from arboretum_tools import contact_sheet, load_subset

    typer.echo("\n# Load the subset in Python, and draw its classes")
    lines = (
        "import arboretum_tools",
        f'train = arboretum_tools.load_subset("{_SPLIT}", images="images", part="train")',
        "train[0]",
        f'arboretum_tools.contact_sheet("{_SPLIT}", images="images", to="{_SHEET}", note="{_NOTE}", '
        "overwrite=True)",
    )
    train = load_subset(_SPLIT, images="images", part="train")
    _typed(*lines[:3], prompt=">>>")
    typer.echo(_shortened(dict(train[0])))
    _typed(lines[3], prompt=">>>")
    contact_sheet(_SPLIT, images="images", to=_SHEET, note=_NOTE, overwrite=True)


def _shortened(item: dict[str, Any]) -> str:
    image = item.pop("image")
    return f"{{'image': <{image.format} image, {image.width} x {image.height}>, {repr(item)[1:]}"


def _came_out() -> list[str]:
    from arboretum_tools import open_split
    from arboretum_tools.store import inventory

    split = open_split(_SPLIT)
    store = inventory.status("images")
    parts = ", ".join(f"{split.num_photos(part):,} {part}" for part in split.parts)
    rows = [
        ("catalog", "the bundled sample catalogue, real names, invented photos"),
        (
            "images",
            f"{counted(store.photos['ok'], 'photo')}, {size(store.size_bytes)}, in "
            f"{counted(store.shards, 'shard')}",
        ),
        (
            _SPLIT,
            f"{split.num_classes} classes, {split.meta['M']} to {split.meta['m']} train photos "
            f"(ratio {split.meta['ratio_achieved']:g}): {parts}",
        ),
        ("wds", _files(Path("wds"), "*.tar", "WebDataset shards")),
        ("hf", _files(Path("hf"), "data/*.parquet", "Hugging Face Parquet files")),
        (_SHEET, "the split's classes with their counts, head to tail"),
    ]
    return table(("folder or file", "what is in it"), rows)


def _files(folder: Path, pattern: str, what: str) -> str:
    found = list(folder.glob(pattern))
    return f"{len(found)} {what}, {size(sum(path.stat().st_size for path in found))}"


def _typed(*lines: str, prompt: str = "$") -> None:
    for line in lines:
        typer.echo(f"{prompt} {line}")


def _wait(folder: Path, origin: Origin) -> None:
    """Keeps the origin up until Ctrl-C, which here is how one ends it."""
    typer.echo(
        f"\nThe origin stays up at {origin.url}. In another shell:\n"
        f"  cd {shlex.quote(str(folder))}\n  export ARBORETUM_ORIGIN={origin.url}\n"
        "and run any of the commands above. Ctrl-C ends it."
    )
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)
