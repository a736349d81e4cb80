"""Getting one photo over HTTP: ask, follow, judge, and tell when to ask again, if that is worth while."""

from __future__ import annotations

import asyncio
from time import monotonic
from types import TracebackType
from typing import Self

from arboretum_tools.downloading.fetching.hosts import TIMEOUTS, Hosts, LaterError, Served
from arboretum_tools.downloading.fetching.photo_queue import Fetch
from arboretum_tools.downloading.fetching.verify import Answer, Verdict, judge, judge_pixels, record_of
from arboretum_tools.downloading.network.exchange import Reply, UntrustedError, WireError
from arboretum_tools.downloading.network.urls import AddressRefusedError
from arboretum_tools.downloading.options import DownloadOptions
from arboretum_tools.events import OnEvent, ignore
from arboretum_tools.store.shards.layout import TOO_LARGE
from arboretum_tools.store.shards.record import PhotoRecord

#: Redirects that are followed for one request.
MOST_REDIRECTS = 3

# States for which another address is asked.
_NOT_THERE = frozenset({"gone", "forbidden"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

#: A photo's fate: its record and, if that is `ok`, its bytes.
Outcome = tuple[PhotoRecord, bytes | None]


class Fetcher:
    """Fetches photos of one size; an async context manager that holds the connections.

    A photo that fails is not waited for: it is asked for again later, and others meanwhile. Whether photos
    that fail do so for themselves or because of their host is found out by asking for one that the host is
    known to have served.
    """

    def __init__(
        self, size: str, options: DownloadOptions, on_event: OnEvent = ignore, served: Served = dict
    ) -> None:
        """Opens nothing yet.

        Args:
            size: one of `vocab.PHOTO_SIZES`.
            options: how to behave.
            on_event: gets a Note when the byte budget of a host is used up, and when a host is left alone.
            served: looks up photos that came in earlier runs; called when a host is in doubt.
        """
        self._size = size
        self._options = options
        self._rules = options.rules
        self._hosts = Hosts(options, on_event, served)

    async def __aenter__(self) -> Self:
        await self._hosts.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._hosts.__aexit__(kind, error, trace)

    def release(self) -> None:
        """The body that this task was given last is written or dropped; large ones wait for its memory."""
        self._hosts.release()

    def begin(self, photo_id: int, ext: str, url: str | None) -> Fetch:
        """A photo that was not asked for yet."""
        return Fetch(photo_id, ext, url, self._options.deadline_s)

    async def ask(self, photo: Fetch) -> Outcome | None:
        """Asks for a photo, once or, where the first answer leads on, a few times in a row.

        Whatever the host does ends in a record, never in an exception. In all, a photo takes at most
        `deadline_s` of requests, and between them waits that are bounded by `RetryPolicy` and, for its host,
        by `UNWELL_S`.

        Returns:
            What became of it; None if it is to be asked for again, at `photo.due_at`.

        Raises:
            BadInputError: it is not this photo: no host can be reached, one has been too busy or out of reach
                for too long, the proxy refuses, or this process may not open so many connections.
        """
        if not photo.asked:
            try:
                photo.turn_to(self._rules.photo(photo.photo_id, photo.ext, photo.url, self._size))
            except AddressRefusedError as error:
                refused = Verdict("invalid", str(error))
                return record_of(photo.photo_id, refused, url=photo.url or "", attempts=0), None
        while True:
            try:
                answer, verdict = await self._try(photo)
            except LaterError as later:
                photo.due_at = monotonic() + later.wait_s
                return None
            spent = photo.attempts >= self._options.attempts
            if not spent and photo.left_s > 0 and (not verdict.tries or photo.here < verdict.tries):
                wait_s = self._options.retry_policy.backoff(photo.here)
                photo.due_at = monotonic() + max(wait_s, photo.put_off_s or 0.0)
                return None
            if spent or verdict.status not in _NOT_THERE:
                return self._outcome(photo, answer, verdict)
            if photo.first is None:
                photo.first = answer, verdict
                photo.others = self._rules.others(photo.asked)
            if not photo.others:
                return self._outcome(photo, answer, verdict)
            photo.turn_to(photo.others.pop(0))

    def _outcome(self, photo: Fetch, answer: Answer | None, verdict: Verdict) -> Outcome:
        if photo.first is not None and verdict.image is None:
            # Of addresses that have nothing the first one tells most: it is what the metadata say.
            answer, verdict = photo.first
        record = record_of(photo.photo_id, verdict, url=photo.asked, answer=answer, attempts=photo.attempts)
        return record, None if answer is None or verdict.image is None else answer.body

    async def _try(self, photo: Fetch) -> tuple[Answer | None, Verdict]:
        """One request, with what it redirects to: the answer and the verdict.

        Raises:
            LaterError: the host is not asked now, or it is the host that fails; that counts as no request.
        """
        answer = None
        try:
            answer = await self._follow(photo)
        except TimeoutError as error:
            verdict = Verdict("failed", str(error), tries=TIMEOUTS)
        except UntrustedError as error:
            verdict = Verdict("failed", str(error))
        except WireError as error:
            verdict = Verdict("failed", str(error), tries=0)
        else:
            verdict = judge(answer, max_pixels=self._options.max_pixels)
            if verdict.image is not None and self._options.check == "decode":
                verdict = await asyncio.to_thread(judge_pixels, answer, verdict)
            if verdict.image is not None:
                self._hosts.of(answer.url).served = answer.url
        photo.attempts += 1
        photo.here += 1
        photo.current_url, photo.redirects = photo.asked, 0
        return answer, verdict

    async def _follow(self, photo: Fetch) -> Answer:
        while True:
            host = self._hosts.of(photo.current_url)
            target = host.asked_at + photo.current_url[len(host.base_url) :]
            reply = await self._hosts.ask(host, target, photo)
            if reply.status not in _REDIRECTS or reply.location is None:
                return _answer(reply, photo.current_url)
            if photo.redirects == MOST_REDIRECTS:
                refused = f"redirected more than {MOST_REDIRECTS} times"
                return Answer(reply.status, photo.current_url, refused=refused)
            try:
                photo.current_url = self._rules.redirect(target, reply.location)
            except AddressRefusedError as error:
                refused = f"redirected to where nothing is asked: {error}"
                return Answer(reply.status, photo.current_url, refused=refused)
            photo.redirects += 1


def _answer(reply: Reply, url: str) -> Answer:
    etag = reply.etag
    if etag is not None:
        # A header may hold any bytes, which come as lone surrogates.
        etag = etag.removeprefix("W/").strip('"')[:200].encode("ascii", "backslashreplace").decode()
    if reply.body is None:
        return Answer(reply.status, url, etag=etag, refused=TOO_LARGE)
    encoding = (reply.encoding or "").strip().lower()
    return Answer(reply.status, url, reply.body, etag, encoding)
