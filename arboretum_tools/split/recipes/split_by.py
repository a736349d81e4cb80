"""What `--split-by` says: whether a split is made by place, by time or by person. Pure.

`region:GRID_DEGREES` cuts the globe into cells, `time:DATE` the calendar at a day, `observer` keeps all
photos of a person together. The rules stand in `docs/design.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from arboretum_tools.errors import UsageError

#: Photos of one observer and day so near to each other are never on two sides.
BUFFER_METRES = 1000

#: Mean radius of the earth, by which distances are measured.
EARTH_METRES = 6_371_008.8

#: Percent of the photos that go to test and to val where nothing else is said.
TEST_SHARE, VAL_SHARE = 20, 10

# Sizes of cells: below the first a grid has more cells than a number has digits for.
_LEAST, _MOST = 0.01, 90


@dataclass(frozen=True, slots=True)
class Rule:
    """How photos come to lie on one side of a split.

    Attributes:
        kind: region, time or observer.
        degrees: of a region: the height and width of a cell.
        day: of time: the first day of test.
    """

    kind: str
    degrees: float = 0.0
    day: date = date.min

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a catalogue by which a photo's unit is known."""
        return {
            "region": ("latitude", "longitude"),
            "time": ("observed_on",),
            "observer": ("observer_id",),
        }[self.kind]

    @property
    def units(self) -> str:
        """What lies on one side as a whole, in the plural."""
        return {"region": "cells", "time": "days", "observer": "observers"}[self.kind]

    @property
    def known(self) -> str:
        """What a photo must have to lie on a side."""
        return {"region": "position", "time": "day", "observer": "observer"}[self.kind]

    def __str__(self) -> str:
        if self.kind == "region":
            return f"region:{self.degrees:.10g}"
        return f"time:{self.day.isoformat()}" if self.kind == "time" else self.kind


def parse_rule(text: str) -> Rule:
    """The rule that a text names; `str` of it is its one spelling.

    Raises:
        UsageError: it names none.
    """
    kind, _, value = text.strip().partition(":")
    kind, value = kind.strip().lower(), value.strip()
    if kind == "observer" and not value:
        return Rule(kind)
    if kind == "region" and not value:
        raise UsageError("--split-by region needs a cell size in degrees that divides 180, such as region:10")
    if kind == "time" and not value:
        raise UsageError("--split-by time needs the first day of test, such as time:2022-01-01")
    if kind == "region":
        return Rule(kind, degrees=_degrees(value))
    if kind == "time":
        try:
            return Rule(kind, day=date.fromisoformat(value))
        except ValueError:
            raise UsageError(
                f"time takes the first day of test, such as time:2022-01-01, not {value!r}"
            ) from None
    raise UsageError(
        f"split-by is region:DEGREES, time:DATE or observer, not {text!r}",
        hint="Such as region:1, time:2022-01-01 or observer.",
    )


def _degrees(text: str) -> float:
    try:
        degrees = float(text)
    except ValueError:
        degrees = 0.0
    if not _LEAST <= degrees <= _MOST or abs(round(180 / degrees) * degrees - 180) > 1e-6:
        raise UsageError(
            f"region takes the size of a cell in degrees, {_LEAST:g} to {_MOST}, and 180 is a multiple of "
            f"it, such as region:1; {text!r} is not one"
        )
    # Two spellings of one grid are one recipe.
    return 180 / round(180 / degrees)
