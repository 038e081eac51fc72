"""Stops a broker that runs as a child process."""

import signal
import subprocess
from typing import Final

STOP_S: Final = 5.0
"""Seconds that a broker may take to stop before it is killed."""


def stop_process(child: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> None:
    """Send a signal to a child process, unless it has ended; kill it if it takes longer than STOP_S."""
    if child.poll() is None:
        child.send_signal(how)
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
