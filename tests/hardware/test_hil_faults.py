"""Faults of sensors, plugs and controllers, each played on the bench, with the safe reaction that must follow.

A charger is made to charge first, and a turbine to turn freely; then the fault comes. What is asserted is the pin, the
time it takes, and that reason and fault are said.
"""

from collections.abc import Callable

import pytest

from gridfleet.broker.protocol.messages import Bill, Decline
from gridfleet.devices.agents.instruments import NoReadingError
from gridfleet.devices.edge.hil.bench import Bench, ChargerUnderTest, TurbineUnderTest

from .files import CHARGER, TURBINE

pytestmark = pytest.mark.hil_mock

AT_ONCE_S = 0.1
VANE_STUCK_S = 30.0
Play = Callable[[Bench, ChargerUnderTest], object]


@pytest.fixture
def charging(hil_bench: Bench) -> ChargerUnderTest:
    """A charger that has charged for a second."""
    charger = hil_bench.charger(CHARGER)
    charger.serve(hil_bench.vehicle())
    charger.contactor.closes(within_s=2.0)
    hil_bench.run(1.0)
    return charger


@pytest.fixture
def turning(hil_bench: Bench) -> TurbineUnderTest:
    """A turbine whose brake has been released in a wind of 8 m/s."""
    turbine = hil_bench.turbine(TURBINE)
    turbine.plant.blow(8.0)
    assert turbine.brake is not None
    turbine.brake.goes(on=False, within_s=6.0)
    hil_bench.run(10.0)
    return turbine


def _failing(bench: Bench, _: ChargerUnderTest) -> None:
    bench.adc.failing = True


def _floating(code: int) -> Play:
    def play(bench: Bench, _: ChargerUnderTest) -> None:
        bench.adc.floating = code

    return play


def _stuck(channel: int, volts: float) -> Play:
    return lambda bench, _: bench.adc.feed(channel, lambda _now_s: volts)


def _offset(volts: float) -> Play:
    return lambda _, charger: setattr(charger.plant, "offset_v", volts)


def _draws(amperes: float) -> Play:
    return lambda _, charger: setattr(charger.plant, "draws_a", amperes)


def _mains(volts: float) -> Play:
    return lambda _, charger: setattr(charger.plant, "mains_v", volts)


CHARGER_FAULTS: dict[str, tuple[Play, float, str, str]] = {
    # what happens: (how it is played, within how many seconds it opens, the reason said, the fault shown)
    "the plug is pulled": (lambda _, c: c.plant.unplug(), AT_ONCE_S, "unplugged", ""),
    "the stop is pressed, or its wire cut": (
        lambda _, c: c.plant.press_stop(), AT_ONCE_S, "stop button", "contactor: stop button",
    ),
    "a short circuit": (_draws(25.0), AT_ONCE_S, "over-current", "contactor: over-current"),
    "an overload": (_draws(19.0), 1.2, "over-current", "contactor: over-current"),
    "an overload beyond the scale": (_draws(60.0), AT_ONCE_S, "over-current", "current: out of range"),
    "the converter's bus fails": (_failing, AT_ONCE_S, "sensor fault", "adc: missing"),
    "the converter is off, and reads zero": (_floating(0), AT_ONCE_S, "sensor fault", "current: disconnected"),
    "the converter floats, and reads ones": (
        _floating(1023), AT_ONCE_S, "sensor fault", "voltage: disconnected",
    ),
    "the current sensor is stuck": (_stuck(0, 2.4), AT_ONCE_S, "sensor fault", "current: stuck"),
    "the voltage sensor is stuck": (_stuck(1, 1.65), AT_ONCE_S, "sensor fault", "voltage: stuck"),
    "the current sensor's wire breaks": (_stuck(0, 0.0), AT_ONCE_S, "sensor fault", "current: disconnected"),
    "the current sensor's zero has moved": (_offset(0.75), AT_ONCE_S, "sensor fault", "current: offset"),
    "the mains are too low": (_mains(180.0), AT_ONCE_S, "voltage out of range", ""),
    "the mains are too high": (_mains(280.0), AT_ONCE_S, "voltage out of range", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", CHARGER_FAULTS)
def test_the_contactor_opens(hil_bench: Bench, charging: ChargerUnderTest, name: str) -> None:
    play, within_s, reason, fault = CHARGER_FAULTS[name]
    play(hil_bench, charging)
    charging.contactor.opens(within_s)
    assert charging.control.opened_because == reason
    assert not fault or fault in charging.control.faults
    charging.contactor.stays(on=False, for_s=3.0)
    hil_bench.wait(
        lambda: ("contactor", "opened", reason) in hil_bench.collector.incidents("charger-01"), "the incident"
    )


@pytest.mark.parametrize("name", [name for name, fault in CHARGER_FAULTS.items() if fault[3]])
def test_a_fault_is_not_forgotten_before_the_plug_is_pulled(
    hil_bench: Bench, charging: ChargerUnderTest, name: str
) -> None:
    play, within_s, *_ = CHARGER_FAULTS[name]
    play(hil_bench, charging)
    charging.contactor.opens(within_s)
    assert not fit(charging)
    hil_bench.adc.failing, hil_bench.adc.floating = False, None
    _mend(hil_bench, charging)
    charging.contactor.stays(on=False, for_s=3.0)
    charging.plant.unplug()
    hil_bench.run(1.0)
    assert fit(charging)
    charging.plant.plug_in()
    charging.contactor.closes(within_s=2.0)


def fit(charger: ChargerUnderTest) -> bool:
    return charger.control.ready


def _mend(bench: Bench, charger: ChargerUnderTest) -> None:
    plant = charger.plant
    plant.draws_a, plant.mains_v, plant.offset_v = 10.0, 230.0, 0.0
    plant.release_stop()
    plant.connect()
    bench.run(0.1)


def test_a_welded_contactor_is_found_and_nobody_is_served_any_more(
    hil_bench: Bench, charging: ChargerUnderTest
) -> None:
    charging.plant.welded = True
    vehicle = hil_bench.vehicle("vehicle-2")
    charging.plant.press_stop()
    charging.contactor.opens(AT_ONCE_S)
    hil_bench.run(1.0)
    assert "contactor: contactor welded" in charging.control.faults
    charging.plant.release_stop()
    charging.plant.unplug()
    hil_bench.run(1.0)
    assert not charging.control.ready  # until somebody has looked, and started it again
    assert vehicle.call(charging.device.file, 5_000) == Decline(1, "offline")
    assert ("contactor", "failed", "contactor welded") in hil_bench.collector.incidents("charger-01")


def test_current_past_an_open_contactor_is_taken_for_welding(hil_bench: Bench) -> None:
    charger = hil_bench.charger(CHARGER.replace("feedback = 22", ""))
    hil_bench.run(1.0)
    assert charger.control.ready
    charger.plant.leaks_a = 2.0
    hil_bench.run(1.0)
    assert "contactor: contactor welded" in charger.control.faults


def test_a_contactor_that_does_not_close_is_switched_off_again(hil_bench: Bench) -> None:
    charger = hil_bench.charger(CHARGER)
    charger.plant.feedback_broken = True
    charger.serve(hil_bench.vehicle())
    charger.contactor.closes(within_s=2.0)
    charger.contactor.opens(within_s=0.5)
    assert charger.control.opened_because == "contactor did not close"


def test_a_loose_plug_contact_is_a_fault(hil_bench: Bench, charging: ChargerUnderTest) -> None:
    for number in range(8):
        hil_bench.after(0.05 * number, charging.plant.unplug)
        hil_bench.after(0.05 * number + 0.02, charging.plant.plug_in)
    charging.contactor.opens(AT_ONCE_S)
    charging.contactor.stays(on=False, for_s=5.0)
    assert "plug: bounce" in charging.control.faults


def test_a_plug_that_leaves_between_two_looks_is_noticed(
    hil_bench: Bench, charging: ChargerUnderTest
) -> None:
    hil_bench.after(0.001, charging.plant.unplug)
    hil_bench.after(0.002, charging.plant.plug_in)
    charging.contactor.opens(AT_ONCE_S)


def test_an_agent_that_hangs(hil_bench: Bench, charging: ChargerUnderTest) -> None:
    hil_bench.agent_alive = False
    charging.contactor.opens(within_s=5.0 + AT_ONCE_S)
    assert charging.control.opened_because == "agent silent"
    hil_bench.agent_alive = True
    charging.contactor.closes(within_s=2.0)


def test_a_control_loop_that_was_held_up(hil_bench: Bench, charging: ChargerUnderTest) -> None:
    hil_bench.hung = True
    hil_bench.run(0.5)
    hil_bench.hung = False
    charging.contactor.opens(AT_ONCE_S)
    assert charging.control.opened_because == "control loop late"
    charging.contactor.closes(within_s=2.0)


def test_a_lease_that_lapses(hil_bench: Bench, charging: ChargerUnderTest) -> None:
    for _ in range(4):
        hil_bench.clock.tick()
    hil_bench.wait(lambda: charging.device.agent.tick == 4, "the fourth tick")
    charging.contactor.opens(AT_ONCE_S)
    assert charging.control.opened_because == "no lease"


def test_whoever_charges_is_told_of_a_fault_and_billed(hil_bench: Bench) -> None:
    charger, vehicle = hil_bench.charger(CHARGER), hil_bench.vehicle()
    charger.serve(vehicle)
    charger.contactor.closes(within_s=2.0)
    hil_bench.run(36.0)
    charger.plant.draws_a = 25.0
    charger.contactor.opens(AT_ONCE_S)
    assert vehicle.heartbeat() == Decline(1, "offline")
    bill = vehicle.release()
    assert isinstance(bill, Bill)
    assert bill.energy_wh == int(charger.control.energy_wh) == 23


# --- turbine -------------------------------------------------------------------------------------------------


def test_a_gale_applies_the_brake_until_it_has_passed(hil_bench: Bench, turning: TurbineUnderTest) -> None:
    assert turning.brake is not None
    turning.plant.blow(30.0)
    turning.brake.goes(on=True, within_s=4.0)
    assert "brake: over-speed" in turning.control.faults
    with pytest.raises(NoReadingError, match="over-speed"):
        turning.control.at(0, 0.0, 0.0)
    turning.plant.blow(10.0)
    turning.brake.stays(on=True, for_s=4.0)
    turning.brake.goes(on=False, within_s=6.0)


def test_a_reed_that_sticks(hil_bench: Bench, turning: TurbineUnderTest) -> None:
    assert turning.brake is not None
    turning.plant.stick()
    turning.brake.goes(on=True, within_s=20.2)
    assert "anemometer: stuck" in turning.control.faults
    hil_bench.wait(
        lambda: ("brake", "applied", "sensor fault") in hil_bench.collector.incidents("turbine-01"),
        "the incident",
    )


def test_a_wire_that_breaks(turning: TurbineUnderTest) -> None:
    assert turning.brake is not None
    turning.plant.jammed = True
    turning.brake.goes(on=True, within_s=60.5)
    assert "anemometer: missing" in turning.control.faults
    assert "wind_m_per_s" not in turning.control.readings()


def test_a_contact_that_bounces(hil_bench: Bench, turning: TurbineUnderTest) -> None:
    assert turning.brake is not None
    wind_m_per_s = turning.control.wind.mean_m_per_s
    turning.plant.bounces = 2
    turning.brake.goes(on=True, within_s=3.0)
    assert "anemometer: bounce" in turning.control.faults
    hil_bench.run(5.0)
    assert turning.control.wind.mean_m_per_s == pytest.approx(wind_m_per_s, rel=1e-3)  # bounces do not count
    turning.plant.bounces = 0
    turning.brake.goes(on=False, within_s=20.0)


def test_wind_that_no_wind_does(turning: TurbineUnderTest) -> None:
    assert turning.brake is not None
    turning.plant.blow(120.0)  # interference on the wire
    turning.brake.goes(on=True, within_s=4.0)


def test_interference_is_told_from_a_gale(hil_bench: Bench, turning: TurbineUnderTest) -> None:
    turning.plant.blow(120.0)
    hil_bench.run(5.0)
    assert "anemometer: out of range" in turning.control.faults


@pytest.mark.parametrize(("volts", "fault"), [(0.0, "vane: disconnected"), (3.29, "vane: disconnected")])
def test_a_vane_without_wire_does_not_stop_the_turbine(
    hil_bench: Bench, turning: TurbineUnderTest, volts: float, fault: str
) -> None:
    assert turning.brake is not None
    turning.plant.vane_v = volts
    turning.brake.stays(on=False, for_s=3.0)
    assert fault in turning.control.faults
    assert "direction_deg" not in turning.control.readings()
    hil_bench.run(0.1)


def test_a_vane_that_is_stuck_in_the_wind(hil_bench: Bench, turning: TurbineUnderTest) -> None:
    hil_bench.run(VANE_STUCK_S + 20.0)
    assert "vane: stuck" in turning.control.faults
    turning.plant.direction_deg = 90.0
    hil_bench.run(2.0)
    assert "vane: stuck" not in turning.control.faults


def test_a_converter_that_fails_leaves_the_anemometer(hil_bench: Bench, turning: TurbineUnderTest) -> None:
    assert turning.brake is not None
    hil_bench.adc.failing = True
    turning.brake.stays(on=False, for_s=3.0)
    assert "adc: missing" in turning.control.faults


def test_a_turbine_whose_agent_hangs(hil_bench: Bench, turning: TurbineUnderTest) -> None:
    assert turning.brake is not None
    hil_bench.agent_alive = False
    turning.brake.goes(on=True, within_s=5.0 + AT_ONCE_S)
    assert "brake: agent silent" in turning.control.faults
