"""What each photo of a catalogue shows: its taxon, its extension, its shape.

Read from the raw layout (any Parquet file with a `photo_id`) into sorted arrays, so that a catalogue of a
million photos costs some tens of megabytes and a look-up is a binary search.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arboretum_metadata.vocab import GROUPS
from arboretum_tools.errors import CatalogError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TAXON_COLUMNS = ("scientific_name", "kingdom", "phylum", "class", "order", "family")


@dataclass(frozen=True, slots=True)
class Subject:
    """A taxon, as far as a drawing of it needs to know. Unknown ranks are "".

    Attributes:
        name: scientific name.
        group: one of the seven Arboretum groups, or "".
        class_name: its class, such as `Bivalvia`.
        order: its order, such as `Lepidoptera`.
        family: its family, such as `Viperidae`.
    """

    name: str
    group: str = ""
    class_name: str = ""
    order: str = ""
    family: str = ""


#: What is drawn for a photo that no catalogue knows.
UNNAMED = Subject("")


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo that the catalogue knows.

    Attributes:
        subject: what it shows.
        ext: extension of its address, case kept.
        width: of the original in pixels; 0 = unknown.
        height: of the original in pixels; 0 = unknown.
    """

    subject: Subject
    ext: str
    width: int = 0
    height: int = 0


class Subjects:
    """The photos of one catalogue, by id. Of several rows with one id the first is taken."""

    def __init__(
        self,
        photo_ids: NDArray[np.int64],
        subjects: list[Subject],
        extensions: list[str],
        codes: dict[str, NDArray[np.int32]],
    ) -> None:
        self._photo_ids = photo_ids
        self._subjects = subjects
        self._extensions = extensions
        self._codes = codes

    def __len__(self) -> int:
        return len(self._photo_ids)

    def find(self, photo_id: int) -> Photo | None:
        """The photo of that id; None if the catalogue has none."""
        if not 0 < photo_id < 2**63:
            return None
        at = int(self._photo_ids.searchsorted(photo_id))
        if at == len(self._photo_ids) or int(self._photo_ids[at]) != photo_id:
            return None
        subject, ext, width, height = (int(self._codes[c][at]) for c in ("subject", "ext", "width", "height"))
        return Photo(self._subjects[subject], self._extensions[ext], width, height)


def read_subjects(catalog: Path) -> Subjects:
    """Reads what the photos of a raw catalogue show.

    Args:
        catalog: a Parquet file, or a folder whose Parquet files are read, those without `photo_id` left out.

    Raises:
        CatalogError: there is no Parquet file with photos, or one cannot be read.
    """
    import numpy as np
    import pyarrow as pa

    parts = [part for path in _files(catalog) if (part := _read(path)) is not None]
    if not parts:
        raise CatalogError(
            f"no Parquet file with a photo_id column at {catalog}", path=catalog, hint="Name a raw catalogue."
        )
    table = pa.concat_tables(parts).combine_chunks()
    ids = table["photo_id"].to_numpy()
    order = np.argsort(ids, kind="stable")
    photo_ids, first = np.unique(ids[order], return_index=True)
    rows = order[first]

    taxa = pa.StructArray.from_arrays(
        [table[name].chunk(0) if table.num_rows else pa.array([], pa.string()) for name in _TAXON_COLUMNS],
        names=list(_TAXON_COLUMNS),
    )
    taxon_codes, taxon_values = _encode(
        [tuple(row.values()) for row in taxa.take(pa.array(rows)).to_pylist()]
    )
    ext_codes, extensions = _encode(table["ext"].take(pa.array(rows)).to_pylist())
    codes = {"subject": taxon_codes, "ext": ext_codes}
    for side in ("width", "height"):
        codes[side] = table[side].fill_null(0).to_numpy()[rows]
    return Subjects(photo_ids, [_subject(value) for value in taxon_values], extensions, codes)


def _files(catalog: Path) -> list[Path]:
    return [catalog] if catalog.is_file() else sorted(catalog.rglob("*.parquet"))


def _read(path: Path) -> Any:
    """The columns that matter, under our names and of one type; None for a file without photos."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    spellings = {"scientificName": "scientific_name", "extension": "ext"}
    requested = {"photo_id", "photo_url", "ext", "width", "height", *_TAXON_COLUMNS, *spellings}
    try:
        names = pq.read_schema(path).names
        if "photo_id" not in names:
            return None
        table = pq.ParquetFile(path).read(columns=[name for name in names if name in requested])
    except (pa.ArrowInvalid, OSError) as error:
        raise CatalogError(f"{path} cannot be read as Parquet: {error}", path=path) from error
    table = table.rename_columns([spellings.get(name, name) for name in table.column_names])

    def column(name: str, kind: Any) -> Any:
        if name in table.column_names:
            return table[name].cast(kind)
        return pa.chunked_array([pa.nulls(table.num_rows, kind)])

    from_url = pc.struct_field(
        pc.extract_regex(column("photo_url", pa.string()), r"\.(?P<ext>[A-Za-z]+)(?:\?.*)?$"), "ext"
    )
    columns = {"photo_id": pc.fill_null(column("photo_id", pa.int64()), 0)}
    columns |= {name: column(name, pa.string()) for name in _TAXON_COLUMNS}
    columns["ext"] = pc.coalesce(column("ext", pa.string()), from_url, "jpg")
    columns |= {side: column(side, pa.int32()) for side in ("width", "height")}
    return pa.table(columns)


def _encode(values: list[Any]) -> tuple[NDArray[np.int32], list[Any]]:
    """Each value as a position in the list of distinct values, first seen first."""
    import numpy as np

    positions: dict[Any, int] = {}
    codes = np.fromiter((positions.setdefault(v, len(positions)) for v in values), np.int32, len(values))
    return codes, list(positions)


def _subject(taxon: tuple[str | None, ...]) -> Subject:
    ranks = dict(zip(_TAXON_COLUMNS, (name or "" for name in taxon), strict=True))
    group = next((g.name for g in GROUPS.values() if ranks.get(g.rank) == g.name), "")
    return Subject(ranks["scientific_name"], group, ranks["class"], ranks["order"], ranks["family"])
