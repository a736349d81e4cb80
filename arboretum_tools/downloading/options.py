"""What decides how a process fetches: the options of a download, its waits and its byte budget."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from arboretum_tools.downloading.fetching.limiter import RetryPolicy
from arboretum_tools.downloading.network.budget import ByteAllowance, ByteBudget, state_folder
from arboretum_tools.downloading.network.urls import STATIC_HOST, AddressRules
from arboretum_tools.options.download import ORIGIN_VARIABLE, TaskOptions
from arboretum_tools.version import __version__


@dataclass(frozen=True, kw_only=True)
class DownloadOptions(TaskOptions):
    """The options of a process that fetches, and what only its own code sets.

    Attributes:
        retry_policy: how long to wait after a fault.
        allowance: bytes that static.inaturalist.org may be asked for.
        budget_path: where what was fetched from there is written down; None = in the user's state folder.
    """

    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    allowance: ByteAllowance = field(default_factory=ByteAllowance)
    budget_path: Path | None = None

    @classmethod
    def of(cls, options: TaskOptions, **own: Any) -> Self:
        """These options, and what is given besides."""
        known = {f.name: getattr(options, f.name) for f in fields(cls) if hasattr(options, f.name)}
        return cls(**known | own)

    @cached_property
    def rules(self) -> AddressRules:
        """Which addresses may be asked; the environment names the origin where the caller does not.

        Raises:
            UsageError: the origin or a host is not one.
        """
        return AddressRules(
            self.origin or os.environ.get(ORIGIN_VARIABLE) or None, frozenset(self.allow_hosts)
        )

    @property
    def user_agent(self) -> str:
        """The honest User-Agent: name, version, and how to reach who downloads, if that was said."""
        name = f"arboretum-tools/{__version__}"
        return f"{name} (+{self.contact})" if self.contact else name

    def budget(self) -> ByteBudget | None:
        """The byte budget of static.inaturalist.org; None where another server is asked in its place."""
        if self.rules.origin is not None and self.budget_path is None:
            return None
        return ByteBudget(self.budget_path or state_folder() / f"{STATIC_HOST}.json", self.allowance)
