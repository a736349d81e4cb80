"""The client against servers that say anything: a whole answer, or an error and no second use."""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arboretum_tools.downloading.network import client as module
from arboretum_tools.downloading.network.client import HttpClient
from arboretum_tools.downloading.network.exchange import Reply, UntrustedError, WireError
from arboretum_tools.downloading.network.urls import AddressRules

OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = OK + b"Content-Length: 5\r\n\r\nhello"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
# Ends the connection after what was sent before.
CLOSE = b""


class Server:
    """Sends on each connection what it is told to, one entry a request; then it closes.

    Attributes:
        connections: how many were made.
        asked: every request, as it came.
    """

    def __init__(self, *scripts: list[bytes | tuple[bytes, ...]]) -> None:
        self.connections = 0
        self.asked: list[bytes] = []
        self._scripts = scripts

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        try:
            for answer in script:
                if answer == CLOSE:
                    break
                self.asked.append(await reader.readuntil(b"\r\n\r\n"))
                for piece in answer if isinstance(answer, tuple) else (answer,):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.005 if isinstance(answer, tuple) else 0)
            else:
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        writer.close()


def ask(server: Server, *, times: int = 1, read_s: float = 5.0, within_s: float = 5.0, pause_s: float = 0.02):
    """What each of several questions, one after the other, led to: a reply, or the error."""

    async def run() -> list[Reply | Exception]:
        listening = await asyncio.start_server(server, "127.0.0.1", 0, limit=2**20)
        origin = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        client = HttpClient(AddressRules(origin), {"User-Agent": "test"}, read_s=read_s, connections=4)
        found: list[Reply | Exception] = []
        async with listening:
            for number in range(times):
                until = asyncio.get_running_loop().time() + within_s
                try:
                    found.append(await client.get(f"{origin}/photos/{number}/small.jpg", until))
                except (WireError, TimeoutError) as error:
                    found.append(error)
                await asyncio.sleep(pause_s)
            await client.close()
            # The server sees that, and closes its side.
            await asyncio.sleep(0.01)
        return found

    return asyncio.run(run())


def test_one_connection_answers_many_questions():
    server = Server([WHOLE] * 5)
    replies = ask(server, times=5)
    assert [reply.body for reply in replies] == [b"hello"] * 5
    assert server.connections == 1
    assert server.asked[3].startswith(b"GET /photos/3/small.jpg HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nUser-Agent: test\r\n" in server.asked[3]


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (WHOLE, b"hello"),
        (OK + b"content-length:5 \r\n\r\nhello", b"hello"),
        (OK + b"Content-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE, b"hello"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3 + WHOLE, b"hello"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello", b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9000\r\n\r\n", b""),
        (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (CHUNKED + b"2;x=y\r\nhe\r\n003 \r\nllo\r\n0\r\nTrailer: 1\r\n\r\n", b"hello"),
        (b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b""),
    ],
)
def test_an_answer_is_the_same_in_whatever_pieces_it_comes_and_leaves_the_connection_usable(answer, body):
    for cuts in (
        [answer],
        [answer[:3], answer[3:]],
        [answer[:-1], answer[-1:]],
        [answer[i : i + 7] for i in range(0, len(answer), 7)],
    ):
        server = Server([tuple(cuts), WHOLE])
        first, second = ask(server, times=2)
        assert isinstance(first, Reply), first
        assert first.body == body
        assert second.body == b"hello"
        assert server.connections == 1


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/2 200 OK\r\n\r\n", "Bad status line"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "Bad status line"),
        (b"HTTP/1.1 099 OK\r\n\r\n", "HTTP 99"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "Bad status line"),
        (b"HTTP/1.1  200 OK\r\n\r\n", "Bad status line"),
        (b"ICY 200 OK\r\n\r\n", "Bad status line"),
        (b"\xff\xd8\xff\xe0 a photo without headers \r\n\r\n", "Bad status line"),
        (OK + b"Content-Length: 5\rETag: x\r\n\r\nhello", "expected LF"),
        (OK + b"ETag: \0\r\nContent-Length: 5\r\n\r\nhello", "Invalid HTTP header"),
        (OK + b": 5\r\n\r\nhello", "Invalid header token"),
        (OK + b"nothing\r\n\r\nhello", "Invalid header token"),
        (OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "Duplicate Content-Length"),
        (OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "Duplicate Content-Length"),
        (OK + b"Content-Length: 5, 5\r\n\r\nhello", "in Content-Length"),
        (OK + b"Content-Length: -5\r\n\r\nhello", "in Content-Length"),
        (OK + b"Content-Length: +5\r\n\r\nhello", "in Content-Length"),
        (OK + b"Content-Length: 0x5\r\n\r\nhello", "in Content-Length"),
        (OK + b"Content-Length: \xb2\r\n\r\nhello", "in Content-Length"),
        (OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", "Content-Length overflow"),
        (OK + b"Content-Length:\r\n\r\nhello", "Empty Content-Length"),
        (
            CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\nhello"),
            "Content-Length can't be present",
        ),
        ((OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", CLOSE), "before the whole body"),
        (CHUNKED + b"five\r\nhello\r\n0\r\n\r\n", "chunk size"),
        (CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n", "chunk size"),
        (CHUNKED + b"5" * 2000, "Chunk size overflow"),
        (CHUNKED + b"4\r\nhello\r\n0\r\n\r\n", "after chunk data"),
        (CHUNKED + b"0\r\n" + b"a: b\r\n" * 40_000, "Too many headers"),
        # What is damaged after the headers have come is told no later.
        ((CHUNKED + b"5\r\nhello\r\n", b"zz\r\nhello\r\n"), "chunk size"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + WHOLE, "HTTP 101"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 4_000 + WHOLE, "HTTP 100"),
        (OK + b"a: b\r\n" * 20_000 + b"\r\n", "Too many headers"),
        (OK + b"a" * 100_000, "more than 8190 bytes"),
        ((b"HTTP/1.1 200 OK\r\nContent-", CLOSE), "without an answer"),
    ],
)
def test_what_is_not_an_answer_is_an_error_and_ends_the_connection(answer, why):
    script = (
        [answer] if isinstance(answer, bytes) else [answer[:-1], CLOSE] if answer[-1] == CLOSE else [answer]
    )
    server = Server(script, [WHOLE])
    first, second = ask(server, times=2, within_s=1.5)
    assert isinstance(first, WireError)
    assert why in str(first)
    assert second.body == b"hello"
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"\r\n" + WHOLE,
        OK + b"Content-Length: 5\nETag: x\r\n\r\nhello",
        OK + b"ETag: a\r\n b\r\nContent-Length: 5\r\n\r\nhello",
        OK + b"Content-Length : 5\r\n\r\nhello",
    ],
    ids=["an empty line before", "a bare line feed", "a folded field", "a blank before the colon"],
)
def test_what_the_parser_forgives_is_one_answer_and_no_more(answer):
    """RFC 9112 lets a client take these (2.2, 5.2) or leaves it open; the end of the body stays certain."""
    server = Server([answer, WHOLE])
    first, second = ask(server, times=2)
    assert (first.body, second.body) == (b"hello", b"hello")
    assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 500\r\n\r\nhello",
        CHUNKED + b"5\r\nhello",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\n",
    ],
)
def test_a_body_that_is_cut_off_is_an_error(answer):
    [error] = ask(Server([answer, CLOSE]))
    assert isinstance(error, WireError)
    assert "before the whole body" in str(error)


def test_a_body_that_only_the_end_of_the_connection_ends_is_whole_then():
    server = Server([OK + b"\r\nhello", CLOSE])
    assert [reply.body for reply in ask(server, times=2)] == [b"hello"] * 2
    assert server.connections == 2


def test_an_error_that_only_the_end_of_the_connection_would_end_is_not_waited_for():
    [reply] = ask(Server([b"HTTP/1.1 404 Not Found\r\n\r\n" + b"x" * 100]))
    assert (reply.status, reply.body) == (404, b"")


# An answer by each kind of end, and its body.
ENDS = {
    "length": (WHOLE, b"hello"),
    "length of nothing": (OK + b"Content-Length: 0\r\n\r\n", b""),
    "chunks": (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    "chunks and a trailer": (CHUNKED + b"5\r\nhello\r\n0\r\nX: 1\r\n\r\n", b"hello"),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "304": (b"HTTP/1.1 304 Not Modified\r\n\r\n", b""),
    "304 with the length of what it does not send": (
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 39\r\n\r\n",
        b"",
    ),
    "404": (b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone", b""),
    "404 without a body": (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", b""),
    "404 in chunks": (b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngone\r\n0\r\n\r\n", b""),
}
# What nobody asked for.
SURPLUS = {
    "an answer": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    "an answer in chunks": CHUNKED + b"4\r\nevil\r\n0\r\n\r\n",
    "an answer without a body": b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n",
    "the body of what had none": b"<html>evil</html>",
    "a line end": b"\r\n",
}


def answering(
    listening: socket.socket,
    answer: bytes,
    surplus: bytes,
    came: threading.Event | None,
    sent: threading.Event,
) -> None:
    """Answers, sends what nobody asked for, and answers what is asked then, here or over a new connection.

    What nobody asked for goes out with the answer, or once that came; where it is, `sent` is set.
    """
    first, _ = listening.accept()
    with first:
        first.recv(65536)
        if came is None:
            first.sendall(answer + surplus)
        else:
            first.sendall(answer)
            came.wait(5)
            first.sendall(surplus)
        sent.set()
        ready, _, _ = select.select([first, listening], [], [])
        if listening in ready or not first.recv(65536):
            with listening.accept()[0] as second:
                second.recv(65536)
                second.sendall(WHOLE)
                second.recv(65536)
        else:
            first.sendall(WHOLE.replace(b"hello", b"again"))
            first.recv(65536)


@pytest.mark.parametrize("surplus", SURPLUS.values(), ids=SURPLUS)
@pytest.mark.parametrize(("answer", "body"), ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("when", ["with the answer", "read meanwhile", "unread at the next question"])
def test_what_nobody_asked_for_is_never_the_next_answer(answer, body, surplus, when):
    came = None if when == "with the answer" else threading.Event()
    sent = threading.Event()

    async def run(origin: str) -> list[Reply | WireError]:
        client = HttpClient(AddressRules(origin), {}, read_s=2, connections=4)
        until = asyncio.get_running_loop().time() + 5
        found: list[Reply | WireError] = []
        for number in range(2):
            try:
                found.append(await client.get(f"{origin}/photos/{number}/small.jpg", until))
            except WireError as error:
                found.append(error)
            if came is not None:
                came.set()
            if when == "unread at the next question":
                sent.wait(5)
            else:
                await asyncio.to_thread(sent.wait, 5)
                # What was sent is there: the loop reads it when it turns.
                await asyncio.sleep(0.001)
        await client.close()
        return found

    with socket.create_server(("127.0.0.1", 0)) as listening:
        arguments = (listening, answer, surplus, came, sent)
        thread = threading.Thread(target=answering, args=arguments, daemon=True)
        thread.start()
        first, second = asyncio.run(run(f"http://127.0.0.1:{listening.getsockname()[1]}"))
        thread.join(5)
        assert not thread.is_alive()
    if isinstance(first, WireError):
        # What is not HTTP, and comes in one piece with an answer, spoils that; it is asked for once more.
        assert came is None
        assert not surplus.startswith(b"HTTP/")
    else:
        assert first.body == body
    # Over another connection; a line end alone may be passed over (RFC 9112, 2.2).
    assert isinstance(second, Reply)
    assert second.body == b"hello" or (surplus == b"\r\n" and second.body == b"again")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        OK + b"Connection: Close\r\nContent-Length: 5\r\n\r\nhello",
    ],
    ids=["HTTP/1.0", "close"],
)
def test_a_connection_whose_end_was_told_is_not_asked_again(answer):
    server = Server([answer, WHOLE])
    first, second = ask(server, times=2)
    assert (first.body, second.body) == (b"hello", b"hello")
    assert server.connections == 2


def test_a_question_that_came_too_late_is_asked_once_more_on_a_new_connection():
    # Closed while nothing is asked, or at the moment of the second question.
    for pause_s in (0.0, 0.1):
        server = Server([WHOLE, CLOSE], [WHOLE, WHOLE])
        first, second = ask(server, times=2, pause_s=pause_s)
        assert (first.body, second.body) == (b"hello", b"hello")
        assert server.connections == 2


def test_a_new_connection_that_ends_without_an_answer_is_an_error_at_once():
    server = Server([CLOSE])
    [error] = ask(server)
    assert str(error) == "the host closed the connection without an answer"
    assert server.connections == 1


@pytest.mark.parametrize("status", [b"200 OK", b"404 Not Found"])
def test_a_body_above_the_bound_is_refused_while_it_comes(status, monkeypatch):
    monkeypatch.setattr(module, "MAX_IMAGE_BYTES", 1000)
    monkeypatch.setattr(module, "ERROR_BODY_BYTES", 1000)
    start = b"HTTP/1.1 " + status
    for answer in (
        start + b"\r\nContent-Length: 1001\r\n\r\n" + bytes(1001),
        start + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"100\r\n" + bytes(256) + b"\r\n") * 4,
    ):
        server = Server([answer], [WHOLE])
        first, second = ask(server, times=2)
        assert first.body == (None if status.startswith(b"200") else b"")
        assert second.body == b"hello"
        assert server.connections == 2


def test_silence_and_drips_end_in_time():
    silent = Server([OK + b"Content-Length: 5\r\n\r\nhell"])
    [error] = ask(silent, read_s=0.2)
    assert "nothing came within 0.2 s" in str(error)
    # Headers have so long in all; of a body something has to come.
    dripping = Server([tuple(bytes([byte]) for byte in OK + b"X: " + b"y" * 500)])
    [error] = ask(dripping, read_s=0.2)
    assert "nothing came within 0.2 s" in str(error)
    dripping = Server([(OK + b"Content-Length: 500\r\n\r\n", *[b"x"] * 500)])
    [error] = ask(dripping, read_s=0.3, within_s=0.9)
    assert isinstance(error, TimeoutError)


def test_what_the_headers_say_is_told_byte_by_byte():
    head = b'ETag: "\xff"\r\nLOCATION: /a\r\nretry-After:  7\r\nContent-Encoding: gzip\r\nX: ETag: no\r\n'
    [reply] = ask(Server([OK + head + b"Content-Length: 0\r\n\r\n"]))
    assert (reply.etag, reply.location, reply.retry_after, reply.encoding) == (
        '"\udcff"',
        "/a",
        "7",
        "gzip",
    )


@st.composite
def damaged(draw) -> bytes:
    """An answer with a few bytes changed, put in or left out."""
    head = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
    answer = bytearray(
        head + draw(st.sampled_from([WHOLE, CHUNKED + b"5\r\nhello\r\n2\r\nyo\r\n0\r\n\r\n", OK]))
    )
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(answer)))
        new = draw(st.sampled_from([b"", b"\r\n", b"\n", b":", b" ", b"0", b"9", b"\0", b"\xff", b"x"]))
        answer[at : at + draw(st.integers(0, 2))] = new
    return bytes(answer)


@settings(max_examples=60, deadline=None)
@given(answer=damaged(), cut=st.integers(0, 40))
def test_whatever_comes_in_whatever_pieces_ends_in_a_reply_or_an_error(answer, cut):
    pieces = tuple(piece for piece in (answer[:cut], answer[cut:]) if piece)
    server = Server([pieces, CLOSE], [WHOLE])
    first, second = ask(server, times=2, pause_s=0.0)
    assert isinstance(first, Reply | WireError), first
    # However it ended, the next question has its own answer.
    assert second.body == b"hello"


def resolved(monkeypatch, *addresses):
    """Makes every name lead to these addresses; gives the list of names that were looked up."""
    looked_up = []

    async def getaddrinfo(self, host, port, **_):
        looked_up.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return looked_up


def test_an_address_that_does_not_answer_is_passed_over_and_a_name_is_looked_up_once(monkeypatch):
    server = Server([WHOLE, CLOSE])

    async def run() -> None:
        listening = await asyncio.start_server(server, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        looked_up = resolved(monkeypatch, "127.0.0.2", "127.0.0.1")
        client = HttpClient(AddressRules(f"http://photos.test:{port}"), {}, read_s=5, connections=4)
        until = asyncio.get_running_loop().time() + 5
        async with listening:
            for _ in range(3):
                reply = await client.get(f"http://photos.test:{port}/a", until)
                assert reply.body == b"hello"
            await client.close()
        assert looked_up == ["photos.test"]

    asyncio.run(run())


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00::1"])
def test_a_photo_host_that_leads_to_a_private_address_is_not_asked(monkeypatch, address):
    async def run() -> None:
        resolved(monkeypatch, address)
        client = HttpClient(AddressRules(allow_hosts={"photos.test"}), {}, read_s=5, connections=4)
        until = asyncio.get_running_loop().time() + 5
        for url in ("https://static.inaturalist.org/photos/1/small.jpg", "http://photos.test/a"):
            with pytest.raises(UntrustedError, match="which is not public"):
                await client.get(url, until)
        await client.close()

    asyncio.run(run())


def test_over_tls_a_certificate_that_is_not_trusted_is_refused(certificates, monkeypatch):
    certificate = certificates["good"]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    large = bytes(range(256)) * 2000
    server = Server([OK + b"Content-Length: %d\r\n\r\n" % len(large) + large] * 2)

    async def run(*, trusted: bool) -> None:
        listening = await asyncio.start_server(server, "127.0.0.1", 0, ssl=context)
        origin = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        client = HttpClient(AddressRules(origin), {}, read_s=5, connections=4)
        until = asyncio.get_running_loop().time() + 5
        async with listening:
            if trusted:
                for _ in range(2):
                    assert (await client.get(f"{origin}/a", until)).body == large
            else:
                with pytest.raises(WireError, match=r"127\.0\.0\.1 is not trusted: self-signed"):
                    await client.get(f"{origin}/a", until)
            await client.close()

    asyncio.run(run(trusted=False))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    asyncio.run(run(trusted=True))
    assert len(server.asked) == 2


def test_a_header_of_blanks_holds_up_nothing():
    """By an expression that walks back over them it would take many seconds; the question has three."""
    blanks = b"ETag: a" + b" " * 60_000 + b"b\r\n"
    (error,) = ask(Server([OK + blanks + b"Content-Length: 5\r\n\r\nhello"]), within_s=3.0)
    assert isinstance(error, WireError)
