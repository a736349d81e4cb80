"""Many photos at once: workers that take the next photo, ask for it, and write down what became of it.

There is one task per connection, never one per photo, and each holds at most one body; a photo that is to be
asked for again goes back to the queue, whose length is bounded. So memory depends on `connections` and not on
the number of photos. Writing happens on the event loop's thread, in turn; only when
a shard is full it goes to another thread, because flushing a gigabyte to the disk takes seconds in which
the sockets must not starve.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

from arboretum_tools.downloading.fetching.fetch import Fetcher
from arboretum_tools.downloading.fetching.hosts import Served
from arboretum_tools.downloading.fetching.photo_queue import PhotoQueue
from arboretum_tools.downloading.options import DownloadOptions
from arboretum_tools.events import Note, OnEvent, PhotoDone
from arboretum_tools.store.shards.record import PhotoRecord
from arboretum_tools.store.writer import StoreWriter
from arboretum_tools.wording import counted, does

if TYPE_CHECKING:
    import pyarrow as pa

#: What becomes of an image between fetching and writing: its record and bytes as they are to be stored.
Transform = Callable[[PhotoRecord, bytes], Awaitable[tuple[PhotoRecord, bytes | None]]]

#: Seconds without a photo that came to an end after which the watchdog says what is waited for.
QUIET_S = 60.0


async def run(
    to_fetch: Iterator[pa.RecordBatch],
    writer: StoreWriter,
    options: DownloadOptions,
    on_event: OnEvent,
    *,
    transform: Transform | None = None,
    served: Served = dict,
) -> None:
    """Fetches every photo of `to_fetch` into the store; each ends in exactly one state.

    When it is cancelled, or anything else than a photo goes wrong, every worker is stopped before it returns,
    and the writer holds what was written until then.

    Args:
        to_fetch: the photos, each once, as rows with the columns of `schema.REQUEST`.
        writer: of the store, entered.
        options: how to behave.
        on_event: gets a PhotoDone for each photo.
        transform: what is done with each image before it is written; None = it is stored as it came.
        served: looks up photos that came in earlier runs, by host; called when a host is in doubt.

    Raises:
        OutOfSpaceError: the disk is full.
        BadInputError: no host could be reached at all, one is too busy or out of reach for too long, or the
            proxy refuses.
    """
    # Held while a shard is finished.
    finishing = asyncio.Lock()
    in_flight: dict[int, tuple[int, float]] = {}
    ended = 0

    async def work(number: int, fetcher: Fetcher, queue: PhotoQueue) -> None:
        nonlocal ended
        while (photo := await queue.take()) is not None:
            in_flight[number] = photo.photo_id, time.monotonic()
            outcome = await fetcher.ask(photo)
            if outcome is None:
                del in_flight[number]
                fetcher.release()
                queue.again(photo)
                continue
            record, data = outcome
            if transform is not None and data is not None:
                record, data = await transform(record, data)
            del in_flight[number]
            while finishing.locked():
                async with finishing:
                    pass
            writer.add(record, data)
            # Not kept until the next one has come.
            del data
            fetcher.release()
            ended += 1
            on_event(PhotoDone(photo.photo_id, record.status, record.size_bytes or 0))
            if writer.full:
                async with finishing:
                    await asyncio.to_thread(writer.roll, wait=False)
            queue.done()

    async with Fetcher(writer.config.size, options, on_event, served) as fetcher:
        queue = PhotoQueue(to_fetch, fetcher.begin, options.connections)
        workers = [asyncio.create_task(work(number, fetcher, queue)) for number in range(options.connections)]
        watchdog = asyncio.create_task(_watch(in_flight, lambda: ended, on_event))
        try:
            # The first that fails ends the run; without one, all have ended.
            done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
            for worker in done:
                worker.result()
        finally:
            for task in (*workers, watchdog):
                task.cancel()
            await asyncio.gather(*workers, watchdog, return_exceptions=True)


async def _watch(
    in_flight: dict[int, tuple[int, float]], ended: Callable[[], int], on_event: OnEvent
) -> None:
    """Says what is being waited for whenever no photo has come to an end for a while.

    It ends nothing: each photo has its deadline. It names what a run that stands still stands at.
    """
    done, since, quiet_s = 0, time.monotonic(), QUIET_S
    while True:
        await asyncio.sleep(QUIET_S / 4)
        now = time.monotonic()
        if ended() != done:
            done, since, quiet_s = ended(), now, QUIET_S
        elif now - since >= quiet_s and in_flight:
            quiet_s *= 2
            longest = sorted(in_flight.values(), key=lambda one: one[1])
            named = ", ".join(f"{photo_id} ({now - began:.0f} s)" for photo_id, began in longest[:5])
            on_event(
                Note(
                    f"no photo came to an end for {now - since:.0f} s; {counted(len(longest), 'photo')} "
                    f"{does(len(longest), 'are')} waited for, the longest: {named}"
                )
            )
