"""What a source of metadata is: the one protocol that every format fulfils."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from arboretum_tools.catalog.building.losses import Losses
from arboretum_tools.catalog.layouts.files import RawFiles
from arboretum_tools.tabular.query import Connection, parquet_source


@dataclass(frozen=True, slots=True)
class Reading:
    """What a format works with.

    Attributes:
        connection: for joins within the source; they spill where they must.
        spool: an empty folder of our own, for Parquet.
        listed: the photos of the catalogue, where another source lists them: others are dropped while
            reading, and are no losses. None where this source lists them.
        uuids: whether the observations' full UUIDs are wanted.
        losses: takes every row of which nothing is made.
    """

    connection: Connection
    spool: Path
    listed: RawFiles | None
    uuids: bool
    losses: Losses

    def listed_sql(self) -> str:
        """What follows a relation with photo_id in FROM, so that it has photos of the catalogue alone."""
        return (
            f"own SEMI JOIN {parquet_source(self.listed.files)} base USING (photo_id)" if self.listed else ""
        )


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a source: Parquet with columns of the raw layout, one row per photo or its repeat.

    Attributes:
        files: Parquet files, and folders of them.
        origins: of files that were made of another one, its name, and whether it has the same rows in the
            same order.
        note: what the reader of a build should know, or "".
        inactive: names that iNaturalist no longer uses, as `open_data.inactive_sql` gives them.
    """

    files: Sequence[Path]
    origins: Mapping[Path, tuple[str, bool]] = field(default_factory=dict)
    note: str = ""
    inactive: Path | None = None


class Format(Protocol):
    """One kind of source. Modules of this package are formats.

    No row is lost without a word: it becomes a row of `Rows`, or is given to `Reading.losses`.
    """

    #: What the source is called in messages, tables of coverage and catalog.json.
    NAME: str

    def recognises(self, path: Path, /) -> bool:
        """Whether a path is of this format, by what is in it, never by its name alone."""

    def read(self, path: Path, reading: Reading, /) -> Rows:
        """Writes what is not Parquet into the spool, streamed, with columns of the raw layout.

        Raises:
            CatalogError: a file is missing, damaged, or lacks columns.
        """
