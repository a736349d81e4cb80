"""What is shown: a store, a split, an export or a selection, as rows of one form.

Each source says where its photos stand as a table expression with the columns `PHOTO`, and its classes as an
Arrow table with the columns of `CLASS`. Nothing is read here but the classes, and DuckDB is loaded only by
whoever asks for the photos.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from arboretum_metadata.schema import ATTRIBUTION, EXPORT_CLASSES, PART
from arboretum_tools.browsing.columns import CLASS, NO_LABEL, PHOTO
from arboretum_tools.errors import BadInputError, CatalogError, UsageError
from arboretum_tools.options.browse import ShownOptions
from arboretum_tools.samples import check_ids
from arboretum_tools.split.files.manifest import PARTS, Split, open_split
from arboretum_tools.store import plans
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.store.shards import layout
from arboretum_tools.store.storage import is_address
from arboretum_tools.system.atomic_files import read_json
from arboretum_tools.tabular.tables import arrow_schema, read_table

if TYPE_CHECKING:
    from arboretum_tools.catalog import Selection


@dataclass(frozen=True, slots=True)
class Source:
    """What is shown.

    Attributes:
        name: of the split, store, ...
        kind: split, store, export or selection.
        english: what it holds, in a line.
        classes: one row per class, the columns of `CLASS`, in any order.
        photos: gives a table expression with the columns of `PHOTO`; may first write rows into the folder
            that it is given.
        store: where the images lie; None where there is none.
        whole_store: whether photos of the store that `photos` lacks are shown as well.
        split: that is shown; None for anything else.
    """

    name: str
    kind: str
    english: str
    classes: pa.Table
    photos: Callable[[Path], str]
    store: ImageStore | None
    whole_store: bool = False
    split: Split | None = None

    @property
    def has_pages(self) -> bool:
        """Whether the photos are iNaturalist's, and have a page there."""
        if self.store is not None:
            return self.store.config.of_inaturalist
        return self.split is None or self.split.files is None


def source_of(what: Split | Selection | ImageStore | str | Path | None, options: ShownOptions) -> Source:
    """What is to be shown.

    Args:
        what: a split, a selection, a store, or the folder of a split, a store or an export; None = the store
            that the options name.
        options: the store and the catalogue.

    Raises:
        BadInputError: it is none of these.
        UsageError: it is of another type.
    """
    if what is None or isinstance(what, str | Path):
        location = options.images if what is None else what
        folder = Path(location)
        if (folder / "split.json").is_file():
            what = open_split(folder, in_memory=False)
        elif (folder / "export.json").is_file():
            return _of_export(folder, _store(options.images))
        elif is_address(location) or layout.is_store(location):
            what = ImageStore.open(location)
        else:
            raise BadInputError(
                f"{location} is no split, image store or export",
                hint="Name the folder of one, or select photos of a catalogue with --taxa and its kin.",
            )
    if isinstance(what, Split):
        store = _store(options.images)
        if store is not None:
            check_ids(what, store)
        return _of_split(what, store)
    if isinstance(what, ImageStore):
        return _of_store(what, options)
    if hasattr(what, "species_sql"):
        return _of_selection(what, _store(options.images), whole_store=False)
    raise UsageError(f"a {type(what).__name__} cannot be shown")


def split_files(source: Source) -> list[tuple[str, str, Path]]:
    """Name, part and file of the split that is shown, and of those beside it; of others those in splits/."""
    own = source.split.path.absolute() if source.split is not None and source.split.path is not None else None
    folder = own.parent if own is not None else Path("splits")
    if not folder.is_dir():
        return []
    folders = sorted(one for one in folder.iterdir() if (one / "split.json").is_file())
    folders.sort(key=lambda one: one != own)
    return [
        (one.name, part, file)
        for one in folders
        for part in PARTS
        if (file := one / f"{part}.parquet").is_file()
    ]


def _store(location: str | Path) -> ImageStore | None:
    """The store, where there is one: what was not downloaded yet can be looked at as well."""
    if not is_address(location) and not layout.is_store(location):
        return None
    return ImageStore.open(location)


def _of_split(split: Split, store: ImageStore | None) -> Source:
    rows = split.classes
    # The tail is that of what is trained on; a split without a train part has one of what it holds.
    counted = "n_train" if "train" in split.parts else "n_selected"
    columns = {"label": rows["label"], "scientific_name": rows["name"], "n": rows[counted]}

    def photos(folder: Path) -> str:
        from arboretum_tools.tabular.query import literal, parquet_source

        tables = []
        for part in split.parts:
            file = split.path / f"{part}.parquet" if split.path is not None else folder / f"{part}.parquet"
            if split.path is None:
                pq.write_table(split.part(part), file)
            own = [
                f"label, {literal(part)} AS part" if name == "label" else f'"{name}"'
                for name in PHOTO
                if name != "part"
            ]
            tables.append(f"SELECT {', '.join(own)} FROM {parquet_source([file])}")
        return f"({' UNION ALL '.join(tables)})"

    sizes = ", ".join(f"{split.num_photos(part):,} {part}" for part in split.parts)
    return Source(split.name, "split", sizes, _classes(rows, columns), photos, store, split=split)


def _of_export(folder: Path, store: ImageStore | None) -> Source:
    def refuse(what: str) -> BadInputError:
        return BadInputError(what, hint="Make the export again; nothing was changed.")

    classes = read_table(folder / "classes.parquet", EXPORT_CLASSES, refuse)
    read_table(folder / "ATTRIBUTION.parquet", ATTRIBUTION, refuse).slice(0, 0)
    form = str(read_json(folder / "export.json").get("format", ""))

    def photos(_: Path) -> str:
        from arboretum_tools.tabular.query import parquet_source

        known = {"photo_id", "part", "label", "observer_name", "license"}
        kinds = arrow_schema(PART)
        own = [
            f'"{name}"' if name in known else f"NULL::{_SQL[str(kinds.field(name).type)]} AS {name}"
            for name in PHOTO
        ]
        return f"(SELECT {', '.join(own)} FROM {parquet_source([folder / 'ATTRIBUTION.parquet'])})"

    columns = {"label": classes["label"], "n": classes["n_train"]}
    return Source(folder.resolve().name, "export", f"as {form}", _classes(classes, columns), photos, store)


_SQL = {"int64": "BIGINT", "int32": "INTEGER", "double": "DOUBLE", "date32[day]": "DATE", "string": "VARCHAR"}


def _of_selection(selection: Selection, store: ImageStore | None, *, whole_store: bool) -> Source:
    catalog = selection.catalog
    sql, parameters = selection.species_sql()
    names = ", ".join(f'"{name}"' for name in CLASS if name not in ("label", "n"))
    table = catalog.table(
        f"SELECT (row_number() OVER (ORDER BY n_selected DESC, class_key) - 1)::INTEGER AS label, {names}, "
        f"n_selected AS n FROM ({sql}) ORDER BY label",
        parameters,
    )

    def photos(folder: Path) -> str:
        from arboretum_tools.tabular.query import parquet_source

        file = folder / "selected.parquet"
        own = ", ".join(f'"{name}"' for name in PHOTO if name not in ("label", "part"))
        query, values = selection.query(f"{own}, class_key")
        _write(file, catalog.batches(query, values))
        pq.write_table(table.select(["label", "class_key"]), folder / "keys.parquet")
        own = ", ".join(
            f"coalesce(k.label, {NO_LABEL}) AS label"
            if name == "label"
            else "NULL::VARCHAR AS part"
            if name == "part"
            else f's."{name}"'
            for name in PHOTO
        )
        return (
            f"(SELECT {own} FROM {parquet_source([file])} AS s "
            f"LEFT JOIN {parquet_source([folder / 'keys.parquet'])} AS k USING (class_key))"
        )

    return Source(
        store.location if whole_store and store else selection.label,
        "store" if whole_store else "selection",
        selection.english,
        table,
        photos,
        store,
        whole_store,
    )


def _write(file: Path, batches: Iterable[pa.RecordBatch]) -> None:
    writer = None
    try:
        for batch in batches:
            writer = writer or pq.ParquetWriter(file, batch.schema, compression="zstd")
            writer.write_batch(batch)
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise BadInputError("no photo is selected, so there is nothing to show")


def _of_store(store: ImageStore, options: ShownOptions) -> Source:
    from arboretum_tools.catalog import Catalog, open_catalog
    from arboretum_tools.stored_photos import downloaded_selection

    catalog = options.catalog
    if catalog is not None and not isinstance(catalog, str | Path | Catalog):
        raise UsageError(f"a {type(catalog).__name__} is no catalogue")
    if not isinstance(catalog, Catalog):
        try:
            catalog = open_catalog(catalog, on_event=options.on_event)
        except CatalogError:
            if catalog is not None:
                raise
            return _nameless(store)
    if not plans.saved(store.storage):
        return _nameless(store)
    selection = downloaded_selection(catalog, store.location)
    return _of_selection(selection, store, whole_store=True)


def _nameless(store: ImageStore) -> Source:
    """A store without a catalogue that would say what its photos show."""
    nothing = arrow_schema(PART).empty_table()
    empty = {name: nothing[name] for name in PHOTO if name not in ("label", "part")}

    def photos(folder: Path) -> str:
        from arboretum_tools.tabular.query import parquet_source

        table = pa.table(empty | {"label": pa.nulls(0, pa.int32()), "part": pa.nulls(0, pa.string())})
        pq.write_table(table.select(list(PHOTO)), folder / "none.parquet")
        return parquet_source([folder / "none.parquet"])

    classes = pa.table({name: pa.nulls(0, _kind(name)) for name in CLASS})
    return Source(store.location, "store", "no catalogue names its photos", classes, photos, store, True)


def _classes(table: pa.Table, columns: dict[str, Any]) -> pa.Table:
    found = {name: columns.get(name, table[name] if name in table.column_names else None) for name in CLASS}
    return pa.table(
        {
            name: pa.nulls(table.num_rows, pa.string()) if values is None else values
            for name, values in found.items()
        }
    )


def _kind(name: str) -> pa.DataType:
    return {"label": pa.int32(), "n": pa.int64(), "taxon_id": pa.int64()}.get(name, pa.string())
