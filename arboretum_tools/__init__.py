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
    from arboretum_tools.contact_sheet import contact_sheet
    from arboretum_tools.download import DownloadReport, download, download_async, plan_download
    from arboretum_tools.downloaded import downloaded_selection
    from arboretum_tools.errors import ArboretumError
    from arboretum_tools.export import export
    from arboretum_tools.split import Split, load_split
    from arboretum_tools.split.make import make_split
    from arboretum_tools.store import ImageStore
    from arboretum_tools.store.verify import verify
    from arboretum_tools.subset import Subset, load_subset
    from arboretum_tools.version import __version__

_HOME = {
    "ArboretumError": "errors",
    "Catalog": "catalog",
    "DownloadReport": "download",
    "ImageStore": "store",
    "Selection": "catalog",
    "Split": "split",
    "Subset": "subset",
    "__version__": "version",
    "contact_sheet": "contact_sheet",
    "download": "download",
    "download_async": "download",
    "downloaded_selection": "downloaded",
    "export": "export",
    "load_split": "split",
    "load_subset": "subset",
    "make_split": "split.make",
    "open_catalog": "catalog",
    "plan_download": "download",
    "verify": "store.verify",
}

__all__ = [
    "ArboretumError",
    "Catalog",
    "DownloadReport",
    "ImageStore",
    "Selection",
    "Split",
    "Subset",
    "__version__",
    "contact_sheet",
    "download",
    "download_async",
    "downloaded_selection",
    "export",
    "load_split",
    "load_subset",
    "make_split",
    "open_catalog",
    "plan_download",
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
        return sorted({*super().__dir__(), *__all__})


sys.modules[__name__].__class__ = _Package
