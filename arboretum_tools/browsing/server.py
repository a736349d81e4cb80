"""A page that is being served: its address, its thread, its end.

Whoever can open a port of this machine could ask, and so could every web page that is open in the browser.
So the server listens on loopback, and elsewhere only for those who have its token; `answers` has the rest.

The socket listens before anything is loaded that answers (aiohttp, DuckDB, Pillow): whoever comes meanwhile
waits for half a second, and the address is there at once.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import secrets
import socket
import threading
import webbrowser
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from arboretum_tools.browsing.filters import Filter
from arboretum_tools.browsing.marks import Marks
from arboretum_tools.browsing.sources import Source, source_of
from arboretum_tools.errors import BadInputError, UsageError
from arboretum_tools.options import takes
from arboretum_tools.options.browse import BrowseOptions
from arboretum_tools.split import Split
from arboretum_tools.store.reader import ImageStore

if TYPE_CHECKING:
    from arboretum_tools.browsing.answers import Answers
    from arboretum_tools.browsing.photo_table import PhotoTable
    from arboretum_tools.browsing.predictions import PredictedPart
    from arboretum_tools.catalog import Selection

#: The first port that is tried.
PORT = 8723

_PORTS_TRIED = 20

_MOST_MODELS = 2


class PhotoBrowser:
    """A page that is being served; a context manager, over when it is left.

    Attributes:
        url: where it is, with the token where there is one.
        source: what it shows.
    """

    def __init__(self, source: Source, options: BrowseOptions) -> None:
        """Begins to serve; the photos are looked up while the page is loaded.

        Raises:
            BadInputError: the address cannot be had, or the marks cannot be read.
        """
        self.source = source
        marks = Marks(options.marks)
        models = _models(source, options)
        Filter.parse(options.show)
        self._token = None if _is_loopback(options.host) else secrets.token_urlsafe(24)
        socket_ = _bound(options.host, options.port)
        port = socket_.getsockname()[1]
        shown = f"[{options.host}]" if ":" in options.host else options.host
        self.url = f"http://{shown}:{port}/" + (f"?token={self._token}" if self._token else "")
        if options.show:
            self.url += f"#overview?{options.show.lstrip('?')}"
        self._loop = asyncio.new_event_loop()
        self._over = threading.Event()
        # Who answers, once that is loaded.
        self._answers: Future[Answers] = Future()
        threading.Thread(
            target=self._serve,
            args=(socket_, marks, models, {options.host, shown}),
            name="arboretum-browse",
            daemon=True,
        ).start()

    def _serve(
        self, socket_: socket.socket, marks: Marks, models: tuple[PredictedPart, ...], names: set[str]
    ) -> None:
        try:
            from arboretum_tools.browsing.answers import Answers

            answers = Answers(self.source, marks, models, self._token, names, socket_.getsockname()[1])
            asyncio.set_event_loop(self._loop)
            end = self._loop.run_until_complete(answers.begin(socket_))
            self._answers.set_result(answers)
            try:
                self._loop.run_forever()
            finally:
                self._loop.run_until_complete(end())
                self._loop.close()
        except BaseException as error:
            if self._answers.done():
                raise
            self._answers.set_exception(error)
        finally:
            self._over.set()

    def ready(self) -> PhotoTable:
        """Waits until the photos are looked up, and gives their table.

        Raises:
            ArboretumError: they cannot be.
        """
        return self._answers.result().table_now()

    def wait(self) -> None:
        """Waits until the page is closed, which nothing but Ctrl-C or `close` does."""
        while not self._over.wait(3600):
            pass

    def close(self) -> None:
        """Ends the page."""
        answers = self._answers.result()
        if not self._over.is_set():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._over.wait(10)
            answers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"PhotoBrowser({self.source.kind} {self.source.name!r} at {self.url})"


@takes(BrowseOptions)
def browse(what: Split | Selection | ImageStore | str | Path | None, options: BrowseOptions) -> PhotoBrowser:
    """Shows photos in the browser: the long tail, the taxa, the photos, what a model made of them.

    The page is served from this machine by a thread of this process, until it is closed or the process ends.

    Args:
        what: a split, a selection or an image store, or the folder of a split, a store or an export; None =
            the store that `images` names.
        options: {options}
        catalog: names the photos of a store: a catalogue, or where it lies. Default the default catalogue.
        on_event: is told of progress.

    Raises:
        BadInputError: `what` is nothing that can be shown, a file is damaged, or the port is taken.
        UsageError: an option has a value that it does not take.

    >>> import arboretum_tools as at
    >>> page = at.browse("splits/aves-lt100", images="images", port=0, open=False)
    >>> page.ready().overview(at.browsing.Filter.parse("band=few"))["photos"]
    215
    >>> page.close()
    """
    browser = PhotoBrowser(source_of(what, options), options)
    if options.open:
        webbrowser.open(browser.url)
    return browser


def _models(source: Source, options: BrowseOptions) -> tuple[PredictedPart, ...]:
    given = options.predictions
    files = () if given is None else (given,) if isinstance(given, str | Path) else tuple(given)
    if not files:
        return ()
    if source.split is None:
        raise UsageError("predictions are those of a split, and none is shown", hint="Name the split.")
    if len(files) > _MOST_MODELS:
        raise UsageError(
            f"{len(files)} files of predictions are too many: one model is shown, or two beside each other",
            hint="Name one or two files.",
        )
    from arboretum_tools.browsing.predictions import PredictedPart

    split, part = source.split, options.part
    models = tuple(PredictedPart.read(split, part, file) for file in files)
    if len({model.name for model in models}) < len(models):
        # Runs often keep files of one name in folders of their own.
        models = tuple(
            replace(model, name=str(Path(file))) for model, file in zip(models, files, strict=True)
        )
    return models


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bound(host: str, port: int | None) -> socket.socket:
    """A socket that listens.

    Raises:
        BadInputError: there is no such address, or the port is taken.
    """
    ports = range(PORT, PORT + _PORTS_TRIED) if port is None else (port,)
    problem: OSError | None = None
    for tried in ports:
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            return socket.create_server((host, tried), family=family)
        except OSError as error:
            problem = error
            if error.errno != errno.EADDRINUSE:
                break
    assert problem is not None
    # What cannot be looked up has a number below 0 of its own, and Python adds where it was while it tried.
    why = str(problem.strerror or problem).partition(" (while ")[0]
    where = f"{host}:{port}" if port is not None else host
    raise BadInputError(
        f"the page cannot be served at {where}: {why}",
        hint="Name another --port (0 = any that is free) or --host.",
    )
