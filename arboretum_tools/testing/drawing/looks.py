"""What a taxon looks like: `looks.csv` where it says, a hash of the name where it does not."""

from __future__ import annotations

import csv
from functools import cache, lru_cache
from importlib import resources

from arboretum_tools.testing.drawing.canvas import Colour, Dice, hexed, hsl, mix
from arboretum_tools.testing.subjects import Subject


@cache
def moods(group: str) -> list[tuple[Colour, Colour]]:
    """Colours of the surroundings far above and far below: several pairs a group; none for one not known."""
    rows = dict(csv.reader(_lines("grounds.csv")))
    pairs = (pair.split(":") for pair in rows.get(group, "").split())
    return [(hexed(above), hexed(below)) for above, below in pairs]


def _lines(name: str) -> list[str]:
    return (resources.files(__package__) / name).read_text(encoding="utf-8").splitlines()


@cache
def _table() -> dict[str, tuple[str, str, str]]:
    """Figure, colours and build by taxon of any rank."""
    return {
        taxon: (figure, colours, build) for taxon, figure, colours, build in csv.reader(_lines("looks.csv"))
    }


class Traits:
    """The look of one taxon: rows of its ranks, a lower rank over a higher one.

    What no row says is derived from the group and name, so a taxon that the table does not know still has
    colours and proportions of its own. A species or genus with colours in the table has exactly those.
    """

    def __init__(self, subject: Subject) -> None:
        words = subject.name.split()
        self._name = (subject.group, subject.name)
        self.figure = "unknown"
        self._colours: dict[str, Colour] = {}
        self._build: dict[str, float] = {}
        low = dict.fromkeys((words[0], " ".join(words[:2]), subject.name)) if words else {}
        self.known = False
        for taxon in (subject.group, subject.class_name, subject.order, subject.family, *low):
            figure, colours, build = _table().get(taxon, ("", "", ""))
            if figure and figure != self.figure:
                self.figure, self._colours, self._build = figure, {}, {}
            for word in colours.split():
                part, _, digits = word.partition("=")
                if not digits:  # relatives have the part, this taxon does not
                    self._colours.pop(part, None)
                    continue
                colour = hexed(digits)
                # What is known of the genus alone is shifted, or two of its species would look the same.
                own = taxon == subject.name
                self._colours[part] = colour if own else mix(colour, self._hashed(part), 0.25)
            for word in build.split():
                key, _, value = word.partition("=")
                self._build[key] = float(value)
            self.known |= taxon in low and bool(colours)

    def number(self, key: str, low: float, high: float | None = None) -> float:
        """A proportion or count: of the table, else `low`, or of the interval from `low` to `high`."""
        if key in self._build:
            return self._build[key]
        return low if high is None else self._dice(key).between(low, high)

    def colour(self, part: str, default: Colour | None = None) -> Colour:
        """The colour of a part: of the table, else the default, else one of the taxon's own."""
        if part in self._colours:
            return self._colours[part]
        return self._hashed(part) if default is None else default

    def _hashed(self, part: str) -> Colour:
        dice = self._dice(part)
        hue = dice.between(self.number("hue_from", 0), self.number("hue_to", 360))
        return hsl(hue, dice.between(0.25, 0.8), dice.between(0.25, 0.65))

    def has(self, part: str, chance: float = 0.35) -> bool:
        """Whether a part that not every taxon has is there."""
        return part in self._colours or (not self.known and self._dice("has", part).chance(chance))

    def _dice(self, *key: str) -> Dice:
        return Dice("look", *self._name, *key)


class Look:
    """One individual of a taxon: its colours are a shade lighter or darker than its kin's."""

    def __init__(self, traits: Traits, dice: Dice) -> None:
        self.number, self.has, self._colour = traits.number, traits.has, traits.colour
        self._tint = hsl(dice.between(0, 360), 0.3, dice.between(0.1, 0.9))
        self._share = dice.between(0, 0.13)

    def __call__(self, part: str, default: Colour | None = None) -> Colour:
        """The colour of a part, see `Traits.colour`."""
        return mix(self._colour(part, default), self._tint, self._share)


@lru_cache(maxsize=4096)
def traits(subject: Subject) -> Traits:
    """The look of a taxon."""
    return Traits(subject)
