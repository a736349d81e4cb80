"""Values of a closed list as sources spell them: read without case, and by the spellings of the data file.

`cc-by`, `CC_BY_4_0` and the address of the licence are CC-BY; `Imago` is adult. What is no known spelling is
unknown, so no filter lets it pass, and it is counted by its spelling.
"""

from __future__ import annotations

from collections.abc import Mapping

from arboretum_metadata.vocab import SPELLINGS, VOCABULARIES
from arboretum_tools.tabular.query import Connection, identifier, literal, rows

# The version at the end of a licence's name or address, with what may follow it in an address: those that
# there are (https://creativecommons.org/share-your-work/cclicenses/). Nobody can say what `CC0 4.0` is.
_VERSION = r"[-/]1[.-]0(/.*)?$"
_LATER = r"^(cc-by[a-z-]*|creativecommons\.org/licenses/[a-z-]+)[-/](2[.-][015]|3[.-]0|4[.-]0)(/.*)?$"


def value_sql(column: str, expression: str) -> str:
    """The value of the vocabulary that a text stands for; NULL where it is no known spelling.

    Args:
        column: one of `vocab.VOCABULARIES`.
        expression: SQL of the text.
    """
    # Nearly every value is spelled as in the vocabulary; only the others are folded.
    same = " ".join(f"WHEN {literal(value)} THEN {literal(value)}" for value in VOCABULARIES[column])
    known = " ".join(
        f"WHEN {literal(spelling)} THEN {literal(value)}" for spelling, value in SPELLINGS[column].items()
    )
    return f"CASE {expression} {same} ELSE CASE {_folded(expression)} {known} END END"


def is_exact(connection: Connection, source: str, column: str, expression: str) -> bool:
    """Whether every text is spelled as in the vocabulary, blanks around it aside, or says nothing.

    Args:
        connection: asks.
        source: a table expression.
        column: one of `vocab.VOCABULARIES`.
        expression: SQL of the text.
    """
    others = f"nullif(trim({expression}), '') NOT IN ({', '.join(map(literal, VOCABULARIES[column]))})"
    return not rows(connection, f"SELECT 1 FROM {source} WHERE {others} LIMIT 1")


def unknown(connection: Connection, source: str, columns: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Rows by spelling, most first, of every column of a vocabulary that has spellings nobody knows.

    Args:
        connection: asks.
        source: a table expression.
        columns: SQL of the text by column.
    """
    found: dict[str, dict[str, int]] = {}
    for column, expression in columns.items():
        texts = f"SELECT nullif(trim({expression}), '') AS text, count(*) AS n FROM {source} GROUP BY 1"
        counts = rows(
            connection,
            f"SELECT text, n FROM ({texts}) WHERE text IS NOT NULL AND {value_sql(column, 'text')} IS NULL "
            "ORDER BY n DESC, text",
        )
        if counts:
            found[column] = {str(text): int(str(count)) for text, count in counts}
    return found


def mapped(column: str) -> str:
    """A column of a relation of ours by its name, through its vocabulary where it has one."""
    name = identifier(column)
    return f"{value_sql(column, name)} AS {name}" if column in VOCABULARIES else name


def _folded(expression: str) -> str:
    text = f"regexp_replace(lower(trim({expression})), '^https?://(www\\.)?', '')"
    text = f"regexp_replace({text}, '[\\s_-]+', '-', 'g')"
    text = f"regexp_replace({text}, '{_LATER}', '\\1')"
    return f"rtrim(regexp_replace({text}, '{_VERSION}', ''), '/')"
