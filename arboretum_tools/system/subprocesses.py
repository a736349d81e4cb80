"""Processes of our own that do a part of the work, each at the other end of a socket.

They are started by `subprocess` and not by `multiprocessing`, which runs the caller's script once more in
each of them: a script or notebook that calls `download(..., processes=4)` needs no guard. A child works only
as long as its socket is open. The kernel closes it when its parent ends, however that ends, so a child never
outlives it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self


class Child:
    """A process that runs one of our modules; a context manager that ends it.

    Attributes:
        socket: our end of the socket.
        process: the process.
    """

    def __init__(
        self, module: str, told: dict[str, Any], environment: Mapping[str, str] | None = None
    ) -> None:
        """Starts `module`, whose first step is to call `began()`.

        Args:
            module: dotted name.
            told: what `began()` gives it, JSON-able.
            environment: variables besides those of this process.
        """
        self.socket, theirs = socket.socketpair()
        # The modules of this process are those of the child, wherever they were found. -P: the working
        # folder is not where modules come from.
        paths = os.pathsep.join(path for path in sys.path if path)
        try:
            self.process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-P", "-m", module, str(theirs.fileno()), json.dumps(told)],
                env=os.environ | (environment or {}) | {"PYTHONPATH": paths},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # Ctrl-C goes to the whole group of a terminal; here the parent decides what it means.
                process_group=0,
            )
        except BaseException:
            self.socket.close()
            raise
        finally:
            theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Kills the process if it still runs, and waits for it."""
        self.socket.close()
        self.process.kill()
        self.process.wait()

    def how_it_ended(self) -> str:
        """In words, of a process that has ended or is just about to."""
        code = self.process.wait()
        if code < 0:
            return f"was killed by signal {-code} ({signal.Signals(-code).name})"
        return f"ended with code {code}"


def began() -> tuple[socket.socket, dict[str, Any]]:
    """In a child, at once: its end of the socket, and what it was told."""
    # Its parent ends it, and no signal that was meant for all processes of a job.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    return socket.socket(fileno=int(sys.argv[1])), json.loads(sys.argv[2])
