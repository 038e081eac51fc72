"""Waiting for what must come: by its event, with a limit that only ends a test that has failed."""

import subprocess
import time
from collections.abc import Callable, Iterable
from typing import Final

from gridfleet.broker.mqtt.client import MqttLoop

PATIENCE_S: Final = 120.0
"""Longest wait for what takes milliseconds on a quiet machine; enough on one at load 20, too."""


def wait_until(
    condition: Callable[[], object], explain: Callable[[], str] = str, timeout_s: float = PATIENCE_S
) -> None:
    """Wait until a condition holds; raise TimeoutError, with an explanation, when it never does."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(explain())
        time.sleep(0.01)


def wait_ended(loop: MqttLoop, processes: Iterable["subprocess.Popen[str]"]) -> None:
    """Run a loop until processes have ended; their end is no event of the loop, which may sleep for long between two.

    Raises TimeoutError when one never ends.
    """
    deadline = time.monotonic() + PATIENCE_S
    for process in processes:
        while process.poll() is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{process.args!r} is still running")
            loop.run_until(lambda: False, 0.02)
