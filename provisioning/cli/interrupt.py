"""Signals: Ctrl-C and SIGTERM request a clean stop, a second one stops at once; SIGHUP reloads."""

import signal
from collections import deque
from collections.abc import Callable
from threading import Event
from types import FrameType, TracebackType
from typing import Any, Final, Self

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
POLL_S: Final = 0.5


class Interruption:
    """Context manager: while it is open, `requested` becomes True on the first Ctrl-C or SIGTERM.

    The second one raises KeyboardInterrupt. On exit the previous signal handlers are restored.
    """

    def __init__(self) -> None:
        self.requested = False
        self._wake = Event()
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in SIGNALS:
            self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def wait(self) -> None:
        """Wait until a stop is requested."""
        while not self.requested:
            self._wake.wait(POLL_S)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._wake.set()
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


class ReloadSignals:
    """Context manager for a process that reloads on SIGHUP and stops on Ctrl-C or SIGTERM."""

    def __init__(self) -> None:
        self._received: deque[int] = deque()
        self._wake = Event()
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._previous[each] = signal.signal(each, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each, handler in self._previous.items():
            signal.signal(each, handler)

    def wait(self, ended: Callable[[], bool], reload: Callable[[], None]) -> bool:
        """Call `reload` on SIGHUP; return True on a signal to stop, False when `ended` holds before."""
        while not ended():
            self._wake.wait(POLL_S)
            self._wake.clear()
            while self._received:
                if self._received.popleft() != signal.SIGHUP:
                    return True
                reload()
        return False

    def _on_signal(self, number: int, _frame: object) -> None:
        self._received.append(number)
        self._wake.set()
