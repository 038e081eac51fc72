"""One thread that waits: an epoll, timers, and a way to be woken by a signal. It knows nothing of MQTT."""

import heapq
import os
import select
from collections.abc import Callable
from itertools import count
from time import monotonic
from types import TracebackType
from typing import Final, Self

from gridfleet.broker.errors import BrokerError

_BATCH: Final = 64
"""Most ready descriptors taken from the kernel at once, so that timers and predicates are looked at often."""


class Timer:
    """A call that will be made; `cancel()` before then and it will not."""

    __slots__ = ("_call", "when_s")

    def __init__(self, when_s: float, call: Callable[[], object]) -> None:
        self.when_s = when_s
        self._call: Callable[[], object] | None = call

    def cancel(self) -> None:
        """Take the call back; safe at any time."""
        self._call = None

    def fire(self) -> None:
        """Make the call, once, unless it was cancelled."""
        call, self._call = self._call, None
        if call is not None:
            call()


class EventLoop:
    """Context manager: calls handlers of ready descriptors and due timers, in the thread that runs it."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._serial = count()
        self._after: list[Callable[[], object]] = []
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
        """Whether `run_until` is under way."""
        return self._running

    @property
    def idle(self) -> bool:
        """Whether nothing that has arrived waits to be handled."""
        return not self._epoll.poll(0, 1)

    def close(self) -> None:
        """Let go of everything. Closing twice is safe."""
        if not self._epoll.closed:
            self._epoll.close()
            os.close(self._wake)
            self._handlers.clear()
            self._timers.clear()

    def call_at(self, monotonic_s: float, call: Callable[[], object]) -> Timer:
        """Have the call made at or after that time of `time.monotonic()`, in seconds, while the loop runs."""
        self._check_open()
        timer = Timer(monotonic_s, call)
        heapq.heappush(self._timers, (monotonic_s, next(self._serial), timer))
        return timer

    def call_later(self, delay_s: float, call: Callable[[], object]) -> Timer:
        """Have the call made after that many seconds, while the loop runs."""
        return self.call_at(monotonic() + delay_s, call)

    def call_when_served(self, call: Callable[[], object]) -> None:
        """Have the call made once everything has been handled that is ready by now."""
        self._check_open()
        self._after.append(call)
        self._turns_left = len(self._handlers) // _BATCH + 1

    def stop(self) -> None:
        """Make the current `run_until`, or else the next, return False; safe in a signal handler."""
        self._stopping = True
        if not self._epoll.closed:
            os.eventfd_write(self._wake, 1)

    def run_until(self, predicate: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Run until the predicate holds (True), or the time is up or `stop()` was called (False).

        What handlers and timers raise comes out here, and the loop can be run again afterwards.
        """
        self._check_open()
        if self._running:
            raise BrokerError("run_until was called from within run_until: return to the loop instead")
        deadline = float("inf") if timeout_s is None else monotonic() + timeout_s
        self._running = True
        try:
            while True:
                self.settle()
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
        """Do what is ready or due now, and return at once."""
        self._check_open()
        self.settle()
        self._step(0.0)
        self.settle()

    def settle(self) -> None:
        """Finish what is pending before the loop looks at the predicate; does nothing here."""

    def watch(self, descriptor: int, events: int, handler: Callable[[int], None]) -> None:
        """Call the handler with the epoll events that occur on a descriptor."""
        self._handlers[descriptor] = handler
        self._epoll.register(descriptor, events)

    def rewatch(self, descriptor: int, events: int) -> None:
        """Change the epoll events that are waited for on a watched descriptor."""
        self._epoll.modify(descriptor, events)

    def unwatch(self, descriptor: int) -> None:
        """Forget a descriptor, before it is closed."""
        if self._handlers.pop(descriptor, None) is not None and not self._epoll.closed:
            self._epoll.unregister(descriptor)

    def _check_open(self) -> None:
        if self._epoll.closed:
            raise BrokerError("the loop is closed: use it inside its `with` block")

    def _step(self, deadline: float) -> None:
        timers = self._timers
        until = min(deadline, timers[0][0] if timers else deadline)
        timeout = 0.0 if self._after else None if until == float("inf") else max(0.0, until - monotonic())
        ready = self._epoll.poll(timeout, _BATCH)
        for descriptor, events in ready:
            handler = self._handlers.get(descriptor)
            if handler is not None:
                handler(events)
        self._turns_left -= 1
        if self._after and (len(ready) < _BATCH or self._turns_left < 0):
            calls, self._after = self._after, []
            for call in calls:
                call()
        now = monotonic()
        while timers and timers[0][0] <= now:
            heapq.heappop(timers)[2].fire()

    def _woken(self, _events: int) -> None:
        os.eventfd_read(self._wake)
