"""Text that no spreadsheet takes for a formula.

Excel, LibreOffice and Google Sheets run what begins with `=`, `+`, `-` or `@`, quoted or not, some also after
a tab or a carriage return, and in their full-width forms. An apostrophe before it makes it text
(https://owasp.org/www-community/attacks/CSV_Injection). It is put only into files that people open; those
that programs read hold texts as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
_BEGINS = r"\A([-=+@\t\r＝＋－＠])"


def plain(value: object) -> object:
    """A cell; what is no text stays as it is.

    >>> plain("=1+1"), plain("Parus major"), plain(-1)
    ("'=1+1", 'Parus major', -1)
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def plain_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The rows of a batch, its columns of text as `plain` has them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = [
        pc.replace_substring_regex(column, _BEGINS, r"'\1") if pa.types.is_string(column.type) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)
