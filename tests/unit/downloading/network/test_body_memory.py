"""Large bodies take turns, so that their sum in memory is bounded."""

from __future__ import annotations

import asyncio

import pytest

from arboretum_tools.downloading.network.body_memory import SMALL_BYTES, BodyMemory
from arboretum_tools.downloading.network.client import HttpClient
from arboretum_tools.downloading.network.exchange import Reply
from arboretum_tools.downloading.network.urls import AddressRules

LARGE = 2 * SMALL_BYTES


def test_bodies_take_turns_in_the_order_in_which_they_asked():
    async def run() -> list[str]:
        memory, told = BodyMemory(100), []

        async def body(name: str, size: int) -> None:
            await memory.reserve(size)
            told.append(f"{name} begins")
            assert memory.free_bytes >= 0
            await asyncio.sleep(0.01)
            told.append(f"{name} ends")
            memory.release()
            memory.release()

        sizes = {"a": 60, "b": 40, "c": 90, "d": 10}
        await asyncio.gather(*(body(name, size) for name, size in sizes.items()))
        assert memory.free_bytes == 100
        return told

    # d would fit beside a and b, but does not overtake c for ever.
    assert asyncio.run(run()) == [
        *("a begins", "b begins", "a ends", "b ends"),
        *("c begins", "d begins", "c ends", "d ends"),
    ]


def test_who_is_cancelled_while_it_waits_holds_up_nobody():
    async def run() -> int:
        memory = BodyMemory(100)
        await memory.reserve(60)
        first = asyncio.create_task(memory.reserve(90))
        second = asyncio.create_task(memory.reserve(40))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait_for(second, 1)
        memory.release()
        return memory.free_bytes

    assert asyncio.run(run()) == 60


def test_memory_is_not_given_to_who_was_cancelled():
    """Neither where its turn comes after that, nor where it came just before."""

    async def run(*, turn_first: bool) -> int:
        memory = BodyMemory(100)
        await memory.reserve(60)
        waiting = asyncio.create_task(memory.reserve(90))
        await asyncio.sleep(0)
        if turn_first:
            memory.release()
        waiting.cancel()
        memory.release()
        await asyncio.gather(waiting, return_exceptions=True)
        async with asyncio.timeout(1):
            await memory.reserve(100)
        memory.release()
        return memory.free_bytes

    assert asyncio.run(run(turn_first=False)) == 100
    assert asyncio.run(run(turn_first=True)) == 100


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
def test_a_large_body_waits_until_another_one_is_written_and_its_host_is_not_blamed(chunked, monkeypatch):
    """For longer than the deadline, too: that is for the host."""
    monkeypatch.setattr("arboretum_tools.downloading.network.client.MAX_IMAGE_BYTES", LARGE)
    body = bytes(LARGE)
    if chunked:
        sent = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (LARGE, body)
    else:
        sent = b"Content-Length: %d\r\n\r\n%s" % (LARGE, body)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + sent)
        await writer.drain()
        await reader.read()
        writer.close()

    async def run() -> None:
        listening = await asyncio.start_server(serve, "127.0.0.1", 0)
        origin = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        client = HttpClient(AddressRules(origin), {}, read_s=0.2, connections=4)
        client.body_memory = BodyMemory(LARGE + LARGE // 2)
        came: list[Reply] = []

        async def fetch(number: int) -> None:
            came.append(await client.get(f"{origin}/{number}", asyncio.get_running_loop().time() + 0.5))
            so_far = len(came)
            await asyncio.sleep(0.8)
            assert len(came) == so_far, "a second body came while the first was held"
            client.body_memory.release()

        async with listening:
            await asyncio.gather(*(fetch(number) for number in range(2)))
            await client.close()
        assert [reply.body for reply in came] == [body, body]

    asyncio.run(run())
