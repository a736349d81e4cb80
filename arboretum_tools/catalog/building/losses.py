"""What a source had and no photo was made of: each row with its reason and its place, counted and listed.

Memory does not grow with them: of one text and reason the first LISTED rows are listed one by one, the others
as one line with their number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

#: Rows of one text that are listed one by one for one reason.
LISTED = 10_000

# Characters of a row that are kept.
_SHOWN = 100

#: Why readers leave rows out; `rejected` tells them in this order, with what becomes of a row.
REASONS: Mapping[str, str] = {
    "malformed_row": "row with a wrong number of fields, or damaged: left out",
    "bad_observation_id": "row with an observation id that is not a whole number: left out",
    "no_occurrence": "photo without its occurrence in the archive: left out",
    "not_a_photo": "file of another kind than a photo (sound, video): left out",
    "no_address": "row without a photo's address: left out",
    "other_host": "photo of another publisher than iNaturalist: left out",
}


@dataclass(frozen=True, slots=True)
class Loss:
    """One or more rows that were left out.

    Attributes:
        reason: one of REASONS.
        rows: how many.
        file: the text, without the folders above what the user named.
        line: of the row in the text, 1 = first, blank ones and breaks in quotes not counted; None for several
            rows.
        detail: how the row begins, or what they have in common, such as their publisher.
    """

    reason: str
    rows: int
    file: str
    line: int | None = None
    detail: str | None = None


class Losses:
    """The rows that one source leaves out."""

    def __init__(self) -> None:
        self._listed: list[Loss] = []
        self._counts: dict[tuple[str, str], int] = {}

    def add(
        self, reason: str, file: str, *, line: int | None = None, detail: str | None = None, rows: int = 1
    ) -> None:
        """Takes note of rows that are left out; see `Loss`."""
        before = self._counts.get((reason, file), 0)
        self._counts[reason, file] = before + rows
        # What stands for several rows is one line already.
        if before < LISTED or rows > 1:
            text = " ".join(detail.split())[:_SHOWN] if detail else None
            self._listed.append(Loss(reason, rows, file, line, text))

    def __len__(self) -> int:
        """Rows."""
        return sum(self._counts.values())

    def __iter__(self) -> Iterator[Loss]:
        listed: dict[tuple[str, str], int] = {}
        for loss in self._listed:
            listed[loss.reason, loss.file] = listed.get((loss.reason, loss.file), 0) + loss.rows
            yield loss
        for key, count in self._counts.items():
            if count > listed[key]:
                yield Loss(key[0], count - listed[key], key[1], None, "more rows of this file")
