"""What a class is: its key, its name, its folder. In SQL over the catalogue's columns, and in Python.

class_key, version 1: `<kingdom>|<genus> <epithet>` for a species, `<kingdom>|<rank>|<name>` for genus,
family and order. Genus and epithet alone would merge an orchid and a moth (*Laelia rosea*); the whole
lineage would split a species when one row lacks a rank. Keys are compared as UTF-8 bytes. Where a kingdom has
two genera of one name, theirs end in the family: `Animalia|genus|Mesotes (Tortricidae)`.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from arboretum_metadata.vocab import CLASS_RANKS
from arboretum_tools.errors import UsageError

#: Names that carry a hybrid's mark: the multiplication sign, or `x` or `X` as a word of its own.
HYBRID_SQL = "(contains(scientific_name, '×') OR contains(' ' || lower(scientific_name) || ' ', ' x '))"

_FOLDER_CHARACTERS = 80

# The names of the seven groups of Arboretum joined have 54 characters.
_JOINED_CHARACTERS = 60


def class_key_sql(rank: str) -> str:
    """The SQL expression of class_key; NULL where the row lacks one of the names that it needs.

    That of a genus reads the relation `homonyms`, which is `homonyms_sql()`.
    """
    if rank not in CLASS_RANKS:
        raise UsageError(f"classes can be {', '.join(CLASS_RANKS)}, not {rank!r}")
    if rank == "species":
        # `||` gives NULL when one side is NULL, which is what makes such a row not eligible.
        return "(kingdom || '|' || genus || ' ' || species)"
    if rank == "genus":
        several = "(kingdom || '|' || genus) IN (SELECT name FROM homonyms)"
        return (
            f"(kingdom || '|genus|' || genus || CASE WHEN {several} THEN ' (' || family || ')' ELSE '' END)"
        )
    return f"(kingdom || '|{rank}|' || \"{rank}\")"


def homonyms_sql(relation: str = "lineages") -> str:
    """A query for the genera whose name means several of one kingdom: kingdom, bar, genus, as `name`.

    *Mesotes* is a moth and a snake: orders and families both differ. Where a species stands under two
    families, it is one genus that was moved, or sources that disagree.
    """
    # GBIF has no order of reptiles, and theirs as their class.
    above = 'coalesce("order", "class", phylum)'
    genus = f"SELECT kingdom || '|' || genus AS name FROM {relation} WHERE"
    return (
        f"{genus} {above} IS NOT NULL AND family IS NOT NULL GROUP BY name "
        f"HAVING count(DISTINCT {above}) > 1 AND count(DISTINCT family) > 1 "
        f"EXCEPT {genus} species IS NOT NULL GROUP BY name, species HAVING count(DISTINCT family) > 1"
    )


def unique_names(names: Sequence[str], kingdoms: Sequence[str], families: Sequence[str | None]) -> list[str]:
    """Names for people: two classes that share one get ` (<kingdom>)`, within a kingdom ` (<family>)`.

    `datasets.ClassLabel` raises on duplicates, and an orchid and a moth may share both their names.
    """
    seen, within = Counter(names), Counter(zip(names, kingdoms, strict=True))
    return [
        f"{name} ({family if within[name, kingdom] > 1 else kingdom})" if seen[name] > 1 else name
        for name, kingdom, family in zip(names, kingdoms, families, strict=True)
    ]


def folder_names(names: Sequence[str]) -> list[str]:
    """Names of the class folders, index = label: `%05d_` and the name's slug, at most 80 ASCII characters.

    The label in front, of five digits or as many as the last one has, makes plain and natural sort agree with
    the labels, which ImageFolder relies on.
    """
    digits = max(5, len(str(len(names) - 1)))
    return [f"{label:0{digits}d}_{_ascii(name)}"[:_FOLDER_CHARACTERS] for label, name in enumerate(names)]


def _ascii(name: str) -> str:
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9-]+", "_", ascii_name)


def slug(text: str) -> str:
    """A lower-case name for files out of any text: runs outside `[a-z0-9]` become one `-`."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text.lower()).strip("-")


def joined_slugs(names: Iterable[str]) -> str:
    """The slugs of some names, each once, joined by `+`: at most 60 characters, "" of no names.

    Of more than fit, the first ones, how many more there are, and eight hex digits of the SHA-256 of the
    whole, so that two long lists have two names: `actias-luna+danaus-plexippus+3-more-52f4a1c9`.
    """
    slugs = list(dict.fromkeys(slug(name) for name in names))
    whole = "+".join(slugs)
    if len(whole) <= _JOINED_CHARACTERS:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    for shown in range(len(slugs) - 1, 0, -1):
        text = f"{'+'.join(slugs[:shown])}+{len(slugs) - shown}-more-{digest}"
        if len(text) <= _JOINED_CHARACTERS:
            return text
    # Not even the first name fits.
    more = f"+{len(slugs) - 1}-more-{digest}" if len(slugs) > 1 else f"-{digest}"
    return slugs[0][: _JOINED_CHARACTERS - len(more)] + more
