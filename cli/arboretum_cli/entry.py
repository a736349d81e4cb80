"""What the command `arboretum` starts: nothing is imported before Ctrl-C is taken care of."""

import os
import signal
import sys


def main() -> None:
    """Loads the command line and runs it."""
    # While modules load, Ctrl-C ends the process as it ends any other, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.argv[1:2] == ["download"]:
        # Read once, when Arrow is loaded. Its own pool keeps 20 MB for which a command that runs for days and
        # mostly waits has no use; a download in Python sets what can still be set (`memory_of_the_system`).
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    from arboretum_cli import main as command_line

    signal.signal(signal.SIGINT, signal.default_int_handler)
    command_line.main()
