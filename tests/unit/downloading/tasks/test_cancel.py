"""Stopping what runs in an event loop: by signals, and from another thread."""

import asyncio
import os
import signal
import threading

import pytest

from arboretum_tools.downloading.tasks.cancel import Stopper

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture
def handlers():
    """Both signals raise KeyboardInterrupt, as they do in the command line."""

    def interrupted(number, frame):
        raise KeyboardInterrupt(number)

    before = {number: signal.signal(number, interrupted) for number in SIGNALS}
    yield interrupted
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_in_a_callback_leaves_the_callback_whole(handlers, number):
    """It was to wake the work, which waits for it while it ends: cut in two, nothing ever would."""
    ended = []

    async def work():
        closed = asyncio.Event()

        def close():
            os.kill(os.getpid(), number)
            closed.set()

        asyncio.get_running_loop().call_soon(close)
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.wait_for(closed.wait(), 10)
            ended.append(True)

    with pytest.raises(KeyboardInterrupt, match=str(int(number))):
        Stopper().run(work())
    assert ended == [True]
    assert signal.getsignal(number) is handlers


def test_a_second_signal_does_not_wait(handlers):
    async def work():
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.sleep(60)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(60)

    with pytest.raises(KeyboardInterrupt, match=str(int(signal.SIGINT))):
        Stopper().run(work())


def test_a_signal_that_nobody_handles_is_left_alone():
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    seen = []

    async def work():
        seen.append(signal.getsignal(signal.SIGTERM))

    try:
        Stopper().run(work())
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIG_DFL]


def test_another_thread_stops_the_work(handlers):
    stopper, going = Stopper(), threading.Event()

    async def work():
        going.set()
        await asyncio.sleep(60)

    def stop():
        going.wait(10)
        stopper.stop()

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(asyncio.CancelledError):
        stopper.run(work())
    thread.join()


def test_work_that_was_stopped_before_it_began_never_does():
    stopper, done = Stopper(), []
    stopper.stop()

    async def work():
        done.append(True)

    with pytest.raises(asyncio.CancelledError):
        stopper.run(work())
    assert done == []
