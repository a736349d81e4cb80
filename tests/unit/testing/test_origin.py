"""The origin server over real connections: what S3 would say, and every way to misbehave."""

import contextlib
import gzip
import hashlib
import http.client
import io
import socket
import ssl
import subprocess
import threading
import time

import pytest
from PIL import Image

from arboretum_metadata.sample import catalog_path
from arboretum_tools.testing import Fault, Origin
from arboretum_tools.testing.faults import KINDS
from arboretum_tools.testing.origin import OVERSIZE_BYTES
from arboretum_tools.testing.subjects import read_subjects

SMALL = "/photos/{}/small.jpg"


@pytest.fixture(scope="module")
def shared():
    with Origin() as origin:
        yield origin


@pytest.fixture
def origin(shared):
    shared.faults.clear()
    shared.clear()
    return shared


@contextlib.contextmanager
def connected(origin, timeout=5.0):
    connection = http.client.HTTPConnection(origin.url.removeprefix("http://"), timeout=timeout)
    try:
        yield connection
    finally:
        connection.close()


def ask(origin, path, method="GET", timeout=5.0, **headers):
    """Status, headers and body of one request on a connection of its own."""
    with connected(origin, timeout) as connection:
        connection.request(method, path, headers=headers)
        with connection.getresponse() as answer:
            return answer.status, answer.headers, answer.read()


def md5(body):
    return f'"{hashlib.md5(body).hexdigest()}"'


def test_a_photo_comes_as_s3_sends_it(origin):
    status, headers, body = ask(origin, SMALL.format(12345))
    assert status == 200
    assert headers["ETag"] == md5(body)
    assert headers["Content-Length"] == str(len(body))
    assert headers["Content-Type"] == "image/jpeg"
    assert headers["Last-Modified"] == "Fri, 26 Jan 2024 00:00:00 GMT"
    assert headers["Server"] == "AmazonS3"
    assert len(headers["x-amz-request-id"]) == 16
    assert Image.open(io.BytesIO(body)).format == "JPEG"


def test_head_gives_the_headers_alone(origin):
    _, whole, body = ask(origin, SMALL.format(5))
    status, headers, nothing = ask(origin, SMALL.format(5), "HEAD")
    assert (status, nothing) == (200, b"")
    assert headers["ETag"] == whole["ETag"]
    assert headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize(
    ("asked", "part"),
    [("bytes=0-9", slice(0, 10)), ("bytes=100-", slice(100, None)), ("bytes=-7", slice(-7, None))],
)
def test_a_range_is_answered_with_that_part(origin, asked, part):
    _, _, body = ask(origin, SMALL.format(5))
    status, headers, got = ask(origin, SMALL.format(5), Range=asked)
    assert (status, got) == (206, body[part])
    assert headers["Content-Range"].endswith(f"/{len(body)}")
    assert headers["ETag"] == md5(body)


def test_a_range_beyond_the_end_is_refused(origin):
    status, _, body = ask(origin, SMALL.format(5), Range="bytes=100000000-")
    assert status == 416
    assert b"<Code>InvalidRange</Code>" in body


@pytest.mark.parametrize(
    "path", ["/", "/photos/1/small", "/photos/x/small.jpg", "/photos/1/huge.jpg", "/photos/01/small.jpg"]
)
def test_a_path_that_is_no_photo_is_denied(origin, path):
    status, headers, body = ask(origin, path)
    assert status == 403
    assert headers["Content-Type"] == "application/xml"
    assert b"<Code>AccessDenied</Code>" in body


def test_a_catalogue_says_which_photos_there_are_and_under_which_extension():
    subjects = read_subjects(catalog_path())
    upper = next(i for i in range(9_000_000_001, 9_000_000_999) if (p := subjects.find(i)) and p.ext == "JPG")
    with Origin(catalog_path()) as origin:
        assert ask(origin, f"/photos/{upper}/small.JPG")[0] == 200
        assert ask(origin, f"/photos/{upper}/small.jpg")[0] == 403
        assert ask(origin, f"/photos/{upper}/small.png")[0] == 403
        status, _, body = ask(origin, "/photos/77/small.jpg")
        assert (status, b"<Code>NoSuchKey</Code>" in body) == (404, True)
        assert ask(origin, f"/photos/{10**25}/small.jpg")[0] == 404


def test_every_request_is_noted_in_order(origin):
    ask(origin, SMALL.format(5), **{"User-Agent": "tester/1"})
    origin.faults[6] = Fault("unavailable")
    ask(origin, "/photos/6/medium.png", "HEAD", Range="bytes=0-1")
    ask(origin, "/elsewhere?a=1")
    first, second, third = origin.requests
    assert (first.method, first.photo_id, first.size, first.ext, first.status) == (
        "GET",
        5,
        "small",
        "jpg",
        200,
    )
    assert (first.user_agent, first.fault) == ("tester/1", None)
    assert (second.method, second.status, second.fault, second.range) == (
        "HEAD",
        503,
        "unavailable",
        "bytes=0-1",
    )
    assert (third.photo_id, third.path, third.status) == (None, "/elsewhere?a=1", 403)
    assert first.at <= second.at <= third.at
    origin.clear()
    assert origin.requests == []


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("not_found", 404, "NoSuchKey"),
        ("forbidden", 403, "AccessDenied"),
        ("throttled", 429, "TooManyRequests"),
        ("unavailable", 503, "SlowDown"),
        ("server_error", 500, "InternalError"),
    ],
)
def test_errors_carry_the_body_of_s3(origin, kind, status, code):
    origin.faults[1] = Fault(kind)
    got, headers, body = ask(origin, SMALL.format(1))
    assert got == status
    assert f"<Code>{code}</Code>".encode() in body
    assert "Retry-After" not in headers


@pytest.mark.parametrize("kind", ["throttled", "unavailable"])
@pytest.mark.parametrize("after", [3, "Fri, 26 Jan 2024 00:00:00 GMT"])
def test_retry_after_is_sent_where_it_is_set(origin, kind, after):
    origin.faults[1] = Fault(kind, retry_after=after)
    assert ask(origin, SMALL.format(1))[1]["Retry-After"] == str(after)


def test_a_redirect_names_its_target(origin):
    origin.faults[1] = Fault("redirect", to="http://127.0.0.1:1/elsewhere.jpg")
    status, headers, _ = ask(origin, SMALL.format(1))
    assert (status, headers["Location"]) == (302, "http://127.0.0.1:1/elsewhere.jpg")


def test_times_counts_requests_and_a_new_fault_starts_anew(origin):
    origin.faults[1] = Fault("unavailable", times=2)
    assert [ask(origin, SMALL.format(1))[0] for _ in range(4)] == [503, 503, 200, 200]
    origin.faults[1] = Fault("unavailable", times=1)
    assert [ask(origin, SMALL.format(1))[0] for _ in range(2)] == [503, 200]
    del origin.faults[1]
    assert ask(origin, SMALL.format(1))[0] == 200


def test_a_truncated_body_is_shorter_than_said(origin):
    _, _, whole = ask(origin, SMALL.format(1))
    origin.faults[1] = Fault("truncated")
    with pytest.raises(http.client.IncompleteRead) as caught:
        ask(origin, SMALL.format(1))
    assert caught.value.partial == whole[: len(whole) // 2]


def test_a_body_without_length_ends_with_the_connection(origin):
    _, _, whole = ask(origin, SMALL.format(1))
    origin.faults[1] = Fault("no_length")
    status, headers, body = ask(origin, SMALL.format(1))
    assert (status, body) == (200, whole)
    assert "Content-Length" not in headers
    assert "Transfer-Encoding" not in headers
    origin.faults[1] = Fault("no_length_truncated")
    status, headers, body = ask(origin, SMALL.format(1))
    assert (status, body) == (200, whole[: len(whole) // 2])
    assert headers["ETag"] == md5(whole)


def test_bodies_that_are_wrong_inside_have_headers_as_said(origin):
    _, _, whole = ask(origin, SMALL.format(1))

    def played(kind):
        origin.faults[1] = Fault(kind)
        status, headers, body = ask(origin, SMALL.format(1))
        assert (status, headers["Content-Type"], int(headers["Content-Length"])) == (
            200,
            "image/jpeg",
            len(body),
        )
        return headers["ETag"], headers, body

    etag, _, body = played("no_end")
    assert (etag, body) == (md5(body), whole[:-2])
    etag, _, body = played("damaged")
    assert etag == md5(whole)
    assert sum(a != b for a, b in zip(body, whole, strict=True)) == 1
    etag, _, body = played("wrong_content")
    assert body.startswith(b"<?xml")
    etag, _, body = played("wrong_type")
    assert body.startswith(b"\x89PNG")
    etag, _, body = played("multipart_etag")
    assert body == whole
    assert etag.endswith('-2"')
    _, headers, body = played("gzip")
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == whole


def test_an_ignored_range_brings_everything(origin):
    origin.faults[1] = Fault("ignored_range")
    status, headers, body = ask(origin, SMALL.format(1), Range="bytes=10-19")
    assert (status, headers["Content-Length"]) == (200, str(len(body)))
    assert len(body) > 10


@pytest.mark.parametrize("kind", ["oversize", "oversize_no_length"])
def test_an_oversized_body_really_comes(origin, kind):
    origin.faults[1] = Fault(kind)
    with connected(origin) as connection:
        connection.request("GET", SMALL.format(1))
        answer = connection.getresponse()
        assert answer.headers["Content-Length"] == (str(OVERSIZE_BYTES) if kind == "oversize" else None)
        got = 0
        while part := answer.read(2**20):
            got += len(part)
    assert got == OVERSIZE_BYTES > 64 * 2**20


def test_a_slow_drip_never_pauses_for_long_and_never_hurries(origin):
    origin.faults[1] = Fault("slow_drip", drip_bytes=3, drip_pause_s=0.05)
    with connected(origin) as connection:
        connection.request("GET", SMALL.format(1))
        started = time.monotonic()
        assert len(connection.getresponse().read(9)) == 9
        assert 0.08 < time.monotonic() - started < 20


@pytest.mark.parametrize("kind", ["stall", "stall_before_headers"])
def test_a_stall_outlasts_the_client(origin, kind):
    origin.faults[1] = Fault(kind)
    with pytest.raises(TimeoutError):
        ask(origin, SMALL.format(1), timeout=0.3)
    assert ask(origin, SMALL.format(2))[0] == 200


@pytest.mark.parametrize("kind", ["reset", "reset_midway"])
def test_a_reset_is_one(origin, kind):
    origin.faults[1] = Fault(kind)
    with pytest.raises(ConnectionResetError):
        ask(origin, SMALL.format(1))


def test_every_kind_of_fault_leaves_the_server_serving(origin):
    for photo_id, kind in enumerate(KINDS, 1):
        origin.faults[photo_id] = Fault(kind, to="/photos/99/small.jpg" if kind == "redirect" else None)
        with contextlib.suppress(OSError, http.client.HTTPException), connected(origin, 0.2) as connection:
            connection.request("GET", SMALL.format(photo_id))
            connection.getresponse().read(100)
    assert ask(origin, SMALL.format(99))[0] == 200
    assert {request.fault for request in origin.requests} == {*KINDS, None}


def test_the_peak_of_requests_at_one_time_is_counted(origin):
    origin.faults[1] = Fault("stall")
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            connection = stack.enter_context(connected(origin))
            connection.request("GET", SMALL.format(1))
            connection.getresponse()
        assert origin.peak_requests == 5


def test_stopping_is_quick_with_connections_left_open():
    origin = Origin(faults={1: Fault("stall"), 2: Fault("stall_before_headers"), 3: Fault("slow_drip")})
    threads = threading.active_count()
    with contextlib.ExitStack() as stack:
        origin.start()
        for index in range(30):
            connection = stack.enter_context(connected(origin))
            connection.request("GET", SMALL.format(index % 3 + 1))
        stack.enter_context(connected(origin)).connect()
        while len(origin.requests) < 30:
            time.sleep(0.01)
        started = time.monotonic()
        origin.stop()
        # A stall has no end, and what drips needs minutes.
        assert time.monotonic() - started < 20
    assert threading.active_count() == threads


def test_a_stopped_server_refuses_and_starts_again():
    origin = Origin()
    with pytest.raises(RuntimeError, match="not running"):
        _ = origin.url
    origin.stop()
    with origin:
        port = int(origin.url.rsplit(":", 1)[1])
        with pytest.raises(RuntimeError, match="running already"):
            origin.start()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
    with origin:
        assert ask(origin, SMALL.format(1))[0] == 200


def test_a_port_in_use_is_an_error_of_start(origin):
    port = int(origin.url.rsplit(":", 1)[1])
    other = Origin(port=port)
    with pytest.raises(OSError, match="in use"):
        other.start()
    other.stop()


def test_it_speaks_tls(tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*made, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    with Origin(ssl_context=server, faults={2: Fault("truncated"), 3: Fault("reset")}) as origin:
        assert origin.url.startswith("https://")
        host = origin.url.removeprefix("https://")
        client = ssl.create_default_context(cafile=str(certificate))

        def asked(photo_id):
            connection = http.client.HTTPSConnection(host, timeout=5, context=client)
            with contextlib.closing(connection):
                connection.request("GET", SMALL.format(photo_id))
                return connection.getresponse().read()

        assert asked(1).startswith(b"\xff\xd8")
        with pytest.raises((http.client.IncompleteRead, ssl.SSLError)):
            asked(2)
        with pytest.raises((ConnectionError, ssl.SSLError)):
            asked(3)
