"""What the page asks for over HTTP, and who may ask.

The server answers to its own names alone (a name that is rebound to 127.0.0.1 is not one of them), and
elsewhere to those who have its token; changes are taken from its own page alone; and a browser may load
nothing from elsewhere (Content-Security-Policy). What is asked for is looked up among what there is: no part
of an address is ever a path.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from arboretum_tools.browsing.columns import MOST_ROWS
from arboretum_tools.browsing.filters import Filter
from arboretum_tools.browsing.marks import REASONS, Marks
from arboretum_tools.browsing.sources import Source
from arboretum_tools.browsing.thumbnails import SIDES, Thumbnails
from arboretum_tools.errors import ArboretumError, UsageError
from arboretum_tools.version import __version__

if TYPE_CHECKING:
    from arboretum_tools.browsing.photo_table import PhotoTable
    from arboretum_tools.browsing.predictions import PredictedPart

_Result = TypeVar("_Result")

_HTTP_PORT = 80

# What the page is made of, and how it is called over HTTP.
_STATIC = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

# The largest body that is taken: a list of marks.
_MOST_BYTES = 1 << 20

_COOKIE = "arboretum_token"

_LOG = logging.getLogger(__name__)
# Whoever sends what is no question (an address of 9 kB, half a header) is told so by the answer; on the
# terminal it would be a traceback each time.
_LOG.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)))

# Images that are read and shrunk at the same time.
_WORKERS = 4


class Answers:
    """What is answered; everything that waits is done by threads."""

    def __init__(
        self,
        source: Source,
        marks: Marks,
        models: tuple[PredictedPart, ...],
        token: str | None,
        hosts: set[str],
        port: int,
    ) -> None:
        self._source, self._marks, self._models, self._token = source, marks, models, token
        names = {"localhost", "127.0.0.1", "[::1]", *hosts}
        self._hosts = {f"{name}:{port}" for name in names}
        if port == _HTTP_PORT:
            # The port of the scheme, which a browser leaves out.
            self._hosts |= names
        self._pool = ThreadPoolExecutor(_WORKERS, "arboretum-browse")
        self._filling: Future[PhotoTable]
        self._thumbnails = Thumbnails(source.store) if source.store is not None else None
        folder = resources.files("arboretum_tools.browsing") / "static"
        # All there is, read once: an address is looked up here and nowhere else.
        self._static = {
            name: (entry.read_bytes(), _STATIC[Path(name).suffix])
            for name, entry in _files(folder)
            if Path(name).suffix in _STATIC
        }

    async def begin(self, socket_: socket.socket) -> Callable[[], Awaitable[None]]:
        """Answers at a socket that listens, and gives what ends that; now the photos are looked up."""
        runner = web.AppRunner(self._application(), access_log=None, logger=_LOG)
        await runner.setup()
        await web.SockSite(runner, socket_).start()
        self._filling = self._pool.submit(self._fill)
        return runner.cleanup

    def _fill(self) -> PhotoTable:
        # The first to load DuckDB: the page and its long tail are there without it.
        from arboretum_tools.browsing.photo_table import PhotoTable

        table = PhotoTable(self._source)
        table.set_marks(self._marks.all())
        return table

    def table_now(self) -> PhotoTable:
        """Waits for the photos.

        Raises:
            ArboretumError: they cannot be looked up.
        """
        return self._filling.result()

    def close(self) -> None:
        """Removes the tables."""
        self._pool.shutdown()
        with contextlib.suppress(Exception):
            self._filling.result().close()

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[self._guard], client_max_size=_MOST_BYTES)
        get: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
            "/": partial(self._file, name="index.html"),
            "/api/about": self._about,
            "/api/overview": self._overview,
            "/api/taxa": self._taxa,
            "/api/search": self._search,
            "/api/photos": self._photos,
            "/api/photo/{photo_id:[0-9]{1,18}}": self._photo,
            "/api/places": self._places,
            "/api/marks": self._list_marks,
            "/api/predictions": self._predictions,
            "/api/confusion": self._confusion,
            "/api/pair": self._pair,
            "/api/comparison": self._comparison,
            "/thumb/{side:[0-9]{1,4}}/{row:[0-9]{1,9}}": self._thumb,
            "/image/{row:[0-9]{1,9}}": self._image,
            "/static/{name:(?:[a-z]+/)?[a-z_]+\\.[a-z]+}": self._file,
        }
        for path, answer in get.items():
            app.router.add_get(path, answer)
        app.router.add_post("/api/marks", self._mark)
        return app

    # -- who may ask

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        refused = self._refused(request)
        try:
            response = refused or await handler(request)
        except web.HTTPException as error:
            response = _problem(error.status, error.reason)
        except UsageError as error:
            response = _problem(400, str(error))
        except ArboretumError as error:
            response = _problem(500, str(error))
        response.headers.update(_HEADERS)
        return response

    def _refused(self, request: web.Request) -> web.Response | None:
        if self._token is None:
            if request.host.lower() not in self._hosts:
                return _problem(403, "this page answers to localhost and 127.0.0.1 alone")
        else:
            given = request.query.get("token", "")
            if hmac.compare_digest(given.encode(), self._token.encode()):
                # The token leaves the address, where it would be kept and shown.
                response = web.Response(status=303, headers={"Location": "/"})
                response.set_cookie(_COOKIE, self._token, httponly=True, samesite="Strict")
                return response
            kept = request.cookies.get(_COOKIE, "")
            if not hmac.compare_digest(kept.encode(), self._token.encode()):
                return _problem(403, "open the address with the token that was printed")
        if request.method not in ("GET", "HEAD"):
            origin = request.headers.get("Origin")
            if origin != f"http://{request.host}" or request.content_type != "application/json":
                return _problem(403, "changes are taken from this page alone")
        return None

    # -- answers

    async def _file(self, request: web.Request, name: str | None = None) -> web.Response:
        found = self._static.get(name or request.match_info["name"])
        if found is None:
            return _problem(404, "there is no such file")
        return web.Response(
            body=found[0], content_type=found[1], charset="utf-8", headers={"Cache-Control": "no-cache"}
        )

    async def _about(self, _: web.Request) -> web.Response:
        """What can be said before a photo is looked up."""
        source = self._source
        return _json(
            {
                "name": source.name,
                "kind": source.kind,
                "english": source.english,
                "has_pages": source.has_pages,
                "parts": list(source.split.parts) if source.split is not None else [],
                "store": source.store.location if source.store is not None else None,
                "predictions": [model.name for model in self._models],
                "marks": str(self._marks.path),
                "reasons": REASONS,
                "version": __version__,
                "tail": sorted(source.classes["n"].to_pylist(), reverse=True),
            }
        )

    async def _overview(self, request: web.Request) -> web.Response:
        asked = Filter.parse(request.query.items())
        return _json(await self._ask(lambda table: table.overview(asked)))

    async def _taxa(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        parent = Filter.parse([("lineage", query.get("parent", "[]"))]).lineage
        asked = Filter.parse((k, v) for k, v in request.query.items() if k != "parent")
        return _json(await self._ask(lambda table: table.taxa(parent, asked)))

    async def _search(self, request: web.Request) -> web.Response:
        text = request.query.get("q", "")[:200]
        return _json(await self._ask(lambda table: table.search(text) + table.observers(text)))

    async def _photos(self, request: web.Request) -> web.Response:
        start, count = _number(request, "start", 0), _number(request, "count", 100, most=MOST_ROWS)
        order = request.query.get("order", "class")
        if order not in ("class", "mixed"):
            raise UsageError(f"there is no order {order!r}", hint="There are class and mixed.")
        names = ("start", "count", "order")
        asked = Filter.parse((k, v) for k, v in request.query.items() if k not in names)
        return _json(await self._ask(lambda table: table.page(asked, order, start, count)))

    async def _photo(self, request: web.Request) -> web.Response:
        photo_id = int(request.match_info["photo_id"])

        def about(table: PhotoTable) -> dict[str, Any] | None:
            photo = table.photo(photo_id)
            if photo is not None and photo["status"] == "ok":
                _refuse_changed(table, photo["shard"])
            return photo

        found = await self._ask(about)
        return _json(found) if found is not None else _problem(404, f"photo {photo_id} is not shown here")

    async def _places(self, request: web.Request) -> web.Response:
        degrees = _number(request, "degrees", 5, most=10)
        asked = Filter.parse((k, v) for k, v in request.query.items() if k != "degrees")
        return _json(await self._ask(lambda table: table.places(asked, max(1, degrees))))

    async def _list_marks(self, _: web.Request) -> web.Response:
        marks = self._marks.all()
        photos = await self._ask(lambda table: table.rows_by_id(list(marks)[-MOST_ROWS:]))
        return _json(self._told(marks) | {"photos": photos})

    def _told(self, marks: Mapping[int, str]) -> dict[str, Any]:
        return {"marks": list(marks.items()), "file": str(self._marks.path), "reasons": REASONS}

    async def _mark(self, request: web.Request) -> web.Response:
        try:
            body = await request.json()
            photo_ids, reason = [int(one) for one in body["photo_ids"]], body["reason"]
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return _problem(400, "a mark is {photo_ids: [...], reason: ...}")

        def mark(table: PhotoTable) -> Mapping[int, str]:
            known = table.rows_by_id(photo_ids[:MOST_ROWS])
            marks = self._marks.mark(known, reason)
            table.set_marks(marks)
            return marks

        return _json(self._told(await self._ask(mark)))

    async def _predictions(self, request: web.Request) -> web.Response:
        predicted = self._model(request)

        def summary(table: PhotoTable) -> dict[str, Any]:
            found = predicted.summary()
            photos = table.rows_by_id([error["photo_id"] for error in found["errors"]])
            return found | {"shown": photos}

        return _json(await self._ask(summary))

    async def _confusion(self, request: web.Request) -> web.Response:
        predicted, rank = self._model(request), request.query.get("rank", "species")
        return _json(await self._ask(lambda _: predicted.confusion(rank)))

    async def _pair(self, request: web.Request) -> web.Response:
        predicted = self._model(request)
        first, second = _number(request, "first", 0), _number(request, "second", 0)

        def pair(table: PhotoTable) -> dict[str, Any]:
            found = predicted.pair(first, second)
            ids = [photo_id for wrong in found.values() for photo_id in wrong[:12]]
            trained = ("train",) if "train" in predicted.part.split.parts else ()
            return {
                "wrong": found,
                "photos": table.rows_by_id(ids),
                "examples": [table.some_of(label, 12, parts=trained) for label in (first, second)],
                "classes": table.class_names([{"label": first}, {"label": second}]),
            }

        return _json(await self._ask(pair))

    async def _comparison(self, request: web.Request) -> web.Response:
        from arboretum_tools.browsing.two_models import TwoModels

        if len(self._models) in (0, 1):
            raise UsageError(
                "no second model is shown", hint="Begin the page with --predictions given twice."
            )
        both, asked = TwoModels(*self._models), Filter.parse(request.query.items())

        def compared(table: PhotoTable) -> dict[str, Any]:
            found = both.summary(asked.bands, asked.labels)
            ids = [photo["photo_id"] for side in found["photos"] for photo in side["some"]]
            return found | {"shown": table.rows_by_id(ids)}

        return _json(await self._ask(compared))

    def _model(self, request: web.Request) -> PredictedPart:
        if not self._models:
            raise UsageError("no predictions are shown", hint="Begin the page with --predictions FILE.")
        return self._models[_number(request, "model", 0, most=len(self._models) - 1)]

    async def _thumb(self, request: web.Request) -> web.StreamResponse:
        side, row = int(request.match_info["side"]), int(request.match_info["row"])
        if side not in SIDES:
            return _problem(404, f"thumbnails have {' or '.join(map(str, SIDES))} pixels")

        def small(table: PhotoTable) -> bytes | None:
            place = table.stored_image(row)
            if place is None or self._thumbnails is None:
                return None
            _refuse_changed(table, place.shard)
            return self._thumbnails.of(place.photo_id, place.shard, place.offset, place.size_bytes, side=side)

        return _picture(await self._ask(small), "image/jpeg")

    async def _image(self, request: web.Request) -> web.StreamResponse:
        row, store = int(request.match_info["row"]), self._source.store

        def whole(table: PhotoTable) -> bytes | None:
            place = table.stored_image(row)
            if place is None or store is None:
                return None
            _refuse_changed(table, place.shard)
            return store.read_bytes(place.shard, place.offset, place.size_bytes, place.photo_id)

        data = await self._ask(whole)
        return _picture(data, _image_type(data) if data is not None else "")

    async def _ask(self, question: Callable[[PhotoTable], _Result]) -> _Result:
        table = await asyncio.wrap_future(self._filling)
        return await asyncio.get_running_loop().run_in_executor(self._pool, question, table)


def _files(folder: Traversable) -> Iterator[tuple[str, Traversable]]:
    """The files of a folder and of those in it, by their names from there."""
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from ((f"{entry.name}/{name}", one) for name, one in _files(entry))
        else:
            yield entry.name, entry


def _refuse_changed(table: PhotoTable, shard: int) -> None:
    """Refuses what lay in a shard that was written anew, though its bytes may be kept or open still.

    Raises:
        HTTPGone: it was.
    """
    if not table.is_current(shard):
        raise web.HTTPGone(reason="the store has changed since this page was opened; start browse again")


def _number(request: web.Request, name: str, default: int, *, most: int = 2**31 - 1) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 11 and int(text) <= most):
        raise UsageError(f"{name} is 0 to {most}, not {text!r}")
    return int(text)


def _image_type(data: bytes) -> str:
    """The type of an image by its first bytes: what a store says of it is not asked."""
    for begins, kind in ((b"\xff\xd8", "jpeg"), (b"\x89PNG", "png"), (b"GIF8", "gif"), (b"RIFF", "webp")):
        if data.startswith(begins):
            return f"image/{kind}"
    return "application/octet-stream"


def _picture(data: bytes | None, kind: str) -> web.Response:
    if data is None:
        return _problem(404, "there is no image of this photo")
    # Never from the browser's memory: a photo may be withdrawn while the page is open.
    return web.Response(body=data, content_type=kind, headers={"Cache-Control": "no-store"})


def _json(value: Any, status: int = 200) -> web.Response:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)
    response = web.Response(
        text=text, status=status, content_type="application/json", headers={"Cache-Control": "no-store"}
    )
    if len(text) > _ZIPPED:
        response.enable_compression()
    return response


# Answers that are larger are sent zipped.
_ZIPPED = 1 << 14


def _problem(status: int, text: str) -> web.Response:
    return _json({"error": text}, status)
