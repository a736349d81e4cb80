"""Certificates and proxies: what is not trusted or not let through is one sentence, with what to do."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from pathlib import Path
from typing import Self

import pytest

from arboretum_tools.downloading import DownloadFailedError, download
from arboretum_tools.downloading.doctor import examine
from arboretum_tools.downloading.network.proxy import Proxy, proxy_for
from arboretum_tools.downloading.options import DownloadOptions
from arboretum_tools.errors import BadInputError
from arboretum_tools.store import ImageStore
from arboretum_tools.testing.origin import Origin


def serving(path: Path) -> Origin:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path, path.with_name("key.pem"))
    return Origin(ssl_context=context)


class Tunnels:
    """A proxy that knows CONNECT, and leads every name to one port of this machine.

    Attributes:
        url: of the proxy.
        heads: what it was asked, headers and all.
    """

    def __init__(self, port: int = 0, *, authorization: str = "", refuses: int = 0) -> None:
        self.heads: list[bytes] = []
        self._port, self._authorization, self._refuses = port, authorization.encode(), refuses
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._answer, args=self._listening.accept()[:1], daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        head = b""
        with client, contextlib.suppress(OSError):
            while not head.endswith(b"\r\n\r\n"):
                if not (came := client.recv(65536)):
                    return
                head += came
            self.heads.append(head)
            known = not self._authorization or b"Proxy-Authorization: " + self._authorization in head
            status = self._refuses or (200 if known else 407)
            client.sendall(b"HTTP/1.1 %d Whatever\r\nContent-Length: 0\r\n\r\n" % status)
            if status == 200:
                with socket.create_connection(("127.0.0.1", self._port)) as there:
                    back = threading.Thread(target=_pass_on, args=(there, client), daemon=True)
                    back.start()
                    _pass_on(client, there)
                    back.join()


def _pass_on(here: socket.socket, there: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while came := here.recv(65536):
            there.sendall(came)
    for one in (here, there):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def port_of(origin: Origin) -> int:
    return int(origin.url.rpartition(":")[2])


@pytest.mark.parametrize("way", ["direct", "proxied"])
@pytest.mark.parametrize(
    ("which", "trusted", "why"),
    [
        ("good", False, "self-signed certificate"),
        ("other", True, "certificate is not valid for"),
        ("expired", True, "certificate has expired"),
    ],
)
def test_a_certificate_that_is_not_trusted_is_told_and_asked_once(
    tmp_path, plan_of, monkeypatch, certificates, way, which, trusted, why
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates[which] if trusted else tmp_path / "none"))
    with serving(certificates[which]) as origin, Tunnels(port_of(origin)) as proxy:
        host, at = "127.0.0.1", origin.url
        if way == "proxied":
            monkeypatch.setenv("https_proxy", proxy.url)
            host, at = "photos.test", "https://photos.test"
        with pytest.raises(DownloadFailedError, match=f"the certificate of {host} is not trusted: .*{why}"):
            download(plan_of(1, 2), images=tmp_path / "images", origin=at)
        [first, _] = ImageStore.open(tmp_path / "images").index(0).to_pylist()
        assert (first["status"], first["attempts"]) == ("failed", 1)
        with pytest.raises(BadInputError, match="no host can be reached: the certificate") as caught:
            download(plan_of(*range(1, 40)), images=tmp_path / "many", origin=at, max_failure_rate=1)
        checks = {check.name: check for check in examine(tmp_path, DownloadOptions(origin=at)).checks}
    assert "$SSL_CERT_FILE" in caught.value.hint
    assert checks["answer"].level == "problem"
    assert "name its CA with $SSL_CERT_FILE" in checks["answer"].advice
    assert origin.requests == []


def test_through_a_proxy_that_knows_us_photos_come_over_tls(tmp_path, plan_of, monkeypatch, certificates):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates["good"]))
    with (
        serving(certificates["good"]) as origin,
        Tunnels(port_of(origin), authorization="Basic bWU6YTpi") as proxy,
    ):
        # me:a:b, where the colon of the password is written as in an address.
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("://", "://me:a%3Ab@"))
        report = download(
            plan_of(1, 2, 3), images=tmp_path / "images", size="small", origin="https://photos.test"
        )
        assert report.by_status["ok"] == 3
        assert all(head.startswith(b"CONNECT photos.test:443 ") for head in proxy.heads)
        # The host itself never hears the password.
        assert {request.user_agent.partition("/")[0] for request in origin.requests} == {"arboretum-tools"}

        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(BadInputError, match=r"wants to know who asks \(HTTP 407\)") as caught:
            download(plan_of(9), images=tmp_path / "images", size="small", origin="https://photos.test")
        assert "$HTTPS_PROXY=http://name:password@host:port" in caught.value.hint

        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("://", "://me:secret@"))
        with pytest.raises(BadInputError, match="does not know the name and password") as caught:
            download(plan_of(9), images=tmp_path / "images", size="small", origin="https://photos.test")
        assert "secret" not in str(caught.value)
        checks = {
            check.name: check
            for check in examine(tmp_path, DownloadOptions(origin="https://photos.test")).checks
        }
        assert checks["answer"].level == "problem"
        assert "407" in checks["answer"].saw
        assert "secret" not in str(checks)


def test_over_http_a_proxy_is_told_who_asks_and_a_refusal_ends_the_run(tmp_path, plan_of, monkeypatch):
    with Tunnels(refuses=407) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("://", "://me:secret@"))
        with pytest.raises(BadInputError, match="does not know the name and password"):
            download(plan_of(1), images=tmp_path, origin="http://photos.test")
    assert b"Proxy-Authorization: Basic bWU6c2VjcmV0" in proxy.heads[0]


def test_a_proxy_that_gives_no_connection_is_named_without_its_password(tmp_path, plan_of, monkeypatch):
    with Tunnels(refuses=403) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url.replace("://", "://me:secret@"))
        with pytest.raises(DownloadFailedError, match=r"gives no connection to photos\.test: HTTP 403"):
            download(plan_of(1), images=tmp_path, origin="https://photos.test", attempts=2)
    [row] = ImageStore.open(tmp_path).index(0).to_pylist()
    assert (row["status"], row["attempts"]) == ("failed", 2)
    assert "secret" not in row["error"]


@pytest.fixture
def no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("message", "proxy"),
    [
        ("http://proxy.test:3128", Proxy("http://proxy.test:3128")),
        ("proxy.test:3128", Proxy("http://proxy.test:3128")),
        ("http://proxy.test", Proxy("http://proxy.test:80")),
        ("https://proxy.test/", Proxy("https://proxy.test:443")),
        ("http://[::1]:3128", Proxy("http://[::1]:3128")),
        ("http://me:pass@proxy.test:1", Proxy("http://proxy.test:1", "Basic bWU6cGFzcw==")),
        ("me:pass@proxy.test:1", Proxy("http://proxy.test:1", "Basic bWU6cGFzcw==")),
    ],
)
def test_a_proxy_is_read_as_curl_reads_it(monkeypatch, no_proxies, message, proxy):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        with monkeypatch.context() as patched:
            patched.setenv(name, message)
            assert proxy_for("https://photos.test/a") == proxy
            assert "pass" not in repr(proxy)
            assert proxy_for("https://127.0.0.1:8000/a") is None
    assert proxy_for("https://photos.test/a") is None


@pytest.mark.parametrize("names", ["photos.test", "x.example, .test", "photos.test:8443", "*"])
def test_hosts_that_no_proxy_is_asked_for(monkeypatch, no_proxies, names):
    monkeypatch.setenv("ALL_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", names)
    assert proxy_for("https://photos.test:8443/a") is None
    assert names == "*" or proxy_for("https://photos.example/a") is not None


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ("socks5://me:secret@proxy.test:1080", "'socks5', which is not spoken"),
        ("http://me:secret@:3128", "is not an address"),
        ("http://me:secret@proxy.test:port", "is not an address"),
        ("http://me:secret@[::1", "is not an address"),
        ("http://me:secret@pro xy.test", "is not an address"),
    ],
)
def test_a_proxy_that_cannot_be_asked_is_one_error_without_its_password(
    tmp_path, plan_of, monkeypatch, no_proxies, message, why
):
    monkeypatch.setenv("HTTP_PROXY", message)
    with pytest.raises(BadInputError, match=why) as caught:
        download(plan_of(1, 2), images=tmp_path, origin="http://photos.test")
    assert "$HTTP_PROXY as http://host:port" in caught.value.hint
    assert "secret" not in str(caught.value)
    checks = examine(tmp_path, DownloadOptions(origin="http://photos.test")).checks
    assert [check.level for check in checks if check.name == "proxy"] == ["problem"]
