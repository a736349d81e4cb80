"""Asking hosts, each at its own pace, and telling a photo's trouble from its host's.

A photo that fails while others are served is in trouble itself. Where different photos fail and none is
served in between, it may be the host. It is then asked for a photo that it is known to have served, in this
run or an earlier one; where none is known, for a few other photos after a pause. A host that fails is left
alone, for longer each time, and no photo is spent on it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Self

from arboretum_tools.downloading.fetching.limiter import IN_A_ROW, HostLimiter, parse_retry_after
from arboretum_tools.downloading.fetching.photo_queue import Fetch
from arboretum_tools.downloading.fetching.verify import THROTTLING
from arboretum_tools.downloading.network.client import HttpClient
from arboretum_tools.downloading.network.exchange import Reply, UnreachedError, UntrustedError, WireError
from arboretum_tools.downloading.network.proxy import Proxy, proxy_for
from arboretum_tools.downloading.network.urls import STATIC_HOST, AddressRefusedError, base_url_of
from arboretum_tools.downloading.options import DownloadOptions
from arboretum_tools.errors import BadInputError
from arboretum_tools.events import Note, OnEvent

#: The addresses of photos that hosts have served before, by their `scheme://host[:port]`.
Served = Callable[[], Mapping[str, str]]

#: Seconds for which a host that is too busy, or that answered before and can no longer be reached, is waited
#: for in all before it serves something again.
UNWELL_S = 3600.0

# Seconds without a byte after which an answer is given up.
_READ_S = 30.0

#: So often one photo is asked for that does not come whole in time.
TIMEOUTS = 2

# Photos that failed before are asked for so many seconds later than others that wait for the same host.
_LATE_S = 0.02

# What tells that it is the network, where no host was ever reached: so many requests for one photo, so many
# seconds, or so many photos that were given up. A host that accepts a connection and then says nothing is
# there; what is left of a download may well begin with ten photos at which it stalls.
_REACHES, _REACH_S, _UNREACHED = 3, 3.0, 10

# Pauses of so many seconds or more are told.
_TELL_S = 10.0


class LaterError(Exception):
    """The host is not asked now, for `wait_s` seconds; it does not count against the photo. Internal."""

    def __init__(self, wait_s: float) -> None:
        super().__init__()
        self.wait_s = wait_s


@dataclass(slots=True)
class Host:
    """A host of photos.

    Attributes:
        base_url: its `scheme://host[:port]`.
        asked_at: the same after any origin override.
        proxy: through which it is asked; None = directly.
        pace: at which it is asked.
        served: address of a photo that it has served; None = none is known.
        looked_up: whether the store was asked for one.
    """

    base_url: str
    asked_at: str
    proxy: Proxy | None
    pace: HostLimiter
    served: str | None = None
    looked_up: bool = False


class Hosts:
    """The hosts of photos; an async context manager that holds the connections to them.

    Attributes:
        connected: whether any host, or a proxy for it, has accepted a connection yet.
    """

    def __init__(self, options: DownloadOptions, on_event: OnEvent, served: Served) -> None:
        """Opens nothing yet.

        Args:
            options: how to behave.
            on_event: gets a Note when the byte budget of a host is used up, and when a host is left alone.
            served: looks up photos that came in earlier runs; called when a host is in doubt.
        """
        self._on_event = on_event
        self._budget = options.budget()
        # Until when nothing more is said about a host that everyone waits for, by place.
        self._said_until: dict[str, float] = {}
        self._options = options
        self._rules = options.rules
        self._served = served
        self._hosts: dict[str, Host] = {}
        # Photos that were given up without a connection, while no host was ever reached.
        self._unreached = 0
        self._headers = {
            "User-Agent": options.user_agent,
            "Accept": "image/*",
            "Accept-Encoding": "identity",
        }
        self._now = monotonic
        self._began = 0.0
        self._client: HttpClient | None = None

    async def __aenter__(self) -> Self:
        # What the client is told is the loop's time.
        self._now = asyncio.get_running_loop().time
        self._began = self._now()
        self._client = HttpClient(
            self._rules,
            self._headers,
            read_s=min(_READ_S, self._options.deadline_s),
            connections=self._options.connections,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.close()
        if self._budget is not None and f"https://{STATIC_HOST}" in self._hosts:
            self._budget.sync()

    @property
    def connected(self) -> bool:  # noqa: D102 - told above
        return self._client is not None and self._client.connected

    def release(self) -> None:
        """The body that this task was given last is written or dropped; large ones wait for its memory."""
        if self._client is not None:
            self._client.body_memory.release()

    def of(self, url: str) -> Host:
        """The host of an address that passed the rules."""
        base_url = base_url_of(url)
        host = self._hosts.get(base_url)
        if host is None:
            asked_at = base_url_of(self._rules.target(f"{base_url}/"))
            budget = self._budget if base_url == f"https://{STATIC_HOST}" else None
            options = self._options
            pace = HostLimiter(
                options.retry_policy, options.connections, budget=budget, on_wait=self._say_budget
            )
            host = self._hosts[base_url] = Host(base_url, asked_at, proxy_for(f"{asked_at}/"), pace)
        return host

    async def ask(self, host: Host, target: str, photo: Fetch) -> Reply:
        """One question to one host, at the pace of that host.

        Raises:
            LaterError: it is not asked now, or it is the host that fails.
            TimeoutError, WireError: no whole answer came.
        """
        pace = host.pace
        wait_s = await pace.enter(photo.photo_id)
        if wait_s > 0:
            raise _later(photo, wait_s)
        began = self._now()
        try:
            if pace.in_doubt:
                await self._look_at(host, photo)
            began = self._now()
            try:
                reply = await self._get(host, target, photo.left_s, pace.patience_s(photo.timeouts))
            except UnreachedError as error:
                if pace.unreached():
                    # The line is down, not this photo.
                    self._wait_for(host, str(error))
                    raise _later(photo, pace.pause_s) from error
                self._check_reach(photo, error)
                raise
            except (TimeoutError, WireError) as error:
                last = photo.attempts + 1 >= self._options.attempts
                late = isinstance(error, TimeoutError)
                if late:
                    last = last or photo.here + 1 >= TIMEOUTS
                    error = TimeoutError(str(error) or f"not whole within {self._options.deadline_s:g} s")
                # What a host does not answer that never served anything tells nothing.
                if await self._known(host) is not None:
                    await self._suspect(host, photo, str(error), last=last)
                photo.timeouts += late
                raise error from None
            if reply.status >= 500 or reply.status in THROTTLING:
                why = f"it is too busy (HTTP {reply.status})" if reply.status in THROTTLING else ""
                last = photo.attempts + 1 >= self._options.attempts
                await self._suspect(host, photo, why or f"HTTP {reply.status}", reply, last=last)
            else:
                seconds = self._now() - began if reply.status == 200 else None
                pace.answered(len(reply.body or b""), seconds, waited=photo.put_off_s is not None)
                photo.put_off_s = None
        except LaterError:
            raise
        except BaseException:
            photo.left_s -= self._now() - began
            raise
        else:
            photo.left_s -= self._now() - began
            return reply
        finally:
            pace.leave(photo.photo_id)

    async def _suspect(
        self, host: Host, photo: Fetch, why: str, reply: Reply | None = None, *, last: bool
    ) -> None:
        """A photo failed in a way that may be the photo's own trouble or its host's.

        Args:
            host: that was asked.
            photo: that failed.
            why: in words.
            reply: what it answered; None = nothing that is whole.
            last: whether the photo is given up if it is the photo's trouble.

        Raises:
            LaterError: it may well be the host's.
        """
        pace = host.pace
        after_s = None if reply is None else parse_retry_after(reply.retry_after)
        if after_s is not None:
            after_s = min(after_s, self._options.retry_policy.most_retry_after_s)
        photo.put_off_s = after_s
        alone = photo.failed_after is not None and pace.answers > photo.failed_after
        photo.failed_after = pace.answers
        doubted = pace.in_doubt
        if alone and not doubted:
            pace.failed_alone(after_s)
            return
        throttling = reply is not None and reply.status in THROTTLING
        if pace.failed(photo.photo_id, after_s, throttling=throttling):
            self._wait_for(host, why)
        known = await self._known(host) is not None
        if doubted and not known and pace.probed(photo.photo_id, after_s):
            self._wait_for(host, why)
        if not doubted and known and last:
            # Before it is given up: nothing else was served since it failed first.
            doubted = pace.in_doubt = True
        if doubted:
            raise _later(photo, max(pace.pause_s, self._options.retry_policy.backoff(1)))

    async def _look_at(self, host: Host, photo: Fetch) -> None:
        """Asks a host that is in doubt for a photo that it has served before.

        Raises:
            LaterError: it does not serve it, either.
        """
        pace, address = host.pace, await self._known(host)
        after_s = None
        if address is not None:
            target = host.asked_at + address[len(host.base_url) :]
            try:
                reply = await self._get(host, target, self._options.deadline_s, pace.patience_s(1))
            except TimeoutError:
                why = "it does not answer"
            except WireError as error:
                why = str(error)
            else:
                if reply.status < 500 and reply.status not in THROTTLING:
                    pace.answered(len(reply.body or b""))
                    return
                after_s = parse_retry_after(reply.retry_after)
                busy = reply.status in THROTTLING
                why = f"it is too busy (HTTP {reply.status})" if busy else f"HTTP {reply.status}"
        elif pace.pauses:
            # Nothing is known of it, so the photo at hand has to show it.
            return
        else:
            why = f"{IN_A_ROW} photos failed in a row"
        pace.throttled(after_s)
        self._wait_for(host, why)
        raise _later(photo, pace.pause_s)

    async def _known(self, host: Host) -> str | None:
        """The address of a photo that a host is known to have served; None where there is none."""
        if host.served is None and not host.looked_up:
            host.looked_up = True
            found = (await asyncio.to_thread(self._served)).get(host.base_url)
            # A store may come from elsewhere.
            with suppress(AddressRefusedError):
                if found is not None and base_url_of(self._rules.check(found)) == host.base_url:
                    host.served = host.served or found
        return host.served

    def _check_reach(self, photo: Fetch, error: UnreachedError) -> None:
        """Ends a run that reaches no host at all."""
        if self.connected:
            return
        last = isinstance(error, UntrustedError) or photo.attempts + 1 >= self._options.attempts
        self._unreached += last
        out_of_reach = photo.attempts + 1 >= _REACHES or self._now() - self._began >= _REACH_S
        if self._unreached >= _UNREACHED or (not last and out_of_reach):
            raise BadInputError(
                f"no host can be reached: {error} ({photo.asked}); what came is kept",
                hint="Check the network, the proxy, the clock, $SSL_CERT_FILE and --origin, and run "
                "the same command again; `arboretum doctor` looks at each of them.",
            )

    def _wait_for(self, host: Host, why: str) -> None:
        """Says that a host is left alone, and ends the run where that has gone on for too long."""
        base_url, pace = host.base_url, host.pace
        if pace.unwell_s > UNWELL_S:
            raise BadInputError(
                f"{base_url} has served nothing for {pace.unwell_s / 60:.0f} min: {why}; what came is kept",
                hint="Look at the network (`arboretum doctor`), wait where the host is busy, and run the "
                "same command again: it goes on where it stopped.",
            )
        self._tell(pace.pause_s, f"{base_url} is left alone, {why}; waiting", base_url)

    async def _get(self, host: Host, target: str, within_s: float, patience_s: float) -> Reply:
        assert self._client is not None, "hosts are asked in an `async with`"
        return await self._client.get(target, self._now() + within_s, host.proxy, patience_s=patience_s)

    def _say_budget(self, wait_s: float) -> None:
        self._tell(
            wait_s, f"{STATIC_HOST}: the byte budget of the hour or day is used up; waiting", STATIC_HOST
        )

    def _tell(self, wait_s: float, what: str, base_url: str) -> None:
        """Says that everyone waits for a host, and for how long."""
        now = monotonic()
        # Every worker comes here; one line for all of them, and again when the wait is over.
        if wait_s < _TELL_S or now < self._said_until.get(base_url, now):
            return
        self._said_until[base_url] = now + wait_s
        long = f"{round(wait_s / 60)} min" if wait_s >= 90 else f"{wait_s:.0f} s"
        self._on_event(Note(f"{what} {long}"))


def _later(photo: Fetch, wait_s: float) -> LaterError:
    # A tenth more at random, so that the photos do not all come back at once. Those that did not fail yet
    # come first: one of them may show that the host is well.
    spread = random.uniform(0.0, 0.1) * wait_s  # noqa: S311 - spreads load, guards nothing
    return LaterError(wait_s + spread + (0.0 if photo.failed_after is None else _LATE_S))
