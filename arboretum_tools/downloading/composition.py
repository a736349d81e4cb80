"""Of which classes and under which licences the photos are that a download asks for: for `--dry-run`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

#: What stands for photos whose licence the metadata do not tell.
UNKNOWN = "unknown"


def composition_of(what: Any) -> tuple[int, Mapping[str, int]] | None:
    """Number of classes, and photos by licence, most first, of a Selection or Split; None of others."""
    if hasattr(what, "plan_batches"):
        sql, parameters = what.query("license, count(*)")
        rows = what.catalog.rows(f"{sql} GROUP BY license", parameters)
        return what.summary()["classes"], _ranked(Counter({name or UNKNOWN: int(n) for name, n in rows}))
    if hasattr(what, "part") and hasattr(what, "parts"):
        counted: Counter[str] = Counter()
        for part in what.parts:
            counted.update(name or UNKNOWN for name in what.part(part).column("license").to_pylist())
        return what.classes.num_rows, _ranked(counted)
    return None


def _ranked(counted: Counter[str]) -> dict[str, int]:
    return dict(sorted(counted.items(), key=lambda one: (-one[1], one[0])))
