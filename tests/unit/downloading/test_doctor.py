"""Each thing that keeps a download from working is seen, and named with what to do about it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading

import pytest

from arboretum_tools.downloading import DownloadFailedError, download
from arboretum_tools.downloading.doctor import _clock, examine
from arboretum_tools.downloading.options import DownloadOptions
from arboretum_tools.testing.faults import Fault


def seen(images, url, **options):
    found = examine(images, DownloadOptions(origin=url, **options))
    json.dumps(found.to_dict())
    return found.level, {check.name: check for check in found.checks}


def test_where_all_is_well_it_says_so(tmp_path, origin):
    level, checks = seen(tmp_path / "images", origin.url)
    assert level in ("ok", "warning")  # the disk of a test machine may be nearly full
    assert checks["certificates"].level == checks["store"].level == "ok"
    assert "not a store yet" in checks["store"].saw


def test_a_photo_that_the_host_has_served_is_brought_home(tmp_path, origin, plan_of):
    images = tmp_path / "images"
    # Nothing is known of it yet, and its root answers 403.
    _, checks = seen(images, origin.url)
    assert checks["answer"].level == "warning"
    assert "HTTP 403 where no photo was asked for" in checks["answer"].saw
    download(plan_of(1, 2), images=images, size="thumb", origin=origin.url)
    origin.clear()
    _, checks = seen(images, origin.url)
    assert checks["answer"].level == "ok"
    assert "gave a photo of 75 x 100 pixels" in checks["answer"].saw
    assert [request.path for request in origin.requests] == ["/photos/1/thumb.jpg"]
    for kind, says in (("forbidden", "HTTP 403 for /photos/1/thumb.jpg"), ("wrong_content", "no photo")):
        origin.everywhere = Fault(kind)
        level, checks = seen(images, origin.url)
        assert level == checks["answer"].level == "problem"
        assert says in checks["answer"].saw


def test_an_origin_that_nobody_serves_is_a_problem(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        level, checks = seen(tmp_path, f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert level == "problem"
    assert "cannot be asked" in checks["answer"].saw


@pytest.mark.parametrize("name", ["nowhere.invalid", "nowhere..invalid", "x" * 70])
def test_a_name_without_an_address_is_a_problem(tmp_path, plan_of, name):
    level, checks = seen(tmp_path, f"http://{name}:81")
    assert level == "problem"
    assert checks["name"].saw == f"{name} has no address"
    with pytest.raises(DownloadFailedError, match=f"cannot connect to http://{name}:81"):
        download(plan_of(1), images=tmp_path, origin=f"http://{name}:81", attempts=1)


def test_more_connections_than_files_may_be_open_is_a_problem(tmp_path, origin):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        assert seen(tmp_path, origin.url, connections=256)[1]["open files"].level == "problem"
        assert seen(tmp_path, origin.url, connections=32)[1]["open files"].level == "ok"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_bundle_of_certificates_that_is_not_there_is_a_problem(tmp_path, origin, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    level, checks = seen(tmp_path, origin.url)
    assert level == "problem"
    assert "none.pem" in checks["certificates"].saw


def test_a_store_in_which_most_failed_says_why(tmp_path, origin, plan_of):
    origin.faults = {n: Fault("forbidden") for n in (1, 2, 3)}
    download(plan_of(1, 2, 3, 4), images=tmp_path / "images", origin=origin.url, max_failure_rate=1)
    _, checks = seen(tmp_path / "images", origin.url)
    assert checks["store"].level == "warning"
    assert "most often forbidden: HTTP 403" in checks["store"].saw
    assert "--retry forbidden" in checks["store"].advice


@pytest.mark.parametrize(
    ("images", "saw"),
    [
        ("n" * 300, "no store can be made there: File name too long"),
        ("file/images", "file is not a folder"),
        ("file", "file holds something else than an image store"),
        ("loop/images", "loop is not a folder"),
        ("pipe/images", "pipe is not a folder"),
        ("/proc/nowhere/images", "/proc holds no files of users"),
    ],
)
def test_a_path_that_no_store_can_have_is_a_problem(tmp_path, origin, images, saw):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    level, checks = seen(tmp_path / images, origin.url)
    assert (level, checks["store"].level) == ("problem", "problem")
    assert saw in checks["store"].saw
    assert "--images" in checks["store"].advice
    # What does not hang on it is looked at all the same.
    assert checks["answer"].level == "warning"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "loop", "pipe"]


def test_a_damaged_store_is_a_problem(tmp_path, origin):
    (tmp_path / "store.json").write_text("{}")
    assert seen(tmp_path, origin.url)[1]["store"].level == "problem"


def test_a_proxy_is_named_without_its_password(tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://user:secret@127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    _, checks = seen(tmp_path, "http://photos.invalid:80")
    assert "127.0.0.1:9" in checks["proxy"].saw
    assert "secret" not in "".join(check.saw for check in checks.values())


@pytest.mark.parametrize(
    ("now", "says"), [(784111777.0, []), (784111777.0 - 3600, ["behind"]), (784111777.0 + 3600, ["ahead"])]
)
def test_a_clock_that_is_off_is_told(now, says):
    assert [check.saw.split()[-1] for check in _clock("Sun, 06 Nov 1994 08:49:37 GMT", now)] == says
    assert list(_clock(None, now)) == []


def test_a_disk_that_is_nearly_full_is_told_and_so_are_its_inodes(tmp_path, origin, monkeypatch):
    full = os.statvfs(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**12, 10**12, 10**9))
    few = os.statvfs_result((*full[:5], 10**6, 50, 50, *full[8:10]))
    monkeypatch.setattr(os, "statvfs", lambda folder: few)
    level, checks = seen(tmp_path / "images", origin.url)
    assert level == "warning"
    assert checks["disk"].saw.startswith("1.0 GB are free for ")
    assert checks["inodes"].saw == "50 files can still be made there"


def test_a_host_that_is_too_busy_is_a_warning(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        _, checks = seen(tmp_path, f"http://127.0.0.1:{listening.getsockname()[1]}")
        thread.join()
    assert checks["answer"].level == "warning"
    assert "answers 503" in checks["answer"].saw
