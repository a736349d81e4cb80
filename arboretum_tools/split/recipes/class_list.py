"""What a file fixes of a split: which classes it has, or how many train photos each of them gets.

A list of classes is text (a class_key, or a scientific name, a line), a CSV or Parquet file with a column
`class_key`, or a split, whose classes it then is. A list of counts is text or JSON (`cls_num_list.json` of
other programs), or a split.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from arboretum_metadata.schema import CLASSES
from arboretum_tools.catalog import Selection
from arboretum_tools.errors import RecipeError
from arboretum_tools.system.regular_files import regular
from arboretum_tools.tabular.tables import read_columns, read_table, repeated
from arboretum_tools.taxa.identity import class_key_sql
from arboretum_tools.wording import counted, does, one_line

# Names of a list that an error shows.
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Fixed:
    """What is fixed beside a recipe, which holds the hashes.

    Attributes:
        keys: class_keys of exactly the classes that take part, by their bytes; None where any may.
        counts: train photos of the classes, descending; None where a formula gives them.
    """

    keys: tuple[str, ...] | None = None
    counts: tuple[int, ...] | None = None

    def hashes(self) -> dict[str, str]:
        """SHA-256 by the name of the recipe's field: over one class_key, or one count, a line."""
        return {
            name: hashlib.sha256("".join(f"{one}\n" for one in values).encode()).hexdigest()
            for name, values in (("class_list", self.keys), ("counts", self.counts))
            if values is not None
        }

    @classmethod
    def of_split(cls, folder: Path, recipe: Any) -> Fixed:
        """What the classes of a split say that its recipe, which has hashes only, fixed.

        Raises:
            RecipeError: classes.parquet is not there, or is another one.
        """
        if recipe.class_list is None and recipe.counts is None:
            return cls()

        def refuse(what: str) -> RecipeError:
            return RecipeError(
                f"the split was made with a list of classes or counts, and {what}",
                hint="Put the classes.parquet of the split beside its split.json.",
            )

        table = read_table(folder / "classes.parquet", CLASSES, refuse)
        found = cls(
            None if recipe.class_list is None else _sorted(table["class_key"].to_pylist()),
            None if recipe.counts is None else tuple(sorted(table["n_train"].to_pylist(), reverse=True)),
        )
        stated = {"class_list": recipe.class_list, "counts": recipe.counts}
        if any(stated[name] != value for name, value in found.hashes().items()):
            raise refuse("classes.parquet holds other ones")
        return found


def read_keys(source: str | Path | Iterable[str], selection: Selection, rank: str) -> tuple[str, ...]:
    """The class_keys that a list names, by their bytes.

    Args:
        source: a file or a split, or the class_keys or names themselves.
        selection: whose catalogue knows the names.
        rank: of the classes.

    Raises:
        RecipeError: the list cannot be read, names fewer than two classes or one twice, or a name that the
            catalogue does not have or has in two kingdoms.
    """
    entries = _entries(Path(source)) if isinstance(source, str | Path) else list(source)
    if len(entries) < 2:
        raise RecipeError(f"a list of classes names two or more, and {source} names {len(entries)}")
    keys = [entry for entry in entries if "|" in entry]
    if names := [entry for entry in entries if "|" not in entry]:
        keys += _by_name(names, selection, rank)
    repeated = sorted({key for key in keys if keys.count(key) > 1}) if len(set(keys)) < len(keys) else []
    if repeated:
        raise RecipeError(f"the list of classes names {repeated[0]} twice")
    return _sorted(keys)


def read_counts(source: str | Path | Sequence[int]) -> tuple[int, ...]:
    """The train photos of the classes, descending.

    Args:
        source: a file or a split, or the numbers themselves.

    Raises:
        RecipeError: the list cannot be read, has fewer than two numbers, or one that is not whole or below 1.
    """
    numbers = _numbers(Path(source)) if isinstance(source, str | Path) else list(source)
    wrong = [
        one for one in numbers if isinstance(one, bool) or not isinstance(one, int) or not 0 < one < 2**31
    ]
    if wrong or len(numbers) < 2:
        what = f"{wrong[0]!r} is not one" if wrong else f"there {does(len(numbers), 'are')} {len(numbers)}"
        raise RecipeError(f"counts are two or more whole numbers above 0, and {what}")
    return tuple(sorted(numbers, reverse=True))


def _sorted(keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(keys, key=str.encode))


def _by_name(names: Sequence[str], selection: Selection, rank: str) -> list[str]:
    known: dict[str, list[str]] = {}
    rows = selection.catalog.rows(f"SELECT DISTINCT {class_key_sql(rank)} FROM lineages")
    for (key,) in rows:
        if key is not None:
            name = str(key).rpartition("|")[2].casefold()
            # `Mesotes (Tortricidae)` is meant by `Mesotes` as well, and so is the other one.
            for spelled in {name, name.partition(" (")[0] if rank == "genus" else name}:
                known.setdefault(spelled, []).append(str(key))
    found = [known.get(name.casefold(), []) for name in names]
    if unknown := [name for name, keys in zip(names, found, strict=True) if not keys]:
        raise RecipeError(
            f"{counted(len(unknown), 'name')} of the list of classes {does(len(unknown), 'are')} not of a "
            f"{rank} of the catalogue: {', '.join(unknown[:_SHOWN])}",
            hint="A list holds scientific names or class_keys, one per line.",
        )
    if twice := [keys for keys in found if len(keys) > 1]:
        raise RecipeError(f"{twice[0][0]} and {twice[0][1]} have one name", hint="Name the class_key.")
    return [keys[0] for keys in found]


def _entries(path: Path) -> list[str]:
    try:
        regular(path)
        if path.is_dir() or path.suffix.lower() == ".parquet":
            return _column(read_columns(path / "classes.parquet" if path.is_dir() else path), "class_key")
        if path.suffix.lower() == ".csv":
            return _column(pyarrow.csv.read_csv(path), "class_key")
        lines = (line.strip() for line in path.read_text("utf-8-sig").splitlines())
        return [line for line in lines if line and not line.startswith("#")]
    except (OSError, ValueError, pa.ArrowException) as error:
        raise RecipeError(f"the list of classes {path} cannot be read: {one_line(error)}") from error


def _numbers(path: Path) -> list[Any]:
    try:
        regular(path)
        if path.is_dir() or path.suffix.lower() == ".parquet":
            return _column(read_columns(path / "classes.parquet" if path.is_dir() else path), "n_train")
        text = path.read_text("utf-8-sig").strip()
        if text.startswith("["):
            found = json.loads(text)
            return found if isinstance(found, list) else []
        return [int(one) for one in text.replace(",", " ").split()]
    except (OSError, ValueError, pa.ArrowException) as error:
        raise RecipeError(f"the counts {path} cannot be read: {one_line(error)}") from error


def _column(table: pa.Table, name: str) -> list[Any]:
    if name not in table.column_names:
        raise ValueError(f"it has no column {name}")
    if name in repeated(table.column_names):
        raise ValueError(f"it has more than one column {name}")
    values: list[Any] = table[name].to_pylist()
    return values
