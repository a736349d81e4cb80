"""From the Arboretum metadata to the subset that a model should be trained on.

    import arboretum_tools as at

    catalog = at.open_catalog("catalog")
    birds = catalog.select(taxa="Aves")
    at.download(birds, images="images")
    split = at.make_split(birds, lt_ratio=100)
    split.save("splits/aves-lt100")
    train = at.load_subset(split, images="images", part="train")

Names are loaded when they are first used, so importing the package costs nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arboretum_tools.catalog import Catalog, Selection, open_catalog
    from arboretum_tools.catalog.annotate import AnnotateReport, annotate
    from arboretum_tools.catalog.build import BuildReport, build_catalog
    from arboretum_tools.catalog.check import CheckReport, check_catalog
    from arboretum_tools.catalog.overview import TaxonReport, describe
    from arboretum_tools.catalog.stats import CatalogStats, catalog_stats
    from arboretum_tools.contact_sheet import contact_sheet
    from arboretum_tools.download import DownloadReport, download, download_async, plan_download
    from arboretum_tools.downloaded import downloaded_selection
    from arboretum_tools.errors import ArboretumError
    from arboretum_tools.evaluate import evaluate
    from arboretum_tools.export import export
    from arboretum_tools.split import Split, load_split
    from arboretum_tools.split.audit import audit_split
    from arboretum_tools.split.make import make_family, make_split
    from arboretum_tools.split.published import import_split
    from arboretum_tools.split.stats import split_stats
    from arboretum_tools.store import ImageStore
    from arboretum_tools.store.verify import verify
    from arboretum_tools.subset import Subset, load_subset
    from arboretum_tools.version import __version__

_HOME = {
    "AnnotateReport": "catalog.annotate",
    "ArboretumError": "errors",
    "BuildReport": "catalog.build",
    "Catalog": "catalog",
    "CatalogStats": "catalog.stats",
    "CheckReport": "catalog.check",
    "DownloadReport": "download",
    "ImageStore": "store",
    "Selection": "catalog",
    "Split": "split",
    "Subset": "subset",
    "TaxonReport": "catalog.overview",
    "__version__": "version",
    "annotate": "catalog.annotate",
    "build_catalog": "catalog.build",
    "catalog_stats": "catalog.stats",
    "check_catalog": "catalog.check",
    "audit_split": "split.audit",
    "contact_sheet": "contact_sheet",
    "describe": "catalog.overview",
    "download": "download",
    "download_async": "download",
    "downloaded_selection": "downloaded",
    "evaluate": "evaluate",
    "export": "export",
    "import_split": "split.published",
    "load_split": "split",
    "load_subset": "subset",
    "make_family": "split.make",
    "make_split": "split.make",
    "open_catalog": "catalog",
    "plan_download": "download",
    "split_stats": "split.stats",
    "verify": "store.verify",
}

__all__ = [
    "AnnotateReport",
    "ArboretumError",
    "BuildReport",
    "Catalog",
    "CatalogStats",
    "CheckReport",
    "DownloadReport",
    "ImageStore",
    "Selection",
    "Split",
    "Subset",
    "TaxonReport",
    "__version__",
    "annotate",
    "audit_split",
    "build_catalog",
    "catalog_stats",
    "check_catalog",
    "contact_sheet",
    "describe",
    "download",
    "download_async",
    "downloaded_selection",
    "evaluate",
    "export",
    "import_split",
    "load_split",
    "load_subset",
    "make_family",
    "make_split",
    "open_catalog",
    "plan_download",
    "split_stats",
    "verify",
]


class _Package(ModuleType):
    """The package, whose functions `download`, `export` and so on are not hidden by modules of that name.

    Importing `arboretum_tools.download` would set the package's attribute `download` to the module; the
    public name is the function. `from arboretum_tools.download import ...` works all the same.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{self.__name__}.{_HOME[name]}"), name)
        super().__setattr__(name, value)
        return value

    def __dir__(self) -> list[str]:
        # What help and completion show: the public names, not what this module needs itself.
        return sorted({*__all__, *(name for name in super().__dir__() if name.startswith("__"))})


sys.modules[__name__].__class__ = _Package
