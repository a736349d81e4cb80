"""What an export says about itself: `export.json` in the folder, and the report to the caller."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from arboretum_tools.export.base import Exporter, Source
from arboretum_tools.publish import sha256_of_json, write_json
from arboretum_tools.samples import Samples
from arboretum_tools.version import __version__

FORMAT_VERSION = 1

# Rows that are turned into Python values at a time: bounds memory, shows in no hash.
_ROWS = 5_000

#: The file that every export carries, written last.
EXPORT_JSON = "export.json"


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What came out of an export.

    Attributes:
        path: the folder.
        format: name of the format.
        photos: photos by part.
        missing: photos that the store did not hold, by part and by their state in the store.
        written: False where the folder already held this very export, so that nothing was written.
        files: number of files.
        size_bytes: of all files together.
        details: what the format says about what it wrote.
    """

    path: Path
    format: str
    photos: Mapping[str, int]
    missing: Mapping[str, Mapping[str, int]]
    written: bool
    files: int
    size_bytes: int
    details: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-able values."""
        return {**asdict(self), "path": str(self.path)}


def made_from(exporter: Exporter, source: Source) -> dict[str, Any]:
    """Everything that decides what an export holds, and nothing else: equal means the same export."""
    return {
        "format_version": FORMAT_VERSION,
        "format": exporter.format,
        "options": dict(exporter.options()),
        "seed": source.seed,
        "split": {"name": source.split.name, "sha256": source.split.sha256},
        "classes_sha256": sha256_of_json(source.classes()),
        "store": {
            "size": source.store.config.size,
            "resize": dict(source.store.config.resize) if source.store.config.resize else None,
        },
        "photos": {part: len(samples) for part, samples in source.parts.items()},
        "missing": {part: samples.missing_by_status for part, samples in source.parts.items()},
        "content_sha256": {part: _content_sha256(samples) for part, samples in source.parts.items()},
    }


def write_export_json(folder: Path, made: Mapping[str, Any], details: Mapping[str, Any]) -> None:
    """Writes export.json into a folder that is otherwise complete."""
    files = {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
    said = {**made, "toolkit_version": __version__, "written": {"files": files, **details}}
    write_json(folder / EXPORT_JSON, said)


def found_at(folder: Path, made: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What the export in `folder` says it wrote, if it is the one that `made` describes and still whole.

    Whole means that each file is there in its length; the bytes are not read again.
    """
    try:
        said = json.loads((folder / EXPORT_JSON).read_text("utf-8"))
        same = all(said[name] == value for name, value in made.items())
        files: dict[str, int] = said["written"]["files"]
        whole = same and all((folder / name).stat().st_size == size for name, size in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return dict(said["written"]) if whole else None


def report(path: Path, made: Mapping[str, Any], said: Mapping[str, Any], *, written: bool) -> ExportReport:
    """The report on the export that lies at `path`; `said` is the `written` of its export.json."""
    files = dict(said["files"])
    return ExportReport(
        path=path,
        format=made["format"],
        photos=made["photos"],
        missing=made["missing"],
        written=written,
        files=len(files) + 1,
        size_bytes=sum(files.values()) + (path / EXPORT_JSON).stat().st_size,
        details={name: value for name, value in said.items() if name != "files"},
    )


def _content_sha256(samples: Samples) -> str:
    """Over lines `photo_id<TAB>label<TAB>sha256 of the image<TAB>licence<TAB>observer<TAB>life stage`."""
    names = ("photo_id", "label", "sha256", "license", "observer_name", "life_stage")
    digest = hashlib.sha256()
    for batch in samples.rows.select(list(names)).to_batches(max_chunksize=_ROWS):
        rows = zip(*(batch.column(name).to_pylist() for name in names), strict=True)
        digest.update(
            "".join("\t".join("" if v is None else str(v) for v in row) + "\n" for row in rows).encode()
        )
    return digest.hexdigest()
