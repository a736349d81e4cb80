"""An HTTP server on loopback, in a thread of its own: what the servers of the test kit have in common."""

from __future__ import annotations

import asyncio
import ssl
import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from aiohttp import web


class LoopbackServer(ABC):
    """Answers requests until it is stopped. A context manager; or `start()` and `stop()`."""

    def __init__(self, host: str, port: int, ssl_context: ssl.SSLContext | None = None) -> None:
        """Binds nothing yet.

        Args:
            host: address to bind.
            port: port to bind; 0 takes a free one.
            ssl_context: of a server; makes it https.
        """
        self._host, self._port, self._ssl = host, port, ssl_context
        self._url = ""
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    @property
    def url(self) -> str:
        """Scheme, host and port, no slash at the end.

        Raises:
            RuntimeError: the server is not running.
        """
        if self._thread is None:
            raise RuntimeError("the origin server is not running; call start() or use it in a `with`")
        return self._url

    def start(self) -> Self:
        """Binds the port and serves until `stop()`.

        Raises:
            OSError: the address cannot be bound.
            RuntimeError: it is running already.
        """
        if self._thread is not None:
            raise RuntimeError("the origin server is running already")
        self._ready.clear()
        self._thread = threading.Thread(target=self._run, name="arboretum-origin", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            self._thread = None
            raise self._failure
        return self

    def stop(self) -> None:
        """Closes the port and every connection, stalled ones too. A stopped server may be started again."""
        if self._thread is None:
            return
        assert self._loop is not None
        assert self._stopping is not None
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        self._failure = None
        try:
            asyncio.run(self._serve())
        except OSError as error:
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        app = web.Application(client_max_size=2**30)
        self._route(app)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0, handler_cancellation=True)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host, self._port, ssl_context=self._ssl, backlog=1024)
            await site.start()
            host, port = runner.addresses[0][:2]
            scheme = "https" if self._ssl else "http"
            self._url = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
            self._ready.set()
            await self._stopping.wait()
        finally:
            await runner.cleanup()

    @abstractmethod
    def _route(self, app: web.Application) -> None:
        """Adds what is answered, and what is to be made and closed with the server."""

    async def _stall(self) -> None:
        """Waits until the server stops; a client that leaves cancels the handler."""
        assert self._stopping is not None
        await self._stopping.wait()
