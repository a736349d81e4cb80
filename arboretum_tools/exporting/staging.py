"""Where an export is written until it is whole, and how an interrupted one goes on.

The files are made in a hidden folder beside the target, one step after the other (a shard, a Parquet file,
some hundreds of images). A step that is finished is synced and noted in a journal, so that an export that was
killed, or met a full disk, leaves its finished steps behind: the same export again takes them as they are and
makes the others. Every step is a function of the export's own description, so the result is that of an
export which nothing disturbed. In the end the folder takes its name, in one rename.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from arboretum_tools.errors import ExportError
from arboretum_tools.system.atomic_files import (
    PARTIAL,
    canonical_json,
    out_of_space,
    placed,
    refuse_existing,
    sync,
)
from arboretum_tools.system.locking import exclusive

_JOURNAL = ".journal"
_LOCK = ".lock"

#: What a step tells of itself, JSON-able.
StepResult = Mapping[str, Any]


class Staging:
    """The folder of an export that is being written.

    Attributes:
        folder: where the files are made.
        found: steps that an interrupted run had finished.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._done = _read_journal(folder)
        self.found = len(self._done)
        self._made: list[Path] = []
        self._in_step = False
        # Made outside of any step, so not synced yet.
        self._loose: list[Path] = []

    def path(self, name: str) -> Path:
        """The path of a file to write, by its name in the export; its folder is made."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (self._made if self._in_step else self._loose).append(path)
        return path

    def step(self, name: str, write: Callable[[], StepResult]) -> StepResult:
        """Runs `write`, which makes files by `path`, unless an earlier run has finished this step.

        Returns:
            What `write` said, then or now.
        """
        if name in self._done:
            return self._done[name]
        self._made.clear()
        self._in_step = True
        payload = dict(write())
        self._in_step = False
        for path in self._made:
            sync(path)
        self._done[name] = payload
        with (self.folder / _JOURNAL).open("a", encoding="utf-8") as journal:
            journal.write(canonical_json({"step": name, "said": payload}) + "\n")
            journal.flush()
            sync(journal.fileno())
        return payload

    def note_lines(self, name: str, number: int, lines: Iterable[str]) -> None:
        """Keeps lines that a step wants to have later, when another run may have done the step.

        Args:
            name: of the list that they belong to.
            number: their place in it: lists are put together by ascending number.
            lines: with their line breaks.
        """
        with self.path(f"{_lines_of(name)}{number:012d}").open("w", encoding="utf-8") as file:
            file.writelines(lines)

    def lines(self, name: str) -> Iterator[str]:
        """The lines of a list, with their line breaks."""
        for path in sorted(self.folder.glob(f"{_lines_of(name)}*")):
            with path.open(encoding="utf-8") as file:
                yield from file

    def finished(self) -> None:
        """Removes what is not part of the export, and syncs what no step has synced."""
        for parent, _, names in os.walk(self.folder):
            for name in names:
                if name.startswith(".") and PARTIAL in name:
                    Path(parent, name).unlink()
        for name in (_JOURNAL, _LOCK):
            (self.folder / name).unlink(missing_ok=True)
        for path in self._loose:
            sync(path)
        for parent, _, names in os.walk(self.folder):
            # Files in folders are of steps, and may be millions; beside them lie a few that are of none.
            for name in names if Path(parent) == self.folder else ():
                sync(Path(parent, name))
            sync(Path(parent))


@contextlib.contextmanager
def staging_for(target: Path, identity: str) -> Iterator[Staging]:
    """Gives the work folder of an export; on success it is synced and takes the name `target`.

    On an exception it stays where it is if a step of it is finished, and is removed if not.

    Args:
        target: the folder to write.
        identity: hex digits that tell this export from every other.

    Raises:
        TargetExistsError: `target` is there and is not an empty folder.
        ExportError: another process writes this very export.
        NotWritableError: it cannot be made.
    """
    with placed(target):
        refuse_existing(target)
    folder = target.with_name(f".{target.name}{PARTIAL}{identity[:12]}")
    with placed(target), out_of_space(target):
        folder.mkdir(parents=True, exist_ok=True)
        with exclusive(folder / _LOCK, _in_use(folder)):
            work = Staging(folder)
            try:
                yield work
                work.finished()
                if target.is_dir():
                    target.rmdir()  # only ever an empty one
                folder.rename(target)
                sync(target.parent)
            except BaseException:
                if not (folder / _JOURNAL).exists():
                    # Only ever our own work folder: the user's folders are never removed.
                    shutil.rmtree(folder, ignore_errors=True)
                raise


def other_leftovers(target: Path, identity: str) -> list[Path]:
    """Work folders of other exports to the same target that were interrupted; nothing removes them."""
    ours = f".{target.name}{PARTIAL}"
    if not target.parent.is_dir():
        return []
    return sorted(
        path
        for path in target.parent.iterdir()
        if path.name.startswith(ours) and path.name != f"{ours}{identity[:12]}"
    )


def _lines_of(name: str) -> str:
    # Marked as not part of the export, so that it goes when all is done.
    return f".lines-{name}{PARTIAL}"


def _in_use(folder: Path) -> Callable[[str], ExportError]:
    return lambda holder: ExportError(
        f"another process is writing this very export into {folder}: {holder}; nothing was changed",
        hint="Wait for it to end, or stop it: the next run goes on where it stopped.",
    )


def _read_journal(folder: Path) -> dict[str, StepResult]:
    path = folder / _JOURNAL
    if not path.exists():
        return {}
    text = path.read_bytes()
    # A line that a kill cut off goes, so that the next one does not run into it; its step is made again.
    whole = text[: text.rfind(b"\n") + 1]
    if whole != text:
        os.truncate(path, len(whole))
    entries = (json.loads(line) for line in whole.splitlines())
    return {entry["step"]: entry["said"] for entry in entries}
