"""The loop: epochs of steps, with everything around them that a run needs to be done again."""

from __future__ import annotations

import contextlib
import copy
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn

from arboretum_tools.errors import TrainingError
from arboretum_tools.evaluation.measures.metrics import per_class
from arboretum_tools.evaluation.predictions import best
from arboretum_tools.events import Note, OnEvent, StageFinished, StageStarted, StepDone, UnitDone, ignore
from arboretum_tools.options.training import TrainingRecipe
from arboretum_tools.split.files.manifest import Split
from arboretum_tools.stable_key import text_id
from arboretum_tools.subset import Subset
from arboretum_tools.training.augment import View, normalized
from arboretum_tools.training.loading import Batch, Loader, Photos, TrainingOrder
from arboretum_tools.training.methods import Method, build, training_views
from arboretum_tools.training.networks import heads_mean
from arboretum_tools.training.optim import (
    SharpnessAware,
    cosine_rate,
    fixed_statistics,
    step_rate,
    update_average,
    warmed_up,
)
from arboretum_tools.training.run_files import MODEL, Progress, RunFolder, load_model, load_teacher
from arboretum_tools.wording import counted, first_of

# Ids that a message names; all of them are written to a file.
_NAMED = 20


class World:
    """This process among those of `torchrun`; alone where there is no torchrun.

    Attributes:
        rank: 0 to size - 1.
        size: number of processes.
        device: the GPU of this process, or the CPU.
    """

    def __init__(self, device: str | None) -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        if device is None:
            device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"
        try:
            self.device = torch.device(device)
            torch.empty(0, device=self.device)
        except (RuntimeError, AssertionError) as error:
            raise TrainingError(
                f"there is no device {device!r} here: {str(error).splitlines()[0]}",
                hint="Such as cpu or cuda:0.",
            ) from error

    def workers(self, asked: int | None) -> int:
        """How many processes prepare photos; None = as many as fit the machine."""
        if asked is not None:
            return asked
        # Without a GPU the network has all cores busy itself.
        return min(16, len(os.sched_getaffinity(0)) // self.size) if self.device.type == "cuda" else 0

    @contextlib.contextmanager
    def joined(self) -> Iterator[None]:
        """Within, the processes can talk to each other."""
        if self.size == 1:
            yield
            return
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        distributed.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
        try:
            yield
        finally:
            distributed.destroy_process_group()

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            distributed.barrier()

    def share_buffers(self, model: nn.Module) -> None:
        """Gives every process what batch normalisation has counted in the first."""
        if self.size > 1:
            for buffer in model.buffers():
                distributed.broadcast(buffer, 0)

    def gathered(self, value: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows of all processes, one after the other."""
        if self.size == 1:
            return value
        found: list[NDArray[np.int64]] = [value] * self.size
        distributed.all_gather_object(found, value)
        return np.concatenate(found)


@contextlib.contextmanager
def out_of_memory(what: str, hint: str) -> Iterator[None]:
    """Says what is too much, and what to lower, where a GPU or the machine has too little memory."""
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        cpu = "allocate memory" in text or "not enough memory" in text
        if not cpu and not isinstance(error, torch.OutOfMemoryError):
            raise
        raise TrainingError(f"out of memory: {what}", hint=hint) from error


def memory_errors(recipe: TrainingRecipe, photos: int) -> contextlib.AbstractContextManager[None]:
    """The errors of a step, or of a prediction, with so many photos at once."""
    return out_of_memory(
        f"{counted(photos, 'photo')} of {recipe.image_size} pixels at once are too many for a "
        f"{recipe.arch} here",
        f"Cut the batch into more parts with --accumulate {2 * recipe.accumulate}, or lower "
        "--batch-size or --image-size, or take a smaller --arch; a changed recipe needs another --out.",
    )


class Run:
    """One training run in one process.

    Args:
        split: what is trained on.
        subsets: its parts by name, of an image store; train and val at least.
        recipe: how.
        folder: where it is kept.
        teacher: folder of the run of a teacher, for deit-lt.
        world: this process among others.
        workers: processes that prepare photos; None = as many as fit the machine.
        on_event: called with every event, in the process of rank 0.
    """

    def __init__(
        self,
        split: Split,
        subsets: dict[str, Subset],
        recipe: TrainingRecipe,
        folder: RunFolder,
        *,
        teacher: Path | None,
        world: World,
        workers: int | None,
        on_event: OnEvent,
    ) -> None:
        self.split, self.subsets, self.recipe, self.folder = split, subsets, recipe, folder
        self.world, self.device = world, world.device
        self.emit = on_event if world.rank == 0 else ignore
        cuda = self.device.type == "cuda"
        self.workers, self.pinned = world.workers(workers), cuda
        if cuda:
            torch.backends.cudnn.deterministic = True
        bf16 = recipe.precision == "bfloat16" or (
            recipe.precision == "auto" and cuda and torch.cuda.is_bf16_supported(including_emulation=False)
        )
        self.precision = torch.bfloat16 if bf16 else None
        asked, said = (None, None) if teacher is None else load_teacher(teacher, split, self.device)
        self._shown: dict[str, Loader] = {}
        self.method = Method(recipe, split, self.device, teacher=asked)
        self.order = TrainingOrder(subsets["train"].labels, recipe, rank=world.rank, processes=world.size)
        if world.rank == 0:
            folder.begin(split, recipe, teacher=said, device=self.device, processes=world.size)
        world.wait()

    def train(self) -> nn.Module:
        """Trains from where the folder stands to the end; returns the network that predicts, in eval mode."""
        if (self.folder.path / MODEL).is_file():
            self.emit(Note(f"{self.folder.path} is trained already"))
            return load_model(self.folder.path, self.split.num_classes, self.device)[0]
        recipe, order = self.recipe, self.order
        torch.manual_seed(recipe.seed)
        model = build(recipe, self.split.num_classes).to(self.device)
        if self.device.type == "cuda":
            model = model.to(memory_format=torch.channels_last)
        average = copy.deepcopy(model).requires_grad_(False) if recipe.ema else None
        optimizer = _optimizer(model, recipe)
        progress = self.folder.load(self.device)
        if progress is None:
            progress = Progress()
        else:
            self.emit(Note(f"going on after epoch {progress.epochs} of {recipe.epochs}"))
            model.load_state_dict(progress.states["model"])
            optimizer.load_state_dict(progress.states["optimizer"])
            if average is not None:
                average.load_state_dict(progress.states["average"])
        step = _Step(self, model, average, optimizer)
        photos = Photos(self.subsets["train"], training_views(recipe), recipe.seed)
        loader = Loader(photos, workers=self.workers, pinned=self.pinned)
        an_epoch = order.steps * order.parts * order.part * self.world.size
        self.emit(StageStarted("train", recipe.epochs * an_epoch, done=progress.epochs * an_epoch))
        for epoch in range(progress.epochs, recipe.epochs):
            started = time.monotonic()
            loss = step.epoch(loader, epoch)
            for one in (model, average) if average is not None else (model,):
                self.world.share_buffers(one)
            seconds = time.monotonic() - started
            line = {
                "epoch": epoch + 1,
                "loss": loss,
                "lr": optimizer.param_groups[0]["lr"],
                "seconds": round(seconds, 3),
                "photos_s": round(an_epoch / seconds, 1),
                **self._on_val(average or model),
            }
            states = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            if average is not None:
                states["average"] = average.state_dict()
            progress = Progress(epoch + 1, states, [*progress.log, line])
            if self.world.rank == 0:
                self.folder.save(progress)
        self.emit(StageFinished("train"))
        trained = average or model
        if self.world.rank == 0:
            self.folder.finish(trained)
        self.world.wait()
        return trained.eval()

    def _on_val(self, model: nn.Module) -> dict[str, float]:
        """Top-1 on val, over photos and over classes."""
        subset = self.subsets["val"]
        top = self.predict(model.eval(), subset)[""][:, 0]
        labels = subset.labels.astype(np.int64)
        by_class = per_class(top == labels, labels, self.split.num_classes)
        return {
            "val_top1": float((top == labels).mean()),
            "val_class_balanced": float(np.nanmean(by_class)),
        }

    @torch.no_grad()
    def predict(
        self, model: nn.Module, subset: Subset, *, on_event: OnEvent = ignore
    ) -> dict[str, NDArray[np.int64]]:
        """The first classes of every photo of a subset, (photos, k): of the mean of the heads and of each.

        Args:
            model: in eval mode.
            subset: the photos.
            on_event: gets UnitDone.
        """
        view = View(self.recipe.image_size, test_crop=self.recipe.test_crop)
        if subset.part not in self._shown:
            photos = Photos(subset, (view,), 0)
            self._shown[subset.part] = Loader(photos, workers=self.workers, pinned=self.pinned)
        loader = self._shown[subset.part]
        # Each process has one at least, so that all know the heads.
        mine = np.arange(max(len(subset), self.world.size))[self.world.rank :: self.world.size] % len(subset)
        tops: dict[str, list[NDArray[np.int64]]] = {}
        for batch in loader.batches(mine, self.order.part):
            with memory_errors(self.recipe, len(batch.labels)), self.autocast():
                outputs = model(normalized(batch.to(self.device).views[0]))
            if not all(logits.isfinite().all() for logits in outputs.values()):
                raise self.no_number("the network's output is not a number", batch.photo_ids.tolist())
            heads = outputs if len(outputs) > 1 else {}
            for head, logits in {"": heads_mean(outputs), **heads}.items():
                top = best(batch.photo_ids.numpy(), logits.float().cpu().numpy())
                tops.setdefault(head, []).append(top)
            on_event(UnitDone(len(batch.labels) * self.world.size))
        everywhere = np.unique(self.world.gathered(mine), return_index=True)[1]
        return {head: self.world.gathered(np.concatenate(found))[everywhere] for head, found in tops.items()}

    def no_number(self, what: str, ids: list[int]) -> TrainingError:
        """The error for what is infinite or no number; all ids of the batch are written to a file."""
        bad = self.folder.path / f"bad-batch-{self.world.rank}.txt"
        bad.write_text("".join(f"{photo_id}\n" for photo_id in ids), encoding="utf-8")
        named = first_of([str(photo_id) for photo_id in ids], _NAMED)
        more = f", all in {bad}" if len(ids) > _NAMED else ""
        return TrainingError(
            f"{what} for the batch of the photos {named}{more}; the epochs before are kept",
            hint="Lower --lr or lengthen --warmup-epochs, with another --out; or look at these photos.",
        )

    def autocast(self) -> torch.autocast:
        """bfloat16 inside, where the recipe or the GPU says so."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision is not None)


class _Step:
    """A step of the optimizer, over all parts of a batch, and the epochs that are made of them."""

    def __init__(
        self, run: Run, model: nn.Module, average: nn.Module | None, optimizer: torch.optim.Optimizer
    ) -> None:
        self.run, self.model, self.average, self.optimizer = run, model, average, optimizer
        self.network = nn.parallel.DistributedDataParallel(model) if run.world.size > 1 else model
        self.sam = SharpnessAware(model.parameters(), run.recipe.sam) if run.recipe.sam else None

    def epoch(self, loader: Loader, epoch: int) -> float:
        """One epoch, counted from 0; returns its mean loss.

        Raises:
            TrainingError: a loss is no number, or memory ran out.
        """
        run, order = self.run, self.run.order
        # What draws by torch in an epoch does not depend on the epochs before it.
        torch.manual_seed(text_id(f"{run.recipe.seed} {epoch} {run.world.rank}") % 2**63)
        self.model.train()
        batches = loader.batches(order.positions(epoch), order.part, epoch=epoch)
        total = 0.0
        before: tuple[Tensor, list[Batch]] | None = None
        for number in range(order.steps):
            parts = [next(batches) for _ in range(order.parts)]
            with memory_errors(run.recipe, order.part):
                loss = self._step(parts, epoch, number)
            # The loss of the step before is looked at now, so that a GPU is never waited for.
            if before is not None:
                total += self._seen(*before)
            before = (loss, parts)
        assert next(batches, None) is None
        if before is not None:
            total += self._seen(*before)
        return total / order.steps

    def _seen(self, loss: Tensor, parts: list[Batch]) -> float:
        value = loss.item()
        ids = [photo_id for part in parts for photo_id in part.photo_ids.tolist()]
        if not np.isfinite(value):
            raise self.run.no_number(f"the loss is {value}", ids)
        self.run.emit(StepDone(len(ids) * self.run.world.size, value, self.optimizer.param_groups[0]["lr"]))
        return value

    def _step(self, parts: list[Batch], epoch: int, number: int) -> Tensor:
        recipe, run = self.run.recipe, self.run
        at = epoch + (number + 1) / run.order.steps
        rate = (
            cosine_rate(epoch + number / run.order.steps, recipe.epochs)
            if recipe.schedule == "cosine"
            else step_rate(epoch, recipe.milestones, gamma=recipe.gamma)
        )
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.lr * warmed_up(rate, at, recipe.warmup_epochs)
        draw = random.Random(f"{recipe.seed} {epoch} {number} {run.world.rank}")  # noqa: S311
        prepared = [run.method.prepared(part.to(run.device), epoch, draw) for part in parts]
        self.optimizer.zero_grad()
        loss = self._backward(prepared, epoch)
        if self.sam is not None:
            self.sam.ascend()
            with fixed_statistics(self.model):
                self._backward(prepared, epoch)
            self.sam.descend()
        self.optimizer.step()
        if self.average is not None:
            update_average(self.average, self.model, recipe.ema)
        return loss

    def _backward(self, prepared: list[tuple[Tensor, Tensor]], epoch: int) -> Tensor:
        """Adds up the gradients of all parts; returns the mean loss."""
        total = torch.zeros((), device=self.run.device)
        for number, (images, targets) in enumerate(prepared):
            last = number == len(prepared) - 1
            together = (
                contextlib.nullcontext() if last or self.network is self.model else self.network.no_sync()
            )
            with together:
                if self.run.device.type == "cuda":
                    images = images.contiguous(memory_format=torch.channels_last)
                with self.run.autocast():
                    outputs = self.network(images)
                    loss = self.run.method.loss(outputs, images, targets, epoch) / len(prepared)
                loss.backward()
            total += loss.detach()
        return total


def _optimizer(model: nn.Module, recipe: TrainingRecipe) -> torch.optim.Optimizer:
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            model.parameters(),
            lr=recipe.lr,
            momentum=recipe.momentum,
            nesterov=recipe.momentum > 0,
            weight_decay=recipe.weight_decay,
        )
    kept = [p for name, p in model.named_parameters() if p.ndim < 2 or name in ("tokens", "positions")]
    ids = {id(p) for p in kept}
    decayed = [p for p in model.parameters() if id(p) not in ids]
    groups = [{"params": decayed}, {"params": kept, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.lr, weight_decay=recipe.weight_decay)
