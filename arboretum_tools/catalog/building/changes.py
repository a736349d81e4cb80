"""What is new in a catalogue since an older one: photos that came, went, or have another name or licence.

Of each catalogue id, class, name and licence are written down once, streamed, whatever its layout; the two
tables are joined by photo_id. DuckDB spills what does not fit, so memory does not grow with the photos.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from arboretum_metadata.schema import CHANGES
from arboretum_tools.catalog.catalog import Catalog, open_catalog
from arboretum_tools.catalog.saving import check_file, save_rows
from arboretum_tools.display import notebook_views
from arboretum_tools.display.progress import shows_progress
from arboretum_tools.errors import UsageError
from arboretum_tools.events import OnEvent, StageFinished, StageStarted, UnitDone
from arboretum_tools.options import takes
from arboretum_tools.options.catalog import ChangesOptions
from arboretum_tools.system.atomic_files import refuse_inside
from arboretum_tools.system.temporary_folders import TemporaryFolder
from arboretum_tools.tabular import query

#: What may have become of a photo, in the order in which it is told.
KINDS = ("added", "removed", "relabelled", "relicensed")

# Of photos in no species class the name is compared.
_PHOTOS = (
    "SELECT photo_id, class_key, coalesce(scientific_name, genus, family) AS name, {license} FROM photos"
)

_FACTS = pa.schema(
    [
        ("photo_id", pa.int64()),
        ("class_key", pa.string()),
        ("name", pa.string()),
        ("license", pa.string()),
    ]
)

# A row for each change of a photo: what is in a list becomes rows, and an empty list none.
_CHANGES = """
SELECT photo_id, unnest(CASE
    WHEN old.photo_id IS NULL THEN ['added']
    WHEN new.photo_id IS NULL THEN ['removed']
    ELSE list_concat(
        CASE WHEN coalesce(old.class_key, old.name) IS DISTINCT FROM coalesce(new.class_key, new.name)
            THEN ['relabelled'] ELSE [] END,
        CASE WHEN old.license IS DISTINCT FROM new.license THEN ['relicensed'] ELSE [] END
    ) END) AS change,
    old.class_key AS old_class_key, new.class_key AS new_class_key,
    old.name AS old_name, new.name AS new_name,
    old.license AS old_license, new.license AS new_license
FROM old FULL JOIN new USING (photo_id)
"""


@dataclass(frozen=True, slots=True)
class ChangesReport:
    """What is new in a catalogue since an older one.

    Attributes:
        old: the older catalogue.
        new: the newer one.
        photos_before: photos of the older one.
        photos: photos of the newer one.
        unchanged: photos of both with the same class and licence.
        changes: photos by what became of them: added, removed, relabelled, relicensed. A photo may be both of
            the last two.
        licenses_compared: False where one of them has no licences.
        out: the table, as it was named; None where none was asked for.
    """

    old: Path
    new: Path
    photos_before: int
    photos: int
    unchanged: int
    changes: Mapping[str, int]
    licenses_compared: bool
    out: Path | None

    _repr_html_ = notebook_views.report

    def to_dict(self) -> dict[str, Any]:
        """The same, JSON-able."""
        paths = {"old": str(self.old), "new": str(self.new), "out": self.out and str(self.out)}
        return asdict(self) | paths | {"changes": dict(self.changes)}


@shows_progress
@takes(ChangesOptions)
def catalog_changes(
    old: Catalog | str | Path, new: Catalog | str | Path, options: ChangesOptions
) -> ChangesReport:
    """Counts, and lists if asked, what is new in a catalogue since an older one; changes neither.

    A photo is relabelled if its species class is another one; of photos in no species class, if their name
    is. Licences are compared where both catalogues have them.

    Args:
        old: the older catalogue, of either layout.
        new: the newer one.
        options: {options}
        progress: draw bars where somebody watches and no `on_event` is given.
        on_event: called with each event of `arboretum_tools.events`.

    Raises:
        CatalogError: one of them is not there, or is no catalogue.
        TargetExistsError: `out` is there already, or lies in one of them.
        OutOfSpaceError: there is no room in the temporary folder.
        UsageError: the suffix of `out` names no format, or both are the same catalogue.

    >>> import arboretum_tools as at
    >>> _ = at.build_catalog("catalog", to="built")
    >>> at.catalog_changes("catalog", "built").changes
    {'added': 0, 'removed': 0, 'relabelled': 0, 'relicensed': 0}
    """
    opened = [one if isinstance(one, Catalog) else open_catalog(one) for one in (old, new)]
    paths = [one.path for one in opened]
    if paths[0].resolve() == paths[1].resolve():
        raise UsageError(f"{paths[0]} is both the older and the newer catalogue", hint="Name two.")
    out = None if options.out is None else Path(options.out)
    if out is not None:
        check_file(out, (".parquet", ".csv"), paths[1], overwrite=options.overwrite)
        refuse_inside(out, paths[:1])
    licensed = all(one.has("license") for one in opened)
    with (
        TemporaryFolder("changes") as own,
        closing(query.connect()) as connection,
        query.plain_errors(f"comparing {paths[0]} and {paths[1]}"),
    ):
        for name, catalog in zip(("old", "new"), opened, strict=True):
            file = own / f"{name}.parquet"
            _write_down(file, catalog, options.on_event, licensed=licensed)
            connection.execute(f"CREATE VIEW {name} AS SELECT * FROM {query.parquet_source([file])}")
        options.on_event(StageStarted("compare", None))
        made = own / "changes.parquet"
        connection.execute(f"COPY ({_CHANGES}) TO {query.literal(str(made))} (FORMAT parquet)")
        options.on_event(StageFinished("compare"))
        found = query.parquet_source([made])
        told = query.rows(connection, f"SELECT change, count(*) FROM {found} GROUP BY change")
        counts = {str(kind): int(str(photos)) for kind, photos in told}
        ((changed,),) = query.rows(
            connection,
            f"SELECT count(DISTINCT photo_id) FROM {found} WHERE change IN ('relabelled', 'relicensed')",
        )
        if out is not None:
            order = f"SELECT {', '.join(CHANGES.names)} FROM {found} ORDER BY photo_id, change"
            provenance = {"old": opened[0].fingerprint, "new": opened[1].fingerprint}
            save_rows(out, query.arrow_batches(connection, order), CHANGES, provenance)
    by_kind = {kind: counts.get(kind, 0) for kind in KINDS}
    return ChangesReport(
        old=paths[0],
        new=paths[1],
        photos_before=len(opened[0]),
        photos=len(opened[1]),
        unchanged=len(opened[1]) - by_kind["added"] - int(str(changed)),
        changes=by_kind,
        licenses_compared=licensed,
        out=out,
    )


def _write_down(path: Path, catalog: Catalog, on_event: OnEvent, *, licensed: bool) -> None:
    """Writes what is compared of a catalogue, in no order."""
    sql = _PHOTOS.format(license="license" if licensed else "NULL::VARCHAR AS license")
    on_event(StageStarted(f"read {catalog.path.name}", len(catalog)))
    with pq.ParquetWriter(path, _FACTS, compression="zstd") as writer:
        for batch in catalog.batches(sql):
            columns = [batch.column(field.name).cast(field.type) for field in _FACTS]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=_FACTS))
            on_event(UnitDone(batch.num_rows))
    on_event(StageFinished(f"read {catalog.path.name}"))
