"""`arboretum download`: photos into an image store."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from arboretum_cli.flags.declared import Given, takes
from arboretum_cli.flags.selection import SelectionFlags, takes_selection
from arboretum_cli.flags.shared import Json, reaches_buckets
from arboretum_cli.printing.output import duration, result, table
from arboretum_cli.printing.progress import Progress
from arboretum_tools.options import Option, declared
from arboretum_tools.options.download import DownloadArguments, TaskOptions
from arboretum_tools.wording import counted, size

if TYPE_CHECKING:
    from arboretum_tools.downloading import DownloadEstimate, DownloadReport


@dataclass(frozen=True, kw_only=True)
class OwnOptions:
    """What `arboretum download` takes besides: which photos, and how much is done of it here."""

    split: Annotated[Path | None, Option("Fetch the photos of this split instead.", metavar="DIR")] = None
    dry_run: Annotated[bool, Option("Say what would be fetched, and fetch nothing.")] = False
    plan_only: Annotated[bool, Option("Save the plan in the store for tasks, and fetch nothing.")] = False
    plan_id: Annotated[
        str | None,
        Option("Fetch what this saved plan of the store asks for.", metavar="ID", flag="plan"),
    ] = None
    task_id: Annotated[int | None, Option("With --plan: which share to fetch, from 0.", metavar="I")] = None
    num_tasks: Annotated[int | None, Option("With --plan: how many shares there are.", metavar="N")] = None


@takes_selection
@takes(options=DownloadArguments, own=OwnOptions)
@reaches_buckets(writes=True)
def download(
    flags: SelectionFlags,
    options: Given,
    own: OwnOptions,
    json: Json = False,
) -> None:
    """Fetch the photos of a selection or a split into an image store, and verify each one.

    After an interruption, the same command continues where it stopped; photos in the store are not fetched
    again. In Python: `arboretum_tools.download(selection, images="images")`.

    A store in a bucket (extra `cloud`): `--images s3://photos/aves --endpoint https://minio.example`.

    \b
    Examples:
        arboretum download --taxa Aves
        arboretum download --taxa Reptilia --license open --dry-run
        arboretum download --taxa Aves --retry failed,forbidden
        arboretum download --split splits/aves-lt100 --images images
        arboretum download --taxa Aves --resize 256 --images images-256
        arboretum download --taxa Aves --processes 4 --connections 64
        arboretum download --taxa Aves --plan-only
        arboretum download --taxa Aves --images s3://photos/aves --scratch /big/disk
    """
    from arboretum_tools import download as fetch
    from arboretum_tools import estimate_download
    from arboretum_tools.downloading import TaskSpec, plan_task, run_task, save_plan
    from arboretum_tools.errors import UsageError
    from arboretum_tools.split import open_split
    from arboretum_tools.store.plans import of_saved
    from arboretum_tools.store.storage import as_named

    split, plan_id, task_id, num_tasks = own.split, own.plan_id, own.task_id, own.num_tasks
    if (task_id is None) != (num_tasks is None) or (task_id is not None and plan_id is None):
        raise UsageError("--task-id, --num-tasks and --plan go together; --plan-only saves a plan")
    if task_id is not None and options.get("processes", 1) != 1:
        raise UsageError("a task is one process: take more tasks instead of --processes")
    if plan_id is not None and (flags.given or split is not None or own.plan_only):
        raise UsageError("--plan names the photos already; leave the selection flags and --split out")
    if own.dry_run and own.plan_only:
        raise UsageError("--dry-run changes nothing, and --plan-only saves a plan: leave one of them out")
    if split is not None:
        flags.refuse_beside("--split")
    images = as_named(options.get("images", DownloadArguments.images))
    if plan_id is not None:
        options |= _of_the_store(images, options)
    with Progress() as progress, _told_all_the_same(json):
        if plan_id is not None and num_tasks is not None and task_id is not None:
            # Size, resize and the question whether so much is meant were settled with the plan.
            names = {entry.name for entry in declared(TaskOptions)}
            told = {name: value for name, value in options.items() if name in names}
            spec = TaskSpec(str(images), plan_id, task_id, num_tasks, **told)
            if own.dry_run:
                plan = plan_task(spec)
                return result(json, plan.to_dict(), _plan_lines(plan))
            report = run_task(spec, on_event=progress)
            return result(json, report.to_dict(), _report_lines(report))
        if plan_id is not None:
            what: Any = of_saved(images, plan_id)
        else:
            what = open_split(split) if split is not None else flags.select(flags.open(progress))
        if own.plan_only:
            plan = save_plan(what, on_event=progress, **options)
            return result(json, plan.to_dict(), _saved_lines(plan))
        if own.dry_run:
            plan = estimate_download(what, on_event=progress, **options)
            return result(json, plan.to_dict(), _plan_lines(plan))
        report = fetch(what, on_event=progress, **options)
    return result(json, report.to_dict(), _report_lines(report))


@contextmanager
def _told_all_the_same(as_json: bool) -> Iterator[None]:
    """Prints the report of a download that ended with too many failures, before the error that says so."""
    from arboretum_tools.downloading import DownloadFailedError

    try:
        yield
    except DownloadFailedError as error:
        result(as_json, error.report.to_dict(), _report_lines(error.report))
        raise


def _of_the_store(images: str | Path, options: Given) -> Given:
    """The options that a store has settled; refuses others, where they are given all the same."""
    from arboretum_tools.downloading.resize import Resize
    from arboretum_tools.errors import UsageError
    from arboretum_tools.store.shards.layout import StoreConfig, check_config, read_config

    config = read_config(images)
    shrunk = config.resize
    if "resize" in options or "resize_filter" in options:
        side: int | None = options.get("resize") or (shrunk["shorter_side"] if shrunk else None)
        if side is None:
            raise UsageError("filter is given without resize, and the store is not resized; leave it out")
        shrunk = Resize(side, options.get("resize_filter", "area")).to_dict()
    check_config(images, StoreConfig(options.get("size", config.size), shrunk))
    if config.resize is None:
        return {"size": config.size, "resize": None}
    return {
        "size": config.size,
        "resize": config.resize["shorter_side"],
        "resize_filter": config.resize["filter"],
    }


def _plan_lines(plan: DownloadEstimate) -> list[str]:
    return [
        plan.english,
        f"{counted(plan.requested, 'photo')} of size {plan.size} asked for; in {plan.store} already: "
        + (
            ", ".join(f"{n:,} {state}" for state, n in plan.by_status.items() if n and state != "pending")
            or "none"
        ),
        f"would fetch {counted(plan.to_fetch, 'photo')}, about {size(plan.size_bytes)}, "
        f"{size(plan.photo_bytes)} each, into about {counted(plan.shards, 'shard')}"
        + (f", {size(plan.kept_bytes)} each when resized" if plan.kept_bytes < plan.photo_bytes else ""),
        f"disk: about {size(plan.disk_bytes)} of {size(plan.free_bytes)} free",
        f"time: about {duration(plan.seconds)} on a line of 100 Mbit/s, answers within 0.1 s"
        + (
            f"; {duration(plan.seconds_measured)} at the speed of the last shard"
            if plan.seconds_measured is not None
            else ""
        ),
        *(
            [
                f"of static.inaturalist.org: {counted(plan.budgeted, 'photo')}; its byte budget has "
                f"{size(plan.budget_left[0])} left in this hour, {size(plan.budget_left[1])} today"
            ]
            if plan.budget_left is not None
            else []
        ),
        *(
            [
                f"{counted(plan.classes or 0, 'class')}; licences: "
                + ", ".join(f"{photos:,} {name}" for name, photos in plan.licenses.items())
            ]
            if plan.licenses is not None
            else []
        ),
        "nothing was fetched (--dry-run)",
    ]


def _saved_lines(plan: DownloadEstimate) -> list[str]:
    store = shlex.quote(str(plan.store))
    return [
        *_plan_lines(plan)[:-1],
        f"saved as plan {plan.plan_id}; nothing was fetched (--plan-only). One share of it is fetched by",
        f"  arboretum download --plan {plan.plan_id} --images {store} --task-id I --num-tasks N",
    ]


def _report_lines(report: DownloadReport) -> list[str]:
    rows = [(state, count) for state, count in report.by_status.items() if count]
    return [
        f"{counted(report.requested, 'photo')} asked for, {report.tried:,} tried, {report.fetched:,} fetched "
        f"({size(report.size_bytes)}) in {duration(report.seconds)} into {report.store}",
        *table(("status", "photos"), rows),
    ]
