"""A headless Chromium, driven over its DevTools protocol: no package stands between, only aiohttp."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import aiohttp


class Chromium:
    """One page of a browser with a profile of its own; a context manager."""

    def __init__(self) -> None:
        binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        assert binary, "no Chromium is installed: apt-get install chromium"
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        self.problems: list[str] = []
        self._loop = asyncio.new_event_loop()
        options = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-dev-shm-usage",
        ]
        options += ["--hide-scrollbars", f"--user-data-dir={self._profile.name}", "--remote-debugging-port=0"]
        self._process = subprocess.Popen(
            [binary, *options, "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._loop.run_until_complete(self._connect(self._port()))
        except BaseException:
            self.close()
            raise
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def _port(self) -> str:
        """Where the browser listens, which it writes into its profile."""
        file = Path(self._profile.name, "DevToolsActivePort")
        deadline = time.monotonic() + 60
        while not file.exists() or not file.read_text().strip():
            assert time.monotonic() < deadline, "Chromium does not start"
            time.sleep(0.05)
        return file.read_text().split()[0]

    async def _connect(self, port: str) -> None:
        self._session = aiohttp.ClientSession()
        async with self._session.get(f"http://127.0.0.1:{port}/json/list") as answer:
            pages = [page for page in await answer.json() if page["type"] == "page"]
        self._socket = await self._session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0)
        self._number = 0

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command of the protocol, and what it gives."""
        return self._loop.run_until_complete(asyncio.wait_for(self._call(method, parameters), 60))

    async def _call(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        number = self._number
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = json.loads((await self._socket.receive()).data)
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self._note(message)

    def _note(self, event: dict[str, Any]) -> None:
        """Keeps what a person would see in the console: errors, refused loads, questions to other hosts."""
        method, about = event.get("method", ""), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.problems.append(str(about["exceptionDetails"].get("exception", about)))
        elif method == "Log.entryAdded" and about["entry"]["level"] == "error":
            self.problems.append(about["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            address = about["request"]["url"]
            if not address.startswith(("http://127.0.0.1:", "data:", "about:", "file:")):
                self.problems.append(f"asked for {address}")

    def open(self, address: str) -> None:
        """Goes to an address, and waits until something is shown."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=address)

    def size(self, width: int, height: int, *, dark: bool = False) -> None:
        """The window, and whether the person likes it dark."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = "dark" if dark else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; promises are awaited."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, script: str, *, seconds: float = 15) -> Any:
        """Waits until an expression is true."""
        deadline = time.monotonic() + seconds
        # What is not there yet (a page that is loading has no elements) is not true yet.
        guarded = f"(() => {{ try {{ return {script}; }} catch {{ return null; }} }})()"
        while not (found := self.run(guarded)):
            assert time.monotonic() < deadline, f"never true: {script}\n{self.problems}"
            time.sleep(0.03)
        return found

    def click(self, selector: str) -> None:
        """A click with the mouse in the middle of an element, once it lies still and nothing lies over it."""
        self.until(f"document.querySelector({json.dumps(selector)}) !== null")
        middle = (
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect();"
            "const x = r.x + r.width / 2, y = r.y + r.height / 2;"
            "const top = document.elementFromPoint(x, y);"
            "return top && (e.contains(top) || top.contains(e)) ? [x, y] : null; })()"
        )
        # A page that is still drawn moves what is on it between the look and the click.
        before = None
        while (found := self.until(middle)) != before:
            before = found
            time.sleep(0.05)
        x, y = found
        self.drag((x, y), (x, y))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Presses the mouse at a point, and lets it go at another."""
        for kind, (x, y) in (("mousePressed", start), ("mouseMoved", end), ("mouseReleased", end)):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def press(self, key: str, *, code: int = 0) -> None:
        """A key, by its name in JavaScript."""
        codes = {"Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        number = code or codes.get(key, ord(key[0].upper()))
        about = {"key": key, "windowsVirtualKeyCode": number} | ({"text": text} if text else {})
        self.call("Input.dispatchKeyEvent", type="keyDown", **about)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=number)

    def type(self, text: str) -> None:
        """Text, into what has the focus."""
        self.call("Input.insertText", text=text)

    def picture(self, path: Path) -> Path:
        """What is in the window, as PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
        return path

    def close(self) -> None:
        """Ends the browser."""
        if hasattr(self, "_session"):
            self._loop.run_until_complete(self._session.close())
        self._loop.close()
        # The browser is the head of a group of its own.
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._profile.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
