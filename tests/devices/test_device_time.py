"""The site's simulated time between two ticks, by the device's own clock."""

from dataclasses import replace
from typing import Final

import pytest

from gridfleet.broker.protocol.messages import Mode, Phase, Settings, Tick
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.runtime.device_time import DeviceTime

REAL_MS: Final = 5_000_000
TICK: Final = Tick(
    tick=3,
    phase=Phase.BID,
    simulated_ms=3 * TICK_MS,
    ends_ms=3 * TICK_MS + 300_000,
    mode=Mode.SCALED,
    seconds_per_tick=9.0,
    ticks_left=10,
    paused=False,
    settings=Settings(),
    epoch=1,
)
SPEED: Final = 100
"""Simulated milliseconds per real one, with 9 s for a tick of 900 s."""


@pytest.fixture
def device_time() -> DeviceTime:
    known = DeviceTime()
    known.take(TICK, REAL_MS)
    return known


def test_time_passes_with_the_speed_of_the_tick_to_the_end_of_the_phase(device_time: DeviceTime) -> None:
    assert device_time.now_ms(REAL_MS) == TICK.simulated_ms
    assert device_time.now_ms(REAL_MS + 10) == TICK.simulated_ms + 10 * SPEED
    assert device_time.now_ms(REAL_MS + 60_000) == TICK.ends_ms
    assert device_time.real_duration_ms(5_000) == 50


@pytest.mark.parametrize("change", [{"paused": True}, {"mode": Mode.LOCKSTEP}])
def test_time_stands_still(change: dict[str, object]) -> None:
    device_time = DeviceTime()
    device_time.take(replace(TICK, **change), REAL_MS)  # type: ignore[arg-type]
    assert not device_time.running
    assert device_time.now_ms(REAL_MS + 60_000) == TICK.simulated_ms
    assert not device_time.is_over(REAL_MS + 10**9)


def test_a_grant_moves_time_in_lockstep() -> None:
    device_time = DeviceTime()
    device_time.take(replace(TICK, mode=Mode.LOCKSTEP), REAL_MS)
    device_time.grant(TICK.simulated_ms + 77)
    assert device_time.now_ms(REAL_MS + 1000) == TICK.simulated_ms + 77


def test_time_never_goes_back_within_a_run(device_time: DeviceTime) -> None:
    device_time.take(replace(TICK, seconds_per_tick=90.0), REAL_MS + 20)
    assert device_time.now_ms(REAL_MS + 20) == TICK.simulated_ms + 20 * SPEED
    assert device_time.is_past(replace(TICK, simulated_ms=TICK.simulated_ms - 1))
    assert not device_time.is_past(TICK)


def test_a_new_run_may_begin_earlier(device_time: DeviceTime) -> None:
    first = replace(TICK, tick=0, simulated_ms=0, ends_ms=300_000, epoch=2)
    assert not device_time.is_past(first)
    device_time.take(first, REAL_MS + 20)
    assert device_time.now_ms(REAL_MS + 20) == 0


def test_a_tick_is_overdue_when_it_ended_a_whole_tick_ago(device_time: DeviceTime) -> None:
    next_tick = replace(TICK, tick=4, simulated_ms=4 * TICK_MS, ends_ms=4 * TICK_MS + 300_000)
    limit_ms = REAL_MS + 3 * TICK_MS // SPEED
    assert not device_time.is_overdue(next_tick, limit_ms)
    assert device_time.is_overdue(next_tick, limit_ms + 1)
    assert not device_time.is_overdue(replace(next_tick, epoch=2), limit_ms + 1)


def test_a_phase_is_over_a_whole_tick_after_its_end(device_time: DeviceTime) -> None:
    limit_ms = REAL_MS + (300_000 + TICK_MS) // SPEED
    assert not device_time.is_over(limit_ms)
    assert device_time.is_over(limit_ms + 1)
    device_time.take(TICK, limit_ms)  # published again: the phase began when it began
    assert device_time.is_over(limit_ms + 1)


def test_nothing_is_known_before_the_first_tick() -> None:
    device_time = DeviceTime()
    assert (device_time.now_ms(REAL_MS), device_time.running, device_time.lockstep) == (0, False, False)
    assert not device_time.is_past(TICK)
    assert not device_time.is_overdue(TICK, REAL_MS)
