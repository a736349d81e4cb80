"""From what was raised to what is printed and which code is returned: one table."""

from __future__ import annotations

import errno
import functools
import os
import signal
from collections.abc import Callable
from types import FrameType

import typer
from typer.main import get_command

from arboretum_cli.printing import output

INTERNAL_ERROR = 1
INTERRUPTED = 130
TERMINATED = 143

_RIGHTS = "Ask for the right to, or name another file or folder. What was finished is kept."
_PATH = "Name a file or folder that can be there. What was finished is kept."
_ROOM = "Free some room and run the same command again. What was finished is kept."

#: What the system may refuse for reasons that are not ours, and what to do then.
_OF_THE_SYSTEM = {
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: _RIGHTS,
    errno.ENOENT: _PATH,
    errno.ENOTDIR: _PATH,
    errno.EISDIR: _PATH,
    errno.ELOOP: _PATH,
    errno.ENAMETOOLONG: _PATH,
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.EIO: "The disk or network below it fails: look at the system's log.",
    errno.EMFILE: "Let the process open more files (ulimit -n), or use fewer --connections.",
    errno.ENFILE: "The system has too many files open: end what is not needed.",
    errno.ENOMEM: "Give the process more memory, or use fewer --connections.",
}

_KEPT = "What was finished is kept; the same command goes on from there."


class _Stopped:
    """Makes SIGTERM what Ctrl-C is, so that the same code keeps the state, and remembers that one came.

    Attributes:
        by: the last signal that came; None = none.
    """

    by: int | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self.by = number
        raise KeyboardInterrupt


def run(app: typer.Typer, arguments: list[str]) -> int:
    """Runs the command line; every way out is a code, and only bugs show a traceback (if asked for)."""
    stopped = _Stopped()
    output.volume, output.errors_as_json = output.Volume.NORMAL, "--json" in arguments
    previous = {number: signal.signal(number, stopped) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        returned = _command(app)(arguments, standalone_mode=False, prog_name="arboretum")
        code = returned if isinstance(returned, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last place where anything can be caught
        # Code in C may make an error of its own out of a Ctrl-C: DuckDB where no part of the library stands
        # between, a module that is being loaded.
        if _was_meant(error) or stopped.by is None:
            return _of(error)
        code = INTERRUPTED
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    # Typer may have made a code of a KeyboardInterrupt already.
    if code == INTERRUPTED and stopped.by == signal.SIGTERM:
        return _say("terminated", f"terminated. {_KEPT}", TERMINATED)
    return _say("interrupted", f"interrupted. {_KEPT}", INTERRUPTED) if code == INTERRUPTED else code


@functools.cache
def _command(app: typer.Typer) -> Callable[..., object]:
    """What parses the arguments: the same each time, and it takes a while to make."""
    return get_command(app)


def _was_meant(error: Exception) -> bool:
    """Whether an error was raised on purpose, by the library or by the command line's parser."""
    from arboretum_tools.errors import ArboretumError

    return isinstance(error, ArboretumError | typer.TyperException)


def _of(error: Exception) -> int:
    from arboretum_tools.errors import ArboretumError, BadInputError

    kind = type(error).__name__
    if isinstance(error, typer.TyperException):
        hint = "Taxa are named by the option --taxa." if _names_taxa_bare(error) else ""
        # Typer prints usage errors with the command's usage line.
        show = getattr(error, "show", None)
        if show is None or output.errors_as_json:
            return _say(kind, f"error: {error.format_message()}", error.exit_code, hint)
        show()
        if hint:
            output.say_error(hint)
        return error.exit_code
    if isinstance(error, ArboretumError):
        return _say(kind, f"error: {error.message}", error.exit_code, error.hint)
    if os.environ.get("ARBORETUM_DEBUG") or output.volume is output.Volume.VERBOSE:
        raise error
    if isinstance(error, OSError) and error.errno in _OF_THE_SYSTEM:
        about = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        text = f"error: {about}{os.strerror(error.errno)}"
        return _say(kind, text, BadInputError.exit_code, _OF_THE_SYSTEM[error.errno])
    if isinstance(error, MemoryError):
        hint = "Give the process more, or let queries spill to disk earlier: $ARBORETUM_MEMORY_LIMIT."
        return _say(kind, "error: out of memory", BadInputError.exit_code, hint)
    return _say(
        kind,
        f"internal error: {kind}: {error}",
        INTERNAL_ERROR,
        "This is a defect of arboretum, not of your input. Run the same command with --verbose for the "
        "details to report.",
    )


def _names_taxa_bare(error: typer.TyperException) -> bool:
    """Whether a command that selects by --taxa was given a word too many, as in `arboretum select birds`."""
    command = getattr(getattr(error, "ctx", None), "command", None)
    selects = any("--taxa" in parameter.opts for parameter in getattr(command, "params", ()))
    return selects and "unexpected extra argument" in error.format_message()


def _say(kind: str, text: str, code: int, hint: str = "") -> int:
    output.say_error(text, hint, kind=kind, code=code)
    return code
