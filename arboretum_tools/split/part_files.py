"""The parts of a split between drawing and saving: in files of their own, so that memory stays bounded.

They are Arrow streams in a temporary folder ($TMPDIR), which goes with the object. A part is read when it is
asked for and kept as long as somebody holds it; saving reads it a batch at a time.
"""

from __future__ import annotations

import contextlib
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc

from arboretum_metadata.schema import PART
from arboretum_tools.publish import out_of_space
from arboretum_tools.tables import arrow_schema


class PartFiles(Mapping[str, pa.Table]):
    """The parts by name, each sorted by (label, photo_id), the columns of `PART`. Made by `write`."""

    def __init__(self, folder: tempfile.TemporaryDirectory[str], parts: tuple[str, ...]) -> None:
        self._folder = folder
        self._parts = parts
        self._held: weakref.WeakValueDictionary[str, pa.Table] = weakref.WeakValueDictionary()

    @classmethod
    def write(cls, parts: Mapping[int, str], batches: Iterable[pa.RecordBatch]) -> PartFiles:
        """Writes the parts.

        Args:
            parts: names by number; a part without rows is one too.
            batches: the columns of PART and `part`, a number; in the order of the parts' rows.
        """
        files = cls(tempfile.TemporaryDirectory(prefix="arboretum-split-"), tuple(parts.values()))
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        schema = arrow_schema(PART)
        with contextlib.ExitStack() as stack:
            stack.enter_context(out_of_space(Path(files._folder.name)))
            writers = {
                number: stack.enter_context(
                    pa.ipc.new_stream(str(files._path(part)), schema, options=options)
                )
                for number, part in parts.items()
            }
            for batch in batches:
                columns = [batch.column(field.name).cast(field.type) for field in schema]
                rows = pa.RecordBatch.from_arrays(columns, schema=schema)
                for number in pc.unique(batch.column("part")).to_pylist():
                    writers[number].write_batch(rows.filter(pc.equal(batch.column("part"), number)))
        return files

    def __getitem__(self, part: str) -> pa.Table:
        if part not in self._parts:
            raise KeyError(part)
        table = self._held.get(part)
        if table is None:
            table = pa.Table.from_batches(self.batches(part), schema=arrow_schema(PART))
            self._held[part] = table
        return table

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        # A copy in another process outlives the folder.
        return dict, (dict(self),)

    def batches(self, part: str) -> Iterator[pa.RecordBatch]:
        """The rows of a part, a batch at a time."""
        with pa.OSFile(str(self._path(part))) as file, pa.ipc.open_stream(file) as reader:
            yield from reader

    def _path(self, part: str) -> Path:
        return Path(self._folder.name, part)
