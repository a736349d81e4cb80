"""Columns and tables: what is said of each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """One column of one table.

    Attributes:
        name: as it stands in the file.
        type: Arrow's name of the type.
        meaning: one sentence for a reader who has never seen the table.
        nullable: whether a null may stand in it; what a null means is said in `meaning`.
        unit: the unit of a number, or "" where it has none.
        also: other spellings that are read as this column.
        counted: whether it follows from other files of the same folder. No hash covers it, as one covers
            those, and what an earlier release wrote lacks it.
    """

    name: str
    type: str
    meaning: str
    nullable: bool = False
    unit: str = ""
    also: tuple[str, ...] = ()
    counted: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table: where it lies, in which order its rows stand, and its columns in their order."""

    name: str
    path: str
    order: str
    meaning: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in their order."""
        return tuple(column.name for column in self.columns)

    @property
    def hashed(self) -> tuple[str, ...]:
        """The column names that a hash over all columns covers: those that are not counted from others."""
        return tuple(column.name for column in self.columns if not column.counted)

    def __getitem__(self, name: str) -> Column:
        """The column called `name`; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)
