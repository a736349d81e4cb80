"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, right: Collection[int] = ()) -> list[str]:
    """The lines of a table.

    Args:
        header: a cell a column.
        rows: as many cells each, as Markdown: what comes from metadata goes through `cell` first.
        right: columns, from 0, that are set flush right.

    >>> table(["part", "photos"], [["test", "210"]], right=[1])
    ['| part | photos |', '| --- | ---: |', '| test | 210 |']
    """
    marks = ["---:" if position in right else "---" for position in range(len(header))]
    return [f"| {' | '.join(row)} |" for row in (header, marks, *rows)]


def cell(text: str) -> str:
    r"""Text that can neither end a cell nor be read as HTML.

    >>> cell("a|b <i>")
    'a\\|b &lt;i>'
    """
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
