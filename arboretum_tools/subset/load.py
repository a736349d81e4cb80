"""Opening a part of a split over an image store."""

from __future__ import annotations

from pathlib import Path

from arboretum_metadata.schema import CLASSES
from arboretum_tools.errors import SplitError
from arboretum_tools.options import takes
from arboretum_tools.options.export import SubsetOptions
from arboretum_tools.split.files.manifest import Split, open_split
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.subset.dataset import Subset
from arboretum_tools.tabular.tables import read_table
from arboretum_tools.wording import counted


@takes(SubsetOptions)
def load_subset(split: str | Path | Split, options: SubsetOptions) -> Subset:
    """Opens one part of a split over an image store.

    Args:
        split: the folder of a split, or a split.
        options: {options}

    Raises:
        SplitError: the split cannot be read, has no such part, or its classes are not those of
            `same_classes_as`.
        StoreError: `images` is not an image store.
        MissingPhotosError: the store lacks photos and `allow_missing` is not set.

    >>> import arboretum_tools as at
    >>> train = at.load_subset("splits/aves-lt100", images="images", part="train")
    >>> len(train), train[0]["class_name"]
    (956, 'Passer domesticus')
    """
    opened = split if isinstance(split, Split) else open_split(split, in_memory=False)
    if options.same_classes_as is not None:
        _check_classes(opened, Path(options.same_classes_as))
    return Subset.open(
        opened,
        ImageStore.open(options.images),
        opened.part_named(options.part),
        allow_missing=options.allow_missing,
        on_error=options.on_error,
    )


def _check_classes(split: Split, other: Path) -> None:
    def refuse(what: str) -> SplitError:
        return SplitError(what, hint="Name the folder of an export or of a split; it holds classes.parquet.")

    theirs = read_table(other / "classes.parquet", CLASSES, refuse)["class_key"].to_pylist()
    ours = split.classes["class_key"].to_pylist()
    if ours == theirs:
        return
    differ = next((n for n, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]), None)
    text = (
        f"{counted(len(ours), 'class')} here, {len(theirs):,} there"
        if differ is None
        else f"label {differ} is {ours[differ]!r} here and {theirs[differ]!r} there"
    )
    raise SplitError(
        f"the labels of {split.path or split.name} do not mean the classes of {other}: {text}",
        hint="Use the split that the export was made of; an export with --drop-classes numbers classes anew.",
    )
