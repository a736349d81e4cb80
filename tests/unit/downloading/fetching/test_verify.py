"""What an answer means."""

from __future__ import annotations

import hashlib
import io

import pytest
from PIL import Image

from arboretum_tools.downloading.fetching.verify import Answer, judge


def photo(kind: str = "jpeg") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10), "green").save(buffer, kind)
    return buffer.getvalue()


def md5(body: bytes) -> str:
    return hashlib.md5(body).hexdigest()


PHOTO = photo()


@pytest.mark.parametrize(
    ("http_status", "status", "tries"),
    [
        (404, "gone", 1),
        (410, "gone", 1),
        (403, "forbidden", 1),
        (401, "forbidden", 1),
        (429, "failed", 0),
        (503, "failed", 0),
        (500, "failed", 0),
        (502, "failed", 0),
        (504, "failed", 0),
        (408, "failed", 0),
        (400, "failed", 1),
        (206, "failed", 1),
        (204, "failed", 1),
        (304, "failed", 1),
    ],
)
def test_http_statuses(http_status, status, tries):
    verdict = judge(Answer(http_status, "u"))
    assert (verdict.status, verdict.tries) == (status, tries)
    assert verdict.error == f"HTTP {http_status}"


@pytest.mark.parametrize("etag", [None, md5(PHOTO), md5(PHOTO).upper(), md5(b"x") + "-2", "no md5"])
def test_a_whole_photo_is_ok_unless_its_md5_is_another(etag):
    verdict = judge(Answer(200, "u", PHOTO, etag))
    assert verdict.status == "ok"
    assert verdict.image is not None
    assert (verdict.image.format, verdict.image.width, verdict.image.height) == ("jpeg", 20, 10)


def test_another_md5_is_tried_once_more():
    verdict = judge(Answer(200, "u", PHOTO, md5(b"another photo")))
    assert (verdict.status, verdict.tries, verdict.image) == ("invalid", 2, None)
    assert "MD5" in verdict.error


@pytest.mark.parametrize(("etag", "tries"), [(None, 2), (md5(b"x"), 2), (md5(PHOTO[:-5]), 1)])
def test_half_a_photo_is_tried_once_more_unless_the_host_holds_it_like_that(etag, tries):
    verdict = judge(Answer(200, "u", PHOTO[:-5], etag))
    assert (verdict.status, verdict.tries) == ("invalid", tries)
    assert "cut off" in verdict.error


@pytest.mark.parametrize("encoding", ["gzip", "br", "aws-chunked, gzip"])
def test_an_encoded_body_is_not_used(encoding):
    verdict = judge(Answer(200, "u", PHOTO, encoding=encoding))
    assert (verdict.status, verdict.tries) == ("invalid", 1)
    assert encoding in verdict.error


def test_identity_is_no_encoding():
    assert judge(Answer(200, "u", PHOTO, encoding="identity")).status == "ok"


def test_a_refused_answer_is_invalid_whatever_it_holds():
    verdict = judge(Answer(200, "u", PHOTO, refused="larger than 64 MiB"))
    assert (verdict.status, verdict.error, verdict.image) == ("invalid", "larger than 64 MiB", None)


def test_a_header_of_more_pixels_than_an_index_holds_is_invalid():
    body = bytearray(photo("png"))
    body[16:24] = (2**31).to_bytes(4) + (10).to_bytes(4)
    verdict = judge(Answer(200, "https://x/1.png", bytes(body)))
    assert verdict.status == "invalid"
    assert "too many pixels: a png of 2147483648 x 10; at most" in verdict.error
