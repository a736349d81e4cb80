"""What an export says about itself: `export.json` in the folder, and the report to the caller."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from arboretum_tools.display import notebook_views
from arboretum_tools.exporting.base import Exporter, Source
from arboretum_tools.system.atomic_files import read_json, sha256_of_json, write_json
from arboretum_tools.version import __version__

FORMAT_VERSION = 1

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

    _repr_html_ = notebook_views.report

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
        "split": {
            "name": source.split.name,
            "sha256": source.split.sha256,
            "split_sha256": source.split.meta.get("split_sha256"),
        },
        "classes_sha256": sha256_of_json(source.classes()),
        "store": {
            "size": source.store.config.size,
            "resize": dict(source.store.config.resize) if source.store.config.resize else None,
        },
        "photos": {part: len(samples) for part, samples in source.parts.items()},
        "missing": {part: samples.missing_by_status for part, samples in source.parts.items()},
        "content_sha256": {part: details.content_sha256 for part, details in source.details.items()},
    }


def write_export_json(folder: Path, made: Mapping[str, Any], details: Mapping[str, Any]) -> None:
    """Writes export.json into a folder that is otherwise complete."""
    payload = {**made, "toolkit_version": __version__, "written": {"files": _listing(folder), **details}}
    write_json(folder / EXPORT_JSON, payload)


def found_at(folder: Path, made: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What the export in `folder` says it wrote, if it is the one that `made` describes and still whole.

    Whole means that each file is there in its length; the bytes are not read again. What somebody put beside
    the files and folders of the export does not matter.
    """
    try:
        payload = read_json(folder / EXPORT_JSON)
        same = all(payload[name] == value for name, value in made.items())
        files: dict[str, Any] = payload["written"]["files"]
        whole = same and _listing(folder, only=files) == files
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return dict(payload["written"]) if whole else None


def report(path: Path, made: Mapping[str, Any], payload: Mapping[str, Any], *, written: bool) -> ExportReport:
    """The report on the export that lies at `path`; `payload` is the `written` of its export.json."""
    listed = payload["files"].values()
    own = (path / EXPORT_JSON).stat().st_size
    return ExportReport(
        path=path,
        format=made["format"],
        photos=made["photos"],
        missing=made["missing"],
        written=written,
        files=1 + sum(1 if isinstance(one, int) else one["files"] for one in listed),
        size_bytes=own + sum(one if isinstance(one, int) else one["size_bytes"] for one in listed),
        details={name: value for name, value in payload.items() if name != "files"},
    )


def _listing(folder: Path, only: Container[str] | None = None) -> dict[str, Any]:
    """The length of each file of a folder, and a summary of each folder in it: it may hold millions of files.

    A summary counts the files and their bytes, and has a hash over lines `path<TAB>length`, of a link
    `path<TAB>-> target`, depth first in the order of their names.

    Args:
        folder: of an export.
        only: the names to look at; None = all but hidden ones and export.json.
    """
    found: dict[str, Any] = {}
    for path in sorted(folder.iterdir()):
        name = path.name
        if name == EXPORT_JSON or name.startswith(".") or not (only is None or name in only):
            continue
        found[name] = _summary(path) if path.is_dir() else path.stat().st_size
    return found


def _is_stray(name: str) -> bool:
    """Whether a file is what systems and readers leave in a folder: hidden, thumbnails, packed indexes."""
    return name.startswith(".") or name == "Thumbs.db" or name.endswith(".zstd")


def _summary(folder: Path) -> dict[str, Any]:
    files = size_bytes = 0
    digest = hashlib.sha256()
    for parent, folders, names in os.walk(folder):
        folders.sort()
        inside = Path(parent).relative_to(folder).as_posix()
        lines = []
        for name in sorted(name for name in names if not _is_stray(name)):
            size = os.stat(os.path.join(parent, name)).st_size  # noqa: PTH116, PTH118 - millions of them
            files += 1
            size_bytes += size
            lines.append(f"{inside}/{name}\t{size}\n")
        links = [name for name in folders if Path(parent, name).is_symlink()]
        lines += [f"{inside}/{name}\t-> {Path(parent, name).readlink()}\n" for name in links]
        digest.update("".join(lines).encode())
    return {"files": files, "size_bytes": size_bytes, "listing_sha256": digest.hexdigest()}
