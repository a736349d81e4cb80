"""Getting one photo over HTTP: ask, follow, judge, wait, ask again."""

from __future__ import annotations

import asyncio
import hashlib
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from arboretum_tools.download.addresses import is_loopback
from arboretum_tools.download.direct import DirectClient
from arboretum_tools.download.http1 import Reply, WireError
from arboretum_tools.download.options import DownloadOptions
from arboretum_tools.download.politeness import HostPace, parse_retry_after
from arboretum_tools.download.urls import STATIC_HOST, AddressRefusedError, place_of, variant
from arboretum_tools.download.verify import Answer, Verdict, judge
from arboretum_tools.events import Note, OnEvent, ignore
from arboretum_tools.store.layout import MAX_IMAGE_BYTES
from arboretum_tools.store.record import PhotoRecord

if TYPE_CHECKING:
    from arboretum_tools.download.proxied import ProxiedClient

#: Redirects that are followed for one request.
MOST_REDIRECTS = 3

# Seconds without a byte after which an answer is given up.
_READ_S = 30.0
# States for which another spelling of the extension is asked for.
_NOT_THERE = frozenset({"gone", "forbidden"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


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
            on_event: gets a Note when the byte budget of a host is used up.
        """
        self._on_event = on_event
        self._budget = options.budget()
        self._said_until = float("-inf")
        self._size = size
        self._options = options
        self._rules = options.rules
        self._paces: dict[str, HostPace] = {}
        self._proxies: dict[str, str | None] = {}
        self._headers = {
            "User-Agent": options.user_agent,
            "Accept": "image/*",
            "Accept-Encoding": "identity",
        }
        self._direct: DirectClient | None = None
        self._proxied: ProxiedClient | None = None

    async def __aenter__(self) -> Self:
        self._direct = DirectClient(
            self._rules, self._headers, read_s=self._read_s, connections=self._options.connections
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in (self._direct, self._proxied):
            if client is not None:
                await client.close()
        if self._budget is not None and f"https://{STATIC_HOST}" in self._paces:
            self._budget.sync()

    @property
    def connected(self) -> bool:  # noqa: D102 - told above
        return any(client is not None and client.connected for client in (self._direct, self._proxied))

    @property
    def _read_s(self) -> float:
        return min(_READ_S, self._options.deadline_s)

    async def fetch(self, photo_id: int, ext: str, url: str | None) -> tuple[PhotoRecord, bytes | None]:
        """What becomes of one photo: its record and, if that is `ok`, its bytes.

        Whatever the host does ends in a record, never in an exception. Takes at most `deadline_s` of
        requests, and between them waits that are bounded by `Manners`.
        """
        try:
            asked = self._rules.photo(photo_id, ext, url, self._size)
        except AddressRefusedError as error:
            return _record(photo_id, Verdict("invalid", str(error)), 0, url or ""), None
        most = self._options.attempts
        answer, verdict, attempts, left_s = await self._pursue(asked, most, self._options.deadline_s)
        if verdict.status in _NOT_THERE and attempts < most and (other := variant(asked)) is not None:
            again, second, more, _ = await self._pursue(other, most - attempts, left_s)
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
        self, asked: str, most: int, left_s: float
    ) -> tuple[Answer | None, Verdict, int, float]:
        """Asks for one address until its fate is clear: the answer, the verdict, requests, seconds left."""
        options = self._options
        answer: Answer | None = None
        verdict = Verdict("failed", "not asked")
        attempt = 0
        pace = self._pace(asked)
        while attempt < most and left_s > 0:
            if attempt and not verdict.throttled:
                await asyncio.sleep(options.manners.backoff(attempt))
            await pace.enter()
            try:
                attempt += 1
                began = time.monotonic()
                answer, verdict = await self._try(asked, left_s)
                left_s -= time.monotonic() - began
                if answer is not None:
                    if verdict.throttled:
                        pace.throttled(parse_retry_after(answer.retry_after))
                    elif answer.http_status < 500:
                        self._pace(answer.url).answered(len(answer.body))
            finally:
                pace.leave()
            if verdict.tries and attempt >= verdict.tries:
                break
        return answer, verdict, attempt, left_s

    async def _try(self, url: str, within_s: float) -> tuple[Answer | None, Verdict]:
        try:
            answer = await self._ask(url, asyncio.get_running_loop().time() + within_s)
        except TimeoutError:
            return None, Verdict("failed", f"not whole within {self._options.deadline_s:g} s", tries=0)
        except AddressRefusedError as error:
            return None, Verdict("invalid", str(error))
        except WireError as error:
            return None, Verdict("failed", str(error), tries=0)
        return answer, judge(answer)

    async def _ask(self, url: str, until: float) -> Answer:
        for _ in range(MOST_REDIRECTS + 1):
            target = self._rules.target(url)
            reply = await self._get(target, until)
            if reply.status not in _REDIRECTS or reply.location is None:
                return _answer(reply, url)
            try:
                url = self._rules.redirect(target, reply.location)
            except AddressRefusedError as error:
                return Answer(reply.status, url, refused=f"redirected to where nothing is asked: {error}")
        return Answer(reply.status, url, refused=f"redirected more than {MOST_REDIRECTS} times")

    async def _get(self, target: str, until: float) -> Reply:
        proxy = self._proxy(target)
        if proxy is None:
            assert self._direct is not None, "a Fetcher is used in an `async with`"
            return await self._direct.get(target, until)
        if self._proxied is None:
            # Not before it is needed: it costs the import of aiohttp.
            from arboretum_tools.download.proxied import ProxiedClient

            self._proxied = ProxiedClient(
                self._rules, self._headers, read_s=self._read_s, connections=self._options.connections
            )
        return await self._proxied.get(target, until, proxy)

    def _pace(self, url: str) -> HostPace:
        place = place_of(url)
        pace = self._paces.get(place)
        if pace is None:
            budget = self._budget if place == f"https://{STATIC_HOST}" else None
            pace = self._paces[place] = HostPace(
                self._options.manners, self._options.connections, budget=budget, on_wait=self._say_budget
            )
        return pace

    def _say_budget(self, wait_s: float) -> None:
        now = time.monotonic()
        # Every worker comes here; one line for all of them, and again when the wait is over.
        if now >= self._said_until:
            self._said_until = now + wait_s
            self._on_event(
                Note(
                    f"{STATIC_HOST}: the byte budget of the hour or day is used up; "
                    f"waiting {max(1, round(wait_s / 60))} min"
                )
            )

    def _proxy(self, target: str) -> str | None:
        """The proxy that the environment names for a host, looked up once."""
        place = place_of(target)
        if place not in self._proxies:
            parts = urlsplit(target)
            host = parts.hostname or ""
            direct = is_loopback(host) or proxy_bypass(host)
            self._proxies[place] = None if direct else getproxies().get(parts.scheme)
        return self._proxies[place]


def _answer(reply: Reply, url: str) -> Answer:
    etag = reply.etag
    if etag is not None:
        # A header may hold any bytes, which come as lone surrogates.
        etag = etag.removeprefix("W/").strip('"')[:200].encode("ascii", "backslashreplace").decode()
    if reply.body is None:
        refused = f"larger than {MAX_IMAGE_BYTES // 2**20} MiB"
        return Answer(reply.status, url, etag=etag, refused=refused)
    encoding = (reply.encoding or "").strip().lower()
    return Answer(reply.status, url, reply.body, etag, encoding, reply.retry_after)


def _record(
    photo_id: int, verdict: Verdict, attempts: int, url: str, answer: Answer | None = None
) -> PhotoRecord:
    body = answer.body if answer is not None else b""
    return PhotoRecord(
        photo_id=photo_id,
        status=verdict.status,
        http_status=answer.http_status if answer is not None else None,
        error=verdict.error.encode("utf-8", "backslashreplace").decode(),
        attempts=attempts,
        url=answer.url if answer is not None else url,
        source_bytes=len(body) if body else None,
        source_sha256=hashlib.sha256(body).hexdigest() if body else None,
        etag=answer.etag if answer is not None else None,
        fetched_at=datetime.now(UTC),
    )
