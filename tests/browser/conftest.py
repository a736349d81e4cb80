"""A Chromium, and a page over a split of which some photos are drawn."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import arboretum_tools as at
from arboretum_metadata.sample import catalog_path


def _driver() -> Any:
    """The module beside this one, which no package holds."""
    spec = importlib.util.spec_from_file_location("chromium_driver", Path(__file__).with_name("chromium.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["chromium_driver"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    with _driver().Chromium() as browser:
        yield browser


@pytest.fixture(autouse=True)
def _quiet(chromium) -> Iterator[None]:
    """A test fails if the console had an error, or if anything was asked of another host."""
    chromium.problems.clear()
    chromium.size(1440, 900)
    yield
    assert not chromium.problems


@pytest.fixture(scope="session")
def birds(tmp_path_factory, origin) -> at.Split:
    """The split of the tutorial, with its images beside it."""
    folder = tmp_path_factory.mktemp("birds")
    selection = at.open_catalog(catalog_path()).select("Aves")
    at.download(selection, images=folder / "images", size="small", origin=origin.url)
    at.make_split(selection, lt_ratio=100, store=folder / "images").save(folder / "aves-lt100")
    return at.open_split(folder / "aves-lt100")


@pytest.fixture(scope="session")
def predictions(birds) -> list[Path]:
    """Scores of a model that takes some photos of the tail for the head, and of one that errs elsewhere."""
    return [_scores(birds, "scores", 5, 4), _scores(birds, "rebalanced", 7, 3)]


def _scores(birds: at.Split, name: str, every: int, apart: int) -> Path:
    test = birds.part("test")
    labels = test["label"].to_numpy()
    scores = np.random.default_rng(0).dirichlet(np.full(birds.num_classes, 0.3), len(labels))
    scores[np.arange(len(labels)), labels] += np.where(np.arange(len(labels)) % every > labels % apart, 2, 0)
    scores /= scores.sum(axis=1, keepdims=True)
    file = birds.path.parent / f"{name}.npz"
    np.savez(file, photo_id=test["photo_id"].to_numpy(), scores=scores)
    return file


@pytest.fixture
def page(chromium, birds, predictions, tmp_path) -> Iterator[at.PhotoBrowser]:
    with at.browse(
        birds,
        images=birds.path.parent / "images",
        predictions=predictions,
        marks=tmp_path / "marks.csv",
        port=0,
        open=False,
    ) as running:
        yield running
        # Nothing asks for an image any more when the server ends.
        chromium.open("about:blank")


@pytest.fixture
def keep(chromium) -> Callable[[str], None]:
    """Keeps a picture of the window, where somebody wants to look at it."""

    def shot(name: str) -> None:
        if folder := os.environ.get("ARBORETUM_SCREENSHOTS"):
            chromium.picture(Path(folder, f"{name}.png"))

    return shot
