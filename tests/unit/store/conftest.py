"""Images to put into stores."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable

import pytest
from PIL import Image


@pytest.fixture(scope="session")
def image() -> Callable[..., bytes]:
    @functools.cache
    def draw(photo_id: int, kind: str = "jpeg") -> bytes:
        buffer = io.BytesIO()
        color = (photo_id * 37 % 256, photo_id * 91 % 256, photo_id * 13 % 256)
        Image.new("RGB", (20 + photo_id % 7, 16), color).save(buffer, kind)
        return buffer.getvalue()

    return draw
