"""Whatever a host does, every photo ends in exactly one state, and nothing is stored that is not whole."""

from __future__ import annotations

import asyncio
import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import accumulate, pairwise

import pytest
from PIL import Image

from arboretum_tools.downloading import DownloadFailedError, download
from arboretum_tools.downloading.network.client import HttpClient
from arboretum_tools.downloading.network.proxy import Proxy
from arboretum_tools.downloading.network.urls import AddressRules
from arboretum_tools.errors import BadInputError
from arboretum_tools.imaging.image_format import inspect
from arboretum_tools.store import ImageStore, StoreWriter, inventory
from arboretum_tools.testing.faults import Fault
from arboretum_tools.testing.origin import Origin

# For one photo; the body that is too large has to come within it, on a machine that does other things too.
DEADLINE_S = 5.0

# What each fault leads to: state, requests, part of the reason.
EXPECTED = {
    # Asked for as jpg and then as jpeg.
    Fault("not_found"): ("gone", 2, "HTTP 404"),
    Fault("forbidden"): ("forbidden", 2, "HTTP 403"),
    Fault("throttled"): ("failed", 2, "HTTP 429"),
    Fault("throttled", times=1, retry_after=0): ("ok", 2, None),
    Fault("unavailable"): ("failed", 2, "HTTP 503"),
    Fault("unavailable", times=1): ("ok", 2, None),
    Fault("server_error"): ("failed", 2, "HTTP 500"),
    Fault("server_error", times=1): ("ok", 2, None),
    Fault("truncated"): ("failed", 2, "before the whole body"),
    Fault("truncated", times=1): ("ok", 2, None),
    Fault("no_length"): ("ok", 1, None),
    Fault("no_length_truncated"): ("invalid", 2, "cut off"),
    Fault("no_length_truncated", times=1): ("ok", 2, None),
    Fault("no_end"): ("invalid", 1, "end-of-image"),
    Fault("damaged"): ("invalid", 2, "MD5"),
    Fault("damaged", times=1): ("ok", 2, None),
    Fault("wrong_content"): ("invalid", 1, "XML"),
    Fault("wrong_type"): ("ok", 1, None),
    Fault("multipart_etag"): ("ok", 1, None),
    Fault("ignored_range"): ("ok", 1, None),
    Fault("gzip"): ("invalid", 1, "gzip"),
    Fault("oversize"): ("invalid", 1, "larger than 64 MiB"),
    Fault("oversize_no_length"): ("invalid", 1, "larger than 64 MiB"),
    # Any number of requests: a first one may be given up before the deadline, by what other photos took.
    Fault("slow_drip", drip_pause_s=0.2): ("failed", None, "within"),
    Fault("stall"): ("failed", None, "within"),
    Fault("stall_before_headers"): ("failed", None, "within"),
    Fault("reset"): ("failed", 2, ""),
    # Any number of requests: aiohttp itself asks again where a connection that was used before is reset.
    Fault("reset", times=1): ("ok", None, None),
    Fault("reset_midway"): ("failed", 2, "before the whole body"),
    Fault("redirect", to="/photos/900/small.jpg"): ("ok", 1, None),
    Fault("redirect", to="https://static.inaturalist.org/photos/901/small.jpg"): ("ok", 1, None),
    Fault("redirect", to="https://example.org/photos/900/small.jpg"): (
        "invalid",
        1,
        "example.org is not an allowed",
    ),
    Fault("redirect", to="http://169.254.169.254/latest"): (
        "invalid",
        1,
        "169.254.169.254 is not an allowed",
    ),
    Fault("redirect", to="file:///etc/passwd"): ("invalid", 1, "scheme 'file'"),
}
FAULTS = dict(enumerate(EXPECTED, start=1))
LOOP = 800
GOOD = range(600, 640)


# How a host is asked: directly, and here through a proxy that is the host.
WAYS = ("direct", "proxied")


def reach(way: str, server: str, patch: pytest.MonkeyPatch) -> str:
    """The `origin` to give, so that the server at this address is asked in this way."""
    if way == "direct":
        return server
    patch.setenv("http_proxy", server)
    return "http://photos.invalid"


@pytest.fixture(params=WAYS)
def url(request, origin, monkeypatch) -> str:
    """The `origin` to give for the origin server, in each way."""
    return reach(request.param, origin.url, monkeypatch)


@pytest.fixture(scope="module", params=WAYS)
def run(request, tmp_path_factory, plan_of):
    """One download from an origin that misbehaves in every way at once."""
    faults = FAULTS | {LOOP: Fault("redirect", to=f"/photos/{LOOP}/small.jpg")}
    path = tmp_path_factory.mktemp("faults") / "images"
    began = time.monotonic()
    with Origin(faults=faults) as origin, pytest.MonkeyPatch.context() as patch:
        report = download(
            plan_of(*faults, *GOOD),
            images=path,
            size="small",
            origin=reach(request.param, origin.url, patch),
            attempts=2,
            deadline_s=DEADLINE_S,
            max_failure_rate=1.0,
        )
        asked = list(origin.requests)
    rows = {row["photo_id"]: row for row in ImageStore.open(path).index(0).to_pylist()}
    return report, rows, path, asked, time.monotonic() - began


@pytest.mark.parametrize("photo_id", FAULTS, ids=[f"{f.kind}-{f.times}-{f.to}" for f in EXPECTED])
def test_a_fault_leads_to_its_state(run, photo_id):
    status, attempts, reason = EXPECTED[FAULTS[photo_id]]
    row = run[1][photo_id]
    assert (row["status"], row["attempts"]) == (status, attempts or row["attempts"])
    if reason is None:
        assert row["error"] is None
    else:
        assert reason in row["error"]
        assert row["member"] is None


def test_every_photo_has_one_row_and_every_good_one_is_ok(run):
    report, rows, path, _, _ = run
    assert set(rows) == {*FAULTS, LOOP, *GOOD}
    assert all(rows[n]["status"] == "ok" for n in GOOD)
    assert sum(report.by_status.values()) == report.requested == report.tried == len(rows)
    assert report.by_status["pending"] == 0
    assert report.fetched == report.by_status["ok"] == inventory.status(path).photos["ok"]


def test_stored_bytes_are_whole_images_under_their_true_suffix(run):
    store = ImageStore.open(run[2])
    for photo_id, row in run[1].items():
        if row["status"] == "ok":
            image = inspect(store.bytes_of(photo_id))
            assert row["member"] == f"{photo_id}.{image.ext}"
            assert (row["format"], row["width"], row["height"]) == (image.format, image.width, image.height)
    wrong_type = next(n for n, fault in FAULTS.items() if fault.kind == "wrong_type")
    assert run[1][wrong_type]["member"] != f"{wrong_type}.jpg"


def test_a_redirect_in_a_circle_ends(run):
    assert run[1][LOOP]["status"] == "invalid"
    assert "more than 3 times" in run[1][LOOP]["error"]
    assert sum(request.photo_id == LOOP for request in run[3]) == 4


def test_the_index_says_the_real_address_and_not_the_origin(run):
    assert run[1][600]["url"] == "https://inaturalist-open-data.s3.amazonaws.com/photos/600/small.jpg"


def test_stalls_and_drips_end_in_bounded_time(run):
    assert run[4] < 30


def test_more_failures_than_allowed_are_an_error_that_keeps_what_came(tmp_path, plan_of, origin, url):
    origin.faults = {1: Fault("forbidden"), 2: Fault("not_found")}
    with pytest.raises(
        DownloadFailedError, match=r"1 of 4 photos could not be had \(1 forbidden; most often: HTTP 403\)"
    ) as caught:
        download(plan_of(1, 2, 3, 4), images=tmp_path, origin=url, max_failure_rate=0.2)
    assert caught.value.exit_code == 4
    assert caught.value.report.by_status["ok"] == 2
    assert caught.value.report.failure_rate == 0.25
    assert inventory.status(tmp_path).photos["gone"] == 1
    download(plan_of(1, 2, 3, 4), images=tmp_path, origin=url, max_failure_rate=0.25)


def test_photos_that_vanished_are_no_failures(tmp_path, plan_of, origin, url):
    origin.faults = {n: Fault("not_found") for n in (1, 2)}
    report = download(plan_of(1, 2), images=tmp_path, origin=url, max_failure_rate=0.0)
    assert (report.by_status["gone"], report.failures) == (2, 0)


def test_retry_after_is_obeyed_by_every_worker(tmp_path, plan_of, origin, url):
    origin.faults = {1: Fault("throttled", times=1, retry_after=1)}
    download(plan_of(1), images=tmp_path, origin=url)
    first, second = (request.at for request in origin.requests)
    assert second - first >= 1.0


@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_reaches_no_host_ends_soon_and_says_so(tmp_path, plan_of, monkeypatch, way):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = reach(way, f"http://127.0.0.1:{unused.getsockname()[1]}", monkeypatch)
        with pytest.raises(BadInputError, match=r"no host can be reached: .*127\.0\.0\.1") as caught:
            download(plan_of(*range(1, 500)), images=tmp_path, origin=closed, attempts=1)
    assert "--origin" in caught.value.hint
    assert inventory.status(tmp_path).photos["failed"] < 100


@pytest.mark.parametrize("way", WAYS)
def test_a_small_download_that_reaches_no_host_says_so_after_three_requests(
    tmp_path, plan_of, monkeypatch, way
):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = reach(way, f"http://127.0.0.1:{unused.getsockname()[1]}", monkeypatch)
        with pytest.raises(BadInputError, match=r"no host can be reached"):
            download(plan_of(1, 2), images=tmp_path, origin=closed)
    # The network may be back tomorrow, and nothing is known of the photos.
    assert inventory.status(tmp_path).photos["failed"] == 0


@pytest.mark.parametrize("kind", ["reset", "stall_before_headers"])
def test_a_host_that_accepts_and_never_answers_is_there(tmp_path, plan_of, origin, url, kind):
    origin.faults = {n: Fault(kind) for n in range(1, 13)}
    report = download(
        plan_of(*origin.faults),
        images=tmp_path,
        origin=url,
        attempts=1,
        deadline_s=0.5,
        max_failure_rate=1,
    )
    assert report.by_status["failed"] == 12


def test_addresses_of_the_metadata_that_may_not_be_asked_end_as_invalid(tmp_path, plan_of, origin, url):
    rows = [
        (1, "jpg", "http://127.0.0.1/photos/1/medium.jpg"),
        (2, "exe", None),
        (3, "jpg", "https://user:word@static.inaturalist.org/photos/3/medium.jpg"),
        (4, "JPG", "http://static.inaturalist.org/photos/4/medium.JPG"),
    ]
    download(plan_of(*rows), images=tmp_path, size="small", origin=url, max_failure_rate=1)
    index = ImageStore.open(tmp_path).index(0).to_pylist()
    assert [(row["status"], row["attempts"]) for row in index] == [("invalid", 0)] * 3 + [("ok", 1)]
    assert [request.path for request in origin.requests] == ["/photos/4/small.JPG"]


def test_a_host_name_that_leads_to_this_machine_is_not_asked_without_an_origin(tmp_path, plan_of):
    rows = [(1, "jpg", "http://localhost/photos/1/medium.jpg")]
    download(plan_of(*rows), images=tmp_path, allow_hosts=["localhost"], max_failure_rate=1)
    [row] = ImageStore.open(tmp_path).index(0).to_pylist()
    # It is the network that says so, and may say otherwise tomorrow.
    assert (row["status"], row["attempts"], row["http_status"]) == ("failed", 1, None)
    assert "which is not public" in row["error"]
    ids = [(n, "jpg", f"http://localhost/photos/{n}/medium.jpg") for n in range(1, 500)]
    with pytest.raises(BadInputError, match="no host can be reached: localhost leads to the address"):
        download(plan_of(*ids), images=tmp_path, allow_hosts=["localhost"], max_failure_rate=1)


@pytest.mark.parametrize("way", WAYS)
def test_a_connection_that_is_closed_between_two_photos_costs_no_request(tmp_path, plan_of, monkeypatch, way):
    # Nothing in the answer says that it is the last one of its connection.
    with raw_host(dict.fromkeys(range(1, 101), OK + LENGTH + PHOTO)) as host:
        at = reach(way, host, monkeypatch)
        report = download(plan_of(*range(1, 101)), images=tmp_path, origin=at, attempts=1, connections=4)
    assert report.by_status["ok"] == 100


@pytest.mark.parametrize("way", WAYS)
def test_several_connections_that_were_closed_while_they_waited_cost_no_request(way):
    kept = 3
    together = threading.Barrier(kept)
    accepted: list[socket.socket] = []

    def answer(connection: socket.socket) -> None:
        # One answer; the next request on the same connection finds it closed.
        with connection, suppress(OSError, threading.BrokenBarrierError):
            connection.recv(65536)
            if len(accepted) <= kept:
                together.wait(10)
            connection.sendall(OK + LENGTH + PHOTO)
            connection.recv(65536)

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                accepted.append(listening.accept()[0])
                threading.Thread(target=answer, args=(accepted[-1],), daemon=True).start()

    async def ask(server: str) -> list[int]:
        rules = AddressRules("http://photos.invalid" if way == "proxied" else server)
        client = HttpClient(rules, {}, read_s=10, connections=8)
        until = asyncio.get_running_loop().time() + 20
        # An address that leads nowhere is asked by the proxy, that is by the server.
        target = f"{rules.origin}/photos/1/small.jpg"
        proxy = Proxy(server) if way == "proxied" else None
        try:
            replies = await asyncio.gather(*(client.get(target, until, proxy) for _ in range(kept)))
            replies += [await client.get(target, until, proxy) for _ in range(kept)]
            return [reply.status for reply in replies]
        finally:
            await client.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        assert asyncio.run(ask(f"http://127.0.0.1:{listening.getsockname()[1]}")) == [200] * 2 * kept
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("way", WAYS)
def test_bodies_are_asked_for_as_they_are(tmp_path, plan_of, monkeypatch, way):
    asked = []

    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            asked.append(connection.recv(65536).lower())
            connection.sendall(OK + LENGTH + PHOTO)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,), daemon=True)
        thread.start()
        at = reach(way, f"http://127.0.0.1:{listening.getsockname()[1]}", monkeypatch)
        download(plan_of(1), images=tmp_path, origin=at)
    thread.join(5)
    assert b"\r\naccept-encoding: identity\r\n" in asked[0]
    assert b"gzip" not in asked[0]


def test_the_host_is_told_who_asks(tmp_path, plan_of, origin, url):
    download(plan_of(1), images=tmp_path, origin=url, contact="https://example.org/me")
    [request] = origin.requests
    assert request.user_agent.startswith("arboretum-tools/")
    assert request.user_agent.endswith("(+https://example.org/me)")


def test_no_more_connections_are_used_than_allowed(tmp_path, plan_of, origin, url):
    download(plan_of(*range(1, 60)), images=tmp_path, origin=url, connections=3)
    assert 1 <= origin.peak_requests <= 3


def small_photo() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    return buffer.getvalue()


@contextmanager
def raw_host(answers: dict[int, bytes]) -> Iterator[str]:
    """The address of a host that sends these bytes for each photo, and then closes the connection."""

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            asked = connection.recv(65536)
            connection.sendall(answers[int(asked.partition(b"/photos/")[2].partition(b"/")[0])])

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                answer(listening.accept()[0])

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.mark.parametrize("way", WAYS)
def test_headers_of_any_bytes_are_no_obstacle(tmp_path, plan_of, monkeypatch, way):
    body = small_photo()
    heads = {
        1: b'200 OK\r\nETag: "\xff\xfe"\r\n',
        2: b"200 OK\r\nContent-Encoding: \xff\xc3\xbc\r\n",
        3: b"302 Found\r\nLocation: https://\xff\xfe.example/\r\n",
        4: b"999 \xff\r\n",
    }
    end = b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
    with raw_host({number: b"HTTP/1.1 " + head + end for number, head in heads.items()}) as host:
        at = reach(way, host, monkeypatch)
        download(plan_of(*heads), images=tmp_path, origin=at, attempts=1, max_failure_rate=1)
    rows = ImageStore.open(tmp_path).index(0).to_pylist()
    assert [row["status"] for row in rows] == ["ok", "invalid", "invalid", "failed"]
    assert all((row["etag"] or "").isascii() for row in rows)


PHOTO = small_photo()
OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n" % len(PHOTO)
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def chunks(*sizes: int) -> bytes:
    """The photo in chunks of these sizes, and one of what is left."""
    cuts = [0, *accumulate(sizes), len(PHOTO)]
    pieces = [PHOTO[here:there] for here, there in pairwise(cuts)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


# What a host sends, and what the photo is then: state, requests, part of the reason.
# The third request is for the other spelling of the extension.
SENT: dict[str, tuple[bytes, tuple[str, int, str | None]]] = {
    "no reason": (b"HTTP/1.1 200\r\n" + LENGTH + PHOTO, ("ok", 1, None)),
    "HTTP/1.0, ended by closing": (b"HTTP/1.0 200 OK\r\n\r\n" + PHOTO, ("ok", 1, None)),
    "interim answers": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + LENGTH + PHOTO,
        ("ok", 1, None),
    ),
    "odd chunks": (CHUNKED + chunks(1, 2, 300, 7) + b"0\r\n\r\n", ("ok", 1, None)),
    "a trailer": (CHUNKED + chunks(10) + b"0\r\nX-Sum: 1\r\nY: 2\r\n\r\n", ("ok", 1, None)),
    "chunks without an end": (CHUNKED + chunks(10), ("failed", 2, "before the whole body")),
    "a chunk of no size": (CHUNKED + b"zz\r\n" + PHOTO, ("failed", 2, "chunk size")),
    "two lengths": (OK + b"Content-Length: 3\r\n" + LENGTH + PHOTO, ("failed", 2, "Duplicate Content")),
    "headers that do not end": (OK + b"X: y\r\n" * 20_000, ("failed", 2, "Too many headers")),
    "no HTTP": (PHOTO + b"\r\n\r\n", ("failed", 2, "not an answer of HTTP/1.1")),
    "nothing": (b"", ("failed", 2, "without an answer")),
    "an empty body": (OK + b"Content-Length: 0\r\n\r\n", ("invalid", 2, "an empty body")),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", ("failed", 1, "HTTP 204")),
    "206": (
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-9/10\r\n" + LENGTH + PHOTO,
        ("failed", 1, "HTTP 206"),
    ),
    "304": (b"HTTP/1.1 304 Not Modified\r\n\r\n", ("failed", 1, "HTTP 304")),
    "410": (b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", ("gone", 2, "HTTP 410")),
    "401": (b"HTTP/1.1 401 Who\r\nContent-Length: 0\r\n\r\n", ("forbidden", 2, "HTTP 401")),
    "a redirect to nowhere": (
        b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
        ("failed", 1, "HTTP 302"),
    ),
}
# Where each of these leads; all of them are asked once and end as invalid.
LED = {
    b"http://[": "not an address",
    b"http://[::1]:x/": "not an address",
    b"http://[v1.x]/": "",
    b"//user:word@static.inaturalist.org/photos/1/small.jpg": "user info",
    b"https://static.inaturalist.org:8443/photos/1/small.jpg": "port 8443",
    b"ftp://static.inaturalist.org/photos/1/small.jpg": "scheme 'ftp'",
    b"javascript:alert(1)": "scheme 'javascript'",
    b"http://2130706433/latest": "not an allowed host",
    b"http://metadata.google.internal/" + b"x" * 8_000: "not an allowed host",
    b"/photos/1/small.jpg\x0bX": "control characters",
}


@pytest.mark.parametrize("way", WAYS)
def test_whatever_bytes_a_host_sends_each_photo_ends_in_its_state(tmp_path, plan_of, monkeypatch, way):
    answers = {number: sent for number, (sent, _) in enumerate(SENT.values(), 1)}
    answers |= {
        number: b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + there + b"\r\n\r\n"
        for number, there in enumerate(LED, 100)
    }
    with raw_host(answers) as host:
        at = reach(way, host, monkeypatch)
        report = download(
            plan_of(*answers), images=tmp_path, origin=at, attempts=2, deadline_s=5, max_failure_rate=1
        )
    assert report.tried == len(answers)
    rows = {row["photo_id"]: row for row in ImageStore.open(tmp_path).index(0).to_pylist()}
    for number, (name, (_, (status, attempts, reason))) in enumerate(SENT.items(), 1):
        row = rows[number]
        assert (row["status"], row["attempts"]) == (status, attempts), (name, row)
        assert row["error"] is None if reason is None else reason in row["error"], name
    for number, (there, reason) in enumerate(LED.items(), 100):
        row = rows[number]
        assert (row["status"], row["attempts"]) == ("invalid", 1), (there, row)
        assert reason in row["error"], there
        assert len(row["error"]) <= 500


def test_the_proxy_of_the_environment_is_asked_for_hosts_that_are_not_this_machine(
    tmp_path, plan_of, origin, monkeypatch
):
    monkeypatch.setenv("http_proxy", origin.url)
    monkeypatch.setenv("no_proxy", "direct.invalid")
    report = download(plan_of(1), images=tmp_path / "a", size="small", origin="http://photos.invalid")
    assert report.fetched == 1
    assert [request.photo_id for request in origin.requests] == [1]
    rest = download(
        plan_of(1), images=tmp_path / "b", origin="http://direct.invalid", attempts=1, max_failure_rate=1
    )
    assert rest.by_status["failed"] == 1
    assert len(origin.requests) == 1


def test_a_photo_that_lies_under_the_other_spelling_of_its_extension_is_found(tmp_path, plan_of, origin, url):
    origin.faults = {1: Fault("not_found", times=1), 2: Fault("forbidden", times=1), 3: Fault("not_found")}
    rows = [(1, "jpeg", None), (2, "JPG", None), (3, "jpg", None), (4, "jpg", None)]
    download(plan_of(*rows), images=tmp_path, origin=url, max_failure_rate=0)
    index = ImageStore.open(tmp_path).index(0).to_pylist()
    assert [(row["status"], row["attempts"], row["url"].rpartition(".")[2]) for row in index] == [
        ("ok", 2, "jpg"),
        ("ok", 2, "jpg"),
        ("gone", 2, "jpg"),
        ("ok", 1, "jpg"),
    ]


def test_a_photo_that_has_moved_to_the_bucket_is_found_there(tmp_path, plan_of, origin, url):
    origin.faults = {
        1: Fault("forbidden", times=1),
        2: Fault("not_found", times=2),
        3: Fault("forbidden"),
    }
    static = "https://static.inaturalist.org/photos"
    rows = [(n, "jpg", f"{static}/{n}/medium.jpg?154536") for n in (1, 2, 3)]
    download(plan_of(*rows), images=tmp_path, origin=url, size="small", max_failure_rate=1)
    bucket = "https://inaturalist-open-data.s3.amazonaws.com/photos"
    index = ImageStore.open(tmp_path).index(0).to_pylist()
    assert [(row["status"], row["attempts"], row["url"]) for row in index] == [
        ("ok", 2, f"{bucket}/1/small.jpg"),
        ("ok", 3, f"{static}/2/small.jpeg?154536"),
        ("forbidden", 4, f"{static}/3/small.jpg?154536"),
    ]


def test_the_watchdog_names_what_is_waited_for(tmp_path, plan_of, origin, monkeypatch, url):
    from arboretum_tools.downloading.fetching import engine
    from arboretum_tools.events import Note

    monkeypatch.setattr(engine, "QUIET_S", 0.1)
    origin.faults = {7: Fault("stall")}
    message = []
    download(
        plan_of(7),
        images=tmp_path,
        origin=url,
        attempts=1,
        deadline_s=0.8,
        max_failure_rate=1,
        on_event=lambda event: message.append(event.text) if isinstance(event, Note) else None,
    )
    assert message
    assert all("1 photo is waited for" in text and "7 (" in text for text in message)


def test_a_photo_that_hangs_between_fetching_and_writing_is_named_too(tmp_path, plan_of, origin, monkeypatch):
    from arboretum_tools.downloading.fetching import engine
    from arboretum_tools.downloading.options import DownloadOptions
    from arboretum_tools.events import Note

    monkeypatch.setattr(engine, "QUIET_S", 0.1)
    found = []

    async def dawdle(record, data):
        await asyncio.sleep(0.5)
        return record, data

    with StoreWriter.create(tmp_path) as writer:
        options = DownloadOptions(origin=origin.url)
        asyncio.run(engine.run(iter(plan_of(7).batches()), writer, options, found.append, transform=dawdle))
    notes = [event.text for event in found if isinstance(event, Note)]
    assert any("1 photo is waited for, the longest: 7 (" in text for text in notes)


def test_what_is_done_between_fetching_and_writing_decides_what_is_stored(tmp_path, plan_of, origin):
    from dataclasses import replace

    from arboretum_tools.downloading.fetching import engine
    from arboretum_tools.downloading.options import DownloadOptions

    async def refuse_even(record, data):
        assert inspect(data).format == "jpeg"
        if record.photo_id % 2:
            return record, data
        none = dict.fromkeys(("member", "size_bytes", "sha256", "width", "height", "format"))
        return replace(record, status="invalid", error="even", **none), None

    origin.faults = {3: Fault("not_found")}
    found = []
    with StoreWriter.create(tmp_path) as writer:
        options = DownloadOptions(origin=origin.url)
        asyncio.run(
            engine.run(iter(plan_of(1, 2, 3).batches()), writer, options, found.append, transform=refuse_even)
        )
    assert sorted(event.status for event in found[:3]) == ["gone", "invalid", "ok"]
    rows = ImageStore.open(tmp_path).index(0).to_pylist()
    assert [(row["status"], row["error"], row["source_bytes"] is None) for row in rows] == [
        ("ok", None, False),
        ("invalid", "even", False),
        ("gone", "HTTP 404", True),
    ]
