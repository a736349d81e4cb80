"""What a class is: its key, its name, its folder. In SQL over the catalogue's columns, and in Python.

class_key, version 1: `<kingdom>|<genus> <epithet>` for a species, `<kingdom>|<rank>|<name>` for genus,
family and order. Genus and epithet alone would merge an orchid and a moth (*Laelia rosea*); the whole
lineage would split a species when one row lacks a rank. Keys are compared as UTF-8 bytes.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from arboretum_tools.errors import UsageError

#: The ranks that a class of a split may have.
CLASS_RANKS = ("species", "genus", "family", "order")

#: Names that carry a hybrid's mark: the multiplication sign, or `x` as a word of its own.
HYBRID_SQL = "(contains(scientific_name, '×') OR contains(' ' || scientific_name || ' ', ' x '))"

_FOLDER_CHARACTERS = 80


def class_key_sql(rank: str) -> str:
    """The SQL expression of class_key; NULL where the row lacks one of the names that it needs."""
    if rank not in CLASS_RANKS:
        raise UsageError(f"classes can be {', '.join(CLASS_RANKS)}, not {rank!r}")
    if rank == "species":
        # `||` gives NULL when one side is NULL, which is what makes such a row not eligible.
        return "(kingdom || '|' || genus || ' ' || species)"
    return f"(kingdom || '|{rank}|' || \"{rank}\")"


def unique_names(names: Sequence[str], kingdoms: Sequence[str]) -> list[str]:
    """Names for people: where two classes share one, each gets ` (<kingdom>)`.

    `datasets.ClassLabel` raises on duplicates, and an orchid and a moth may share both their names.
    """
    seen = Counter(names)
    return [
        f"{name} ({kingdom})" if seen[name] > 1 else name
        for name, kingdom in zip(names, kingdoms, strict=True)
    ]


def folder_name(label: int, name: str) -> str:
    """Name of a class folder: `%05d_` and the slug of the name, at most 80 characters, ASCII.

    The five-digit label makes plain and natural sort agree with the label, which ImageFolder relies on.
    """
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^A-Za-z0-9-]+", "_", ascii_name)
    return f"{label:05d}_{slug}"[:_FOLDER_CHARACTERS]


def slug(text: str) -> str:
    """A lower-case name for files out of any text: runs outside `[a-z0-9]` become one `-`."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text.lower()).strip("-")
