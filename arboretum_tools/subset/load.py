"""Opening a part of a split over an image store."""

from __future__ import annotations

from pathlib import Path

from arboretum_metadata.schema import CLASSES
from arboretum_tools.errors import SplitError
from arboretum_tools.split.files.manifest import Split, open_split
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.subset.dataset import OnError, Subset
from arboretum_tools.tabular.tables import read_table
from arboretum_tools.wording import counted


def load_subset(
    split: str | Path | Split,
    *,
    images: str | Path = "images",
    part: str = "train",
    allow_missing: bool = False,
    on_error: OnError = "raise",
    same_classes_as: str | Path | None = None,
) -> Subset:
    """Opens one part of a split over an image store.

    Args:
        split: the folder of a split, or a split.
        images: the image store.
        part: train, val or test.
        allow_missing: leave out the photos that the store does not hold.
        on_error: what iterating and `to_torch` do at a photo that cannot be read or decoded: "raise", or
            "skip" it and note it in `Subset.skipped`. `subset[i]` raises either way.
        same_classes_as: an export or another split, whose labels must mean the same classes: a model that was
            trained on the one is then tested on the other.

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
    if same_classes_as is not None:
        _check_classes(opened, Path(same_classes_as))
    store = ImageStore.open(images)
    return Subset.open(opened, store, opened.part_named(part), allow_missing=allow_missing, on_error=on_error)


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
