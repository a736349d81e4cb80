"""What long-tailed losses and samplers take, from a split's train counts. Index = label everywhere.

weights = class_weights(split)
loss = torch.nn.CrossEntropyLoss(weight=torch.tensor(weights.class_balanced))
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arboretum_tools.errors import SplitError, UsageError
from arboretum_tools.options.split import BETA
from arboretum_tools.split.files.manifest import Split
from arboretum_tools.system.atomic_files import check_output, whole_file, write_json
from arboretum_tools.tabular.arrays import to_numpy
from arboretum_tools.wording import counted, does

#: What `save_weights` writes.
WEIGHT_FILES = ("cls_num_list.json", "class_weights.json", "sample_weights.npz")


@dataclass(frozen=True, slots=True, eq=False)
class ClassWeights:
    """Weights of the classes; float64 of shape (C,), and the three weightings sum to C.

    Attributes:
        cls_num_list: train photos per class, int64.
        class_balanced: (1 - beta) / (1 - beta ** n), the inverse of the effective number of samples (Cui et
            al. 2019).
        inverse: 1 / n.
        square_root: 1 / sqrt(n).
        log_prior: log(n / sum n): added to the logits in training (Balanced Softmax, Ren et al. 2020, arXiv
            2007.10740), or subtracted after it (logit adjustment, Menon et al. 2021, arXiv 2007.07314).
        beta: of `class_balanced`.
    """

    cls_num_list: NDArray[np.int64]
    class_balanced: NDArray[np.float64]
    inverse: NDArray[np.float64]
    square_root: NDArray[np.float64]
    log_prior: NDArray[np.float64]
    beta: float

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON."""
        names = ("cls_num_list", "class_balanced", "inverse", "square_root", "log_prior")
        return {"beta": self.beta, **{name: getattr(self, name).tolist() for name in names}}


def class_weights(split: Split, *, beta: float = BETA) -> ClassWeights:
    """The weights of a split's classes.

    Raises:
        UsageError: beta is outside 0 (no weighting) to 1 (excluded).
        SplitError: a class has no train photos, so that no weight of it is defined.
    """
    if not 0 <= beta < 1:
        raise UsageError(f"beta is 0 or more and below 1, not {beta:g}")
    counts = np.asarray(split.class_counts, dtype=np.int64)
    if empty := int(np.count_nonzero(counts == 0)):
        raise SplitError(
            f"{counted(empty, 'class')} of {split.name} {does(empty, 'have')} no train photos, so no weights",
            hint="Weights are for splits that are trained on.",
        )
    n = counts.astype(np.float64)
    # 1 - beta ** n without cancellation for small n * (1 - beta).
    effective = -np.expm1(n * np.log(beta)) if beta else np.ones_like(n)
    return ClassWeights(
        cls_num_list=counts,
        class_balanced=_to_sum((1 - beta) / effective),
        inverse=_to_sum(1 / n),
        square_root=_to_sum(1 / np.sqrt(n)),
        log_prior=np.log(n / n.sum()),
        beta=beta,
    )


def sample_weights(split: Split, weights: NDArray[np.float64], part: str = "train") -> NDArray[np.float64]:
    """The weight of every photo of a part, in the order of its rows: that of its class.

    Args:
        split: gives the photos.
        weights: of the classes, shape (C,).
        part: whose photos.

    Raises:
        SplitError: there is no such part.
        UsageError: the weights are of another number of classes.
    """
    if weights.shape != (split.num_classes,):
        raise UsageError(f"weights of shape {weights.shape} are not of {split.num_classes} classes")
    found: NDArray[np.float64] = weights[_column(split, part, "label")]
    return found


def save_weights(
    split: Split, folder: str | Path, *, beta: float = BETA, overwrite: bool = False
) -> list[Path]:
    """Writes `cls_num_list.json`, `class_weights.json` and `sample_weights.npz` for training code.

    The NPZ holds `photo_id` and one weight a photo of `train` for each weighting, in the order of
    train.parquet.

    Args:
        split: of which the train part is weighted.
        folder: where the three files are written; made if it is not there.
        beta: of the class-balanced weights.
        overwrite: replace files that are there.

    Raises:
        TargetExistsError: a file is there and may not be replaced, or lies in the split.
        UsageError: as `class_weights`.
    """
    files = [Path(folder) / name for name in WEIGHT_FILES]
    for one in files:
        check_output(one, overwrite=overwrite, inputs=[split.path] if split.path else [])
    counts, of_classes, of_samples = files
    weights = class_weights(split, beta=beta)
    with whole_file(counts) as temporary:
        # BalancedMetaSoftmax and others read a plain list.
        temporary.write_text(str(weights.cls_num_list.tolist()) + "\n", encoding="utf-8")
    write_json(of_classes, weights.to_dict())
    with whole_file(of_samples) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            photo_id=_column(split, "train", "photo_id"),
            class_balanced=sample_weights(split, weights.class_balanced),
            inverse=sample_weights(split, weights.inverse),
            square_root=sample_weights(split, weights.square_root),
        )
    return files


def _column(split: Split, part: str, name: str) -> NDArray[np.int64]:
    """A column of whole numbers of a part, without the others."""
    found = [to_numpy(batch.column(name)) for batch in split.batches(part, [name])]
    return np.concatenate([np.empty(0, np.int32), *found])


def _to_sum(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights times C / their sum, so that the loss keeps its size."""
    scaled: NDArray[np.float64] = weights * (len(weights) / weights.sum())
    return scaled
