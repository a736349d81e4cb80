"""What a split keeps out: the photos, observations, classes and taxa of other benchmarks.

A file of any of these kinds, or the folder of a split:

- a split: every photo of every part and its observation; of a benchmark `unseen` its species as well, since
  the point of it is that no photo of them was seen; where either split is grouped by observer and species,
  every photo that these people took of these classes too, so that the stricter of both groupings holds;
- Parquet, CSV or TSV with a column `photo_id` (and `observation_id`, if it is there too), or
  `observation_id`, or `class_key`, or `taxon`, or one of addresses of photos: the first of these that it has;
- the CSV files of the benchmarks of Arboretum, whose `filenumber` and `inat21_filename` are photo ids;
- text: on each line a photo (its id, or its page or address at iNaturalist), the page of an observation, or
  a taxon, as `--taxa` takes it.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from arboretum_metadata.schema import EXCLUDED
from arboretum_metadata.vocab import CLASS_RANKS, LIFE_STAGES
from arboretum_tools.catalog import Catalog, Selection
from arboretum_tools.errors import RecipeError, UnknownTaxonError, UsageError
from arboretum_tools.photos.photo_ids import OBSERVATIONS, PHOTO_COLUMNS, PHOTOS, PhotoIds, read_photo_ids
from arboretum_tools.split.files.manifest import open_split
from arboretum_tools.system.regular_files import regular
from arboretum_tools.tabular.arrays import from_numpy, texts
from arboretum_tools.tabular.tables import arrow_schema, read_columns, repeated
from arboretum_tools.taxa.identity import class_key_sql
from arboretum_tools.taxa.taxonomy import Taxon
from arboretum_tools.wording import counted, first_of, unreadable

_COLUMNS = ("photo_id", "observation_id", "class_key", "taxon")

_LISTED = {"photo_id": PHOTOS, "observation_id": OBSERVATIONS}

# Columns whose ids could be of photos or of observations.
_HEAD = re.compile(r"((photo|image|observation)[ _]?)?(ids?|numbers?)|photos?|images?|observations?", re.I)

# Names that an error or note gives, and letters of each.
_SHOWN, _SHOWN_LETTERS = 5, 60


@dataclass(frozen=True, slots=True)
class Exclusion:
    """What is kept out; a photo that is any of these is.

    Attributes:
        photos: photo ids, ascending.
        observations: observation ids, ascending.
        classes: class_keys of species, by their bytes.
        taxa: terms as `arboretum_tools.taxa.taxonomy` takes them, by their bytes.
        observers: (class_key, observer id), ascending: photos that this person took of this class.
    """

    photos: tuple[int, ...] = ()
    observations: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()
    taxa: tuple[str, ...] = ()
    observers: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(
        cls,
        photos: Iterable[int] = (),
        observations: Iterable[int] = (),
        classes: Iterable[str] = (),
        taxa: Iterable[str] = (),
        observers: Iterable[tuple[str, int]] = (),
    ) -> Exclusion:
        """In order, each once."""
        return cls(
            tuple(sorted(set(photos))),
            tuple(sorted(set(observations))),
            tuple(sorted(set(classes), key=str.encode)),
            tuple(sorted(set(taxa), key=str.encode)),
            tuple(sorted(set(observers), key=lambda one: (one[0].encode(), one[1]))),
        )

    @property
    def entries(self) -> list[tuple[str, int | None, str | None]]:
        """Kind, number and name of all that is kept out: the rows of excluded.parquet."""
        return [
            *(("photo", photo, None) for photo in self.photos),
            *(("observation", observation, None) for observation in self.observations),
            *(("class", None, name) for name in self.classes),
            *(("taxon", None, name) for name in self.taxa),
            *(("observer", observer, name) for name, observer in self.observers),
        ]

    @property
    def sha256(self) -> str:
        """Of the text `kind<TAB>number or name`, of an observer both, one line an entry."""
        lines = (
            "\t".join(str(value) for value in entry if value is not None) + "\n" for entry in self.entries
        )
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def counts(self) -> dict[str, int]:
        """Entries by kind."""
        kinds = ("photos", "observations", "classes", "taxa", "observers")
        return {kind: len(getattr(self, kind)) for kind in kinds if kind != "observers" or self.observers}

    def to_table(self) -> pa.Table:
        """The rows of excluded.parquet."""
        ids = (*self.photos, *self.observations)
        names = (*self.classes, *self.taxa)
        columns = {
            "kind": texts([kind for kind, _, _ in self.entries]),
            "id": pa.concat_arrays(
                [
                    _numbers(ids),
                    pa.nulls(len(names), pa.int64()),
                    _numbers([observer for _, observer in self.observers]),
                ]
            ),
            "name": pa.concat_arrays(
                [pa.nulls(len(ids), pa.string()), texts([*names, *(name for name, _ in self.observers)])]
            ),
        }
        return pa.table(columns, schema=arrow_schema(EXCLUDED))

    @classmethod
    def from_table(cls, table: pa.Table) -> Exclusion:
        """What `to_table` gave; rows of other kinds are passed over, so that the hash tells."""
        found: dict[str, list[object]] = {kind: [] for kind in ("photo", "observation", "class", "taxon")}
        found["observer"] = []
        for row in table.to_pylist():
            if row["kind"] == "observer":
                found["observer"].append((row["name"], row["id"]))
            elif row["kind"] in found:
                found[row["kind"]].append(row["id"] if row["name"] is None else row["name"])
        return cls.of(*found.values())  # type: ignore[arg-type]

    def photos_of(self, selection: Selection) -> PhotoIds:
        """The photos of a selection that are kept out.

        Raises:
            RecipeError: nothing of it is known to the catalogue, as with a list of misspelt names.
            SelectionError: it names observations alone and the catalogue knows none.
            TaxonError: a name that means several taxa.
        """
        catalog = selection.catalog
        conditions: list[str] = []
        parameters: list[object] = []
        if self.photos:
            catalog.register("kept_out_photos", pa.table({"id": _numbers(self.photos)}))
            conditions.append("photo_id IN (FROM kept_out_photos)")
        if self.observations:
            if not (self.photos or self.classes or self.taxa):
                catalog.require("observation_id")
            if catalog.has("observation_id"):
                catalog.register("kept_out_observations", pa.table({"id": _numbers(self.observations)}))
                conditions.append("coalesce(observation_id IN (FROM kept_out_observations), false)")
        for rank in CLASS_RANKS if self.observers and catalog.has("observer_id") else ():
            people = [(name, one) for name, one in self.observers if _rank_of(name) == rank]
            if people:
                own = {"class_key": texts([name for name, _ in people])}
                own["observer_id"] = _numbers([one for _, one in people])
                catalog.register(f"kept_out_observers_{rank}", pa.table(own))
                conditions.append(
                    f"coalesce(({class_key_sql(rank)}, observer_id) IN "
                    f"(SELECT (class_key, observer_id) FROM kept_out_observers_{rank}), false)"
                )
        taxa = self._taxa(catalog)
        names = [taxon.name for taxon in taxa if taxon.rank == "species" and taxon.kingdom is None]
        keys = [f"{t.kingdom}|{t.name}" for t in taxa if t.rank == "species" and t.kingdom is not None]
        if names:
            catalog.register("kept_out_names", pa.table({"name": texts(names)}))
            conditions.append("coalesce(genus || ' ' || species IN (FROM kept_out_names), false)")
        if keys or self.classes:
            catalog.register("kept_out_classes", pa.table({"class_key": texts([*keys, *self.classes])}))
            conditions.append("coalesce(class_key IN (FROM kept_out_classes), false)")
        for taxon in taxa:
            if taxon.rank != "species":
                sql, values = catalog.clade(taxon)
                conditions.append(f"({sql})")
                parameters += values
        sql, bound = selection.query("photo_id")
        where = " OR ".join(conditions) or "false"
        found = catalog.table(f"{sql} AND ({where})", [*bound, *parameters])
        return PhotoIds.of(found["photo_id"].combine_chunks())

    def _taxa(self, catalog: Catalog) -> list[Taxon]:
        """The taxa that the catalogue knows: a benchmark may name species of which it has no photo."""
        found, missing = [], []
        for term in self.taxa:
            try:
                found.append(catalog.taxon(term))
            except (UnknownTaxonError, UsageError):
                missing.append(term)
        if missing:
            catalog.note(self.passed_over(missing, "the catalogue"))
        return found

    def passed_over(self, missing: Sequence[str], where: str) -> str:
        """The note on entries that name nothing.

        Args:
            missing: these of `taxa`.
            where: what has no such taxon.

        Raises:
            RecipeError: nothing else is to be kept out.
        """
        shown = first_of([repr(term[:_SHOWN_LETTERS]) for term in missing], _SHOWN)
        if len(missing) == len(self.entries):
            raise RecipeError(
                f"nothing to keep out: no photo is named, and {where} has no taxon {shown}; "
                "nothing was written",
                hint="Give one photo id, page or taxon per line; `arboretum taxa NAME` finds a name.",
            )
        return (
            f"to keep out: {counted(len(missing), 'line')} passed over, being neither a photo nor a taxon "
            f"of {where}: {shown}"
        )


def _rank_of(class_key: str) -> str:
    """The rank of a class by its key; a stage of a species is of its own rank, and of none here."""
    _, *rest = class_key.split("|")
    return "species" if len(rest) == 1 else rest[0]


def _numbers(values: Sequence[int]) -> pa.Array:
    return from_numpy(np.array(values, np.int64))


def read_exclusion(paths: str | Path | Sequence[str | Path], group_by: str | None = None) -> Exclusion:
    """Reads what is to be kept out, of one file or split or of several together.

    Args:
        paths: the files and splits.
        group_by: the grouping of the split that these are kept out of.

    Raises:
        RecipeError: a file cannot be read, has none of the columns, or has a line that cannot be used.
        SplitError: a folder is not a split.
    """
    found: dict[str, list[object]] = {name: [] for name in (*_COLUMNS, "observer")}
    for path in [paths] if isinstance(paths, str | Path) else paths:
        for name, values in _read(Path(path), group_by).items():
            found[name] += values
    classes, taxa = _species(found["class_key"])
    return Exclusion.of(
        found["photo_id"],  # type: ignore[arg-type]
        found["observation_id"],  # type: ignore[arg-type]
        classes,
        [*taxa, *map(str, found["taxon"])],
        found["observer"],  # type: ignore[arg-type]
    )


def _species(keys: Iterable[object]) -> tuple[list[str], list[str]]:
    """Class keys as species and, above species, as terms of taxa; a stage stands for its species."""
    classes, taxa = [], []
    for key in keys:
        kingdom, _, rest = str(key).partition("|")
        name, _, last = rest.partition("|")
        if last and name in CLASS_RANKS:
            # `Mesotes (Tortricidae)`: one of two genera of a kingdom.
            own, _, family = last.removesuffix(")").partition(" (")
            taxa.append(f"{family or kingdom}>{name}:{own}")
        elif name and (not last or last in LIFE_STAGES):
            classes.append(f"{kingdom}|{name}")
        else:
            raise RecipeError(f"{key!r} is not a class_key such as `Animalia|Turdus merula`")
    return classes, taxa


def _read(path: Path, group_by: str | None) -> dict[str, list[object]]:
    if path.is_dir():
        split = open_split(path)
        if split.files is not None:
            raise RecipeError(
                f"{path} is an imported split: its photo ids are numbers of its own",
                hint="Name a file with iNaturalist's photo ids, observations or taxa.",
            )
        parts = [split.part(part) for part in split.parts]
        found = {
            name: [value for part in parts for value in part[name].drop_null().to_pylist()]
            for name in ("photo_id", "observation_id")
        }
        if split.meta["recipe"].get("benchmark") == "unseen":
            found["class_key"] = split.classes["class_key"].to_pylist()
        if "observer-per-species" in (group_by, split.meta.get("group_by")):
            keys = [
                key.rpartition("|")[0] if key.count("|") > 1 and _rank_of(key) not in CLASS_RANKS else key
                for key in split.classes["class_key"].to_pylist()
            ]
            found["observer"] = [
                (keys[label], observer)
                for part in parts
                for label, observer in zip(
                    part["label"].to_pylist(), part["observer_id"].to_pylist(), strict=True
                )
                if observer is not None
            ]
        return found
    try:
        regular(path)
        found = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_text(path)
    except (OSError, pa.ArrowException, UnicodeDecodeError, csv.Error) as error:
        raise RecipeError(unreadable("what to keep out", path, error)) from error
    if not any(found.values()):
        raise RecipeError(f"{path} names nothing to keep out")
    return found


def _requested(path: Path, names: Sequence[str]) -> list[str]:
    """The columns of a table that say what is kept out."""
    known = [name for name in _COLUMNS if name in names]
    if not known and "class_options" in names:
        raise RecipeError(
            f"{path} names photos by UUID alone, and metadata have photo ids",
            hint="Keep its species out with a list of taxa, one per line, or its photos by their photo ids.",
        )
    if not known:
        raise RecipeError(
            f"{path} has none of the columns {', '.join(_COLUMNS)}; nothing was written",
            hint=f"It has {', '.join(names)[:300]}: give the right one of them one of these names.",
        )
    return known[:2] if known[:2] == ["photo_id", "observation_id"] else known[:1]


def _read_parquet(path: Path) -> dict[str, list[object]]:
    names = pq.read_schema(path).names
    if _has_addresses(names):
        return {"photo_id": [*read_photo_ids(path)]}
    requested = _requested(path, names)
    table = read_columns(path, requested)
    found: dict[str, list[object]] = {}
    for name in requested:
        column = table[name].drop_null()
        if name in _LISTED and pa.types.is_string(column.type):
            found[name] = [_value(name, text, path, row) for row, text in enumerate(column.to_pylist(), 1)]
            continue
        kind = pa.int64() if name.endswith("_id") else pa.string()
        found[name] = column.cast(kind).to_pylist()
    return found


def _read_text(path: Path) -> dict[str, list[object]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ","))
    lines = [(number, row) for number, row in enumerate(rows, start=1) if any(cell.strip() for cell in row)]
    if not lines:
        raise RecipeError(f"{path} names nothing to keep out")
    header = ["photo_id" if (name := cell.strip()) in PHOTO_COLUMNS else name for cell in lines[0][1]]
    if _has_addresses(header):
        return {"photo_id": [*read_photo_ids(path)]}
    if set(header) & {*_COLUMNS, "class_options"} or _is_head(lines[0][1]):
        requested, lines = _requested(path, header), lines[1:]
        if twice := repeated([name for name in header if name in requested]):
            raise RecipeError(f"{path} has more than one column {', '.join(twice)}")
    else:
        return _of_lines([row[0].strip() for _, row in lines])
    found: dict[str, list[object]] = {name: [] for name in requested}
    for number, row in lines:
        for name in requested:
            position = header.index(name)
            text = row[position].strip() if position < len(row) else ""
            if text:
                found[name].append(_value(name, text, path, number))
    return found


def _value(name: str, text: str, path: Path, number: int) -> int | str:
    if name not in _LISTED:
        return text
    found = _LISTED[name].id_of(text.strip())
    if found is None or found >= 2**63:
        raise RecipeError(f"{path}, line {number}: {text[:_SHOWN_LETTERS]!r} is no {name}")
    return found


def _has_addresses(names: Sequence[str]) -> bool:
    """Whether the addresses of photos alone say what is kept out."""
    return not set(names) & {*_COLUMNS, "class_options"} and bool(set(names) & set(PHOTOS.columns))


def _is_head(cells: Sequence[str]) -> bool:
    """Whether a first line names columns, of which none is one that is known."""
    return any(_HEAD.fullmatch(cell.strip()) for cell in cells) and not any(map(PHOTOS.id_of, cells))


def _of_lines(lines: Iterable[str]) -> dict[str, list[object]]:
    """What the lines of a text name, each for itself; what is no photo and no observation may be a taxon."""
    found: dict[str, list[object]] = {}
    for text in filter(None, lines):
        ids = ((name, listed.id_of(text)) for name, listed in _LISTED.items())
        name, value = next(((name, one) for name, one in ids if one and one < 2**63), ("taxon", text))
        found.setdefault(name, []).append(value)
    return found
