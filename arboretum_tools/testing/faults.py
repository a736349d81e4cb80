"""How the origin server can misbehave, as data: one `Fault` a photo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

FaultKind = Literal[
    "not_found",
    "forbidden",
    "throttled",
    "unavailable",
    "server_error",
    "redirect",
    "truncated",
    "no_length",
    "no_length_truncated",
    "no_end",
    "damaged",
    "wrong_content",
    "wrong_type",
    "multipart_etag",
    "ignored_range",
    "gzip",
    "oversize",
    "oversize_no_length",
    "slow_drip",
    "stall",
    "stall_before_headers",
    "reset",
    "reset_midway",
]

KINDS: tuple[FaultKind, ...] = get_args(FaultKind)


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to misbehave. Built by hand, checked when built.

    | kind | what the client sees |
    |---|---|
    | `not_found` | 404 with S3's XML body |
    | `forbidden` | 403 with S3's XML body |
    | `throttled` | 429, with `Retry-After` if `retry_after` is set |
    | `unavailable` | 503 with S3's `SlowDown` body, with `Retry-After` if set |
    | `server_error` | 500 with S3's `InternalError` body |
    | `redirect` | 302 to `to` |
    | `truncated` | `Content-Length` of the whole, half of the body, connection closed |
    | `no_length` | the whole body, ended by closing the connection |
    | `no_length_truncated` | half of the body, ended by closing: nothing in HTTP tells |
    | `no_end` | the body without its last two bytes, `Content-Length` and ETag to match |
    | `damaged` | the right length, one byte in the middle changed, ETag of the undamaged body |
    | `wrong_content` | 200 and an image type over an XML error page |
    | `wrong_type` | 200 and the type of the extension over another image format |
    | `multipart_etag` | the right body under an ETag that is no MD5, as S3 has for uploads in parts |
    | `ignored_range` | 200 and the whole body, whatever `Range` was asked |
    | `gzip` | `Content-Encoding: gzip`, although identity was asked |
    | `oversize` | `Content-Length` of 64 MiB + 1 byte, then zeros |
    | `oversize_no_length` | zeros without length, 64 MiB + 1 byte of them, unless the client leaves |
    | `slow_drip` | `drip_bytes` of the body every `drip_pause_s`, so no socket timeout ever fires |
    | `stall` | headers, then nothing until the client leaves or the server stops |
    | `stall_before_headers` | nothing at all until then |
    | `reset` | the connection reset (RST) before any byte |
    | `reset_midway` | headers and half of the body, then a reset |

    Attributes:
        kind: one of the table above.
        times: misbehave for the first so many requests of the photo, then serve it; None = always.
        retry_after: value of `Retry-After` for `throttled` and `unavailable`: seconds, or an HTTP date.
        to: target of `redirect`.
        drip_bytes: bytes per step of `slow_drip`.
        drip_pause_s: seconds between two steps of `slow_drip`.
    """

    kind: FaultKind
    times: int | None = None
    retry_after: int | str | None = None
    to: str | None = None
    drip_bytes: int = 4
    drip_pause_s: float = 0.25

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault of kind {self.kind!r}; there are {', '.join(KINDS)}")
        if self.times is not None and self.times < 1:
            raise ValueError(f"times must be 1 or more, or None for always; got {self.times}")
        if (self.kind == "redirect") != (self.to is not None):
            raise ValueError("`to` goes with the kind `redirect`, and `redirect` needs it")
        if self.retry_after is not None and self.kind not in ("throttled", "unavailable"):
            raise ValueError(f"`retry_after` goes with throttled and unavailable, not with {self.kind}")
        if self.drip_bytes < 1 or self.drip_pause_s <= 0:
            raise ValueError("`drip_bytes` must be 1 or more and `drip_pause_s` positive")
