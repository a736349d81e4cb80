"""`arboretum browse`: a page that shows a store, a split, an export or a selection."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from arboretum_cli.flags.declared import Given, takes
from arboretum_cli.flags.selection import SelectionFlags, takes_selection
from arboretum_cli.flags.shared import reaches_buckets
from arboretum_cli.printing.output import say
from arboretum_cli.printing.progress import Progress
from arboretum_tools.options import declared
from arboretum_tools.options.browse import BrowseCommandOptions, BrowseOptions, GalleryOptions


@takes_selection
@takes(options=BrowseCommandOptions)
@reaches_buckets()
def browse(
    flags: SelectionFlags,
    options: Given,
    what: Annotated[
        Path | None,
        typer.Argument(
            help="A split, an image store or an export; without it the selection, and without one the store.",
            metavar="WHAT",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Look at photos in the browser: the long tail, the taxa, the photos, and a model's predictions.

    Serves a page on this machine until Ctrl-C; needs no network, and reads photos only when they are shown.
    With --out it writes a static page for others instead. In Python: `arboretum_tools.browse(what)` and
    `save_gallery`.

    \b
    Examples:
        arboretum browse splits/aves-lt100 --show band=few --out few-shot
        arboretum browse --taxa Turdus --out thrushes
    """
    from arboretum_tools import browse as serve
    from arboretum_tools.errors import UsageError

    if what is not None:
        flags.refuse_beside(what)
    with Progress() as progress:
        shown: Any = what if what is not None or not flags.given else flags.select(flags.open(progress))
        if "to" in options:
            options.pop("open", None)
            known = {entry.name for entry in declared(GalleryOptions)}
            if others := [
                entry.flag for entry in declared(BrowseOptions) if entry.name in {*options} - known
            ]:
                raise UsageError(f"{', '.join(others)} says how a page is served, and --out serves none")
            from arboretum_tools import save_gallery

            page = save_gallery(shown, catalog=flags.catalog, on_event=progress, **options)
            say(f"written: {page}")
            return
        options.pop("most", None)
        browser = serve(shown, catalog=flags.catalog, on_event=progress, **options)
    say(f"{browser.source.kind} {browser.source.name}: {browser.source.english}")
    typer.echo(browser.url)
    say("Ctrl-C ends it.")
    with browser, suppress(KeyboardInterrupt):
        browser.wait()
