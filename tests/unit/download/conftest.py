"""An origin that misbehaves as it is told, and plans to download from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest

from arboretum_metadata.schema import REQUEST
from arboretum_tools.requests import Requests
from arboretum_tools.tables import arrow_schema
from arboretum_tools.testing.origin import Origin


@pytest.fixture(autouse=True)
def _no_origin_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARBORETUM_ORIGIN", raising=False)


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as server:
        yield server


@pytest.fixture(scope="session")
def plan_of() -> Callable[..., Requests]:
    def plan(*rows: int | tuple[int, str, str | None]) -> Requests:
        full = sorted((row, "jpg", None) if isinstance(row, int) else row for row in rows)
        columns = {name: [row[at] for row in full] for at, name in enumerate(REQUEST.names)}
        table = pa.table(columns, schema=arrow_schema(REQUEST))
        return Requests(table.to_batches, {"kind": "list", "english": "a list", "criteria": None})

    return plan
