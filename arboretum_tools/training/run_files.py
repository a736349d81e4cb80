"""The folder of a run: what it was made from, how it went, its weights, its predictions.

run.json              everything needed to do it again
log.jsonl             one line per epoch
tensorboard/          the same for TensorBoard, where that is installed
checkpoint.pt         the last whole epoch; gone once the run is over
model.pt              the weights that predict
val.parquet, …        predictions, and those of each head alone (val.cls.parquet)
val-report/, …        what they came to
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import nn

from arboretum_tools.errors import SplitError, TargetExistsError, TrainingError
from arboretum_tools.options.training import TrainingRecipe
from arboretum_tools.split.files.manifest import Split
from arboretum_tools.system.atomic_files import canonical_json, refuse_existing, whole_file, write_json
from arboretum_tools.training.description import FORMAT_VERSION, RUN, described, predictions_of
from arboretum_tools.training.methods import Teacher, build
from arboretum_tools.version import __version__

LOG, EVENTS, CHECKPOINT, MODEL = "log.jsonl", "tensorboard", "checkpoint.pt", "model.pt"


@dataclass(slots=True)
class Progress:
    """Where a run stands after an epoch.

    Attributes:
        epochs: that are over.
        states: state dictionaries of the model, the optimizer and the average, by name.
        log: one dictionary an epoch.
    """

    epochs: int = 0
    states: dict[str, Any] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A folder in which a run is kept.

    Attributes:
        path: the folder.
    """

    path: Path
    # TensorBoard's writer, once there is one: one file of events a process.
    _events: list[Any] = field(default_factory=list, repr=False, compare=False)

    def begin(
        self,
        split: Split,
        recipe: TrainingRecipe,
        *,
        teacher: Mapping[str, Any] | None,
        device: torch.device,
        processes: int,
    ) -> None:
        """Makes the folder, or sees that it holds this very run.

        Raises:
            TargetExistsError: it holds something else; nothing was written.
        """
        decides = {
            "format_version": FORMAT_VERSION,
            "split": {"name": split.name, "sha256": split.sha256},
            "recipe": recipe.to_json(),
            "teacher": teacher,
            "processes": processes,
        }
        if (self.path / RUN).is_file():
            found = described(self.path)
            differ = [name for name, value in decides.items() if found.get(name) != value]
            if differ:
                raise TargetExistsError(
                    f"{self.path} holds another run: its {', '.join(differ)} "
                    f"{'is' if len(differ) == 1 else 'are'} not the same; nothing was written",
                    hint="Name another folder with --out, or train as its run.json says.",
                )
            return
        refuse_existing(self.path)
        self.path.mkdir(parents=True, exist_ok=True)
        versions = {
            "arboretum": __version__,
            "numpy": np.__version__,
            "pillow": PIL.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
        }
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
        made_with = {"versions": versions, "device": f"{device.type}: {name}", "platform": sys.platform}
        write_json(self.path / RUN, {**decides, **made_with})

    def save(self, progress: Progress) -> None:
        """Keeps an epoch: its state, then its line."""
        with whole_file(self.path / CHECKPOINT) as temporary:
            torch.save({"epochs": progress.epochs, "log": progress.log, **progress.states}, temporary)
        self._write_log(progress)
        self._tell_tensorboard(progress.epochs, progress.log[-1])

    def _tell_tensorboard(self, epoch: int, line: Mapping[str, Any]) -> None:
        if not self._events:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                return
            # What an earlier process wrote from this epoch on is of epochs that were lost with it.
            self._events.append(SummaryWriter(str(self.path / EVENTS), purge_step=epoch))
        for name, value in line.items():
            if isinstance(value, int | float) and name != "epoch":
                self._events[0].add_scalar(name, value, epoch)
        self._events[0].flush()

    def _write_log(self, progress: Progress) -> None:
        # From the checkpoint, so that it never says more than can be gone on from.
        with whole_file(self.path / LOG) as temporary:
            text = "".join(canonical_json(line) + "\n" for line in progress.log)
            temporary.write_text(text, encoding="utf-8")

    def load(self, device: torch.device) -> Progress | None:
        """Where the run was left; None where no epoch is over.

        Raises:
            TrainingError: the checkpoint cannot be read.
        """
        if not (self.path / CHECKPOINT).is_file():
            return None
        states = _load(self.path / CHECKPOINT, device)
        progress = Progress(states.pop("epochs"), states, states.pop("log"))
        self._write_log(progress)
        return progress

    def finish(self, model: nn.Module) -> None:
        """Keeps the weights that predict; the checkpoint is no longer needed."""
        with whole_file(self.path / MODEL) as temporary:
            torch.save(model.state_dict(), temporary)
        (self.path / CHECKPOINT).unlink(missing_ok=True)

    def write_predictions(
        self, part: str, head: str, photo_ids: NDArray[np.int64], top: NDArray[np.int64]
    ) -> Path:
        """Writes the first classes of each photo, in the form that `evaluate` reads."""
        columns = {f"label_{k + 1}": top[:, k].astype(np.int32) for k in range(top.shape[1])}
        path = predictions_of(self.path, part, head)
        with whole_file(path) as temporary:
            pq.write_table(pa.table({"photo_id": photo_ids, **columns}), temporary)
        return path


def load_model(folder: Path, classes: int, device: torch.device) -> tuple[nn.Module, TrainingRecipe]:
    """The trained network of a run, in eval mode and without gradients, and its recipe.

    Raises:
        TrainingError: the run is not over, or its files do not agree.
    """
    recipe = TrainingRecipe.from_json(described(folder)["recipe"])
    if not (folder / MODEL).is_file():
        raise TrainingError(
            f"the run {folder} is not over: it has no {MODEL}", hint="The command that began it ends it."
        )
    model = build(recipe, classes).to(device)
    try:
        model.load_state_dict(_load(folder / MODEL, device))
    except RuntimeError as error:
        raise TrainingError(f"{folder / MODEL} is not of the recipe in {RUN}") from error
    return model.eval().requires_grad_(False), recipe


def load_teacher(folder: Path, split: Split, device: torch.device) -> tuple[Teacher, dict[str, Any]]:
    """A teacher, and what run.json of its student says of it.

    Raises:
        SplitError: it was trained on another split.
        TrainingError: it is no run, not over, or a ViT.
    """
    found = described(folder)
    theirs, ours = found["split"]["sha256"], split.sha256
    for what, name in (("classes", "class list"), ("train", "train part")):
        if theirs.get(what) != ours[what]:
            raise SplitError(
                f"the teacher {folder} was trained on {found['split']['name']}, whose {name} is not that of "
                f"{split.name}: {str(theirs.get(what))[:12]} is not {ours[what][:12]}",
                hint="Train the teacher on the same split: one that saw other photos may know the test part.",
            )
    model, recipe = load_model(folder, split.num_classes, device)
    if recipe.method == "deit-lt":
        raise TrainingError(
            f"the teacher {folder} is a {recipe.arch}; DeiT-LT learns from a flat CNN",
            hint="Train one: --method ldam-drw --sam 0.05.",
        )
    said = {name: found[name] for name in ("split", "recipe")}
    return Teacher(model, recipe.image_size), said


def _load(path: Path, device: torch.device) -> dict[str, Any]:
    try:
        # Weights may come from anywhere: nothing but tensors and plain values is unpacked.
        found: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise TrainingError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    return found
