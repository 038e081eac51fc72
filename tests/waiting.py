"""Waiting for what must come: by its event, with a limit that only ends a test that has failed."""

import time
from collections.abc import Callable
from typing import Final

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
