"""A catalogue of birds and a plant with observers, big enough for every profile."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arboretum_tools.catalog import Catalog, open_catalog

#: Photos of each species; two share a genus, three a family, four an order.
SIZES = {
    ("Passeriformes", "Turdidae", "Turdus", "merula"): 300,
    ("Passeriformes", "Turdidae", "Turdus", "pilaris"): 120,
    ("Passeriformes", "Turdidae", "Sialia", "sialis"): 80,
    ("Passeriformes", "Corvidae", "Corvus", "corax"): 60,
    ("Piciformes", "Picidae", "Picus", "viridis"): 40,
    ("Piciformes", "Picidae", "Dryocopus", "martius"): 25,
}


def bird_rows(sizes: dict[tuple[str, ...], int] = SIZES) -> list[dict[str, Any]]:
    """Two photos per observation, three observations per observer; every 17th observer unknown."""
    rows, photo_id = [], 0
    for number, ((order, family, genus, epithet), count) in enumerate(sizes.items()):
        for n in range(count):
            photo_id += 1
            observation = 1000 * number + n // 2
            observer = 100 * (n // 6 % 3) + n // 6
            rows.append(
                {
                    "photo_id": photo_id,
                    "ext": "jpg",
                    "kingdom": "Animalia",
                    "phylum": "Chordata",
                    "class": "Aves",
                    "order": order,
                    "family": family,
                    "genus": genus,
                    "species": epithet,
                    "scientific_name": f"{genus} {epithet}" + (" minor" if n % 11 == 0 else ""),
                    "common_name": None,
                    "observation_id": observation,
                    "observer_id": None if observer % 17 == 16 else observer,
                    "life_stage": ("adult", "juvenile", None)[n % 3],
                }
            )
    return rows


def _written(folder: Path, rows: list[dict[str, Any]]) -> Catalog:
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(rows), folder / "p.parquet")
    return open_catalog(folder)


@pytest.fixture
def bird_catalog(tmp_path: Path) -> Callable[..., Catalog]:
    """Writes rows (the birds where none are given) as a catalogue and opens it."""

    def make(rows: list[dict[str, Any]] | None = None, name: str = "birds") -> Catalog:
        return _written(tmp_path / name, bird_rows() if rows is None else rows)

    return make


@pytest.fixture
def bird_photos() -> Callable[[], list[dict[str, Any]]]:
    """Makes the rows of the catalogue, for tests that change some of them."""
    return bird_rows


@pytest.fixture(scope="session")
def birds_with_observers(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The catalogue as it is, opened once."""
    return _written(tmp_path_factory.mktemp("birds") / "catalog", bird_rows())
