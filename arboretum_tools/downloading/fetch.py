"""Getting one photo over HTTP: ask, follow, judge, wait, ask again."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from types import TracebackType
from typing import Self

from arboretum_tools.downloading.client import HttpClient, Reply, UnreachedError, UntrustedError, WireError
from arboretum_tools.downloading.limiter import HostLimiter, parse_retry_after
from arboretum_tools.downloading.options import DownloadOptions
from arboretum_tools.downloading.proxy import Proxy, proxy_for
from arboretum_tools.downloading.urls import STATIC_HOST, AddressRefusedError, base_url_of, variant
from arboretum_tools.downloading.verify import THROTTLING, Answer, Verdict, judge
from arboretum_tools.errors import BadInputError
from arboretum_tools.events import Note, OnEvent, ignore
from arboretum_tools.store.layout import MAX_IMAGE_BYTES
from arboretum_tools.store.record import PhotoRecord

#: Redirects that are followed for one request.
MOST_REDIRECTS = 3

# Seconds without a byte after which an answer is given up.
_READ_S = 30.0
# States for which another spelling of the extension is asked for.
_NOT_THERE = frozenset({"gone", "forbidden"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

#: Seconds for which a host that is too busy, or that answered before and can no longer be reached, is waited
#: for in all before it serves something again.
UNWELL_S = 3600.0

# Pauses of so many seconds or more are told.
_TELL_S = 10.0
# Of what is written down about a photo's error; a server may say 64 KiB.
_MOST_SAID = 500


@dataclass(slots=True)
class _Host:
    """A host of photos.

    Attributes:
        base_url: its `scheme://host[:port]`.
        asked_at: the same after any origin override.
        proxy: through which it is asked; None = directly.
        pace: at which it is asked.
    """

    base_url: str
    asked_at: str
    proxy: Proxy | None
    pace: HostLimiter


class _OutageTimer:
    """The seconds that the requests for one photo may still take; waits between them are not counted."""

    __slots__ = ("left_s",)

    def __init__(self, left_s: float) -> None:
        self.left_s = left_s


class Fetcher:
    """Fetches photos of one size; an async context manager that holds the connections.

    Attributes:
        connected: whether any host, or a proxy for it, has accepted a connection yet.
    """

    def __init__(self, size: str, options: DownloadOptions, on_event: OnEvent = ignore) -> None:
        """Opens nothing yet.

        Args:
            size: one of `vocab.PHOTO_SIZES`.
            options: how to behave.
            on_event: gets a Note when the byte budget of a host is used up, and when a host is left alone.
        """
        self._on_event = on_event
        self._budget = options.budget()
        # Until when nothing more is said about a host that everyone waits for, by place.
        self._said_until: dict[str, float] = {}
        self._size = size
        self._options = options
        self._rules = options.rules
        self._hosts: dict[str, _Host] = {}
        self._headers = {
            "User-Agent": options.user_agent,
            "Accept": "image/*",
            "Accept-Encoding": "identity",
        }
        self._now = monotonic
        self._client: HttpClient | None = None

    async def __aenter__(self) -> Self:
        # What the client is told is the loop's time.
        self._now = asyncio.get_running_loop().time
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

    async def fetch(self, photo_id: int, ext: str, url: str | None) -> tuple[PhotoRecord, bytes | None]:
        """What becomes of one photo: its record and, if that is `ok`, its bytes.

        Whatever the host does ends in a record, never in an exception. Takes at most `deadline_s` of
        requests, and between them waits that are bounded by `RetryPolicy` and, in all, by `UNWELL_S`.

        Raises:
            BadInputError: it is not this photo: a host has been too busy or out of reach for too long, the
                proxy refuses, or this process may not open so many connections.
        """
        try:
            asked = self._rules.photo(photo_id, ext, url, self._size)
        except AddressRefusedError as error:
            return _record(photo_id, Verdict("invalid", str(error)), 0, url or ""), None
        most, patience = self._options.attempts, _OutageTimer(self._options.deadline_s)
        answer, verdict, attempts = await self._pursue(asked, most, patience)
        if verdict.status in _NOT_THERE and attempts < most and (other := variant(asked)) is not None:
            again, second, more = await self._pursue(other, most - attempts, patience)
            attempts += more
            # Of two addresses that have nothing the first one tells more: it is what the metadata say.
            if second.image is not None:
                answer, verdict = again, second
        if answer is None or verdict.image is None:
            return _record(photo_id, verdict, attempts, asked, answer), None
        record = PhotoRecord.of_image(
            photo_id,
            answer.body,
            verdict.image,
            url=answer.url,
            http_status=answer.http_status,
            attempts=attempts,
            etag=answer.etag,
        )
        return record, answer.body

    async def _pursue(
        self, asked: str, most: int, patience: _OutageTimer
    ) -> tuple[Answer | None, Verdict, int]:
        """Asks for one address until its fate is clear: the answer, the verdict, and how often it asked."""
        answer: Answer | None = None
        verdict = Verdict("failed", "not asked")
        attempt = 0
        while attempt < most and patience.left_s > 0:
            if attempt and not verdict.throttled:
                await asyncio.sleep(self._options.manners.backoff(attempt))
            attempt += 1
            answer, verdict = await self._try(asked, patience)
            if verdict.tries and attempt >= verdict.tries:
                break
        return answer, verdict, attempt

    async def _try(self, url: str, patience: _OutageTimer) -> tuple[Answer | None, Verdict]:
        try:
            answer = await self._ask(url, patience)
        except TimeoutError:
            return None, Verdict("failed", f"not whole within {self._options.deadline_s:g} s", tries=0)
        except UntrustedError as error:
            return None, Verdict("failed", str(error))
        except WireError as error:
            return None, Verdict("failed", str(error), tries=0)
        return answer, judge(answer)

    async def _ask(self, url: str, patience: _OutageTimer) -> Answer:
        for _ in range(MOST_REDIRECTS + 1):
            base_url = base_url_of(url)
            host = self._hosts.get(base_url) or self._host(base_url)
            target = host.asked_at + url[len(base_url) :]
            reply = await self._ask_host(host, target, patience)
            if reply.status not in _REDIRECTS or reply.location is None:
                return _answer(reply, url)
            try:
                url = self._rules.redirect(target, reply.location)
            except AddressRefusedError as error:
                return Answer(reply.status, url, refused=f"redirected to where nothing is asked: {error}")
        return Answer(reply.status, url, refused=f"redirected more than {MOST_REDIRECTS} times")

    async def _ask_host(self, host: _Host, target: str, patience: _OutageTimer) -> Reply:
        """One question to one host, at the pace of that host."""
        pace = host.pace
        while True:
            await pace.enter()
            began = self._now()
            until = began + patience.left_s
            try:
                assert self._client is not None, "a Fetcher is used in an `async with`"
                reply = await self._client.get(target, until, host.proxy)
            except UnreachedError as error:
                if not pace.unreached():
                    # It never answered, so there is nothing to wait for.
                    patience.left_s -= self._now() - began
                    raise
                # The line is down, not this photo. It waits as all others do, and it costs it nothing.
                self._wait_for(host, str(error))
            except BaseException:
                patience.left_s -= self._now() - began
                raise
            else:
                patience.left_s -= self._now() - began
                if reply.status in THROTTLING:
                    pace.throttled(parse_retry_after(reply.retry_after))
                    self._wait_for(host, f"it is too busy (HTTP {reply.status})")
                elif reply.status < 500:
                    pace.answered(len(reply.body or b""))
                return reply
            finally:
                pace.leave()

    def _wait_for(self, host: _Host, why: str) -> None:
        """Says that a host is left alone, and ends the run where that has gone on for too long."""
        base_url, pace = host.base_url, host.pace
        if pace.unwell_s > UNWELL_S:
            raise BadInputError(
                f"{base_url} has served nothing for {pace.unwell_s / 60:.0f} min: {why}; what came is kept",
                hint="Look at the network (`arboretum doctor`), wait where the host is busy, and run the "
                "same command again: it goes on where it stopped.",
            )
        self._tell(pace.pause_s, f"{base_url} is left alone, {why}; waiting", base_url)

    def _host(self, base_url: str) -> _Host:
        """A host that was not asked before."""
        asked_at = base_url_of(self._rules.target(f"{base_url}/"))
        budget = self._budget if base_url == f"https://{STATIC_HOST}" else None
        pace = HostLimiter(
            self._options.manners, self._options.connections, budget=budget, on_wait=self._say_budget
        )
        host = self._hosts[base_url] = _Host(base_url, asked_at, proxy_for(f"{asked_at}/"), pace)
        return host

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


def _answer(reply: Reply, url: str) -> Answer:
    etag = reply.etag
    if etag is not None:
        # A header may hold any bytes, which come as lone surrogates.
        etag = etag.removeprefix("W/").strip('"')[:200].encode("ascii", "backslashreplace").decode()
    if reply.body is None:
        refused = f"larger than {MAX_IMAGE_BYTES // 2**20} MiB"
        return Answer(reply.status, url, etag=etag, refused=refused)
    encoding = (reply.encoding or "").strip().lower()
    return Answer(reply.status, url, reply.body, etag, encoding)


def _record(
    photo_id: int, verdict: Verdict, attempts: int, url: str, answer: Answer | None = None
) -> PhotoRecord:
    body = answer.body if answer is not None else b""
    return PhotoRecord(
        photo_id=photo_id,
        status=verdict.status,
        http_status=answer.http_status if answer is not None else None,
        error=verdict.error[:_MOST_SAID].encode("utf-8", "backslashreplace").decode(),
        attempts=attempts,
        url=answer.url if answer is not None else url,
        source_bytes=len(body) if body else None,
        source_sha256=hashlib.sha256(body).hexdigest() if body else None,
        etag=answer.etag if answer is not None else None,
        fetched_at=datetime.now(UTC),
    )
