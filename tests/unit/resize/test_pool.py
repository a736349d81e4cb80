"""Processes that shrink photos: what they give, and what becomes of a photo when one of them dies."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import signal

import pytest
from PIL import Image

from arboretum_tools import image_format
from arboretum_tools.errors import ProcessDiedError, UsageError
from arboretum_tools.resize import Resize
from arboretum_tools.resize.pool import ResizePool
from arboretum_tools.store.record import PhotoRecord


def drawn(width: int, height: int, kind: str = "JPEG", **more) -> bytes:
    buffer = io.BytesIO()
    Image.radial_gradient("L").resize((width, height)).convert("RGB").save(buffer, kind, **more)
    return buffer.getvalue()


def record_of(photo_id: int, data: bytes) -> PhotoRecord:
    return PhotoRecord.of_image(photo_id, data, image_format.inspect(data), etag="e")


def transformed(pool: ResizePool, *bodies: bytes):
    async def run():
        async with pool.connected():
            return await asyncio.gather(
                *(pool.transform(record_of(n, data), data) for n, data in enumerate(bodies, start=1))
            )

    return asyncio.run(run())


def test_a_larger_photo_becomes_a_jpeg_and_a_smaller_one_stays():
    large, small, png = drawn(200, 100), drawn(90, 50), drawn(64, 128, "PNG")
    with ResizePool(Resize(64), 2) as pool:
        (shrunk, jpeg), kept, (was_png, of_png) = transformed(pool, large, small, png)
    assert jpeg is not None
    assert (shrunk.width, shrunk.height, shrunk.format, shrunk.member) == (128, 64, "jpeg", "1.jpg")
    assert (shrunk.size_bytes, shrunk.sha256) == (len(jpeg), hashlib.sha256(jpeg).hexdigest())
    assert (shrunk.source_bytes, shrunk.source_sha256) == (len(large), hashlib.sha256(large).hexdigest())
    assert image_format.inspect(jpeg) == image_format.ImageInfo("jpeg", 128, 64)
    # Never enlarged, and no second loss for nothing.
    assert (kept[0].member, kept[0].sha256, kept[1]) == ("2.jpg", hashlib.sha256(small).hexdigest(), small)
    # Its shorter side has 64 pixels already.
    assert (was_png.member, of_png) == ("3.png", png)


def test_another_format_becomes_a_jpeg_under_its_suffix():
    with ResizePool(Resize(32, "lanczos"), 1) as pool:
        [(record, data)] = transformed(pool, drawn(64, 128, "PNG"))
    assert record.member == "1.jpg"
    assert image_format.inspect(data) == image_format.ImageInfo("jpeg", 32, 64)


def test_what_cannot_be_decoded_is_invalid_and_says_why():
    broken = bytearray(drawn(64, 64, "PNG"))
    # Inside the compressed pixels: the chunks are whole, their check sum is not.
    broken[60] ^= 0xFF
    with ResizePool(Resize(32), 1) as pool:
        [(record, data), (good, _)] = transformed(pool, bytes(broken), drawn(64, 64))
    assert data is None
    assert (record.status, record.member, record.sha256, record.size_bytes) == ("invalid", None, None, None)
    assert "photo 1 cannot be decoded" in record.error
    assert record.source_bytes == len(broken)
    assert good.status == "ok"


def test_a_decompression_bomb_is_invalid_and_never_decoded():
    buffer = io.BytesIO()
    Image.new("1", (14_000, 14_000)).save(buffer, "PNG")
    assert len(buffer.getvalue()) < 100_000
    bomb = buffer.getvalue()

    async def run():
        # A download refuses it by its header, before it comes here.
        claimed = PhotoRecord.of_image(1, bomb, image_format.ImageInfo("png", 14_000, 14_000))
        async with pool.connected():
            return await pool.transform(claimed, bomb)

    with ResizePool(Resize(64), 1) as pool:
        record, data = asyncio.run(run())
    assert (record.status, data) == ("invalid", None)
    assert "14000 x 14000 pixels are more than" in record.error


def test_a_large_image_leaks_no_warning_of_pillow(capfd):
    buffer = io.BytesIO()
    Image.new("1", (10_000, 9_000)).save(buffer, "PNG")
    with ResizePool(Resize(64), 1) as pool:
        [(record, _)] = transformed(pool, buffer.getvalue())
    assert (record.status, record.height) == ("ok", 64)
    assert capfd.readouterr().err == ""


def pids(pool: ResizePool) -> list[int]:
    return [child.process.pid for child in pool._children]


def test_a_process_that_is_killed_is_replaced_and_no_photo_is_lost():
    bodies = [drawn(600 + n, 500) for n in range(60)]
    with ResizePool(Resize(64), 2) as pool:
        before = pids(pool)

        async def run():
            async with pool.connected():
                work = [
                    asyncio.create_task(pool.transform(record_of(n, data), data))
                    for n, data in enumerate(bodies, start=1)
                ]
                await work[0]
                os.kill(before[0], signal.SIGKILL)
                return await asyncio.gather(*work)

        done = asyncio.run(run())
        assert set(pids(pool)) - set(before)
    assert [record.photo_id for record, _ in done] == list(range(1, 61))
    assert all(record.status == "ok" and record.height == 64 for record, _ in done)


def test_processes_that_die_one_after_the_other_end_the_run():
    with ResizePool(Resize(64), 1) as pool:

        async def run():
            async def kill_all():
                while True:
                    for pid in pids(pool):
                        os.kill(pid, signal.SIGKILL)
                    await asyncio.sleep(0.001)

            async with pool.connected():
                killing = asyncio.create_task(kill_all())
                try:
                    bodies = [drawn(3000, 2000 + n) for n in range(4)]
                    await asyncio.gather(*(pool.transform(record_of(9, data), data) for data in bodies))
                finally:
                    killing.cancel()

        with pytest.raises(ProcessDiedError, match=r"died one after the other.*SIGKILL"):
            asyncio.run(run())


def test_a_photo_at_which_two_processes_die_is_given_up_and_the_others_are_not(monkeypatch):
    deadly = drawn(2000, 2000)
    with ResizePool(Resize(64), 1) as pool:
        from arboretum_tools.resize import pool as module

        # What a defect of a decoder would do: whoever is given these bytes dies of them.
        ask = module._Link.ask

        def asked(link, photo_id, data):
            answer = ask(link, photo_id, data)
            if data is deadly:
                os.kill(pids(pool)[0], signal.SIGKILL)
            return answer

        monkeypatch.setattr(module._Link, "ask", asked)
        (given_up, none), (other, _) = transformed(pool, deadly, drawn(100, 100))
    assert none is None
    assert given_up.status == "invalid"
    assert "2 processes died" in given_up.error
    assert other.status == "ok"


def test_a_process_that_says_nothing_is_killed_and_replaced(monkeypatch):
    monkeypatch.setattr("arboretum_tools.resize.pool._DEADLINE_S", 3.0)
    with ResizePool(Resize(64), 1) as pool:
        os.kill(pids(pool)[0], signal.SIGSTOP)
        [(record, _)] = transformed(pool, drawn(100, 100))
    assert record.status == "ok"


@pytest.mark.parametrize("wrong", [(8,), (256, "bicubic"), (256, "area", 101), (4096,)])
def test_a_resize_that_is_none_is_refused(wrong):
    with pytest.raises(UsageError):
        Resize(*wrong)
