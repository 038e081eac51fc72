"""The event loop: file descriptors (epoll), timers, and a wake-up for signal handlers, in one thread. No MQTT."""

import heapq
import os
import select
from collections import deque
from collections.abc import Callable
from itertools import count
from time import monotonic
from types import TracebackType
from typing import Final, Protocol, Self

from gridfleet.broker.errors import BrokerError

_MAX_EVENTS: Final = 64
"""The most ready descriptors that are handled before timers and the predicate are checked again."""


class Timer:
    """A call that is due at a time, unless it is cancelled."""

    __slots__ = ("_call", "when_s")

    def __init__(self, when_s: float, call: Callable[[], object]) -> None:
        self.when_s = when_s
        self._call: Callable[[], object] | None = call

    def cancel(self) -> None:
        """Cancel the call; safe at any time."""
        self._call = None

    def fire(self) -> None:
        """Make the call, once, unless it was cancelled."""
        call, self._call = self._call, None
        if call is not None:
            call()


class Writer(Protocol):
    """Buffers what it sends until the loop calls `write`."""

    def write(self) -> None:
        """Send what is buffered."""


class EventLoop:
    """Context manager: calls handlers of ready descriptors and due timers, in the thread that runs it."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._serial = count()
        self._writers: list[Writer] = []
        self._after_events: deque[Callable[[], object]] = deque()
        self._asked_after_events: deque[Callable[[], object]] = deque()
        self._turns_left = 0
        self._stopping = False
        self._running = False
        self.watch(self._wake, select.EPOLLIN, self._woken)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether `close()` has been called."""
        return self._epoll.closed

    @property
    def running(self) -> bool:
        """Whether `run_until` is running."""
        return self._running

    @property
    def idle(self) -> bool:
        """Whether everything that has arrived has been handled."""
        return not self._epoll.poll(0, 1)

    def close(self) -> None:
        """Close all descriptors of the loop and forget handlers and timers. Closing twice is safe."""
        if not self._epoll.closed:
            self._epoll.close()
            os.close(self._wake)
            self._handlers.clear()
            self._timers.clear()

    def call_at(self, monotonic_s: float, call: Callable[[], object]) -> Timer:
        """Make the call at or after that time of `time.monotonic()`, in seconds, while the loop runs."""
        self._check_open()
        timer = Timer(monotonic_s, call)
        heapq.heappush(self._timers, (monotonic_s, next(self._serial), timer))
        return timer

    def call_later(self, delay_s: float, call: Callable[[], object]) -> Timer:
        """Make the call after that many seconds, while the loop runs."""
        return self.call_at(monotonic() + delay_s, call)

    def call_after_events(self, call: Callable[[], object]) -> None:
        """Make the call once every descriptor that is ready now has been handled.

        A descriptor may have become ready since the loop looked last, so the call waits for a whole look from now on.
        """
        self._check_open()
        self._asked_after_events.append(call)

    def stop(self) -> None:
        """Make the current `run_until`, or else the next, return False; safe in a signal handler."""
        self._stopping = True
        if not self._epoll.closed:
            os.eventfd_write(self._wake, 1)

    def run_until(self, predicate: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Run until the predicate holds (True), or the time is up or `stop()` was called (False).

        Exceptions of handlers and timers are raised here; the loop can be run again afterwards.
        """
        self._check_open()
        if self._running:
            raise BrokerError("run_until was called from within run_until: return to the loop instead")
        deadline = float("inf") if timeout_s is None else monotonic() + timeout_s
        self._running = True
        try:
            while True:
                self.before_wait()
                if predicate():
                    return True
                if self._stopping:
                    self._stopping = False
                    return False
                if monotonic() >= deadline:
                    return False
                self._step(deadline)
        finally:
            self._running = False

    def poll(self) -> None:
        """Handle what is ready or due now, and return at once."""
        self._check_open()
        self.before_wait()
        self._step(0.0)
        self.before_wait()

    def write_later(self, writer: Writer) -> None:
        """Call `writer.write()` before the loop waits again."""
        self._writers.append(writer)

    def write_now(self) -> None:
        """Call `write()` of all writers that requested it, and of those that request it meanwhile."""
        writers = self._writers
        while writers:
            self._writers = []
            for each in writers:
                each.write()
            writers = self._writers

    def before_wait(self) -> None:
        """Do what is pending before the loop checks the predicate and waits."""
        self.write_now()

    def watch(self, descriptor: int, events: int, handler: Callable[[int], None]) -> None:
        """Call the handler with the epoll events that occur on a descriptor."""
        self._handlers[descriptor] = handler
        self._epoll.register(descriptor, events)

    def rewatch(self, descriptor: int, events: int) -> None:
        """Change the epoll events of a watched descriptor."""
        self._epoll.modify(descriptor, events)

    def unwatch(self, descriptor: int) -> None:
        """Forget a descriptor, before it is closed."""
        if self._handlers.pop(descriptor, None) is not None and not self._epoll.closed:
            self._epoll.unregister(descriptor)

    def _check_open(self) -> None:
        if self._epoll.closed:
            raise BrokerError("the loop is closed: use it inside its `with` block")

    def _step(self, deadline: float) -> None:
        if self._asked_after_events and not self._after_events:
            self._after_events, self._asked_after_events = self._asked_after_events, self._after_events
            self._turns_left = len(self._handlers) // _MAX_EVENTS + 1
        timers = self._timers
        until = min(deadline, timers[0][0] if timers else deadline)
        timeout = (
            0.0 if self._after_events else None if until == float("inf") else max(0.0, until - monotonic())
        )
        ready = self._epoll.poll(timeout, _MAX_EVENTS)
        for descriptor, events in ready:
            handler = self._handlers.get(descriptor)
            if handler is not None:
                handler(events)
        self._turns_left -= 1
        if self._after_events and (len(ready) < _MAX_EVENTS or self._turns_left < 0):
            while self._after_events:  # what an exception leaves is called in the next turn
                self._after_events.popleft()()
        now = monotonic()
        while timers and timers[0][0] <= now:
            heapq.heappop(timers)[2].fire()

    def _woken(self, _events: int) -> None:
        os.eventfd_read(self._wake)
