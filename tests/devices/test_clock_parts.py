"""The parts of the clock, each alone: schedule, lock-step, settings, controls."""

import pytest

from gridfleet.broker.protocol.messages import PHASES, Control, Mode, Phase, Settings, Tick
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.clock.controls import MAX_TICKS, ControlRevisions, boolean, whole_number
from gridfleet.devices.clock.lockstep import LockStep
from gridfleet.devices.clock.schedule import BETWEEN_CELLS, OFFSETS_MS, Schedule
from gridfleet.devices.clock.settings import (
    STORM_TICKS,
    STORM_WIND_SCALE,
    Event,
    SettingsPlan,
    Value,
    changed,
)

START_MS = 1_000_000


def tick_of(schedule: Schedule) -> Tick:
    """The message that a clock publishes for the current phase."""
    return Tick(
        schedule.tick,
        schedule.phase,
        schedule.simulated_ms,
        schedule.phase_ends_ms,
        Mode.REALTIME,
        900.0,
        schedule.ticks_left,
        paused=False,
        settings=Settings(),
    )


# --- schedule --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("neighbours", [False, True])
def test_phases_follow_each_other_without_a_gap(neighbours: bool) -> None:
    schedule = Schedule(START_MS, 2, neighbours=neighbours)
    seen: list[tuple[int, Phase]] = []
    end_ms = START_MS
    while not schedule.at_run_end:
        schedule.advance()
        seen.append((schedule.tick, schedule.phase))
        assert schedule.simulated_ms == end_ms
        end_ms = schedule.phase_ends_ms
    expected = [phase for phase in PHASES if neighbours or phase not in BETWEEN_CELLS]
    assert seen == [(tick, phase) for tick in range(2) for phase in expected]
    assert end_ms == START_MS + 2 * TICK_MS
    assert schedule.ticks_left == 0


def test_a_run_without_ticks_ends_before_it_begins() -> None:
    assert Schedule(START_MS, 0).at_run_end


def test_it_resumes_from_a_retained_tick() -> None:
    first, second = Schedule(START_MS, 3), Schedule(START_MS, 100)
    for _ in range(6):
        first.advance()
    assert second.resume(tick_of(first))
    assert (second.tick, second.phase, second.ticks) == (1, Phase.TRADE, 3)
    assert second.simulated_ms == START_MS + TICK_MS + OFFSETS_MS[Phase.TRADE]


@pytest.mark.parametrize(
    ("start_ms", "advances", "neighbours"),
    [(START_MS + 1, 5, False), (START_MS, 8, False), (START_MS, 3, True)],
    ids=["another start", "the run has ended", "a phase that one cell does not have"],
)
def test_it_does_not_resume_from_another_run(start_ms: int, advances: int, neighbours: bool) -> None:
    other, schedule = Schedule(start_ms, 2, neighbours=neighbours), Schedule(START_MS, 2)
    for _ in range(advances):
        other.advance()
    assert not schedule.resume(tick_of(other))
    assert (schedule.tick, schedule.phase, schedule.ticks) == (-1, Phase.SETTLE, 2)


# --- lock-step -------------------------------------------------------------------------------------------


def test_all_grants_of_a_device_share_one_deadline() -> None:
    lockstep = LockStep(frozenset({"a"}), deadline_ms=1_000)
    assert lockstep.begin_phase(0, Phase.BID, 0) == 1_000
    lockstep.ready("a", 0, Phase.BID, 50, 100)
    assert lockstep.grant(60, 100) == ("a", 50, 1_100)
    lockstep.ready("a", 0, Phase.BID, 55, 700)
    assert lockstep.grant(60, 700) == ("a", 55, 1_100)
    lockstep.ready("a", 0, Phase.BID, 58, 1_500)
    assert lockstep.grant(60, 1_500) == ("a", 58, 1_500)
    lockstep.ready("a", 0, Phase.BID, 59, 1_500)
    assert lockstep.begin_phase(0, Phase.TRADE, 2_000) == 3_000
    assert lockstep.grant(60, 2_000) == ("a", 59, 3_000)


def test_a_time_in_a_later_phase_is_not_granted_yet() -> None:
    lockstep = LockStep(frozenset({"a"}))
    lockstep.begin_phase(0, Phase.BID, 0)
    lockstep.ready("a", 0, Phase.BID, 60, 0)
    assert lockstep.grant(60, 0) is None
    assert lockstep.grant(61, 0) is not None


def test_only_phases_that_some_device_is_behind_in_are_late() -> None:
    lockstep = LockStep(frozenset({"a"}))
    lockstep.begin_phase(0, Phase.BID, 0)
    lockstep.give_up()
    assert (lockstep.late_phases, lockstep.barrier.absent) == (1, {"a"})
    lockstep.begin_phase(0, Phase.TRADE, 0)
    lockstep.give_up()
    assert lockstep.late_phases == 1


# --- settings --------------------------------------------------------------------------------------------


def test_planned_changes_apply_at_their_tick_with_their_title() -> None:
    plan = SettingsPlan(
        Settings(), (Event(1, (("wind_scale", 1.5),), "Wind"), Event(1, (("turbine_scale", 0.5),)))
    )
    plan.begin_tick(0)
    assert plan.current == Settings()
    plan.begin_tick(1)
    assert plan.current == Settings(wind_scale=1.5, turbine_scale=0.5)
    plan.set("wind_scale", 2)
    assert plan.current.wind_scale == 2.0


def test_a_storm_is_a_gale_and_then_damage() -> None:
    plan = SettingsPlan(Settings(wind_scale=0.5))
    plan.order_storm(3)
    scales = []
    for tick in range(3 + STORM_TICKS + 1):
        plan.begin_tick(tick)
        scales.append((plan.current.wind_scale, plan.current.turbine_scale))
    assert scales == [*[(0.5, 1.0)] * 3, *[(STORM_WIND_SCALE, 1.0)] * STORM_TICKS, (0.5, 0.0)]
    plan.cancel_storm()
    assert plan.current == Settings(wind_scale=0.5)


def test_an_outage_ends() -> None:
    plan = SettingsPlan(Settings())
    plan.set("outage_s", 20)
    plan.end_outage()
    assert plan.current == Settings()


def test_a_refused_value_is_named_with_what_is_allowed() -> None:
    with pytest.raises(ValueError, match=r"^wind_scale = 5.1: expected a number from 0 to 5$"):
        changed(Settings(), "wind_scale", 5.1)
    with pytest.raises(TypeError, match=r"^chargers_out = 7: expected text$"):
        changed(Settings(), "chargers_out", 7)


# --- controls --------------------------------------------------------------------------------------------


def test_the_newest_control_for_each_setting_counts() -> None:
    revisions = ControlRevisions()
    revisions.note("ticks", "b", Control(5, 4))
    newer = [(4, "c"), (5, "a")]
    assert [
        pair
        for pair in [(3, "z"), (4, "a"), (4, "b"), *newer]
        if revisions.is_newer("ticks", pair[1], Control(5, pair[0]))
    ] == newer
    assert revisions.is_newer("mode", "a", Control("scaled", 0))


def test_controls_up_to_the_retained_tick_are_included_in_it() -> None:
    revisions = ControlRevisions()
    assert not revisions.includes(Control(5, 0))
    revisions.resume(4)
    assert [revisions.includes(Control(5, revision)) for revision in (3, 4, 5)] == [True, True, False]
    assert revisions.revision == 4


def test_switches_and_whole_numbers() -> None:
    assert (boolean(True), boolean(False)) == (True, False)
    assert (whole_number(0), whole_number(2.0), whole_number(MAX_TICKS)) == (0, 2, MAX_TICKS)
    no_switches: list[Value] = [1, 0, "true"]
    for value in no_switches:
        with pytest.raises(TypeError, match="true or false"):
            boolean(value)
    no_numbers: list[Value] = [True, "1", -1, 0.5, MAX_TICKS + 1]
    for value in no_numbers:
        with pytest.raises(ValueError, match="a whole number from 0 to 2147483647"):
            whole_number(value)
