"""One share of a download as a value: what a Slurm array, a process pool or any other scheduler hands out.

A task fetches the photos of a saved plan whose id leaves its number when divided by the number of tasks, into
shards whose numbers do the same. So tasks share nothing but the folder; one that died is started again with
the same spec, and does what is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from arboretum_tools.downloading.budget import ByteAllowance, state_folder
from arboretum_tools.downloading.cancel import Stopper
from arboretum_tools.downloading.estimate import DownloadEstimate
from arboretum_tools.downloading.job import Job
from arboretum_tools.downloading.options import DownloadOptions
from arboretum_tools.downloading.report import DownloadReport
from arboretum_tools.downloading.urls import STATIC_HOST
from arboretum_tools.errors import UsageError
from arboretum_tools.events import OnEvent, ignore
from arboretum_tools.options import declared
from arboretum_tools.options.download import TaskOptions
from arboretum_tools.resize import Resize
from arboretum_tools.store import plans
from arboretum_tools.store.layout import read_config
from arboretum_tools.store.lock import Task


@dataclass(frozen=True)
class TaskSpec(TaskOptions):
    """One share of a download; picklable and JSON-able. The other options are those of `download`.

    Attributes:
        images: folder of the store, which holds the plan.
        plan_id: the plan, as `save_plan` names it.
        task_id: 0 to `num_tasks` - 1.
        num_tasks: how many tasks share the plan; each byte budget of a host is divided by it.
    """

    images: str
    plan_id: str
    task_id: int
    num_tasks: int

    def to_dict(self) -> dict[str, Any]:
        """The same, JSON-able."""
        options = [entry.name for entry in declared(TaskOptions)]
        return {name: getattr(self, name) for name in (*_OWN, *options)}

    @classmethod
    def from_dict(cls, payload: Mapping[str, Any]) -> Self:
        """The spec that `to_dict` gave, through JSON or not.

        Raises:
            UsageError: it is none.
        """
        try:
            return cls(**payload)
        except TypeError as error:
            raise UsageError(f"not a task: {error}") from error

    @property
    def options(self) -> DownloadOptions:
        """How the task fetches: its share of the byte budgets is its own."""
        if self.origin is not None or self.num_tasks == 1:
            return DownloadOptions.of(self)
        # Each keeps to its share by itself, because machines need not see each other's state folder.
        name = f"{STATIC_HOST}-task-{self.task_id}-of-{self.num_tasks}.json"
        return DownloadOptions.of(
            self, allowance=ByteAllowance().divided(self.num_tasks), budget_path=state_folder() / name
        )


_OWN = ("images", "plan_id", "task_id", "num_tasks")


def run_task(spec: TaskSpec, *, on_event: OnEvent = ignore) -> DownloadReport:
    """Does one share of a download; done again, it does what is left.

    Returns:
        The report, whose counts are those of this task's photos.

    Raises:
        StoreError: the store has no such plan, or other downloads than tasks of this set write into it.
        ArboretumError: as of `download`.

    >>> import arboretum_tools as at
    >>> owls = at.open_catalog("catalog").select("Strigiformes")
    >>> plan = at.save_plan(owls, images="planned", size="small")
    >>> reports = [at.run_task(at.TaskSpec("planned", plan.plan_id, task, 2)) for task in range(2)]
    >>> sum(report.requested for report in reports) == plan.requested
    True
    """
    from arboretum_tools.downloading import run

    return run.run(_job(spec, on_event), Stopper())


def plan_task(spec: TaskSpec, *, on_event: OnEvent = ignore) -> DownloadEstimate:
    """What `run_task` would do with the same spec (`--dry-run`); changes nothing and asks no host.

    Raises:
        StoreError: the store has no such plan, or is damaged.

    >>> import arboretum_tools as at
    >>> owls = at.open_catalog("catalog").select("Strigiformes")
    >>> plan = at.save_plan(owls, images="planned", size="small")
    >>> at.plan_task(at.TaskSpec("planned", plan.plan_id, 0, 1)).requested == plan.requested
    True
    """
    from arboretum_tools.downloading import run

    return run.plan_only(_job(spec, on_event))


def _job(spec: TaskSpec, on_event: OnEvent) -> Job:
    task = Task(spec.task_id, spec.num_tasks)
    images = Path(spec.images)
    config = read_config(images)
    return Job(
        photos=plans.of_saved(images, spec.plan_id),
        images=images,
        size=config.size,
        resize=None if config.resize is None else Resize(**config.resize),
        options=spec.options,
        yes=True,  # asked when the plan was saved
        task=task,
        on_event=on_event,
    )
