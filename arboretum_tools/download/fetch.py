"""Getting one photo over HTTP: ask, follow, judge, wait, ask again. The only module that imports aiohttp."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from arboretum_tools.download.addresses import is_loopback, is_public
from arboretum_tools.download.options import DownloadOptions
from arboretum_tools.download.politeness import HostPace, parse_retry_after
from arboretum_tools.download.urls import STATIC_HOST, AddressRefusedError, AddressRules, place_of, variant
from arboretum_tools.download.verify import Answer, Verdict, judge
from arboretum_tools.events import Note, OnEvent, ignore
from arboretum_tools.store.layout import MAX_IMAGE_BYTES
from arboretum_tools.store.record import PhotoRecord
from arboretum_tools.tables import one_line

#: Redirects that are followed for one request.
MOST_REDIRECTS = 3

_CONNECT_S = 10.0
_READ_S = 30.0
# A medium photo fits, so that its connection is not paused half-way.
_BUFFER_BYTES = 2**18
# The body of an error is read up to here, so that its connection can be used again; above, it is closed.
_ERROR_BODY_BYTES = 2**16
# States for which another spelling of the extension is asked for.
_NOT_THERE = frozenset({"gone", "forbidden"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Fetcher:
    """Fetches photos of one size; an async context manager that holds the connections.

    Attributes:
        reached: whether any host has answered anything yet.
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
        self._session: aiohttp.ClientSession | None = None
        self.reached = False

    async def __aenter__(self) -> Self:
        options = self._options
        resolver = None if self._rules.origin else PublicResolver(self._rules)
        read_s = min(_READ_S, options.deadline_s)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=options.connections, resolver=resolver, ttl_dns_cache=300),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=read_s),
            headers={"User-Agent": options.user_agent, "Accept": "image/*", "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=_BUFFER_BYTES,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()
        if self._budget is not None and f"https://{STATIC_HOST}" in self._paces:
            self._budget.sync()

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
            async with asyncio.timeout(within_s):
                answer = await self._ask(url)
        except TimeoutError as error:
            # aiohttp's own say which time-out it was; ours, the deadline's, says nothing.
            said = str(error) or f"not whole within {self._options.deadline_s:g} s"
            return None, Verdict("failed", said, tries=0)
        except AddressRefusedError as error:
            return None, Verdict("invalid", str(error))
        except (aiohttp.ClientError, OSError) as error:
            return None, Verdict("failed", _in_words(error), tries=0)
        return answer, judge(answer)

    async def _ask(self, url: str) -> Answer:
        assert self._session is not None, "a Fetcher is used in an `async with`"
        for _ in range(MOST_REDIRECTS + 1):
            target = self._rules.target(url)
            async with self._session.get(
                target, allow_redirects=False, proxy=self._proxy(target)
            ) as response:
                self.reached = True
                headers = response.headers
                if response.status not in _REDIRECTS or "Location" not in headers:
                    return await _read(response, url)
                status = response.status
                try:
                    url = self._rules.redirect(target, headers["Location"])
                except AddressRefusedError as error:
                    return Answer(status, url, refused=f"redirected to where nothing is asked: {error}")
        return Answer(status, url, refused=f"redirected more than {MOST_REDIRECTS} times")

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
        """The proxy that the environment names for a host, looked up once (aiohttp would at each request)."""
        place = place_of(target)
        if place not in self._proxies:
            parts = urlsplit(target)
            host = parts.hostname or ""
            direct = is_loopback(host) or proxy_bypass(host)
            self._proxies[place] = None if direct else getproxies().get(parts.scheme)
        return self._proxies[place]


async def _read(response: aiohttp.ClientResponse, url: str) -> Answer:
    headers = response.headers
    status, length = response.status, response.content_length
    etag = headers.get("ETag")
    if etag is not None:
        # A header may hold any bytes, which aiohttp gives as lone surrogates.
        etag = etag.removeprefix("W/").strip('"')[:200].encode("ascii", "backslashreplace").decode()
    if status != 200:
        if length is not None and length <= _ERROR_BODY_BYTES:
            await response.read()
        return Answer(status, url, etag=etag, retry_after=headers.get("Retry-After"))
    encoding = headers.get("Content-Encoding", "").strip().lower()
    if length is None:
        body = await _read_bounded(response)
    else:
        body = await response.read() if length <= MAX_IMAGE_BYTES else None
    if body is None:
        # Closed, not read to its end.
        response.close()
        return Answer(status, url, etag=etag, refused=f"larger than {MAX_IMAGE_BYTES // 2**20} MiB")
    return Answer(status, url, body, etag, encoding)


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes | None:
    """A body that does not tell its length; None if it is larger than any photo."""
    pieces: list[bytes] = []
    total = 0
    async for piece in response.content.iter_any():
        total += len(piece)
        if total > MAX_IMAGE_BYTES:
            return None
        pieces.append(piece)
    return b"".join(pieces)


def _in_words(error: Exception) -> str:
    """What went wrong on the wire, without aiohttp's inner names."""
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the connection ended before the whole body had come"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the host closed the connection without an answer"
    said = one_line(error)[:200] or type(error).__name__
    return said if isinstance(error, aiohttp.ClientConnectionError) else f"{type(error).__name__}: {said}"


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


class PublicResolver(AbstractResolver):
    """Resolves names, and refuses photo hosts that lead to loopback, private or link-local addresses.

    Other names pass: a proxy that the environment names may well be private.
    """

    def __init__(self, rules: AddressRules) -> None:
        self._hosts = rules.hosts
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The public addresses of `host`.

        Raises:
            AddressRefusedError: it has only others.
        """
        found = await self._resolver.resolve(host, port, family)
        if host.lower() not in self._hosts:
            return found
        public = [one for one in found if is_public(one["host"])]
        if not public:
            raise AddressRefusedError(f"{host} leads to the address {found[0]['host']}, which is not public")
        return public

    async def close(self) -> None:
        """Closes nothing: the resolver has no connection."""
        await self._resolver.close()
