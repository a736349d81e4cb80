"""Options that several commands share, declared once."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the file that is to be written.")]

Contact = Annotated[
    str | None,
    typer.Option("--contact", help="Your address for the host's operators.", metavar="MAIL_OR_URL"),
]

Origin = Annotated[
    str | None,
    typer.Option(
        "--origin",
        help="Ask this server instead of the image hosts. [default: $ARBORETUM_ORIGIN]",
        metavar="URL",
        show_default=False,
    ),
]
