"""Photos that a person marked, with a reason each: a CSV file with the columns `photo_id` and `reason`.

`make-split --exclude` keeps these photos out, and `--photo-ids` takes them alone. The file is written whole
with each mark, and first with the first mark; a file that is something else is never touched.
"""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from arboretum_tools.errors import BadInputError, UsageError
from arboretum_tools.system.atomic_files import whole_file

#: Why a photo is marked.
REASONS = ("wrong label", "poor photo", "no organism", "duplicate", "other")

_COLUMNS = ["photo_id", "reason"]


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
        """
        if reason is not None and reason not in REASONS:
            raise UsageError(f"there is no reason {reason!r}", hint=f"There are {', '.join(REASONS)}.")
        with self._lock:
            changed = dict(self._reasons)
            for photo_id in photo_ids:
                if reason is None:
                    changed.pop(photo_id, None)
                else:
                    changed[photo_id] = reason
            if changed != self._reasons:
                with (
                    whole_file(self.path) as temporary,
                    temporary.open("w", encoding="utf-8", newline="") as file,
                ):
                    writer = csv.writer(file, lineterminator="\n")
                    writer.writerow(_COLUMNS)
                    writer.writerows(changed.items())
                self._reasons = changed
            return dict(changed)


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
