"""The event loop alone: timers, wake-up, descriptors, exceptions."""

import os
import select
import signal
from collections.abc import Iterator
from time import monotonic

import pytest

from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.event_loop import EventLoop


@pytest.fixture
def loop() -> Iterator[EventLoop]:
    with EventLoop() as loop:
        yield loop


def test_timers_fire_in_order_of_time_and_then_of_creation(loop: EventLoop) -> None:
    fired: list[str] = []
    soon = monotonic() + 0.01
    loop.call_at(soon + 0.01, lambda: fired.append("last"))
    loop.call_at(soon, lambda: fired.append("first"))
    loop.call_at(soon, lambda: fired.append("second"))
    loop.call_later(0, lambda: fired.append("cancelled")).cancel()
    assert loop.run_until(lambda: len(fired) == 3, 60)
    assert fired == ["first", "second", "last"]


def test_run_until_returns_when_the_time_is_up(loop: EventLoop) -> None:
    began = monotonic()
    assert not loop.run_until(lambda: False, 0.05)
    assert monotonic() - began >= 0.05


def test_a_predicate_that_already_holds_needs_no_time(loop: EventLoop) -> None:
    assert loop.run_until(lambda: True, 0)


def test_a_signal_handler_can_stop_it(loop: EventLoop) -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: loop.stop())
    try:
        loop.call_later(0.01, lambda: os.kill(os.getpid(), signal.SIGUSR1))
        assert not loop.run_until(lambda: False, 5)
        assert loop.run_until(lambda: True, 60)  # a stop ends one run
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_stop_between_runs_ends_the_next(loop: EventLoop) -> None:
    loop.stop()
    assert not loop.run_until(lambda: False, 3600)


def test_exceptions_are_raised_and_the_loop_can_run_again(loop: EventLoop) -> None:
    loop.call_later(0, lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        loop.run_until(lambda: False, 5)
    done: list[int] = []
    loop.call_later(0, lambda: done.append(1))
    assert loop.run_until(lambda: bool(done), 60)


def test_a_watched_descriptor_calls_its_handler(loop: EventLoop) -> None:
    ours, theirs = os.pipe()
    received: list[bytes] = []
    loop.watch(ours, select.EPOLLIN, lambda _: received.append(os.read(ours, 9)))
    os.write(theirs, b"ping")
    assert loop.run_until(lambda: received == [b"ping"], 60)
    loop.unwatch(ours)
    loop.unwatch(ours)
    os.write(theirs, b"pong")
    assert not loop.run_until(lambda: len(received) > 1, 0.02)
    os.close(ours)
    os.close(theirs)


def test_what_becomes_ready_in_the_same_turn_is_handled_before_a_call_after_events(loop: EventLoop) -> None:
    (ours, theirs), (second, its_end) = os.pipe(), os.pipe()
    order: list[str] = []

    def on_first(_: int) -> None:
        os.read(ours, 9)
        os.write(its_end, b"arrived before")  # after the loop has looked which descriptors are ready
        loop.call_after_events(lambda: order.append("after events"))

    def on_second(_: int) -> None:
        os.read(second, 99)
        order.append("event")

    loop.watch(ours, select.EPOLLIN, on_first)
    loop.watch(second, select.EPOLLIN, on_second)
    os.write(theirs, b"go")
    assert loop.run_until(lambda: len(order) == 2, 60)
    assert order == ["event", "after events"]
    for descriptor in (ours, theirs, second, its_end):
        loop.unwatch(descriptor)
        os.close(descriptor)


def test_an_exception_of_one_call_after_events_does_not_lose_the_others(loop: EventLoop) -> None:
    done: list[int] = []
    loop.call_after_events(lambda: 1 // 0)
    loop.call_after_events(lambda: done.append(1))
    with pytest.raises(ZeroDivisionError):
        loop.run_until(lambda: bool(done), 60)
    assert done == []
    assert loop.run_until(lambda: bool(done), 60)


def test_the_loop_does_not_run_within_itself(loop: EventLoop) -> None:
    loop.call_later(0, lambda: loop.run_until(lambda: True))
    with pytest.raises(BrokerError, match="within run_until"):
        loop.run_until(lambda: False, 5)


def test_closing_twice_is_safe_and_use_after_close_raises(loop: EventLoop) -> None:
    loop.close()
    loop.close()
    loop.stop()
    with pytest.raises(BrokerError, match="closed"):
        loop.run_until(lambda: True)
    with pytest.raises(BrokerError, match="closed"):
        loop.call_later(0, print)
