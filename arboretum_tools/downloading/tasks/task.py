"""The unit of work of every download, as a value: what a process, a Slurm array or any other scheduler gets.

A task fetches the photos of a saved plan whose id leaves its number when divided by the number of tasks, into
shards whose numbers do the same. So tasks share nothing but the store; one that died is started again with
the same spec, and does what is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from arboretum_tools.downloading.network.budget import SYNC_BYTES, ByteAllowance, state_folder
from arboretum_tools.downloading.network.urls import STATIC_HOST
from arboretum_tools.downloading.options import DownloadOptions
from arboretum_tools.errors import UsageError
from arboretum_tools.options import declared
from arboretum_tools.options.download import TaskOptions
from arboretum_tools.store.storage.lock import Task


@dataclass(frozen=True)
class TaskSpec(DownloadOptions):
    """One task of a download; picklable and JSON-able. The other options are those of `download`.

    Attributes:
        images: folder of the store, which holds the plan.
        plan_id: the plan, as `save_plan` names it.
        task_id: 0 to `num_tasks` - 1.
        num_tasks: how many tasks share the plan.
        one_machine: whether all of them run side by side on one machine, and share its cores, the
            connections, and the user's byte budget of a host. Otherwise each has its connections for itself,
            and an equal part of the budget.
    """

    images: str
    plan_id: str
    task_id: int
    num_tasks: int
    one_machine: bool = field(default=False, kw_only=True)

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
    def writer(self) -> Task:
        """Which of the writers of its store it is.

        Raises:
            UsageError: there is no task of this number.
        """
        return Task(self.task_id, self.num_tasks)

    @property
    def side_by_side(self) -> int:
        """How many tasks share the machine, this one included."""
        return self.num_tasks if self.one_machine else 1

    def own_options(self) -> DownloadOptions:
        """How it fetches: with its own part of connections and byte budget."""
        tasks, allowance = self.num_tasks, self.allowance
        if self.one_machine:
            more, rest = divmod(self.connections, tasks)
            # They keep the budget in one file; what the others have not written down yet is held back.
            unwritten = SYNC_BYTES * (tasks - 1)
            return DownloadOptions.of(
                self,
                connections=more + (self.task_id < rest),
                allowance=ByteAllowance(allowance.hour_bytes - unwritten, allowance.day_bytes - unwritten),
            )
        if tasks == 1 or self.rules.origin is not None:
            return DownloadOptions.of(self)
        # Each keeps to its part by itself, because machines need not see each other's state folder.
        name = f"{STATIC_HOST}-task-{self.task_id}-of-{tasks}.json"
        return DownloadOptions.of(self, allowance=allowance.divided(tasks), budget_path=state_folder() / name)


_OWN = ("images", "plan_id", "task_id", "num_tasks", "one_machine")
