"""What the command `arboretum` starts: nothing is imported before Ctrl-C is taken care of."""

import signal


def main() -> None:
    """Loads the command line and runs it."""
    # While modules load, Ctrl-C ends the process as it ends any other, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from arboretum_cli import main as command_line

    signal.signal(signal.SIGINT, signal.default_int_handler)
    command_line.main()
