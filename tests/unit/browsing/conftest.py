"""A page over a tiny split, asked over HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

import arboretum_tools as at
from arboretum_tools.testing.tiny import tiny_split, tiny_store

Asking = Callable[..., "Answer"]


@dataclass(frozen=True)
class Answer:
    """What the server gave."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def _asking(url: str) -> Asking:
    """Asks a page at an address, with headers of one's own."""
    parts = urlsplit(url)

    def ask(path: str, method: str = "GET", body: Any = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        payload = None if body is None else body if isinstance(body, str) else json.dumps(body)
        connection.request(method, path, payload, sent)
        response = connection.getresponse()
        answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        connection.close()
        return answer

    return ask


@pytest.fixture
def split() -> at.Split:
    return tiny_split()


@pytest.fixture
def page(tmp_path, split) -> Iterator[at.PhotoBrowser]:
    """A split in memory; one photo is gone, one was never tried."""
    ids = split.part("train")["photo_id"].to_pylist()
    store = tiny_store(tmp_path / "images", split, gone=ids[:1], pending=ids[1:2])
    with at.browse(split, images=store.path, port=0, open=False, marks=tmp_path / "marks.csv") as running:
        yield running


@pytest.fixture
def ask(page) -> Asking:
    return _asking(page.url)


@pytest.fixture
def asking() -> Callable[[str], Asking]:
    """Asks the page at an address."""
    return _asking
