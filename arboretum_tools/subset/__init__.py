"""Subset: one part of a split, photo by photo, straight from the image store; no export needed."""

from __future__ import annotations

from arboretum_tools.subset.dataset import Item, Subset
from arboretum_tools.subset.load import load_subset
from arboretum_tools.subset.torch_view import TorchView

__all__ = ["Item", "Subset", "TorchView", "load_subset"]
