"""Numbers with their nouns, so that no message ever says `1 photos`."""

from __future__ import annotations

# Nouns whose plural no rule gives.
_PLURALS = {"species": "species", "taxon": "taxa", "class": "classes", "family": "families"}


def plural(number: int, noun: str) -> str:
    """The noun as it stands after a number: `photo` after 1, `train photos` after 0 and 2."""
    if number == 1:
        return noun
    before, space, last = noun.rpartition(" ")
    return f"{before}{space}{_PLURALS.get(last, f'{last}s')}"


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 photo`, `1,436 photos`, `2 taxa`."""
    return f"{number:,} {plural(number, noun)}"


def does(number: int, verb: str) -> str:
    """The verb that follows a counted noun: `takes` after 1, `take` after any other number."""
    forms = {"have": "has", "are": "is", "were": "was"}
    return (forms.get(verb) or f"{verb}s") if number == 1 else verb
