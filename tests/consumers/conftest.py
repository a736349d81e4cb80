"""Training code's own packages, never in the gate: `pytest -m consumers tests/consumers`.

Needs torch 2.13.0, torchvision, timm 1.0.31, open_clip_torch 3.3.0 and webdataset 0.2.86; for test_tables.py
polars and mlcroissant alone; for test_wids.py torch, torchvision and webdataset 0.2.111.
"""

import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from arboretum_tools.exporting import export
from arboretum_tools.testing.tiny import tiny_split, tiny_store

os.environ.setdefault("HF_HOME", tempfile.mkdtemp(prefix="hf-home-"))
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"


@pytest.fixture(scope="session", autouse=True)
def _readers_import(torchvision):
    """All of them import torchvision."""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory):
    """A split, a store and one export of each format."""
    folder = tmp_path_factory.mktemp("consumers")
    split = tiny_split()
    store = tiny_store(folder / "images", split)
    split.save(folder / "split")
    folders: dict[str, Path] = {}
    for form in ("webdataset", "hf", "imagefolder", "lists", "csv", "inat-json"):
        folders[form] = export(split, images=store.path, to=folder / form, format=form).path
    return SimpleNamespace(split=split, store=store, folder=folder, folders=folders, **folders)


def labels_of(split, part):
    table = split.part(part)
    return dict(zip(table["photo_id"].to_pylist(), table["label"].to_pylist(), strict=True))


@pytest.fixture(scope="session")
def labels():
    return labels_of
