"""One share of a download as a value: what a Slurm array, a process pool or any other scheduler hands out.

A task fetches the photos of a saved plan whose id leaves its number when divided by the number of tasks, into
shards whose numbers do the same. So tasks share nothing but the folder; one that died is started again with
the same spec, and does what is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from arboretum_tools.downloading.budget import state_folder
from arboretum_tools.downloading.cancel import Stopper
from arboretum_tools.downloading.estimate import DownloadEstimate
from arboretum_tools.downloading.job import Job
from arboretum_tools.downloading.options import DownloadOptions, address_rules
from arboretum_tools.downloading.report import DownloadReport
from arboretum_tools.downloading.urls import STATIC_HOST
from arboretum_tools.errors import UsageError
from arboretum_tools.events import OnEvent, ignore
from arboretum_tools.resize import Resize
from arboretum_tools.store import plans
from arboretum_tools.store.layout import read_config
from arboretum_tools.store.lock import Task


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One share of a download; picklable and JSON-able.

    Attributes:
        images: folder of the store, which holds the plan.
        plan_id: the plan, as `save_plan` names it.
        task_id: 0 to `num_tasks` - 1.
        num_tasks: how many tasks share the plan; each byte budget of a host is divided by it.
        origin: as of `download`, as are the others.
        connections: photos that this task fetches at the same time.
        attempts: requests for one photo at most.
        deadline_s: seconds for all requests for one photo.
        retry: states that are tried again.
        max_failure_rate: share of failures that is put up with, of this task's photos.
        contact: stands in the User-Agent.
        allow_hosts: hosts besides those of iNaturalist.
    """

    images: str
    plan_id: str
    task_id: int
    num_tasks: int
    origin: str | None = None
    connections: int = 32
    attempts: int = 5
    deadline_s: float = 60.0
    retry: tuple[str, ...] = ("failed",)
    max_failure_rate: float = 0.05
    contact: str | None = None
    allow_hosts: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The same, JSON-able."""
        return asdict(self)

    @classmethod
    def from_dict(cls, payload: Mapping[str, Any]) -> Self:
        """The spec that `to_dict` gave, through JSON or not.

        Raises:
            UsageError: it is none.
        """
        try:
            spec = cls(**payload)
        except TypeError as error:
            raise UsageError(f"not a task: {error}") from error
        return replace(spec, retry=tuple(spec.retry), allow_hosts=tuple(spec.allow_hosts))


def run_task(spec: TaskSpec, *, on_event: OnEvent = ignore) -> DownloadReport:
    """Does one share of a download; done again, it does what is left.

    Returns:
        The report, whose counts are those of this task's photos.

    Raises:
        StoreError: the store has no such plan, or other downloads than tasks of this set write into it.
        ArboretumError: as of `download`.
    """
    from arboretum_tools.downloading import run

    return run.run(_job(spec, on_event), Stopper())


def plan_task(spec: TaskSpec, *, on_event: OnEvent = ignore) -> DownloadEstimate:
    """What `run_task` would do with the same spec (`--dry-run`); changes nothing and asks no host.

    Raises:
        StoreError: the store has no such plan, or is damaged.
    """
    from arboretum_tools.downloading import run

    return run.plan_only(_job(spec, on_event))


def _job(spec: TaskSpec, on_event: OnEvent) -> Job:
    task = Task(spec.task_id, spec.num_tasks)
    images = Path(spec.images)
    config = read_config(images)
    options = DownloadOptions(
        connections=spec.connections,
        attempts=spec.attempts,
        deadline_s=spec.deadline_s,
        retry=spec.retry,
        max_failure_rate=spec.max_failure_rate,
        contact=spec.contact,
        rules=address_rules(spec.origin, spec.allow_hosts),
    )
    if options.rules.origin is None and task.of > 1:
        # Each keeps to its share by itself, because machines need not see each other's state folder.
        options = replace(
            options,
            allowance=options.allowance.divided(task.of),
            budget_path=state_folder() / f"{STATIC_HOST}-task-{task.number}-of-{task.of}.json",
        )
    return Job(
        photos=plans.of_saved(images, spec.plan_id),
        images=images,
        size=config.size,
        resize=None if config.resize is None else Resize(**config.resize),
        options=options,
        yes=True,  # asked when the plan was saved
        task=task,
        on_event=on_event,
    )
