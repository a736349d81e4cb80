"""What a download did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from arboretum_tools.display import notebook_views
from arboretum_tools.errors import TooManyFailuresError
from arboretum_tools.events import Event, PhotoDone, ShardFinished

#: States that count as a failure; a photo that its owner took down (`gone`) does not.
FAILURES = ("forbidden", "invalid", "failed")


@dataclass(slots=True)
class Tally:
    """What the events of a download, wherever its tasks run, add up to.

    Attributes:
        tried: photos that came to an end.
        fetched: of these, images that were stored.
        size_bytes: bytes of these images.
        shards: that were finished.
    """

    tried: int = 0
    fetched: int = 0
    size_bytes: int = 0
    shards: int = 0

    def add(self, event: Event) -> None:
        """Counts an event."""
        if isinstance(event, PhotoDone):
            self.tried += 1
            self.fetched += event.status == "ok"
            self.size_bytes += event.size_bytes
        elif isinstance(event, ShardFinished):
            self.shards += 1

    def report(
        self, store: str | Path, *, size: str, plan_id: str, by_status: Mapping[str, int], seconds: float
    ) -> DownloadReport:
        """What it comes to: the report of a download that leaves its photos in these states."""
        return DownloadReport(
            store=store,
            size=size,
            plan_id=plan_id,
            requested=sum(by_status.values()),
            by_status=by_status,
            tried=self.tried,
            fetched=self.fetched,
            size_bytes=self.size_bytes,
            shards=self.shards,
            seconds=seconds,
        )


@dataclass(frozen=True, slots=True)
class DownloadReport:
    """What a download did, and where that leaves what was asked for.

    Attributes:
        store: the image store, as it was named.
        size: photo size.
        plan_id: id of the plan in the store's `requests/`.
        requested: photos that were asked for.
        by_status: of these, photos by their state now; every state there is.
        tried: photos that were asked of the host in this run.
        fetched: of these, images that were stored.
        size_bytes: bytes of these images.
        shards: shards that this run finished.
        seconds: how long it took.
    """

    store: str | Path
    size: str
    plan_id: str
    requested: int
    by_status: Mapping[str, int]
    tried: int
    fetched: int
    size_bytes: int
    shards: int
    seconds: float

    @property
    def failures(self) -> int:
        """Photos that are forbidden, invalid or failed."""
        return sum(self.by_status[state] for state in FAILURES)

    @property
    def failure_rate(self) -> float:
        """Share of the photos asked for that failed, 0 to 1."""
        return self.failures / self.requested if self.requested else 0.0

    _repr_html_ = notebook_views.report

    def to_dict(self) -> dict[str, Any]:
        """The same, JSON-able."""
        value = asdict(self) | {"store": str(self.store), "by_status": dict(self.by_status)}
        return value | {"failures": self.failures, "failure_rate": self.failure_rate}


class DownloadFailedError(TooManyFailuresError):
    """A download that ended with more failures than allowed; what came is kept.

    Attributes:
        report: what it did.
    """

    def __init__(self, report: DownloadReport, max_failure_rate: float, reason: str = "") -> None:
        """Says how many and, if told, why most of them.

        Args:
            report: what the download did.
            max_failure_rate: that was put up with.
            reason: the most frequent one, as the index says it.
        """
        causes = ", ".join(f"{report.by_status[s]} {s}" for s in FAILURES if report.by_status[s])
        super().__init__(
            f"{report.failures} of {report.requested} photos could not be had ({causes}"
            + (f"; most often: {reason}" if reason else "")
            + f"), more than the {max_failure_rate:.0%} that --max-failure-rate allows; what came is kept in "
            f"{report.store}",
            hint=f"`arboretum status --images {report.store}` says why. Run the same command again to try "
            "the failed ones, or raise --max-failure-rate.",
        )
        self.report = report
