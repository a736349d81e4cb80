"""From the Arboretum metadata to the subset your model should be trained on.

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

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arboretum_tools.browsing.gallery import save_gallery
    from arboretum_tools.browsing.server import PhotoBrowser, browse
    from arboretum_tools.catalog import Catalog, Selection, open_catalog
    from arboretum_tools.catalog.annotate import AnnotateReport, annotate_catalog
    from arboretum_tools.catalog.building.build import BuildReport, build_catalog
    from arboretum_tools.catalog.building.changes import ChangesReport, catalog_changes
    from arboretum_tools.catalog.check import CheckReport, check_catalog
    from arboretum_tools.catalog.overview import TaxonReport, describe_taxon
    from arboretum_tools.catalog.stats import CatalogStats, catalog_stats
    from arboretum_tools.clip.start import ZeroShotReport, zero_shot
    from arboretum_tools.contact_sheets import contact_sheet
    from arboretum_tools.downloading import (
        DownloadEstimate,
        DownloadFailedError,
        DownloadReport,
        TaskSpec,
        download,
        download_async,
        estimate_download,
        plan_task,
        run_task,
        save_plan,
    )
    from arboretum_tools.errors import ArboretumError
    from arboretum_tools.evaluation import (
        Comparison,
        Evaluation,
        Runs,
        compare_predictions,
        evaluate,
        summarize_runs,
    )
    from arboretum_tools.exporting import export
    from arboretum_tools.exporting.report import ExportReport
    from arboretum_tools.importing import import_images
    from arboretum_tools.importing.report import ImportReport
    from arboretum_tools.options.training import TrainingRecipe
    from arboretum_tools.publication import Publication, publish_split
    from arboretum_tools.split import Split, open_split
    from arboretum_tools.split.audit import Audit, audit_split
    from arboretum_tools.split.bias import SplitBias, split_bias
    from arboretum_tools.split.episodes import EpisodesReport, make_episodes
    from arboretum_tools.split.files.published import import_split
    from arboretum_tools.split.make import make_family, make_split
    from arboretum_tools.split.rebalancing.samplers import LongTailSampler
    from arboretum_tools.split.reproduce import RemadeSplit, remake_split
    from arboretum_tools.split.stats import SplitStats, split_stats
    from arboretum_tools.store import ImageStore, open_store
    from arboretum_tools.store.copying import CopyReport, copy_store
    from arboretum_tools.store.merging import MergeReport, merge_stores
    from arboretum_tools.store.pruning import PruneReport, prune_store
    from arboretum_tools.store.verify import Verification, verify_store
    from arboretum_tools.stored_photos import downloaded_selection
    from arboretum_tools.subset import Subset, load_subset
    from arboretum_tools.training.comparison import ComparedMethod, compare_runs
    from arboretum_tools.training.start import TrainingReport, train
    from arboretum_tools.version import __version__

_HOME = {
    "AnnotateReport": "catalog.annotate",
    "ArboretumError": "errors",
    "Audit": "split.audit",
    "BuildReport": "catalog.building.build",
    "Catalog": "catalog",
    "CatalogStats": "catalog.stats",
    "ChangesReport": "catalog.building.changes",
    "CheckReport": "catalog.check",
    "Comparison": "evaluation",
    "CopyReport": "store.copying",
    "ComparedMethod": "training.comparison",
    "DownloadEstimate": "downloading",
    "DownloadFailedError": "downloading",
    "DownloadReport": "downloading",
    "EpisodesReport": "split.episodes",
    "Evaluation": "evaluation",
    "ExportReport": "exporting.report",
    "ImageStore": "store",
    "ImportReport": "importing.report",
    "LongTailSampler": "split.rebalancing.samplers",
    "PruneReport": "store.pruning",
    "Publication": "publication",
    "RemadeSplit": "split.reproduce",
    "PhotoBrowser": "browsing.server",
    "MergeReport": "store.merging",
    "Runs": "evaluation",
    "Selection": "catalog",
    "Split": "split",
    "SplitBias": "split.bias",
    "SplitStats": "split.stats",
    "Subset": "subset",
    "TaskSpec": "downloading",
    "TaxonReport": "catalog.overview",
    "TrainingRecipe": "options.training",
    "TrainingReport": "training.start",
    "Verification": "store.verify",
    "ZeroShotReport": "clip.start",
    "__version__": "version",
    "annotate_catalog": "catalog.annotate",
    "audit_split": "split.audit",
    "browse": "browsing.server",
    "build_catalog": "catalog.building.build",
    "catalog_changes": "catalog.building.changes",
    "catalog_stats": "catalog.stats",
    "check_catalog": "catalog.check",
    "compare_predictions": "evaluation",
    "compare_runs": "training.comparison",
    "contact_sheet": "contact_sheets",
    "copy_store": "store.copying",
    "describe_taxon": "catalog.overview",
    "download": "downloading",
    "download_async": "downloading",
    "downloaded_selection": "stored_photos",
    "estimate_download": "downloading",
    "evaluate": "evaluation",
    "export": "exporting",
    "import_images": "importing",
    "import_split": "split.files.published",
    "load_subset": "subset",
    "make_episodes": "split.episodes",
    "make_family": "split.make",
    "make_split": "split.make",
    "merge_stores": "store.merging",
    "open_catalog": "catalog",
    "open_split": "split",
    "open_store": "store",
    "plan_task": "downloading",
    "prune_store": "store.pruning",
    "publish_split": "publication",
    "remake_split": "split.reproduce",
    "run_task": "downloading",
    "save_gallery": "browsing.gallery",
    "save_plan": "downloading",
    "split_bias": "split.bias",
    "split_stats": "split.stats",
    "summarize_runs": "evaluation",
    "train": "training.start",
    "verify_store": "store.verify",
    "zero_shot": "clip.start",
}

__all__ = [
    "AnnotateReport",
    "ArboretumError",
    "Audit",
    "BuildReport",
    "Catalog",
    "CatalogStats",
    "ChangesReport",
    "CheckReport",
    "ComparedMethod",
    "Comparison",
    "CopyReport",
    "DownloadEstimate",
    "DownloadFailedError",
    "DownloadReport",
    "EpisodesReport",
    "Evaluation",
    "ExportReport",
    "ImageStore",
    "ImportReport",
    "LongTailSampler",
    "MergeReport",
    "PhotoBrowser",
    "PruneReport",
    "Publication",
    "RemadeSplit",
    "Runs",
    "Selection",
    "Split",
    "SplitBias",
    "SplitStats",
    "Subset",
    "TaskSpec",
    "TaxonReport",
    "TrainingRecipe",
    "TrainingReport",
    "Verification",
    "ZeroShotReport",
    "__version__",
    "annotate_catalog",
    "audit_split",
    "browse",
    "build_catalog",
    "catalog_changes",
    "catalog_stats",
    "check_catalog",
    "compare_predictions",
    "compare_runs",
    "contact_sheet",
    "copy_store",
    "describe_taxon",
    "download",
    "download_async",
    "downloaded_selection",
    "estimate_download",
    "evaluate",
    "export",
    "import_images",
    "import_split",
    "load_subset",
    "make_episodes",
    "make_family",
    "make_split",
    "merge_stores",
    "open_catalog",
    "open_split",
    "open_store",
    "plan_task",
    "prune_store",
    "publish_split",
    "remake_split",
    "run_task",
    "save_gallery",
    "save_plan",
    "split_bias",
    "split_stats",
    "summarize_runs",
    "train",
    "verify_store",
    "zero_shot",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    # What help and completion show: the public names, not what this module needs itself.
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
