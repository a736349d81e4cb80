"""A photo host on loopback: the paths and headers of the iNaturalist bucket, drawn photos, faults on command.

The bucket is described at https://github.com/inaturalist/inaturalist-open-data; headers and error bodies
are those of Amazon S3 (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html). Keys of S3
are case-sensitive. A photo id that the catalogue does not hold answers 404 `NoSuchKey`; a photo that it
holds, asked under another extension or an unknown size, answers 403 `AccessDenied`, which is what a bucket
without list permission says of a key that is not there.
"""

from __future__ import annotations

import asyncio
import functools
import gzip
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from arboretum_metadata.vocab import EXTENSIONS, PHOTO_SIZES
from arboretum_tools.testing import drawing
from arboretum_tools.testing.faults import Fault
from arboretum_tools.testing.server import LoopbackServer
from arboretum_tools.testing.subjects import UNNAMED, Photo, Subjects, read_subjects
from arboretum_tools.testing.wire import (
    LAST_MODIFIED,
    TYPES,
    cut,
    error_xml,
    md5,
    range_of,
    reset,
    until_closed,
)

#: No photo is as large as this; downloads refuse a body of more than 64 MiB.
OVERSIZE_BYTES = 64 * 2**20 + 1

#: The status of a fault that is no more than an answer.
STATUS_OF_KIND = {
    "not_found": 404,
    "forbidden": 403,
    "throttled": 429,
    "unavailable": 503,
    "server_error": 500,
    "redirect": 302,
}

#: A photo is drawn again only where it is large: what many downloads ask for takes some 60 MB as `medium`.
_KEPT_UP_TO = PHOTO_SIZES["medium"]
_drawn_once = functools.lru_cache(4_096)(drawing.render)


@dataclass(frozen=True, slots=True)
class Request:
    """One request that the server got, in the order of arrival.

    Attributes:
        method: GET or HEAD.
        path: as asked, with its query.
        photo_id: id in the path; None where the path is no photo's.
        size: size in the path; "" where the path is no photo's.
        ext: extension in the path, case kept; "" where the path is no photo's.
        status: HTTP status answered; None where the fault sends none.
        fault: kind of the fault that was played; None for an honest answer.
        user_agent: the header, "" if there was none.
        range: the `Range` header, "" if there was none.
        at: when it arrived, by `time.monotonic()`, in seconds.
    """

    method: str
    path: str
    photo_id: int | None
    size: str
    ext: str
    status: int | None
    fault: str | None
    user_agent: str
    range: str
    at: float


class Origin(LoopbackServer):
    """Serves `/photos/<id>/<size>.<ext>` like the iNaturalist bucket, in a thread of its own.

    A context manager; or `start()` and `stop()`.

    ```python
    with Origin(catalog_path(), faults={9_000_000_001: Fault("reset", times=2)}) as origin:
        urllib.request.urlopen(f"{origin.url}/photos/9000000002/small.jpg")
    ```

    Attributes:
        faults: how each photo misbehaves; may be changed at any time, from any thread.
        everywhere: how every photo misbehaves, whatever `faults` says; None = as `faults` says.
        requests: every request so far; `clear()` empties it.
        peak_requests: most requests that were being answered at one time.
    """

    def __init__(
        self,
        catalog: Path | None = None,
        *,
        faults: Mapping[int, Fault] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Reads the catalogue; binds nothing yet.

        Args:
            catalog: Parquet file or folder in the raw layout, which says what photos there are and what
                each shows. None: every id is a photo, of an unnamed thing, under every extension.
            faults: how each photo misbehaves.
            host: address to bind.
            port: port to bind; 0 takes a free one.
            ssl_context: of a server; makes it https.

        Raises:
            CatalogError: `catalog` has no photos or cannot be read.
        """
        super().__init__(host, port, ssl_context)
        self.faults: dict[int, Fault] = dict(faults or {})
        self.everywhere: Fault | None = None
        self.requests: list[Request] = []
        self.peak_requests = 0
        self._subjects: Subjects | None = None if catalog is None else read_subjects(Path(catalog))
        self._in_flight = 0
        self._answered = 0
        self._played: dict[int, tuple[Fault, int]] = {}
        self._pool: ThreadPoolExecutor | None = None

    def clear(self) -> None:
        """Forgets the requests so far and the peak; the counts of `Fault.times` go on."""
        self.requests = []
        self.peak_requests = 0

    def _route(self, app: web.Application) -> None:
        app.router.add_get("/photos/{photo_id:[0-9]+}/{size:[a-z]+}.{ext:[A-Za-z]+}", self._photo)
        app.router.add_route("*", "/{rest:.*}", self._other)
        app.cleanup_ctx.append(self._drawing)

    async def _drawing(self, _app: web.Application) -> AsyncIterator[None]:
        # Two threads: drawing holds the interpreter lock most of the time, so more would only wait.
        self._pool = ThreadPoolExecutor(2, "arboretum-origin-draw")
        yield
        self._pool.shutdown(cancel_futures=True)

    async def _other(self, request: web.Request) -> web.StreamResponse:
        self._note(request, 403, None)
        return self._error(request, 403)

    async def _photo(self, request: web.Request) -> web.StreamResponse:
        self._in_flight += 1
        self.peak_requests = max(self.peak_requests, self._in_flight)
        try:
            return await self._answer(request)
        finally:
            self._in_flight -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        fault = self._fault_of(int(request.match_info["photo_id"]))
        kind = fault.kind if fault else None
        if fault is not None and kind in STATUS_OF_KIND:
            status = STATUS_OF_KIND[fault.kind]
            self._note(request, status, kind)
            return self._error(request, status, fault)
        if kind == "reset":
            self._note(request, None, kind)
            return reset(request)
        if kind == "stall_before_headers":
            self._note(request, None, kind)
            await self._stall()
            return cut(request)

        found = self._find(request)
        if isinstance(found, int):
            self._note(request, found, None)
            return self._error(request, found)
        size, ext = request.match_info["size"], request.match_info["ext"].lower()
        image_format = "png" if ext != "png" else "jpg"
        drawn_as = image_format if kind == "wrong_type" else ext
        render = _drawn_once if PHOTO_SIZES[size] <= _KEPT_UP_TO else drawing.render
        assert self._loop is not None
        body = await self._loop.run_in_executor(
            self._pool, render, found, int(request.match_info["photo_id"]), size, drawn_as
        )
        if fault is None:
            return self._whole(request, body, ranges=True)
        return await self._misbehave(request, fault, body)

    def _fault_of(self, photo_id: int) -> Fault | None:
        """The fault to play for this request of the photo, counted."""
        if self.everywhere is not None:
            return self.everywhere
        fault = self.faults.get(photo_id)
        if fault is None:
            return None
        before, played = self._played.get(photo_id, (fault, 0))
        played = played if before is fault else 0
        if fault.times is not None and played >= fault.times:
            return None
        self._played[photo_id] = (fault, played + 1)
        return fault

    def _find(self, request: web.Request) -> Photo | int:
        """The photo asked for, or the status that S3 would answer."""
        digits, size, ext = (request.match_info[name] for name in ("photo_id", "size", "ext"))
        photo_id = int(digits)
        if self._subjects is None:
            photo = Photo(UNNAMED, ext) if photo_id else None
        else:
            photo = self._subjects.find(photo_id)
        if photo is None:
            return 404
        known = size in PHOTO_SIZES and ext == photo.ext and ext.lower() in EXTENSIONS
        return photo if known and digits == str(photo_id) else 403

    def _note(self, request: web.Request, status: int | None, kind: str | None) -> None:
        photo_id = request.match_info.get("photo_id")
        self._answered += 1
        self.requests.append(
            Request(
                method=request.method,
                path=request.path_qs,
                photo_id=None if photo_id is None else int(photo_id),
                size=request.match_info.get("size", ""),
                ext=request.match_info.get("ext", ""),
                status=status,
                fault=kind,
                user_agent=request.headers.get("User-Agent", ""),
                range=request.headers.get("Range", ""),
                at=time.monotonic(),
            )
        )

    def _headers(self, request: web.Request, body: bytes, *, etag: str | None = None) -> dict[str, str]:
        return {
            "Content-Type": TYPES[request.match_info["ext"].lower()],
            "ETag": f'"{etag or md5(body)}"',
            "Last-Modified": LAST_MODIFIED,
            "Accept-Ranges": "bytes",
            **self._amazon(),
        }

    def _amazon(self) -> dict[str, str]:
        return {"Server": "AmazonS3", "x-amz-request-id": f"{self._answered:016X}"}

    def _error(self, request: web.Request, status: int, fault: Fault | None = None) -> web.Response:
        headers = {"Content-Type": "application/xml", **self._amazon()}
        if fault is not None and fault.retry_after is not None:
            headers["Retry-After"] = str(fault.retry_after)
        if fault is not None and fault.to is not None:
            headers["Location"] = fault.to
        return web.Response(status=status, body=error_xml(status, request.path), headers=headers)

    def _whole(
        self,
        request: web.Request,
        body: bytes,
        *,
        ranges: bool,
        etag: str | None = None,
        kind: str | None = None,
    ) -> web.Response:
        headers = self._headers(request, body, etag=etag)
        if ranges and "Range" in request.headers:
            part = range_of(request, len(body))
            if part is None:
                self._note(request, 416, kind)
                return self._error(request, 416)
            headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{len(body)}"
            self._note(request, 206, kind)
            return web.Response(status=206, body=body[part], headers=headers)
        self._note(request, 200, kind)
        return web.Response(body=body, headers=headers)

    async def _misbehave(self, request: web.Request, fault: Fault, body: bytes) -> web.StreamResponse:
        """Plays the faults that need the photo's body."""
        match fault.kind:
            case "no_end":
                return self._whole(request, body[:-2], ranges=False, kind=fault.kind)
            case "damaged":
                middle = len(body) // 2
                damaged = body[:middle] + bytes([body[middle] ^ 0x55]) + body[middle + 1 :]
                return self._whole(request, damaged, ranges=False, etag=md5(body), kind=fault.kind)
            case "wrong_content":
                page = error_xml(403, request.path)
                return self._whole(request, page, ranges=False, kind=fault.kind)
            case "wrong_type" | "ignored_range":
                return self._whole(request, body, ranges=False, kind=fault.kind)
            case "multipart_etag":
                etag = f"{md5(body[::-1])}-2"
                return self._whole(request, body, ranges=False, etag=etag, kind=fault.kind)
            case "gzip":
                answer = self._whole(request, gzip.compress(body, mtime=0), ranges=False, kind=fault.kind)
                answer.headers["Content-Encoding"] = "gzip"
                return answer
            case _:
                self._note(request, 200, fault.kind)
                return await self._misbehave_slowly(request, fault, body)

    async def _misbehave_slowly(self, request: web.Request, fault: Fault, body: bytes) -> web.StreamResponse:
        """Plays the faults that break the stream, or let the client wait."""
        headers = self._headers(request, body)
        half = body[: len(body) // 2]
        match fault.kind:
            case "no_length" | "no_length_truncated":
                return until_closed(request, headers, half if fault.kind == "no_length_truncated" else body)
            case "oversize" | "oversize_no_length":
                length = {"Content-Length": str(OVERSIZE_BYTES)} if fault.kind == "oversize" else {}
                answer = web.StreamResponse(headers=headers | length)
                await answer.prepare(request)
                step = bytes(2**18)
                for start in range(0, OVERSIZE_BYTES, len(step)):
                    await answer.write(step[: OVERSIZE_BYTES - start])
                return answer
        answer = web.StreamResponse(headers=headers | {"Content-Length": str(len(body))})
        await answer.prepare(request)
        match fault.kind:
            case "truncated":
                await answer.write(half)
                return cut(request)
            case "reset_midway":
                await answer.write(half)
                return reset(request)
            case "slow_drip":
                for start in range(0, len(body), fault.drip_bytes):
                    await answer.write(body[start : start + fault.drip_bytes])
                    if await self._stopped_within(fault.drip_pause_s):
                        return cut(request)
                return answer
            case "stall":
                await self._stall()
                return cut(request)
            case _:  # pragma: no cover - every kind is played above, and a test plays them all
                raise AssertionError(fault.kind)

    async def _stopped_within(self, seconds: float) -> bool:
        assert self._stopping is not None
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True
