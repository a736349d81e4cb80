"""Training code's own packages, never in the gate: `pytest -m consumers tests/consumers`.

Needs torch 2.13.0, torchvision, timm 1.0.31, open_clip_torch 3.3.0 and webdataset 0.2.86; for test_tables.py
polars and mlcroissant alone; for test_wids.py torch, torchvision and webdataset 0.2.111.
"""

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from arboretum_tools.exporting import export
from arboretum_tools.testing.tiny import tiny_split, tiny_store

os.environ.setdefault("HF_HOME", tempfile.mkdtemp(prefix="hf-home-"))
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"


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


@pytest.fixture(scope="session", autouse=True)
def torchvision():
    """torchvision's Python code, with or without its compiled operators.

    Its wheel for Linux is built against CUDA, whose libraries a CPU-only torch lacks; importing it fails then
    for want of operators that no reader of images calls. Declaring them, whatever their arguments, is enough.
    """
    if find_spec("torch") is None:
        return None  # Readers of tables need none; the others say so themselves.
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
