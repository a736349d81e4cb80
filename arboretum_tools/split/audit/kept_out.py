"""The promise that what was kept out is in no part: by the split's own list and by files named beside it.

The files are read here a second time, by code that shares nothing with what made the split.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from arboretum_tools.errors import SplitError
from arboretum_tools.split.audit.checks import Check, Files, found
from arboretum_tools.system.atomic_files import read_json
from arboretum_tools.system.regular_files import regular
from arboretum_tools.tabular.tables import read_columns
from arboretum_tools.wording import counted, does, unreadable

_KINDS = {"photo_id": "photo", "observation_id": "observation", "class_key": "class", "taxon": "taxon"}
_URLS = ("image_url", "photo_url", "url")
# An id, or what iNaturalist has of a photo or an observation.
_NAMED = re.compile(
    r"(?:(?:https?://(?:[a-z]+\.)?inaturalist\.org|[a-z0-9]+://[a-z0-9./-]*?inaturalist-open-data[a-z0-9.-]*)"
    r"/(photo|observation)s/)?([0-9]{1,19})(?:\.0*$|[/?#]|$)",
    re.ASCII | re.IGNORECASE,
)
_PARTS = ("train", "val", "test")
_RANKS = ("genus", "family", "order")


def checks(files: Files, listed: Sequence[Path]) -> Iterator[Check]:
    """The checks of what is kept out.

    Args:
        files: the split.
        listed: files or splits whose photos, observations, classes or taxa must not be in it.

    Raises:
        SplitError: one of them cannot be read.
    """
    stored = files.recipe.get("exclude")
    if stored is not None:
        name = "kept out: excluded.parquet"
        if files.excluded is None:
            yield found(name, True, "the recipe keeps something out and the file is not there")
        else:
            yield found("hash of what is kept out", _hash(files.excluded) != stored, str(stored)[:16])
            yield _apart(files, name, _own(files.excluded))
    for path in listed:
        yield _apart(files, f"kept out: {path.name}", _read(path, files.meta.get("group_by")))


def _hash(table: pa.Table) -> str:
    digest = hashlib.sha256()
    for row in table.to_pylist():
        values = [str(row[name]) for name in ("kind", "id", "name") if row[name] is not None]
        digest.update(("\t".join(values) + "\n").encode())
    return digest.hexdigest()


def _own(table: pa.Table) -> dict[str, set[object]]:
    kept = _nothing()
    for row in table.to_pylist():
        both = (row["name"], row["id"])
        kept[row["kind"]].add(
            both if row["kind"] == "observer" else row["id"] if both[0] is None else both[0]
        )
    return kept


def _nothing() -> dict[str, set[object]]:
    return {kind: set() for kind in (*_KINDS.values(), "observer")}


def _apart(files: Files, name: str, kept: Mapping[str, set[object]]) -> Check:
    """Whether no photo of any part is what is kept out."""
    wrong: list[str] = []
    for column, kind in (("photo_id", "photo"), ("observation_id", "observation")):
        for table in files.parts.values():
            shared = kept[kind] & set(table[column].drop_null().to_pylist())
            wrong += [f"{kind} {value}" for value in sorted(shared, key=str)]
    if kept["observer"]:
        keys = files.classes["class_key"].to_pylist()
        for table in files.parts.values():
            pairs = zip(table["label"].to_pylist(), table["observer_id"].to_pylist(), strict=True)
            shared = kept["observer"] & {(keys[label], observer) for label, observer in pairs}
            wrong += [f"observer of a class {pair}" for pair in sorted(shared, key=str)]
    for row in files.classes.to_pylist():
        own = {"|".join(row["class_key"].split("|")[:2]), row["class_key"]}
        wrong += [f"class {key}" for key in own & kept["class"]]
        names = {row[rank] for rank in ("kingdom", "phylum", "class", "order", "family", "genus")}
        names |= {row["scientific_name"], f"{row['genus']} {row['species']}"}
        wrong += [f"taxon {term}" for term in kept["taxon"] if _is(str(term), row, names)]
    counts = [
        counted(len(values), kind) + (", by scientific name" if kind == "taxon" else "")
        for kind, values in kept.items()
        if values
    ]
    detail = f"no part holds any of them: {', '.join(counts) or 'nothing is named'}"
    if wrong:
        detail = f"{len(wrong):,} of them {does(len(wrong), 'are')} in a part"
    return found(name, bool(wrong), detail, wrong)


def _is(term: str, row: Mapping[str, object], names: set[object]) -> bool:
    """Whether a class lies in the taxon of a term, `parent>rank:name`, by scientific names."""
    parent, _, rest = term.rpartition(">")
    rank, _, name = rest.rpartition(":")
    if parent.strip() and parent.strip() not in names:
        return False
    if rank.strip() and rank.strip() != "species":
        return bool(row.get(rank.strip()) == name.strip())
    return " ".join(name.split()).casefold() in {str(one).casefold() for one in names}


def _read(path: Path, group_by: object) -> dict[str, set[object]]:
    kept = _nothing()
    try:
        if path.is_dir():
            for part in _PARTS:
                if (path / f"{part}.parquet").is_file():
                    _add(kept, _asked(_columns(path / f"{part}.parquet")))
            meta = read_json(path / "split.json")
            if "observer-per-species" in (group_by, meta.get("group_by")):
                kept["observer"] |= _people(path)
            if meta["recipe"].get("benchmark") == "unseen":
                kept["class"] |= set(read_columns(path / "classes.parquet")["class_key"].to_pylist())
        elif path.suffix.lower() == ".parquet":
            _add(kept, _asked(_columns(path)))
        else:
            _add(kept, _listed(path))
    except (OSError, ValueError, KeyError, TypeError, csv.Error, pa.ArrowException) as error:
        raise SplitError(unreadable("what was kept out", path, error)) from error
    return kept


def _people(path: Path) -> set[object]:
    """(class_key, observer) of every photo of a split; of a stage of a species, the species."""
    keys = [key.split("|") for key in read_columns(path / "classes.parquet")["class_key"].to_pylist()]
    names = ["|".join(key if key[1] in _RANKS else key[:2]) for key in keys]
    return {
        (names[label], observer)
        for part in _PARTS
        if (path / f"{part}.parquet").is_file()
        for label, observer in zip(
            *(read_columns(path / f"{part}.parquet")[one].to_pylist() for one in ("label", "observer_id")),
            strict=True,
        )
        if observer is not None
    }


def _columns(path: Path) -> dict[str, list[object]]:
    """What a Parquet file says, by column."""
    table = read_columns(path, [*_KINDS, *_URLS])
    return {name: table[name].to_pylist() for name in table.column_names}


def _listed(path: Path) -> Mapping[str, Sequence[object]]:
    """What a CSV, TSV or plain list says, by column; a list has none, and each line its own kind."""
    with regular(path).open(newline="", encoding="utf-8-sig") as file:
        lines = csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        rows = [[cell.strip() for cell in line] for line in lines if any(cell.strip() for cell in line)]
    if not rows:
        raise ValueError("it is empty")
    if set(rows[0]) & {*_KINDS, *_URLS}:
        if twice := [name for name in _KINDS if rows[0].count(name) > 1]:
            raise ValueError(f"it has more than one column {', '.join(twice)}")
        return _asked(
            {
                name: [row[position] for row in rows[1:] if position < len(row)]
                for position, name in enumerate(rows[0])
            }
        )
    found: dict[str, list[object]] = {}
    for cell, *_ in rows:
        match = _NAMED.match(cell)
        found.setdefault(f"{(match[1] or 'photo').lower()}_id" if match else "taxon", []).append(cell)
    return found


def _asked(columns: Mapping[str, Sequence[object]]) -> dict[str, Sequence[object]]:
    """The columns of a table that are kept out: it may say more of its photos."""
    named = [name for name in _KINDS if name in columns]
    if not named:
        url = next((name for name in _URLS if name in columns), None)
        return {} if url is None else {"photo_id": columns[url]}
    # Only their observations are kept out with photos.
    named = named[:2] if named[:2] == ["photo_id", "observation_id"] else named[:1]
    return {name: columns[name] for name in named}


def _add(kept: dict[str, set[object]], columns: Mapping[str, Sequence[object]]) -> None:
    for name, values in columns.items():
        texts = {str(value).strip() for value in values if value not in (None, "")}
        kept[_KINDS[name]] |= {_id(text) for text in texts} if name.endswith("_id") else texts


def _id(text: str) -> int:
    if (match := _NAMED.match(text)) is None:
        raise ValueError(f"{text!r} is no id")
    return int(match[2])
