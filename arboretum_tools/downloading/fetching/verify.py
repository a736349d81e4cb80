"""What an answer means: a whole image, a state that stands, or a fault that is worth another try. Pure."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import NamedTuple

from arboretum_metadata.vocab import MAX_PIXELS
from arboretum_tools.imaging import image_format
from arboretum_tools.imaging.image_format import ImageInfo, NotWholeError
from arboretum_tools.store.shards.record import PhotoRecord

#: HTTP statuses of a host that says it is too busy.
THROTTLING = frozenset({429, 503})

# 408 timed out, 425 too early: the request may be repeated (RFC 9110, RFC 8470).
_TRANSIENT = frozenset({408, 425})
_GONE = frozenset({404, 410})
_FORBIDDEN = frozenset({401, 403})

_MD5 = re.compile(r"[0-9a-f]{32}", re.ASCII | re.IGNORECASE)

# Of what is written down about a photo's error; a server may say 64 KiB.
_MOST_SAID = 500


class Answer(NamedTuple):
    """What a host said, redirects followed.

    Attributes:
        http_status: of the last answer; None for a file, which is whole if it can be read.
        url: that was asked last, before any origin override.
        body: all of it where the status is 200, else empty.
        etag: without quotes; None where none was sent.
        encoding: the `Content-Encoding`, lower case; "" where none was sent.
        refused: why the answer is not to be used, whatever its body; "" where nothing speaks against it.
    """

    http_status: int | None
    url: str
    body: bytes = b""
    etag: str | None = None
    encoding: str = ""
    refused: str = ""


class Verdict(NamedTuple):
    """What follows from an answer.

    Attributes:
        status: the photo's state if no further try is made.
        error: why it is not `ok`; "" for `ok`.
        image: what the bytes are, for `ok`.
        tries: how often the photo may be asked in all because of this: 1 = the state stands, 2 = once more,
            0 = as often as transient faults may be.
    """

    status: str
    error: str = ""
    image: ImageInfo | None = None
    tries: int = 1


def judge(answer: Answer, *, max_pixels: int = MAX_PIXELS) -> Verdict:
    """What an answer means for its photo, which may have so many pixels."""
    status = answer.http_status
    if answer.refused:
        return Verdict("invalid", answer.refused)
    if status is None or status == 200:
        return _judge_body(answer, max_pixels)
    text = f"HTTP {status}"
    if status in _GONE:
        return Verdict("gone", text)
    if status in _FORBIDDEN:
        return Verdict("forbidden", text)
    if status in THROTTLING or status in _TRANSIENT or status >= 500:
        return Verdict("failed", text, tries=0)
    return Verdict("failed", text)


def judge_pixels(answer: Answer, verdict: Verdict) -> Verdict:
    """The verdict of an answer that was found whole, once its pixels are decoded; takes milliseconds."""
    # Not before it is needed: it costs the import of Pillow.
    from arboretum_tools.imaging.pixel_damage import pixel_damage

    damage = pixel_damage(answer.body)
    return _damaged(answer, damage) if damage else verdict


def record_of(
    photo_id: int, verdict: Verdict, *, url: str, answer: Answer | None = None, attempts: int = 1
) -> PhotoRecord:
    """What is written down of a photo.

    Args:
        photo_id: the photo.
        verdict: on it.
        url: where it was looked for, if nothing answered.
        answer: what came; None = nothing.
        attempts: requests made.
    """
    body = answer.body if answer is not None else b""
    http_status = answer.http_status if answer is not None else None
    etag = answer.etag if answer is not None else None
    url = answer.url if answer is not None else url
    if verdict.image is not None:
        return PhotoRecord.of_image(
            photo_id, body, verdict.image, url=url, http_status=http_status, attempts=attempts, etag=etag
        )
    return PhotoRecord(
        photo_id=photo_id,
        status=verdict.status,
        http_status=http_status,
        error=verdict.error[:_MOST_SAID].encode("utf-8", "backslashreplace").decode(),
        attempts=attempts,
        url=url,
        source_bytes=len(body) if body else None,
        source_sha256=hashlib.sha256(body).hexdigest() if body else None,
        etag=etag,
        fetched_at=datetime.now(UTC),
    )


def _damaged(answer: Answer, what: str) -> Verdict:
    # Where the ETag agrees, these are the bytes that the host holds: another try brings them again.
    return Verdict("invalid", what, tries=1 if md5_agrees(answer.body, answer.etag) else 2)


def _judge_body(answer: Answer, max_pixels: int) -> Verdict:
    if answer.encoding not in ("", "identity"):
        return Verdict("invalid", f"sent as {answer.encoding[:40]!r}, though it was asked for as it is")
    body = answer.body
    try:
        image = image_format.inspect(body, max_pixels=max_pixels)
    except NotWholeError as error:
        return _damaged(answer, str(error))
    # By the rule of S3 the ETag of an object that was uploaded in one part is its MD5.
    if md5_agrees(body, answer.etag) is False:
        return Verdict("invalid", "its MD5 is not the one that the host names in the ETag", tries=2)
    return Verdict("ok", image=image)


def md5_agrees(body: bytes, etag: str | None) -> bool | None:
    """Whether an ETag that looks like an MD5 is that of `body`; None where it does not look like one."""
    if etag is None or not _MD5.fullmatch(etag):
        return None
    return hashlib.md5(body, usedforsecurity=False).hexdigest() == etag.lower()
