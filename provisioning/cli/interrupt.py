"""Signals: Ctrl-C, SIGTERM and SIGHUP request a clean stop, a second one stops at once; services reload on SIGHUP.

Wherever a command is, the first of these signals ends it in the same way: KeyboardInterrupt is raised, what was begun
is put away, and the exit code is 130. A command with results to keep opens an `Interruption` and ends by itself.
"""

import atexit
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from threading import Event
from types import FrameType, TracebackType
from typing import Any, Final, NoReturn, Self

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
POLL_S: Final = 0.5
INTERRUPTED: Final = 130
"""The exit code of a command that a signal has ended."""


def interruptible(command: Callable[[], int]) -> int:
    """Run the command of this process; return its exit code, INTERRUPTED where a signal has ended it."""
    for number in _signals_to_take():
        signal.signal(number, _interrupt)
    try:
        return command()
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        for number in SIGNALS:  # the exit code is known, and what is left takes no time
            signal.signal(number, signal.SIG_IGN)


def leave(code: int) -> NoReturn:
    """End this process with an exit code, after what is registered for its end.

    CPython ends itself by SIGINT at the end, whatever the exit code, where a KeyboardInterrupt has once passed through
    `exec` of a text, as classes of the standard library use it (`unhandled_keyboard_interrupt` in its pythonrun.c).
    """
    atexit._run_exitfuncs()  # noqa: SLF001 - no public name
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


def _signals_to_take() -> list[signal.Signals]:
    """Return the signals that request a stop: not SIGHUP in a process that `nohup` has started."""
    return [each for each in SIGNALS if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN]


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


class Interruption:
    """Context manager: while it is open, `requested` becomes True on the first Ctrl-C, SIGTERM or SIGHUP.

    SIGHUP comes from a terminal that is closed; a command that `nohup` has started ignores it.

    The second one raises KeyboardInterrupt. On exit the previous signal handlers are restored.
    """

    def __init__(self) -> None:
        self.requested = False
        self._wake = Event()
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in _signals_to_take():
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
        for each in SIGNALS:
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
