"""`audit_split`: all checks of a split, and their report."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from arboretum_metadata.schema import CLASSES, EXCLUDED, JOINED, NEAR_DUPLICATES, PART, UNUSED_CLASSES, Table
from arboretum_tools.display import notebook_views
from arboretum_tools.display.progress import shows_progress
from arboretum_tools.errors import SplitError, UsageError
from arboretum_tools.options import takes
from arboretum_tools.options.split import AuditOptions
from arboretum_tools.split.audit import (
    benchmark,
    draw,
    few_shot,
    hashes,
    joined,
    kept_out,
    pictures,
    rows,
    sides,
)
from arboretum_tools.split.audit.checks import Check, Files, all_checks, guarded
from arboretum_tools.store import ImageStore
from arboretum_tools.system.atomic_files import check_output, read_json, write_json
from arboretum_tools.tabular.tables import arrow_schema, parquet_file, read_columns, write_table
from arboretum_tools.version import __version__
from arboretum_tools.wording import did_you_mean, one_line

#: Name of the report inside the folder of the split.
REPORT = "audit.json"

#: Name of the list of near-duplicates, beside the report.
NEAR = "near_duplicates.parquet"

# Columns of a part that checks hold all rows of; the others are only hashed.
_ASKED = tuple(name for name in PART.names if name not in ("ext", "observer_name", "width", "height"))

# Rows that are hashed at a time; shows in no result.
_ROWS = 50_000

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found.

    Attributes:
        path: the folder of the split.
        checks: one a promise, in the order in which they are shown.
        near_duplicates: all pairs of photos that show nearly the same, the columns of NEAR_DUPLICATES; None
            where they were not looked for.
        split_sha256: the hash over everything that split.json states; None in a split that states none.
        as_expected: the comparison with the hash that was expected, if one was. Not among `checks`, and in no
            report: it says nothing of the split itself, which may be sound and another one.
    """

    path: Path
    checks: tuple[Check, ...]
    near_duplicates: pa.Table | None = None
    split_sha256: str | None = None
    as_expected: Check | None = None

    def _repr_html_(self) -> str:
        rows = [(check.name, check.outcome, check.detail) for check in self.checks]
        verdict = "every promise is kept" if self.ok else f"{len(self.broken):,} of its promises are broken"
        return notebook_views.card(
            f"{self.path}: {verdict}", notebook_views.table(("promise", "outcome", "found"), rows)
        )

    @property
    def ok(self) -> bool:
        """Whether no promise is broken, and it is the split that was expected."""
        return not self.broken and (self.as_expected is None or self.as_expected.outcome == "kept")

    @property
    def broken(self) -> tuple[Check, ...]:
        """The promises that do not hold."""
        return tuple(check for check in self.checks if check.outcome == "broken")

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON, without the folder, so that it is the same everywhere."""
        return {
            "toolkit_version": __version__,
            "split_sha256": self.split_sha256,
            "verdict": "broken" if self.broken else "kept",
            "checks": [asdict(check) for check in self.checks],
        }

    def _earlier(self, path: Path) -> list[dict[str, Any]]:
        try:
            report = read_json(path)
        except (OSError, ValueError):
            return []
        of_this = isinstance(report, dict) and report.get("split_sha256") == self.split_sha256
        if self.split_sha256 is None or not of_this:
            return []
        own = {check.name for check in self.checks}
        return [check for check in _checks_in(report) if check["name"] not in own]

    def save(self, file: str | Path | None = None, *, overwrite: bool = False) -> Path:
        """Writes the report and returns its path.

        What an earlier report in the folder found by other means (a catalogue, images, files to keep out) is
        kept behind it, if it is of this very split.

        Args:
            file: where to; default `audit.json` in the folder of the split.
            overwrite: whether another file that is there may be replaced.

        Raises:
            TargetExistsError: the file is there, or lies in the split.
            NotWritableError: it cannot be written, as on a disk that is shared read-only.
        """
        path = self.path / REPORT if file is None else Path(file)
        if file is not None:
            check_output(path, overwrite=overwrite, inputs=[self.path])
        report = self.to_dict()
        if file is None:
            report["earlier"] = self._earlier(path)
        write_json(path, report)
        if self.near_duplicates is not None:
            write_table(path.with_name(NEAR), self.near_duplicates, NEAR_DUPLICATES, {})
        return path


def _checks_in(report: object) -> list[dict[str, Any]]:
    """The checks of a report, and those that it kept of earlier ones; none where it is no report."""
    if not isinstance(report, dict):
        return []
    found = [report.get(key) for key in ("checks", "earlier")]
    listed = [check for checks in found if isinstance(checks, list) for check in checks]
    return [check for check in listed if isinstance(check, dict) and isinstance(check.get("name"), str)]


@shows_progress
@takes(AuditOptions)
def audit_split(path: str | Path, options: AuditOptions) -> Audit:
    """Recomputes every promise of a split from its files.

    Args:
        path: the folder of the split.
        options: {options}
        progress: draw bars where somebody watches and no `on_event` is given.
        on_event: gets progress while images are read.

    Raises:
        SplitError: there is no split to audit: no split.json, or a file that cannot be read at all; or one of
            `exclude` cannot be read, or `episodes` were drawn from another split.
        StoreError: `images` is not an image store.
        UsageError: `expect` is not a SHA-256, or `near_duplicates` comes without `images`.

    >>> import arboretum_tools as at
    >>> at.audit_split("splits/aves-lt100").ok
    True
    """
    path = Path(path)
    expect = options.expect
    if expect is not None:
        expect = expect.strip().lower()
        if not _SHA256.fullmatch(expect):
            raise UsageError(f"a split_sha256 has 64 hexadecimal digits; {expect[:80]!r} is not one")
    store = None if options.images is None else ImageStore.open(options.images)
    files = _read(path)
    of_hashes = list(guarded({"hashes": lambda: hashes.checks(files, expect)}))
    as_expected = next((check for check in of_hashes if check.name == hashes.EXPECTED), None)
    checks = [check for check in of_hashes if check is not as_expected]
    checks += all_checks(files)
    checks += guarded({"benchmark": lambda: benchmark.checks(files)})
    checks += guarded({"groups": lambda: joined.checks(files)})
    checks += guarded({"drawn": lambda: draw.checks(files)})
    checks += guarded({"sides": lambda: sides.checks(files)})
    checks += guarded({"rows and names": lambda: rows.checks(files)})
    listed = [Path(one) for one in options.exclude]
    checks += guarded({"what is kept out": lambda: kept_out.checks(files, listed)})
    if options.episodes is not None:
        drawn = Path(options.episodes)
        checks += guarded({"episodes": lambda: few_shot.checks(files, drawn, path.resolve().name)})
    near = None
    if store is not None:
        of_images, near = pictures.checks(
            files, store, options.on_event, near_duplicates=options.near_duplicates
        )
        checks += of_images
    stated = files.meta.get("split_sha256")
    stated = stated if isinstance(stated, str) else None
    return Audit(path, tuple(checks), near, stated, as_expected)


def _read(path: Path) -> Files:
    if not path.exists():
        beside = {file.parent.name: str(file.parent) for file in sorted(path.parent.glob("*/split.json"))}
        raise _refuse(f"there is no split {path}", did_you_mean(path.name, beside))
    if not (path / "split.json").is_file():
        raise _refuse(f"{path} is not a split: it has no split.json")
    try:
        meta = read_json(path / "split.json")
    except (OSError, ValueError) as error:
        raise _refuse(f"{path} is not a split: its split.json cannot be read: {one_line(error)}") from error
    hashes = meta.get("sha256") if isinstance(meta, dict) else None
    if not isinstance(hashes, dict) or not isinstance(meta.get("recipe"), dict):
        raise _refuse(f"{path / 'split.json'} lacks recipe and sha256")
    parts = {
        name: _table(path / f"{name}.parquet", PART, _ASKED)
        for name in ("train", "val", "test")
        if name in hashes
    }
    there = sorted(file.stem for file in path.glob("*.parquet") if file.stem in ("train", "val", "test"))
    unused, excluded = path / "unused_classes.parquet", path / "excluded.parquet"
    pairs = path / "joined.parquet"
    if not parts:
        raise _refuse(f"{path / 'split.json'} names no part")
    return Files(
        meta=meta,
        classes=_table(path / "classes.parquet", CLASSES),
        parts=parts,
        batches=lambda part: _batches(path / f"{part}.parquet"),
        parts_there=tuple(there),
        unused=_table(unused, UNUSED_CLASSES) if unused.is_file() else None,
        excluded=_table(excluded, EXCLUDED) if excluded.is_file() else None,
        joined=_table(pairs, JOINED) if pairs.is_file() else None,
    )


def _table(path: Path, table: Table, columns: Sequence[str] | None = None) -> pa.Table:
    expected = arrow_schema(table)
    with _readable(path):
        found = read_columns(path, columns)
        # What is counted from other files stands where it is there: an earlier release wrote none.
        counted = [
            column.name for column in table.columns if column.counted and column.name in found.column_names
        ]
        names = columns or (*table.hashed, *counted)
        return pa.table({name: found.column(name).cast(expected.field(name).type) for name in names})


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    """All columns of a part, some ten thousand rows at a time."""
    expected = arrow_schema(PART)
    with _readable(path), parquet_file(path) as file:
        for batch in file.iter_batches(_ROWS, use_threads=False):
            arrays = [batch.column(field.name).cast(field.type) for field in expected]
            yield pa.RecordBatch.from_arrays(arrays, schema=expected)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, KeyError, pa.ArrowException) as error:
        raise _refuse(f"{path} is not a file of a split that can be read: {one_line(error)}") from error


def _refuse(what: str, near: str = "") -> SplitError:
    return SplitError(what, hint=near or "Name the folder of a split, as `arboretum make-split` writes it.")


def summary(checks: Iterable[Check]) -> Mapping[str, int]:
    """How many checks came out how."""
    counts: dict[str, int] = {}
    for check in checks:
        counts[check.outcome] = counts.get(check.outcome, 0) + 1
    return counts
