"""An origin that misbehaves as it is told, and plans to download from it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from arboretum_metadata.schema import REQUEST
from arboretum_tools.photos.photo_plan import PhotoPlan
from arboretum_tools.tabular.tables import arrow_schema
from arboretum_tools.testing.origin import Origin

AUTHORITY = """
[ca]
default_ca = own
[own]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = supplied
"""


def certificate(folder: Path, names: str, *, expired: bool = False) -> Path:
    """A certificate that signs itself, for these subject alternative names; its key lies beside it."""
    folder.mkdir()
    (folder / "authority").write_text(AUTHORITY)
    (folder / "index").touch()
    (folder / "serial").write_text("01")
    asked = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    asked += [
        "-subj",
        "/CN=test",
        "-addext",
        f"subjectAltName={names}",
        "-keyout",
        "key.pem",
        "-out",
        "asked",
    ]
    signed = [
        "openssl",
        "ca",
        "-batch",
        "-selfsign",
        "-notext",
        "-config",
        "authority",
        "-keyfile",
        "key.pem",
    ]
    signed += ["-in", "asked", "-out", "certificate.pem", "-startdate", "20200101000000Z"]
    signed += ["-enddate", "20200102000000Z" if expired else "20991231000000Z"]
    for command in (asked, signed):
        subprocess.run(command, check=True, capture_output=True, cwd=folder)
    return folder / "certificate.pem"


@pytest.fixture(autouse=True)
def _no_origin_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARBORETUM_ORIGIN", raising=False)


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as server:
        yield server


@pytest.fixture(scope="session")
def plan_of() -> Callable[..., PhotoPlan]:
    def plan(*rows: int | tuple[int, str, str | None]) -> PhotoPlan:
        full = sorted((row, "jpg", None) if isinstance(row, int) else row for row in rows)
        columns = {name: [row[at] for row in full] for at, name in enumerate(REQUEST.names)}
        table = pa.table(columns, schema=arrow_schema(REQUEST))
        return PhotoPlan(table.to_batches, {"kind": "list", "english": "a list", "criteria": None})

    return plan


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Certificates by name: `good` for this machine and photos.test, `other` for another host, `expired`."""
    folder = tmp_path_factory.mktemp("certificates")
    ours = "IP:127.0.0.1,DNS:photos.test"
    return {
        "good": certificate(folder / "good", ours),
        "other": certificate(folder / "other", "DNS:other.test"),
        "expired": certificate(folder / "expired", ours, expired=True),
    }
