"""How messages are worded: numbers with their nouns, what somebody may have meant, and errors in a line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

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


def first_of(shown: Sequence[str], most: int, between: str = ", ") -> str:
    """The first of some texts, and how many more there are.

    >>> first_of(["owl", "robin", "wren"], 2)
    'owl, robin and 1 more'
    >>> first_of(["owl", "robin"], 2)
    'owl, robin'
    """
    more = f" and {len(shown) - most:,} more" if len(shown) > most else ""
    return between.join(shown[:most]) + more


def did_you_mean(written: str, known: Mapping[str, str] | Iterable[str]) -> str:
    """The hint that names what was nearly written; "" where nothing is near.

    Args:
        written: what nothing is called.
        known: what things are called; or their other spellings, each with what it stands for.
    """
    by_spelling = known if isinstance(known, Mapping) else {one: one for one in known}
    near = difflib.get_close_matches(written, by_spelling, n=1, cutoff=0.7)
    return f"Did you mean {by_spelling[near[0]]}?" if near else ""


def one_line(error: BaseException) -> str:
    """What an error says in one line, for use inside a sentence: of the system's without number and path."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).strip().split("\n", 1)[0].rstrip(".")


def unreadable(what: str, path: object, error: BaseException) -> str:
    """That a file which was named cannot be read, or is not there.

    >>> unreadable("photo ids", "ids.txt", FileNotFoundError())
    'there is no file ids.txt'
    >>> unreadable("photo ids", "ids.txt", ValueError("it is empty"))
    'photo ids cannot be read from ids.txt: it is empty'
    """
    if isinstance(error, FileNotFoundError):
        return f"there is no file {path}"
    return f"{what} cannot be read from {path}: {one_line(error)}"


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: arguments and JSON can hold half a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def size(size_bytes: float) -> str:
    """Bytes in the unit that reads best, powers of 1000."""
    value, unit = float(size_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
