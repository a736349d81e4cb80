"""How a download behaves, checked when it is built."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from arboretum_tools.downloading.budget import SYNC_BYTES, ByteAllowance, ByteBudget, state_folder
from arboretum_tools.downloading.limiter import RetryPolicy
from arboretum_tools.downloading.urls import STATIC_HOST, AddressRules
from arboretum_tools.errors import UsageError
from arboretum_tools.store.layout import check_retry
from arboretum_tools.version import __version__

#: Names the origin where the caller does not.
ORIGIN_VARIABLE = "ARBORETUM_ORIGIN"

_PRINTABLE = re.compile(r"[\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class DownloadOptions:
    """How a download behaves.

    Attributes:
        connections: photos that are fetched at the same time, 1 to 256.
        attempts: requests for one photo at most, 1 or more.
        deadline_s: seconds that all requests for one photo may take together, waits between them not
            counted.
        retry: states that are tried again besides `pending`.
        max_failure_rate: share of (forbidden + invalid + failed) above which a run is an error, 0 to 1.
        contact: how the operators of the host can reach who downloads; stands in the User-Agent.
        rules: which addresses may be asked.
        manners: how long to wait.
        allowance: bytes that static.inaturalist.org may be asked for.
        budget_path: where what was fetched from there is written down; None = in the user's state folder.
    """

    connections: int = 32
    attempts: int = 5
    deadline_s: float = 60.0
    retry: tuple[str, ...] = ("failed",)
    max_failure_rate: float = 0.05
    contact: str | None = None
    rules: AddressRules = field(default_factory=AddressRules)
    manners: RetryPolicy = field(default_factory=RetryPolicy)
    allowance: ByteAllowance = field(default_factory=ByteAllowance)
    budget_path: Path | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.connections <= 256:
            raise UsageError(f"connections must be 1 to 256, not {self.connections}")
        if self.attempts < 1:
            raise UsageError(f"attempts must be 1 or more, not {self.attempts}")
        if not self.deadline_s > 0:
            raise UsageError(f"the deadline must be more than 0 seconds, not {self.deadline_s}")
        if not 0 <= self.max_failure_rate <= 1:
            raise UsageError(f"the failure rate must be 0 to 1, not {self.max_failure_rate}")
        if self.contact is not None and not _PRINTABLE.fullmatch(self.contact):
            raise UsageError(f"the contact must be one line of ASCII, not {self.contact!r}")
        check_retry(self.retry)

    @property
    def user_agent(self) -> str:
        """The honest User-Agent: name, version, and how to reach who downloads, if that was said."""
        name = f"arboretum-tools/{__version__}"
        return f"{name} (+{self.contact})" if self.contact else name

    def shared(self, number: int, processes: int) -> Self:
        """The options of one of so many processes of a download, which share connections and budget.

        What the host sees stays the same. They keep the budget in one file; what the others have not
        written down yet is held back.
        """
        more, rest = divmod(self.connections, processes)
        unwritten = SYNC_BYTES * (processes - 1)
        allowance = ByteAllowance(self.allowance.hour_bytes - unwritten, self.allowance.day_bytes - unwritten)
        return replace(self, connections=more + (number < rest), allowance=allowance)

    def budget(self) -> ByteBudget | None:
        """The byte budget of static.inaturalist.org; None where another server is asked in its place."""
        if self.rules.origin is not None and self.budget_path is None:
            return None
        return ByteBudget(self.budget_path or state_folder() / f"{STATIC_HOST}.json", self.allowance)


def address_rules(origin: str | None, allow_hosts: Iterable[str]) -> AddressRules:
    """The rules for addresses, with the origin of the environment where none is given.

    Raises:
        UsageError: the origin or a host is not one.
    """
    return AddressRules(origin or os.environ.get(ORIGIN_VARIABLE) or None, frozenset(allow_hosts))
