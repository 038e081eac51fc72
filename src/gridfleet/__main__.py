"""Runs `gridfleet`, the command and `python -m gridfleet`; the signals are handled before anything else is loaded."""

import sys

from gridfleet.provisioning.cli.interrupt import INTERRUPTED, interruptible, leave


def start() -> int:
    """Run the command of this process; return its exit code."""
    code = interruptible(_command)
    if code == INTERRUPTED:
        leave(code)
    return code


def _command() -> int:
    from gridfleet.provisioning.cli.terminal import open_streams

    open_streams()
    from gridfleet.provisioning.cli.main import main

    return main()


if __name__ == "__main__":  # worker processes import this file too
    sys.exit(start())
