"""Where output goes: results to stdout (as text, or as JSON for machines), everything else to stderr."""

from __future__ import annotations

import enum
import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer


class Volume(enum.Enum):
    """How much is said besides the result."""

    QUIET = "quiet"
    NORMAL = "normal"
    VERBOSE = "verbose"


#: Of this run; set by the flags that every command has.
volume = Volume.NORMAL

#: Whether errors of this run are printed for machines: where its result is.
errors_as_json = False

_COLOURS = {"error": "red", "internal error": "red", "warning": "yellow"}

#: What a shell gives for a process that wrote to a closed pipe: 128 + SIGPIPE.
BROKEN_PIPE = 141


def result(as_json: bool, value: Mapping[str, Any], lines: Iterable[str]) -> None:
    """Prints the result of a command: `value` as JSON, or the lines for people.

    Raises:
        NotWritableError: stdout takes no more: a file on a full disk, say. What was done stays done.
    """
    if sys.stdout is None:
        # Python has none where the shell closed it (`>&-`).
        from arboretum_tools.errors import NotWritableError

        raise NotWritableError(
            "the result cannot be printed: standard output is closed",
            hint="What the command does was done; only its output is lost.",
        )
    if as_json:
        text = json.dumps(value, ensure_ascii=not _speaks_unicode(), indent=2)
    else:
        text = printable("\n".join(lines))
        if not _speaks_unicode():
            text = text.encode(sys.stdout.encoding, "replace").decode(sys.stdout.encoding)
    try:
        typer.echo(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _write_no_more()
        # The reader (`head`, say) has enough.
        raise typer.Exit(BROKEN_PIPE) from None
    except OSError as error:
        from arboretum_tools.errors import NotWritableError

        _write_no_more()
        raise NotWritableError(
            f"the result cannot be printed: {error.strerror}",
            hint="What the command does was done; only its output is lost.",
        ) from error


def _speaks_unicode() -> bool:
    """Whether stdout can show every name: not under an old locale or `PYTHONIOENCODING=ascii`."""
    return (sys.stdout.encoding or "utf-8").lower().replace("-", "").startswith("utf")


def _write_no_more() -> None:
    """What Python still holds of the output goes nowhere, so that it does not fail once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str) -> None:
    """Prints what is neither a result nor an error; with --quiet nothing."""
    if volume is not Volume.QUIET:
        typer.echo(printable(text), err=True)


def say_error(text: str, hint: str = "", *, kind: str = "", code: int = 0) -> None:
    """Prints an error or a warning and what to do next: red for those who watch, as JSON for machines.

    Args:
        text: begins with `error:`, `warning:` or the like.
        hint: what to do next.
        kind: class of the error; "" for what is none, which is never JSON.
        code: what the command line exits with.
    """
    if errors_as_json and kind:
        message = text.removeprefix("error: ")
        value = {"error": {"type": kind, "message": message, "hint": hint, "exit_code": code}}
        typer.echo(json.dumps(value, ensure_ascii=not _speaks_unicode()), err=True)
        return
    first, colon, rest = printable("\n".join(filter(None, (text, hint)))).partition(":")
    if first in _COLOURS and is_terminal() and not os.environ.get("NO_COLOR"):
        first = typer.style(first, fg=_COLOURS[first], bold=True)
    typer.echo(f"{first}{colon}{rest}", err=True)


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Rows as aligned lines: numbers to the right with thousands separated, texts to the left."""
    cells = [[f"{v:,}" if isinstance(v, int) else str("" if v is None else v) for v in row] for row in rows]
    numeric = [
        bool(cells) and all(row[i].replace(",", "").replace(".", "").isdigit() for row in cells)
        for i in range(len(header))
    ]
    widths = [max(len(header[i]), *(len(row[i]) for row in cells), 0) for i in range(len(header))]
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in [list(header), *cells]
    ]


def printable(text: str) -> str:
    """Text without what would move the cursor or change the terminal: metadata are untrusted."""
    return "".join(
        c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs") else "\N{REPLACEMENT CHARACTER}"
        for c in text
    )


def duration(seconds: float) -> str:
    """Seconds as people say them: 8 s, 3 min 20 s, 5 h 12 min, 11 d 4 h."""
    whole = round(seconds)
    for unit, name, smaller, small_name in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= unit:
            return f"{whole // unit} {name} {whole % unit // smaller} {small_name}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"


def is_terminal() -> bool:
    """Whether someone watches stderr, so that a bar makes sense: a terminal, and one that has a width."""
    return sys.stderr.isatty() and os.get_terminal_size(sys.stderr.fileno()).columns > 0
