"""Where the tasks of a download run: one after the other in this process, or in processes side by side.

An executor carries out task specs and passes on what happens; it returns when every task is done. It decides
nothing about photos, and knows nothing of plans, reports or bars.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from arboretum_tools.downloading.tasks.cancel import Stopper
from arboretum_tools.downloading.tasks.processes import Processes
from arboretum_tools.downloading.tasks.task import TaskSpec
from arboretum_tools.downloading.tasks.worker import opened
from arboretum_tools.events import OnEvent

#: Carries out tasks until all are done, the stopper ends them, or one fails: then it ends all, each with its
#: shard finished, and raises that error. Events of one task come in their order, on the caller's thread.
Executor = Callable[[Sequence[TaskSpec], OnEvent, Stopper], None]


def executor_for(specs: Sequence[TaskSpec]) -> Executor:
    """The executor of some tasks of one machine."""
    return in_this_process if len(specs) == 1 else side_by_side


def in_this_process(specs: Sequence[TaskSpec], on_event: OnEvent, stopper: Stopper) -> None:
    """One task after the other."""
    for spec in specs:
        with opened(spec, on_event) as work:
            stopper.run(work())


def side_by_side(specs: Sequence[TaskSpec], on_event: OnEvent, stopper: Stopper) -> None:
    """One process a task, of which this is the first.

    Raises:
        ProcessDiedError: process after process dies.
    """
    own, *others = specs
    with Processes(others, on_event) as processes, opened(own, on_event) as work:
        stopper.run(processes.beside(work()))
