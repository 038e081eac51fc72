"""Faults of sensors, plugs and controllers, simulated on the bench, and the safe reaction to each.

First a charger charges, or a turbine turns freely; then the fault occurs. The tests assert the pin, the time until it
changes, and the reported reason and fault.
"""

from collections.abc import Callable

import pytest

from gridfleet.broker.protocol.messages import Bill, Decline
from gridfleet.devices.agents.instruments import NoReadingError
from gridfleet.devices.edge.hil.bench import Bench
from gridfleet.devices.edge.hil.under_test import ChargerUnderTest, TurbineUnderTest

from .files import CHARGER, TURBINE

pytestmark = pytest.mark.hil_mock

AT_ONCE_S = 0.1
VANE_STUCK_S = 30.0
Cause = Callable[[Bench, ChargerUnderTest], object]


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


def _floating(code: int) -> Cause:
    def cause(bench: Bench, _: ChargerUnderTest) -> None:
        bench.adc.floating = code

    return cause


def _stuck(channel: int, volts: float) -> Cause:
    return lambda bench, _: bench.adc.feed(channel, lambda _now_s: volts)


def _offset(volts: float) -> Cause:
    return lambda _, charger: setattr(charger.plant, "offset_v", volts)


def _draws(amperes: float) -> Cause:
    return lambda _, charger: setattr(charger.plant, "draws_a", amperes)


def _mains(volts: float) -> Cause:
    return lambda _, charger: setattr(charger.plant, "mains_v", volts)


CHARGER_FAULTS: dict[str, tuple[Cause, float, str, str]] = {
    # fault: (how to cause it, seconds within which the contactor opens, reason, reported fault)
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
    "the current sensor's zero has shifted": (_offset(0.75), AT_ONCE_S, "sensor fault", "current: offset"),
    "the mains are too low": (_mains(180.0), AT_ONCE_S, "voltage out of range", ""),
    "the mains are too high": (_mains(280.0), AT_ONCE_S, "voltage out of range", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", CHARGER_FAULTS)
def test_the_contactor_opens(hil_bench: Bench, charging: ChargerUnderTest, name: str) -> None:
    cause, within_s, reason, fault = CHARGER_FAULTS[name]
    cause(hil_bench, charging)
    charging.contactor.opens(within_s)
    assert charging.control.opened_because == reason
    assert not fault or fault in charging.control.faults
    charging.contactor.stays(on=False, for_s=3.0)
    hil_bench.wait(
        lambda: ("contactor", "opened", reason) in hil_bench.collector.incidents("charger-01"), "the incident"
    )


@pytest.mark.parametrize("name", [name for name, fault in CHARGER_FAULTS.items() if fault[3]])
def test_a_fault_is_latched_until_the_plug_is_pulled(
    hil_bench: Bench, charging: ChargerUnderTest, name: str
) -> None:
    cause, within_s, *_ = CHARGER_FAULTS[name]
    cause(hil_bench, charging)
    charging.contactor.opens(within_s)
    assert not ready(charging)
    hil_bench.adc.failing, hil_bench.adc.floating = False, None
    _remove_fault(hil_bench, charging)
    charging.contactor.stays(on=False, for_s=3.0)
    charging.plant.unplug()
    hil_bench.run(1.0)
    assert ready(charging)
    charging.plant.plug_in()
    charging.contactor.closes(within_s=2.0)


def ready(charger: ChargerUnderTest) -> bool:
    return charger.control.ready


def _remove_fault(bench: Bench, charger: ChargerUnderTest) -> None:
    plant = charger.plant
    plant.draws_a, plant.mains_v, plant.offset_v = 10.0, 230.0, 0.0
    plant.release_stop()
    plant.connect()
    bench.run(0.1)


def test_a_welded_contactor_is_detected_and_every_call_declined(
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
    assert not charging.control.ready  # until it is restarted after an inspection
    assert vehicle.call(charging.device.file, 5_000) == Decline(1, "offline")
    assert ("contactor", "failed", "contactor welded") in hil_bench.collector.incidents("charger-01")


def test_current_through_an_open_contactor_counts_as_welding(hil_bench: Bench) -> None:
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


def test_a_plug_that_is_pulled_between_two_steps_is_detected(
    hil_bench: Bench, charging: ChargerUnderTest
) -> None:
    hil_bench.after(0.001, charging.plant.unplug)
    hil_bench.after(0.002, charging.plant.plug_in)
    charging.contactor.opens(AT_ONCE_S)


def test_the_agent_hangs(hil_bench: Bench, charging: ChargerUnderTest) -> None:
    hil_bench.agent_alive = False
    charging.contactor.opens(within_s=5.0 + AT_ONCE_S)
    assert charging.control.opened_because == "agent silent"
    hil_bench.agent_alive = True
    charging.contactor.closes(within_s=2.0)


def test_the_control_loop_hangs(hil_bench: Bench, charging: ChargerUnderTest) -> None:
    hil_bench.hung = True
    hil_bench.run(0.5)
    hil_bench.hung = False
    charging.contactor.opens(AT_ONCE_S)
    assert charging.control.opened_because == "control loop late"
    charging.contactor.closes(within_s=2.0)


def test_the_lease_expires(hil_bench: Bench, charging: ChargerUnderTest) -> None:
    for _ in range(4):
        hil_bench.clock.tick()
    hil_bench.wait(lambda: charging.device.agent.tick == 4, "the fourth tick")
    charging.contactor.opens(AT_ONCE_S)
    assert charging.control.opened_because == "no lease"


def test_a_charging_vehicle_is_declined_and_billed_after_a_fault(hil_bench: Bench) -> None:
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


def test_a_gale_applies_the_brake_until_it_is_over(hil_bench: Bench, turning: TurbineUnderTest) -> None:
    assert turning.brake is not None
    turning.plant.blow(30.0)
    turning.brake.goes(on=True, within_s=4.0)
    assert "brake: over-speed" in turning.control.faults
    with pytest.raises(NoReadingError, match="over-speed"):
        turning.control.at(0, 0.0, 0.0)
    turning.plant.blow(10.0)
    turning.brake.stays(on=True, for_s=4.0)
    turning.brake.goes(on=False, within_s=6.0)


def test_the_reed_contact_sticks(hil_bench: Bench, turning: TurbineUnderTest) -> None:
    assert turning.brake is not None
    turning.plant.stick()
    turning.brake.goes(on=True, within_s=20.2)
    assert "anemometer: stuck" in turning.control.faults
    hil_bench.wait(
        lambda: ("brake", "applied", "sensor fault") in hil_bench.collector.incidents("turbine-01"),
        "the incident",
    )


def test_the_wire_breaks(turning: TurbineUnderTest) -> None:
    assert turning.brake is not None
    turning.plant.jammed = True
    turning.brake.goes(on=True, within_s=60.5)
    assert "anemometer: missing" in turning.control.faults
    assert "wind_m_per_s" not in turning.control.readings()


def test_the_contact_bounces(hil_bench: Bench, turning: TurbineUnderTest) -> None:
    assert turning.brake is not None
    wind_m_per_s = turning.control.wind.mean_m_per_s
    turning.plant.bounces = 2
    turning.brake.goes(on=True, within_s=3.0)
    assert "anemometer: bounce" in turning.control.faults
    hil_bench.run(5.0)
    assert turning.control.wind.mean_m_per_s == pytest.approx(wind_m_per_s, rel=1e-3)  # bounces do not count
    turning.plant.bounces = 0
    turning.brake.goes(on=False, within_s=20.0)


def test_an_impossible_wind_applies_the_brake(turning: TurbineUnderTest) -> None:
    assert turning.brake is not None
    turning.plant.blow(120.0)  # interference on the wire
    turning.brake.goes(on=True, within_s=4.0)


def test_interference_is_distinguished_from_a_gale(hil_bench: Bench, turning: TurbineUnderTest) -> None:
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


def test_the_vane_is_stuck(hil_bench: Bench, turning: TurbineUnderTest) -> None:
    hil_bench.run(VANE_STUCK_S + 20.0)
    assert "vane: stuck" in turning.control.faults
    turning.plant.direction_deg = 90.0
    hil_bench.run(2.0)
    assert "vane: stuck" not in turning.control.faults


def test_a_failing_converter_does_not_stop_the_turbine(hil_bench: Bench, turning: TurbineUnderTest) -> None:
    assert turning.brake is not None
    hil_bench.adc.failing = True
    turning.brake.stays(on=False, for_s=3.0)
    assert "adc: missing" in turning.control.faults


def test_the_agent_of_a_turbine_hangs(hil_bench: Bench, turning: TurbineUnderTest) -> None:
    assert turning.brake is not None
    hil_bench.agent_alive = False
    turning.brake.goes(on=True, within_s=5.0 + AT_ONCE_S)
    assert "brake: agent silent" in turning.control.faults
