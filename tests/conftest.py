"""What every test gets: a quiet environment, and no test that is skipped without anyone noticing."""

import os
import sys
from pathlib import Path

# Some tests start processes that may write small files only. Python takes half a file of bytecode that such a
# one leaves for a whole one, and every process after it fails; so none that a test starts writes any. They
# read what this process wrote, even where Python is told to keep none: to compile pandas anew in each of them
# would take longer than most tests.
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
if sys.dont_write_bytecode:
    sys.dont_write_bytecode = False
    sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(
        Path(__file__).parents[1] / ".pytest_cache" / "compiled"
    )

# Before anything imports datasets, which reads them once.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")

import datetime as dt
import functools
import hashlib
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import PIL.features
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, settings

from arboretum_cli import main
from arboretum_cli.printing.progress import Progress
from arboretum_metadata.sample import catalog_path
from arboretum_metadata.vocab import PHOTO_SIZES
from arboretum_tools.testing import drawing
from arboretum_tools.testing import origin as origins
from arboretum_tools.testing.origin import Origin
from arboretum_tools.testing.subjects import Photo

settings.register_profile(
    "arboretum",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("arboretum")

# A shell that starts the tests in the background has them ignore Ctrl-C, and so would what they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are cores, as many tests wait for something, and no more than have enough to do.

    For a file or two workers take longer to start than they save.
    """
    workers = min((os.cpu_count() or 1) + 1, 5)
    return workers if all(Path(argument).is_dir() for argument in config.args) else 0


_skipped: list[str] = []


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A skip that nobody asked for is a test that nobody runs."""
    if _skipped and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _skipped:
        terminalreporter.write_line(f"unexpected skips, which fail the run: {', '.join(_skipped)}", red=True)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No variable of the machine reaches a test, and `datasets` writes into a folder of its own."""
    for name in ("ARBORETUM_CATALOG", "ARBORETUM_ORIGIN", "ARBORETUM_MEMORY_LIMIT", "ARBORETUM_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path_factory.getbasetemp() / "hf"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "config"))


@dataclass(frozen=True)
class Outcome:
    """What a command came to."""

    code: int
    out: str
    err: str


@pytest.fixture
def arboretum(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Runs the command line in this process, as `main` does."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        # A note is said once a process; each run here stands for a process of its own.
        Progress._notes.clear()
        code = main.run([str(argument) for argument in arguments])
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session", autouse=True)
def _photos_are_drawn_once(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """What origins draw is kept beside pytest's own cache, for all workers and later runs.

    A photo is the same as long as the code that draws it and Pillow are; of others nothing is kept.
    """
    drawer = Path(drawing.__file__).parent
    digest = hashlib.sha256(f"{PIL.__version__} {PIL.features.version('jpg')} {PHOTO_SIZES}".encode())
    for path in (*sorted(drawer.iterdir()), drawer.with_name("subjects.py")):
        if path.is_file():
            digest.update(path.read_bytes())
    cache = getattr(request.config, "cache", None)  # not there under `-p no:cacheprovider`
    every = tmp_path_factory.mktemp("drawn") if cache is None else cache.mkdir("drawn")
    kept = every / digest.hexdigest()[:16]
    for other in every.iterdir():
        if other != kept:
            shutil.rmtree(other, ignore_errors=True)
    kept.mkdir(exist_ok=True)

    def render(photo: Photo, photo_id: int, size: str, ext: str) -> bytes:
        subject = hashlib.sha256(repr(photo).encode()).hexdigest()[:16]
        path = kept / f"{photo_id}-{size}-{subject}.{ext}"
        try:
            return path.read_bytes()
        except FileNotFoundError:
            body = drawing.render(photo, photo_id, size, ext)
            with tempfile.NamedTemporaryFile(dir=kept, delete=False) as file:
                file.write(body)
            Path(file.name).rename(path)
            return body

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(origins, "_drawn_once", functools.lru_cache(4_096)(render))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_disk_is_waited_for() -> Iterator[None]:
    """What is written outlives every process that a test kills, flushed or not.

    What is flushed, and when, is asked by tests that put a list in this place.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The inodes of what is flushed to the disk, in order."""
    inodes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: inodes.append(os.fstat(descriptor).st_ino))
    return inodes


@pytest.fixture(scope="session")
def origin() -> Iterator[Origin]:
    """Draws the photos of the bundled sample."""
    with Origin(catalog_path()) as running:
        yield running


#: Rows of a small catalogue: (photo_id, kingdom, phylum, class, order, family, genus, epithet, common name).
Row = dict[str, Any]

ROBIN = {
    "kingdom": "Animalia",
    "phylum": "Chordata",
    "class": "Aves",
    "order": "Passeriformes",
    "family": "Turdidae",
    "genus": "Turdus",
    "species": "migratorius",
    "scientific_name": "Turdus migratorius",
    "common_name": "American Robin",
}
OAK = {
    "kingdom": "Plantae",
    "phylum": "Tracheophyta",
    "class": "Magnoliopsida",
    "order": "Fagales",
    "family": "Fagaceae",
    "genus": "Quercus",
    "species": "alba",
    "scientific_name": "Quercus alba",
    "common_name": "white oak",
}
ORCHID = OAK | {
    "order": "Asparagales",
    "family": "Orchidaceae",
    "genus": "Laelia",
    "species": "rosea",
    "scientific_name": "Laelia rosea",
    "common_name": None,
}
MOTH = ROBIN | {
    "phylum": "Arthropoda",
    "class": "Insecta",
    "order": "Lepidoptera",
    "family": "Erebidae",
    "genus": "Laelia",
    "species": "rosea",
    "scientific_name": "Laelia rosea",
    "common_name": None,
}


@pytest.fixture
def write_catalog(tmp_path: Path) -> Callable[..., Path]:
    """Writes rows as a raw catalogue and gives its folder; columns that no row has are left out."""

    def write(rows: Sequence[Row], *, files: int = 1, name: str = "catalog", **types: pa.DataType) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        columns = list(dict.fromkeys(column for row in rows for column in row))
        known = {"photo_id": pa.int64(), "observation_id": pa.int64(), "observed_on": pa.date32()} | types
        for number in range(files):
            part = rows[number::files]
            arrays = {
                column: pa.array([row.get(column) for row in part], known.get(column, _guess(rows, column)))
                for column in columns
            }
            pq.write_table(pa.table(arrays), folder / f"part-{number}.parquet")
        return folder

    return write


def _guess(rows: Sequence[Row], column: str) -> pa.DataType:
    values = [row[column] for row in rows if row.get(column) is not None]
    if values and isinstance(values[0], int):
        return pa.int64()
    if values and isinstance(values[0], float):
        return pa.float64()
    return pa.date32() if values and isinstance(values[0], dt.date) else pa.string()


@pytest.fixture
def photos() -> Callable[..., list[Row]]:
    """Rows of one taxon: `photos(ROBIN, 1, 2, 3, license="CC0")`."""

    def make(taxon: Row, *ids: int, **columns: Any) -> list[Row]:
        return [{"photo_id": photo_id, "ext": "jpg", **taxon, **columns} for photo_id in ids]

    return make


@pytest.fixture
def taxa() -> dict[str, Row]:
    """Four taxa by name; the orchid and the moth share both their names."""
    return {"robin": ROBIN, "oak": OAK, "orchid": ORCHID, "moth": MOTH}


# torchvision/_meta_registrations.py names these.
_OPERATORS = (
    "nms",
    "qnms",
    "roi_align",
    "_roi_align_backward",
    "roi_pool",
    "_roi_pool_backward",
    "ps_roi_align",
    "_ps_roi_align_backward",
    "ps_roi_pool",
    "_ps_roi_pool_backward",
    "deform_conv2d",
    "_deform_conv2d_backward",
)


@pytest.fixture(scope="session")
def torchvision():
    """torchvision's Python code, with or without its compiled operators.

    Its wheel for Linux is built against CUDA, whose libraries a CPU-only torch lacks; importing it fails then
    for want of operators that no reader of images calls. Declaring them, whatever their arguments, is enough.
    """
    if find_spec("torch") is None:
        return None  # What needs it says so itself.
    import torch

    try:
        import torchvision
    except RuntimeError as error:
        assert "torchvision::nms" in str(error)  # noqa: PT017 - any other failure is to be seen
        import sys

        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        declared = torch.library.Library("torchvision", "DEF")
        for operator in _OPERATORS:
            declared.define(f"{operator}(Tensor a) -> Tensor")
        import torchvision

        # The declaration lives as long as this object.
        torchvision.declared_for_tests = declared
    return torchvision
