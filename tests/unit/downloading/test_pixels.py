"""What is refused on arrival for its pixels: too many of them, and, if asked for, damage among them."""

import io
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from arboretum_tools.downloading import download
from arboretum_tools.errors import UsageError
from arboretum_tools.imaging.pixel_damage import pixel_damage
from arboretum_tools.store import ImageStore
from arboretum_tools.store.shards.record import from_arrow
from arboretum_tools.store.verify import DamagedStoreError, verify_store

PHOTOS = range(1, 31)


def flipped(photo_id: int) -> bytes:
    """A JPEG of noise with one bit of its pixels flipped; whole by its bytes."""
    chance = random.Random(photo_id)
    buffer = io.BytesIO()
    Image.frombytes("RGB", (64, 48), chance.randbytes(64 * 48 * 3)).save(buffer, "JPEG")
    data = bytearray(buffer.getvalue())
    data[chance.randrange(data.index(b"\xff\xda") + 14, len(data) - 2)] ^= 1 << chance.randrange(8)
    return bytes(data)


@pytest.fixture
def served():
    """A server that gives photo n as `flipped(n)`, without an ETag, and counts requests by photo."""
    asked: list[int] = []

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            photo_id = int(self.path.split("/")[2])
            asked.append(photo_id)
            body = flipped(photo_id)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def records(images):
    store = ImageStore.open(images)
    return {record.photo_id: record for shard in store.shards() for record in from_arrow(store.index(shard))}


@pytest.mark.parametrize("more", [{}, {"processes": 2}, {"resize": 32, "size": "small"}], ids=str)
def test_photos_whose_pixels_are_damaged_are_refused_where_they_are_decoded(tmp_path, plan_of, served, more):
    url, asked = served
    damaged = {photo_id for photo_id in PHOTOS if pixel_damage(flipped(photo_id))}
    assert 5 <= len(damaged) < 30
    plan = plan_of(*PHOTOS)
    report = download(plan, images=tmp_path / "all", origin=url, **more)
    assert report.by_status["ok"] == 30
    if not more:
        with pytest.raises(DamagedStoreError) as raised:
            verify_store(tmp_path / "all", decode=True)
        assert {one.photo_id for one in raised.value.verification.damages} == damaged
    asked.clear()
    download(plan, images=tmp_path / "checked", origin=url, check="decode", max_failure_rate=1, **more)
    found = records(tmp_path / "checked")
    assert {photo_id for photo_id, record in found.items() if record.status == "invalid"} == damaged
    assert all("damaged" in found[photo_id].error or "jpeg" in found[photo_id].error for photo_id in damaged)
    # What comes damaged is asked for once more.
    assert {photo_id: asked.count(photo_id) for photo_id in PHOTOS} == {
        photo_id: 1 + (photo_id in damaged) for photo_id in PHOTOS
    }
    verify_store(tmp_path / "checked", decode=True)


def test_photos_of_more_pixels_than_allowed_are_invalid_and_their_error_has_them(tmp_path, plan_of, served):
    url, _ = served
    report = download(plan_of(1, 2), images=tmp_path, origin=url, max_pixels=64 * 48 - 1, max_failure_rate=1)
    assert report.by_status["invalid"] == 2
    [one, _] = records(tmp_path).values()
    assert one.error.startswith("too many pixels: a jpeg of 64 x 48; at most")
    assert "3,071 in all" in one.error
    again = download(plan_of(1, 2), images=tmp_path, origin=url, max_pixels=64 * 48, retry="invalid")
    assert again.by_status["ok"] == 2


@pytest.mark.parametrize("pixels", [0, -1, 178_956_971, 1.5, True])
def test_a_bound_above_what_readers_take_is_none(tmp_path, plan_of, pixels):
    with pytest.raises(UsageError, match="max-pixels"):
        download(plan_of(1), images=tmp_path, max_pixels=pixels)
