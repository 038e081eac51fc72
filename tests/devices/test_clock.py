"""The clock as a whole: phases in order and time, lock-step without lost devices, controls, restarts."""

from collections import deque
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridfleet.broker.protocol.codec import MAX_PAYLOAD, decode, encode
from gridfleet.broker.protocol.messages import (
    PHASES,
    ClockState,
    Control,
    Grant,
    Message,
    Mode,
    Phase,
    Ready,
    Role,
    Settings,
    Tick,
)
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.agents.base import Out
from gridfleet.devices.clock.agent import Clock
from gridfleet.devices.clock.lockstep import LOCKSTEP_DEADLINE_MS
from gridfleet.devices.clock.schedule import OFFSETS_MS
from gridfleet.devices.clock.settings import SETTINGS, Event
from tests.devices.message_strategies import anything
from tests.devices.testbed import START_MS, birth

FOUR = (Phase.BID, Phase.TRADE, Phase.IMPORT, Phase.SETTLE)
HERE = "here"


class Run:
    """A clock and its real time; `unread` holds what it has published and no expectation has consumed yet."""

    def __init__(self, mode: Mode = Mode.REALTIME, **traits: Any) -> None:  # noqa: ANN401 - as Clock takes them
        given = {"start_ms": START_MS, "ticks": 3, "mode": mode, "settings": Settings(), **traits}
        self.clock = Clock("clock", 51.0, 10.0, **given)
        self.now_ms = 0
        self.unread: deque[tuple[str, Message]] = deque()
        self.ticks: list[tuple[int, Tick]] = []
        self.revision = 0

    def begin(self) -> "Run":
        return self.take(self.clock.begin(self.now_ms))

    def wait(self, milliseconds: int) -> "Run":
        """Let real time pass; the clock wakes at the times it has planned."""
        end_ms = self.now_ms + milliseconds
        while self.clock.event_ms is not None and self.clock.event_ms <= end_ms:
            self.now_ms = max(self.clock.event_ms, self.now_ms)
            self.take(self.clock.wake(self.now_ms))
        self.now_ms = end_ms
        return self

    def ready(
        self, device: str, through: Phase, wake_ms: int | None = None, tick: int | None = None
    ) -> "Run":
        number = self.clock.tick if tick is None else tick
        return self.take(self.clock.handle("", device, Ready(number, through, wake_ms), self.now_ms))

    def comes_online(self, device: str) -> "Run":
        out = self.clock.handle("here/vehicle", device, birth(HERE, Role.VEHICLE), self.now_ms)
        return self.take(out)

    def goes_offline(self, device: str) -> "Run":
        will = birth(HERE, Role.VEHICLE)
        offline = replace(will, online=False)
        return self.take(self.clock.handle("here/vehicle", device, offline, self.now_ms))

    def control(
        self, name: str, value: bool | float | str, *, revision: int | None = None, by: str = "ops"
    ) -> "Run":
        self.revision += 1
        control = Control(value, self.revision if revision is None else revision)
        return self.take(self.clock.handle(name, by, control, self.now_ms))

    def expect(self, to: str, kind: type[Any]) -> Any:  # noqa: ANN401 - of the class asked for
        assert self.unread, f"expected {kind.__name__}, but nothing was published"
        scope, message = self.unread.popleft()
        assert (scope, type(message)) == (to, kind)
        return message

    def expect_phase(self, tick: int, phase: Phase) -> Tick:
        message: Tick = self.expect("", Tick)
        assert (message.tick, message.phase) == (tick, phase)
        if phase is Phase.BID:
            self.expect("clock", ClockState)
        return message

    def expect_grant(self, device: str, offset_ms: int) -> None:
        """Expect a grant of a time, counted from the start of the run."""
        assert self.expect(device, Grant).simulated_ms == START_MS + offset_ms

    def expect_nothing(self) -> None:
        assert list(self.unread) == []

    def take(self, out: Out) -> "Run":
        for scope, message in out:
            assert decode(message.TYPE, encode(message)) == message
            self.unread.append((scope, message))
            if isinstance(message, Tick):
                self.ticks.append((self.now_ms, message))
        return self


# --- phases ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("neighbours", [False, True])
def test_phases_in_order_and_in_time(neighbours: bool) -> None:
    run = Run(neighbours=neighbours, ticks=2).begin().wait(3 * TICK_MS)
    phases = PHASES if neighbours else FOUR
    assert [(tick.tick, tick.phase) for _, tick in run.ticks] == [(n, p) for n in range(2) for p in phases]
    for at_ms, tick in run.ticks:
        assert at_ms == tick.tick * TICK_MS + OFFSETS_MS[tick.phase]
        assert tick.simulated_ms == START_MS + at_ms
        assert tick.seconds_per_tick == 900.0
        assert tick.ticks_left == 1 - tick.tick
    ends = [tick.ends_ms for _, tick in run.ticks]
    assert ends == [*(tick.simulated_ms for _, tick in run.ticks[1:]), START_MS + 2 * TICK_MS]


def test_a_run_ends_with_its_account() -> None:
    run = Run(ticks=1).begin().wait(TICK_MS - 1)
    assert "finished" not in [message.status for _, message in run.unread if isinstance(message, ClockState)]
    run.unread.clear()
    run.wait(1)
    assert run.expect("clock", ClockState).status == "finished"
    assert run.clock.finished
    assert run.clock.event_ms is None
    run.wait(10 * TICK_MS).expect_nothing()


def test_every_tick_begins_with_an_account() -> None:
    run = Run(ticks=2).begin()
    run.expect("", Tick)
    state = run.expect("clock", ClockState)
    assert (state.status, state.tick, state.ticks, state.paused, state.mode) == (
        "running",
        0,
        2,
        False,
        Mode.REALTIME,
    )


def test_ticks_name_the_run_they_belong_to() -> None:
    run = Run(epoch=77).begin().wait(TICK_MS)
    assert {tick.epoch for _, tick in run.ticks} == {77}


def test_scaled_phases_take_their_share_of_the_tick() -> None:
    run = Run(Mode.SCALED, seconds_per_tick=9.0, ticks=2).begin().wait(60_000)
    assert [at_ms for at_ms, _ in run.ticks] == [0, 3000, 6000, 8400, 9000, 12_000, 15_000, 17_400]
    assert {tick.seconds_per_tick for _, tick in run.ticks} == {9.0}
    assert run.clock.finished


def test_events_apply_at_their_tick() -> None:
    events = (
        Event(1, (("turbine_scale", 0.0), ("algorithm", "closest"))),
        Event(1, (("wind_scale", 1.8),)),
        Event(2, (("turbine_scale", 2.0),)),
    )
    run = Run(events=events).begin().wait(3 * TICK_MS)
    first, second, third = (
        {
            (t.settings.turbine_scale, t.settings.wind_scale, t.settings.algorithm)
            for _, t in run.ticks
            if t.tick == n
        }
        for n in range(3)
    )
    assert first == {(1.0, 1.0, "weighted")}
    assert second == {(0.0, 1.8, "closest")}
    assert third == {(2.0, 1.8, "closest")}


# --- pause, speed, steps ---------------------------------------------------------------------------------


def test_pause_keeps_what_is_left_of_the_phase() -> None:
    run = Run(Mode.SCALED, seconds_per_tick=9.0).begin().wait(1000)
    run.unread.clear()
    run.control("paused", True)
    assert run.expect("", Tick).paused
    assert run.expect("clock", ClockState).status == "paused"
    run.wait(100_000).expect_nothing()
    run.control("paused", True)
    assert run.expect("clock", ClockState).status == "paused"
    run.control("paused", False)
    assert not run.expect("", Tick).paused
    assert run.expect("clock", ClockState).status == "running"
    run.wait(1999).expect_nothing()
    run.wait(1).expect_phase(0, Phase.TRADE)


def test_a_pause_before_the_start_keeps_the_run_from_starting() -> None:
    run = Run(Mode.SCALED, seconds_per_tick=9.0)
    run.control("paused", True)
    run.begin()
    assert all(tick.paused for _, tick in run.ticks)
    run.wait(100_000)
    assert [tick.phase for _, tick in run.ticks if not tick.paused] == []
    run.control("paused", False).wait(100_000)
    assert run.clock.finished


def test_a_new_speed_holds_for_the_rest_of_the_phase() -> None:
    run = Run(Mode.SCALED, seconds_per_tick=9.0).begin().wait(1000)
    run.unread.clear()
    run.control("seconds_per_tick", 90)
    assert run.expect("", Tick).seconds_per_tick == 90.0
    assert run.expect("clock", ClockState).seconds_per_tick == 90.0
    run.wait(19_999).expect_nothing()
    assert run.wait(1).expect_phase(0, Phase.TRADE).seconds_per_tick == 90.0


def test_a_new_speed_while_paused_holds_after_the_pause() -> None:
    run = Run(Mode.SCALED, seconds_per_tick=9.0).begin().wait(1000)
    run.control("paused", True).control("seconds_per_tick", 90).control("paused", False)
    run.unread.clear()
    run.wait(19_999).expect_nothing()
    run.wait(1).expect_phase(0, Phase.TRADE)


def test_a_new_speed_is_published() -> None:
    run = Run(Mode.SCALED, seconds_per_tick=9.0).begin().wait(1000)
    run.control("seconds_per_tick", 90)
    assert run.ticks[-1][1].seconds_per_tick == 90.0


@pytest.mark.parametrize("mode", [Mode.SCALED, Mode.LOCKSTEP])
def test_steps_are_whole_ticks(mode: Mode) -> None:
    run = Run(mode, seconds_per_tick=9.0, ticks=10).begin()
    run.control("paused", True)
    for upto, steps in ((0, 0), (1, 1), (4, 3)):
        run.control("step", steps).wait(200_000)
        assert run.clock.pace.paused
        assert run.clock.tick == upto
        assert run.ticks[-1][1].paused
    run.control("paused", False).wait(200_000)
    assert run.clock.finished


def test_a_step_while_running_pauses_after_it() -> None:
    run = Run(Mode.SCALED, seconds_per_tick=9.0, ticks=10).begin()
    run.control("step", 1).wait(100_000)
    assert (run.clock.tick, run.clock.pace.paused) == (1, True)


def test_resuming_cancels_the_remaining_steps() -> None:
    run = Run(Mode.SCALED, seconds_per_tick=9.0, ticks=10).begin()
    run.control("step", 3).control("paused", True).control("paused", False).wait(200_000)
    assert run.clock.finished


@pytest.mark.parametrize(("ticks", "last"), [(1, 0), (0, 0), (2, 1), (5, 4), (2.0, 1)])
def test_ticks_to_run(ticks: float, last: int) -> None:
    run = Run(ticks=3).begin().wait(1000)
    run.control("ticks", ticks).wait(10 * TICK_MS)
    assert run.clock.finished
    assert run.ticks[-1][1].tick == last
    assert run.ticks[-1][1].ticks_left == 0


def test_a_tick_that_has_begun_is_finished() -> None:
    run = Run(ticks=3).begin().wait(TICK_MS)
    run.control("ticks", 0).wait(10 * TICK_MS)
    assert [(t.tick, t.phase) for _, t in run.ticks][-1] == (1, Phase.SETTLE)


def test_the_mode_changes_while_it_runs() -> None:
    run = Run(ticks=3).begin().wait(1000)
    run.control("mode", "scaled").control("seconds_per_tick", 9.0)
    run.wait(100_000)
    assert run.clock.finished
    again = Run(Mode.LOCKSTEP, ticks=1, expected=frozenset({"a"})).begin()
    again.control("mode", "realtime").wait(TICK_MS)
    assert again.clock.finished
    assert again.clock.lockstep.late_phases == 0


@pytest.mark.parametrize("paused", [False, True])
def test_devices_learn_at_once_that_lockstep_waits_for_them(paused: bool) -> None:
    run = Run(Mode.SCALED, seconds_per_tick=9.0)
    run.comes_online("a").begin().wait(100).unread.clear()
    if paused:
        run.control("paused", value=True).unread.clear()
    run.control("mode", "lockstep")
    again = run.expect("", Tick)
    assert (again.tick, again.phase, again.mode, again.seconds_per_tick) == (0, Phase.BID, Mode.LOCKSTEP, 0)
    run.expect("clock", ClockState)
    run.ready("a", Phase.BID)
    if paused:
        run.expect_nothing()
        run.control("paused", value=False).expect("", Tick)
    run.expect_phase(0, Phase.TRADE)
    assert run.clock.lockstep.late_phases == 0


def test_a_slower_lockstep_waits_for_devices_and_for_its_least_duration() -> None:
    run = Run(Mode.LOCKSTEP, ticks=2, expected=frozenset({"a"}), least_seconds_per_tick=9.0).begin()
    run.expect_phase(0, Phase.BID)
    run.ready("a", Phase.BID).wait(2_999).expect_nothing()
    run.wait(1).expect_phase(0, Phase.TRADE)  # the bid phase is a third of a tick
    run.wait(5_000).expect_nothing()  # a is awaited
    run.ready("a", Phase.TRADE).expect_phase(0, Phase.IMPORT)
    run.control("mode", "lockstep").expect("clock", ClockState)  # as fast as possible
    run.ready("a", Phase.IMPORT).expect_nothing()
    run.wait(2_400).expect_phase(0, Phase.SETTLE)
    run.ready("a", Phase.SETTLE).expect_phase(1, Phase.BID)
    assert run.clock.lockstep.late_phases == 0


# --- controls --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("consumer_scale", 0.5, Settings(consumer_scale=0.5)),
        ("vehicle_scale", 2, Settings(vehicle_scale=2.0)),
        ("turbine_scale", 0, Settings(turbine_scale=0.0)),
        ("wind_scale", 5.0, Settings(wind_scale=5.0)),
        ("algorithm", "random", Settings(algorithm="random")),
        ("clearing_rule", "uniform-price", Settings(clearing_rule="uniform-price")),
        ("chargers_out", "charger-1, 25%", Settings(chargers_out="charger-1, 25%")),
        ("outage_s", 20, Settings(outage_s=20.0)),
    ],
)
def test_settings_hold_from_the_next_phase(name: str, value: float | str, expected: Settings) -> None:
    run = Run().begin()
    run.unread.clear()
    run.control(name, value)
    state = run.expect("clock", ClockState)
    assert (state.settings, state.revision) == (expected, 1)
    run.wait(TICK_MS // 3)
    assert run.expect_phase(0, Phase.TRADE).settings == expected


def test_an_outage_is_ordered_in_one_phase_only() -> None:
    run = Run().begin()
    run.unread.clear()
    run.control("outage_s", 20)
    assert run.expect("clock", ClockState).settings.outage_s == 20.0
    run.wait(TICK_MS)
    assert [tick.settings.outage_s for _, tick in run.ticks[1:]] == [20.0, 0.0, 0.0, 0.0]


def test_a_storm_is_an_hour_of_gale_and_then_stops_the_turbines() -> None:
    run = Run(ticks=12, settings=Settings(turbine_scale=0.5)).begin()
    run.control("storm", True).wait(7 * TICK_MS)
    scales = [
        (tick.settings.wind_scale, tick.settings.turbine_scale, tick.settings.note)
        for _, tick in run.ticks
        if tick.phase is Phase.BID
    ]
    gale, damage = (2.0, 0.5, "Gale"), (1.0, 0.0, "Storm damage: turbines off")
    assert scales == [(1.0, 0.5, ""), *[gale] * 4, *[damage] * 3]
    run.control("storm", False).wait(TICK_MS)
    assert run.clock.settings == Settings(turbine_scale=0.5)


def test_a_cancelled_storm_does_no_damage() -> None:
    run = Run(ticks=12).begin()
    run.control("storm", True).wait(2 * TICK_MS).control("storm", False).wait(6 * TICK_MS)
    assert run.clock.settings == Settings()


@pytest.mark.parametrize(("name", "value"), [("storm", True), ("outage_s", 20)])
def test_a_one_time_control_retained_from_an_earlier_run_is_ignored(name: str, value: float) -> None:
    run = Run(ticks=6)
    run.control(name, value).begin().wait(2 * TICK_MS)
    assert {tick.settings for _, tick in run.ticks} == {Settings()}
    assert run.clock.refused == {"stale": 1}
    run.control(name, value).wait(TICK_MS)
    assert run.clock.settings != Settings() or any(tick.settings.outage_s for _, tick in run.ticks)


INVALID_CONTROLS: list[tuple[str, bool | float | str]] = [
    *((name, -0.1) for name in SETTINGS if name != "algorithm"),
    *((name, 5.1) for name in SETTINGS if name not in {"algorithm", "outage_s"}),
    *((name, True) for name in SETTINGS),
    *((name, "one") for name in SETTINGS if name != "chargers_out"),
    ("outage_s", 60.1),
    ("chargers_out", "charger/1"),
    ("chargers_out", "101%"),
    ("storm", 1),
    ("storm", "true"),
    ("turbine_scale", 2.01),
    ("algorithm", "WEIGHTED"),
    ("algorithm", ""),
    ("algorithm", 1),
    ("paused", 1),
    ("paused", 0),
    ("paused", "true"),
    ("step", -1),
    ("step", 1.5),
    ("step", True),
    ("step", "1"),
    ("ticks", -1),
    ("ticks", 0.5),
    ("ticks", "all"),
    ("ticks", False),
    ("ticks", 2.0**31),
    ("ticks", 1e300),
    ("mode", "fast"),
    ("mode", 1),
    ("mode", True),
    ("seconds_per_tick", 0),
    ("seconds_per_tick", -1.0),
    ("seconds_per_tick", 901),
    ("seconds_per_tick", "slow"),
    ("seconds_per_tick", True),
    ("colour", "blue"),
    ("", 1),
    ("tick", 1),
    ("settings", "x"),
]


@pytest.mark.parametrize(("name", "value"), INVALID_CONTROLS, ids=str)
def test_an_invalid_control_is_refused_and_counted(name: str, value: bool | float | str) -> None:
    run = Run(Mode.SCALED, seconds_per_tick=9.0).begin()
    run.unread.clear()
    run.control(name, value).expect_nothing()
    assert run.clock.refused == {"control": 1}
    assert (run.clock.settings, run.clock.pace.paused, run.clock.ticks) == (Settings(), False, 3)
    run.control("turbine_scale", 0.5, revision=run.revision)
    run.wait(100_000)
    assert run.clock.finished


def test_a_refused_control_does_not_count_as_a_revision() -> None:
    run = Run().begin()
    run.control("turbine_scale", 7.0, revision=5).control("turbine_scale", 0.5, revision=1)
    assert run.clock.settings.turbine_scale == 0.5


def test_only_newer_controls_are_applied() -> None:
    run = Run().begin()
    run.unread.clear()
    run.control("turbine_scale", 0.5, revision=4, by="b")
    assert run.expect("clock", ClockState).revision == 4
    for revision, by in ((4, "b"), (3, "z"), (4, "a")):
        run.control("turbine_scale", 1.5, revision=revision, by=by).expect_nothing()
    assert run.clock.settings.turbine_scale == 0.5
    assert run.clock.refused == {"stale": 3}
    run.control("turbine_scale", 1.5, revision=4, by="c")
    run.control("wind_scale", 2.0, revision=1, by="a")
    assert (run.clock.settings.turbine_scale, run.clock.settings.wind_scale) == (1.5, 2.0)


@given(
    st.lists(
        st.tuples(st.sampled_from([0, 1, 2]), st.sampled_from("ab"), st.sampled_from([0.25, 0.5, 2.0])),
        max_size=6,
    )
)
def test_the_order_of_arrival_of_controls_plays_no_part(controls: list[tuple[int, str, float]]) -> None:
    unique = {(revision, by): value for revision, by, value in controls}
    outcomes = set()
    for order in (list(unique.items()), list(unique.items())[::-1], sorted(unique.items())):
        run = Run().begin()
        for (revision, by), value in order:
            run.control("turbine_scale", value, revision=revision, by=by)
        outcomes.add(run.clock.settings.turbine_scale)
    assert len(outcomes) == 1


# --- lock-step -------------------------------------------------------------------------------------------


def lockstep(*devices: str, ticks: int = 3) -> Run:
    run = Run(Mode.LOCKSTEP, ticks=ticks, expected=frozenset(devices)).begin()
    assert run.expect_phase(0, Phase.BID).seconds_per_tick == 0.0
    return run


def test_a_phase_ends_when_all_are_ready() -> None:
    run = lockstep("a", "b")
    run.ready("a", Phase.BID).expect_nothing()
    run.ready("a", Phase.BID).expect_nothing()
    run.ready("b", Phase.BID).expect_phase(0, Phase.TRADE)
    run.expect_nothing()
    assert run.now_ms == 0


def test_a_device_that_is_ready_ahead_is_not_waited_for() -> None:
    run = lockstep("a", "b")
    run.ready("a", Phase.IMPORT)
    run.ready("b", Phase.BID).expect_phase(0, Phase.TRADE)
    run.ready("b", Phase.TRADE).expect_phase(0, Phase.IMPORT)
    run.ready("b", Phase.IMPORT).expect_phase(0, Phase.SETTLE)
    run.ready("b", Phase.SETTLE).expect_nothing()
    run.ready("a", Phase.SETTLE).expect_phase(1, Phase.BID)


def test_a_phase_in_which_no_device_acts_ends_at_once() -> None:
    run = lockstep("a", "b")
    run.ready("a", Phase.TRADE)
    run.ready("b", Phase.TRADE).expect_phase(0, Phase.TRADE)
    run.expect_phase(0, Phase.IMPORT)
    assert (run.now_ms, run.clock.lockstep.late_phases) == (0, 0)


def test_ready_for_another_tick_is_refused() -> None:
    run = lockstep("a")
    run.ready("a", Phase.SETTLE, tick=7).expect_nothing()
    assert run.clock.refused == {"stale": 1}


def test_no_device_is_waited_for_past_the_deadline() -> None:
    run = lockstep("a", "b")
    run.ready("a", Phase.SETTLE)
    run.wait(LOCKSTEP_DEADLINE_MS - 1).expect_nothing()
    tick = run.wait(1).expect_phase(0, Phase.TRADE)
    assert tick.absent == ("b",)
    assert run.clock.lockstep.late_phases == 1
    assert run.clock.tick == 1  # "a" was ready through the whole tick, and "b" is not waited for
    run.ready("b", Phase.SETTLE)
    assert run.clock.lockstep.barrier.absent == set()


def test_a_site_without_devices_runs_to_the_end() -> None:
    run = Run(Mode.LOCKSTEP, ticks=2).begin()
    run.wait(100 * LOCKSTEP_DEADLINE_MS)
    assert run.clock.finished
    assert run.clock.lockstep.late_phases == 0


def test_grants_go_by_time_and_then_by_id() -> None:
    run = lockstep("a", "b", "c")
    run.ready("c", Phase.BID, START_MS + 100)
    run.ready("b", Phase.BID, START_MS + 50)
    run.ready("a", Phase.BID, START_MS + 100)
    run.expect_grant("b", 50)
    run.expect_nothing()
    run.ready("b", Phase.BID, START_MS + 70).expect_grant("b", 70)
    run.ready("b", Phase.BID).expect_grant("a", 100)
    run.ready("a", Phase.BID).expect_grant("c", 100)
    run.ready("c", Phase.BID).expect_phase(0, Phase.TRADE)
    run.expect_nothing()


def test_a_time_is_granted_in_its_phase() -> None:
    run = lockstep("a", "b")
    run.ready("a", Phase.SETTLE, START_MS + 300_000)
    run.ready("b", Phase.BID).expect_phase(0, Phase.TRADE)
    run.ready("b", Phase.TRADE).expect_grant("a", 300_000)
    run.ready("a", Phase.TRADE, START_MS + TICK_MS).expect_phase(0, Phase.IMPORT)


def test_of_several_times_asked_for_only_the_last_is_granted() -> None:
    run = lockstep("a", "b")
    run.ready("a", Phase.BID, START_MS + 50)
    run.ready("a", Phase.BID, START_MS + 80)
    run.ready("a", Phase.BID, START_MS + 60)
    run.ready("b", Phase.BID).expect_grant("a", 60)
    run.ready("a", Phase.BID).expect_phase(0, Phase.TRADE)


def test_a_device_that_goes_offline_is_no_longer_waited_for() -> None:
    run = lockstep("a", "b")
    run.ready("a", Phase.BID).expect_nothing()
    run.goes_offline("b").expect_phase(0, Phase.TRADE)
    assert run.clock.lockstep.late_phases == 0


def test_a_device_that_goes_offline_after_a_grant_is_no_longer_waited_for() -> None:
    run = lockstep("a", "b")
    run.ready("a", Phase.BID, START_MS + 50)
    run.ready("b", Phase.BID, START_MS + 60).expect_grant("a", 50)
    run.goes_offline("a").expect_grant("b", 60)
    run.ready("b", Phase.BID).expect_phase(0, Phase.TRADE)
    assert run.now_ms == 0


def test_a_device_that_is_silent_after_a_grant_is_given_up_at_the_deadline() -> None:
    run = lockstep("a", "b")
    run.ready("a", Phase.BID, START_MS + 50)
    run.ready("b", Phase.BID).expect_grant("a", 50)
    run.wait(LOCKSTEP_DEADLINE_MS - 1).expect_nothing()
    assert run.wait(1).expect_phase(0, Phase.TRADE).absent == ("a",)


def test_a_device_that_joins_late_is_waited_for_once_it_is_ready() -> None:
    run = lockstep("a")
    run.comes_online("b").expect_nothing()
    assert run.ready("a", Phase.BID).expect_phase(0, Phase.TRADE).absent == ("b",)
    run.ready("b", Phase.TRADE).expect_nothing()
    assert run.ready("a", Phase.TRADE).expect_phase(0, Phase.IMPORT).absent == ()
    run.ready("a", Phase.IMPORT).expect_nothing()
    run.ready("b", Phase.IMPORT).expect_phase(0, Phase.SETTLE)


def test_a_time_asked_for_before_an_absence_is_granted_after_it() -> None:
    run = lockstep("a", "b")
    run.ready("b", Phase.BID, START_MS + 50)
    run.comes_online("b")  # it has reconnected, and publishes its birth again
    run.ready("a", Phase.BID).expect_phase(0, Phase.TRADE)
    run.ready("b", Phase.TRADE, START_MS + 50)
    run.ready("a", Phase.TRADE).expect_grant("b", 50)


def test_in_real_time_a_device_that_joins_late_is_not_absent() -> None:
    run = Run().begin().wait(1000)
    run.comes_online("late")
    run.wait(2 * TICK_MS)
    assert run.ticks[-1][1].absent == ()


def test_a_device_that_asks_for_the_same_time_again_and_again_does_not_stop_the_site() -> None:
    run = lockstep("a", "greedy")
    run.ready("a", Phase.SETTLE)
    run.ready("greedy", Phase.SETTLE, START_MS + 50)
    for _ in range(2000):
        if run.clock.schedule.phase is not Phase.BID:
            return
        run.wait(20).ready("greedy", Phase.SETTLE, START_MS + 50)
    pytest.fail("40 s later the site is still in its first phase")


def test_a_pause_holds_lock_step() -> None:
    run = lockstep("a")
    run.control("paused", True)
    run.unread.clear()
    run.ready("a", Phase.BID).wait(10 * LOCKSTEP_DEADLINE_MS).expect_nothing()
    run.control("paused", False)
    assert not run.expect("", Tick).paused
    run.expect_phase(0, Phase.TRADE)


def test_many_absent_devices_do_not_make_the_tick_too_long_to_read() -> None:
    run = Run(Mode.LOCKSTEP, ticks=1, expected=frozenset(f"household-{n:05d}" for n in range(10_000)))
    run.clock.begin(0)
    out = run.clock.wake(LOCKSTEP_DEADLINE_MS)
    assert max(len(encode(message)) for _, message in out) <= MAX_PAYLOAD


# --- any messages-----------------------------------------------------------------------------------------

small = {
    "tick": st.integers(0, 3),
    "wake_ms": st.none() | st.integers(START_MS, START_MS + 3 * TICK_MS),
    "revision": st.integers(0, 9),
}
values = st.sampled_from([True, False, 0, 1, 0.5, 3.0, 1e18, "lockstep", "scaled", "realtime", "best", "x"])
scopes = st.sampled_from([*SETTINGS, "paused", "step", "ticks", "mode", "seconds_per_tick", "x"])
actions = st.one_of(
    st.tuples(scopes, st.builds(Control, values, st.integers(0, 9))),
    st.tuples(st.just(""), anything(Ready, small)),
    st.tuples(st.just("here/vehicle"), st.builds(birth, st.just(HERE), st.sampled_from(Role))),
    st.tuples(st.just(""), st.integers(1, TICK_MS)),
)


@given(st.sampled_from(Mode), st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), actions), max_size=40))
def test_for_any_messages_its_time_never_goes_back_and_its_messages_are_valid(
    mode: Mode, done: list[tuple[str, tuple[str, Any]]]
) -> None:
    run = Run(mode, ticks=4, seconds_per_tick=9.0, expected=frozenset({"a", "b"})).begin()
    for sender, (scope, action) in done:
        if isinstance(action, int):
            run.wait(min(action, 100_000))
        else:
            run.take(run.clock.handle(scope, sender, action, run.now_ms))
    times_ms = [tick.simulated_ms for _, tick in run.ticks]
    assert times_ms == sorted(times_ms)
    assert run.clock.finished or run.clock.pace.paused or run.clock.event_ms is not None


# --- a clock that is restarted ------------------------------------------------------------------------------


def restart(run: Run, **traits: Any) -> tuple[Run, bool]:  # noqa: ANN401 - as Clock takes them
    """Start another clock of the same scenario, with the last tick of the one that was lost."""
    again = Run(traits.pop("mode", Mode.REALTIME), **traits)
    resumed = again.clock.resume_from(run.clock.tick_message)
    return again.begin(), resumed


def test_it_resumes_from_the_retained_tick() -> None:
    lost = Run(epoch=7).begin().wait(OFFSETS_MS[Phase.IMPORT])
    assert lost.clock.schedule.phase is Phase.IMPORT
    again, resumed = restart(lost, epoch=9)
    assert resumed
    (_, first), *rest = again.ticks
    assert first == replace(lost.clock.tick_message, resumptions=1)
    assert rest == []
    again.wait(TICK_MS)
    assert [(tick.tick, tick.phase, tick.epoch) for _, tick in again.ticks[1:3]] == [
        (0, Phase.SETTLE, 7),
        (1, Phase.BID, 7),
    ]


def test_it_ends_at_the_same_tick() -> None:
    lost = Run(ticks=3).begin().wait(TICK_MS)
    again, _ = restart(lost, ticks=100)
    again.wait(10 * TICK_MS)
    assert again.clock.finished
    assert again.clock.tick == 2


@pytest.mark.parametrize(
    "other",
    [{"start_ms": START_MS + TICK_MS}, {"start_ms": START_MS + 1}],
    ids=["a tick later", "an odd time"],
)
def test_it_does_not_resume_from_a_tick_of_another_scenario(other: dict[str, int]) -> None:
    lost = Run().begin().wait(TICK_MS)
    clock = Run(Mode.REALTIME, **other).clock
    assert not clock.resume_from(lost.clock.tick_message)
    assert clock.tick == -1


def test_it_does_not_resume_a_run_that_has_ended() -> None:
    over = Run(ticks=1).begin().wait(2 * TICK_MS)
    assert over.clock.finished
    assert not Run(ticks=1).clock.resume_from(over.clock.tick_message)


def test_controls_included_in_the_retained_tick_are_not_applied_again() -> None:
    lost = Run().begin()
    lost.control("turbine_scale", 0.5).control("step", 1)
    lost.wait(TICK_MS)
    assert lost.clock.tick_message.settings.turbine_scale == 0.5
    again, _ = restart(lost)
    before = again.clock.ticks
    again.revision = 0
    again.control("turbine_scale", 2.0).control("step", 1)
    assert again.clock.settings.turbine_scale == 0.5
    assert again.clock.ticks == before
    assert again.clock.refused == {}
    again.revision = lost.revision
    again.control("turbine_scale", 1.5)
    assert again.clock.settings.turbine_scale == 1.5


def test_a_pause_continues_after_a_restart() -> None:
    lost = Run().begin().wait(OFFSETS_MS[Phase.TRADE])
    lost.control("paused", value=True)
    again, _ = restart(lost)
    again.wait(5 * TICK_MS)
    assert again.clock.tick == 0
    assert again.clock.schedule.phase is Phase.TRADE
    again.revision = lost.revision
    again.control("paused", value=False).wait(TICK_MS)
    assert again.clock.tick == 1


def test_in_lock_step_it_waits_for_all_devices_again() -> None:
    lost = Run(Mode.LOCKSTEP, expected=frozenset({HERE})).begin()
    again, _ = restart(lost, mode=Mode.LOCKSTEP, expected=frozenset({HERE}))
    assert again.clock.lockstep.barrier.awaited == {HERE}
    again.ready(HERE, Phase.BID)
    assert again.clock.schedule.phase is Phase.TRADE
