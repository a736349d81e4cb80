"""Photos that a person marked, with a reason each: a CSV file with the columns `photo_id` and `reason`.

`make-split --exclude` and `export --exclude` keep these photos out, and `--photo-ids` takes them alone. The
file is read again and written whole with each mark, and first with the first mark; a file that is something
else is never touched.
"""

from __future__ import annotations

import contextlib
import csv
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from arboretum_tools.errors import BadInputError, UsageError
from arboretum_tools.system.atomic_files import whole_file
from arboretum_tools.system.locking import try_lock

#: Why a photo is marked.
REASONS = ("wrong label", "poor quality", "no organism", "duplicate", "other")

_COLUMNS = ["photo_id", "reason"]

# So long another page that writes is waited for.
_WAIT_S = 5.0


class Marks:
    """The marks of one file.

    Attributes:
        path: the file; not there before the first mark.
    """

    def __init__(self, path: str | Path) -> None:
        """Reads the marks that the file holds.

        Raises:
            BadInputError: the file is not a list of marks.
        """
        self.path = Path(path)
        self._lock = threading.Lock()
        self._reasons = _read(self.path) if self.path.exists() else {}

    def all(self) -> Mapping[int, str]:
        """The reason of every marked photo, in the order of their marks."""
        with self._lock:
            return dict(self._reasons)

    def mark(self, photo_ids: Iterable[int], reason: str | None) -> Mapping[int, str]:
        """Marks photos, or takes their marks away, and writes the file; gives all marks.

        Args:
            photo_ids: the photos.
            reason: one of `REASONS`; None takes the marks away.

        Raises:
            UsageError: there is no such reason.
            NotWritableError: the file cannot be written; the marks are as they were.
            BadInputError: the file has become something else than a list of marks; it is left as it is.
        """
        if reason is not None and reason not in REASONS:
            raise UsageError(f"there is no reason {reason!r}", hint=f"There are {', '.join(REASONS)}.")
        with self._lock, _alone(self.path.parent):
            # Another page, or a person, may have written it since.
            before = _read(self.path) if self.path.exists() else {}
            changed = dict(before)
            for photo_id in photo_ids:
                if reason is None:
                    changed.pop(photo_id, None)
                else:
                    changed[photo_id] = reason
            if changed != before:
                with (
                    whole_file(self.path) as temporary,
                    temporary.open("w", encoding="utf-8", newline="") as file,
                ):
                    writer = csv.writer(file, lineterminator="\n")
                    writer.writerow(_COLUMNS)
                    writer.writerows(changed.items())
            self._reasons = changed
            return dict(changed)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps other pages of this machine from writing marks into a folder meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        give_up = time.monotonic() + _WAIT_S
        # A file system without locks has only the look at the file right before.
        with contextlib.suppress(OSError):
            while not try_lock(descriptor) and time.monotonic() < give_up:
                time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)


def _read(path: Path) -> dict[int, str]:
    def refuse(why: str) -> BadInputError:
        return BadInputError(
            f"{path} is not a list of marked photos: {why}; it was left as it is",
            hint="Name another file with --marks.",
        )

    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            if next(rows, None) != _COLUMNS:
                raise refuse(f"its first line is not {','.join(_COLUMNS)}")
            found = {}
            for row in rows:
                if len(row) != len(_COLUMNS) or not row[0].isascii() or not row[0].isdigit():
                    raise refuse(f"line {rows.line_num} is not a photo id and a reason")
                found[int(row[0])] = row[1]
            return found
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise refuse(str(error)) from error
