"""A charger on the bench: how it charges, what it bills, and what it publishes."""

import pytest

from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.protocol.messages import Bill, ChargerState, Decline, Lease, Phase, Sample
from gridfleet.devices.edge.hil.bench import Bench
from tests.hardware.conftest import MakeBench

from .files import CHARGER

LAMP = (23, 24, 25)


def test_the_contactor_follows_the_lease_and_the_plug(hil_bench: Bench) -> None:
    charger = hil_bench.charger(CHARGER)
    charger.contactor.stays(on=False, for_s=2.0)
    charger.serve(hil_bench.vehicle())
    assert charger.contactor.closes(within_s=2.0) >= 0.5  # the plug must be in for settle_s
    charger.contactor.stays(on=True, for_s=5.0)
    charger.plant.unplug()
    charger.contactor.opens(within_s=0.1)
    hil_bench.wait(lambda: len(hil_bench.collector.incidents("charger-01")) == 2, "two incidents")
    assert hil_bench.collector.incidents("charger-01") == [
        ("contactor", "closed", "plug, lease and health"),
        ("contactor", "opened", "unplugged"),
    ]


def test_a_plug_without_a_lease_gets_no_energy(hil_bench: Bench) -> None:
    charger = hil_bench.charger(CHARGER)
    charger.plant.plug_in()
    charger.contactor.stays(on=False, for_s=10.0)


def test_a_lease_of_a_vehicle_that_has_not_arrived_gets_no_energy(hil_bench: Bench) -> None:
    charger = hil_bench.charger(CHARGER)
    hil_bench.vehicle().reserve(charger.device.file, 10_000)
    charger.plant.plug_in()  # another vehicle
    charger.contactor.stays(on=False, for_s=10.0)


@pytest.mark.hil_mock  # exact currents, which pins wired to themselves do not give
def test_the_metered_energy_is_billed(hil_bench: Bench) -> None:
    charger, vehicle = hil_bench.charger(CHARGER), hil_bench.vehicle()
    charger.serve(vehicle)
    charger.contactor.closes(within_s=2.0)
    hil_bench.run(36.0)
    vehicle.drawn_wh = 9999  # what a vehicle reports does not matter
    answer = vehicle.heartbeat()
    assert isinstance(answer, Lease)
    assert answer.metered
    assert charger.control.energy_wh == pytest.approx(230 * 10 / 100, rel=2e-3)  # 10 A at 230 V for 36 s
    assert answer.drawn_wh == int(charger.control.energy_wh) == 22
    bill = vehicle.release()
    assert isinstance(bill, Bill)
    assert bill.energy_wh == answer.drawn_wh
    assert bill.amount_neur == bill.energy_wh * answer.price_ueur_per_kwh
    charger.contactor.opens(within_s=0.1)
    assert charger.control.opened_because == "no lease"


def test_the_contactor_opens_when_the_reserved_energy_is_delivered(hil_bench: Bench) -> None:
    charger, vehicle = hil_bench.charger(CHARGER), hil_bench.vehicle()
    charger.serve(vehicle, 1_000)
    charger.contactor.closes(within_s=2.0)
    charger.control._metered_wh["vehicle-1", 1] = 990.0  # after almost half an hour # noqa: SLF001 - the charger meters for half an hour otherwise
    charger.contactor.opens(within_s=1.01 * 3600 * 10 / 2300)
    assert charger.control.opened_because == "energy delivered"
    answer = vehicle.heartbeat()
    assert isinstance(answer, Lease)
    assert answer.drawn_wh == answer.energy_wh == 1000


def test_charging_continues_after_the_plug_is_inserted_again(hil_bench: Bench) -> None:
    charger = hil_bench.charger(CHARGER)
    charger.serve(hil_bench.vehicle())
    charger.contactor.closes(within_s=2.0)
    charger.plant.unplug()
    charger.contactor.opens(within_s=0.1)
    charger.plant.plug_in()
    charger.contactor.closes(within_s=2.0)


@pytest.mark.hil_mock  # exact currents, which pins wired to themselves do not give
def test_the_state_has_contactor_and_reason_and_is_marked_as_simulated(hil_bench: Bench) -> None:
    charger, vehicle = hil_bench.charger(CHARGER), hil_bench.vehicle()
    charger.serve(vehicle)
    charger.contactor.closes(within_s=2.0)
    hil_bench.run(36.0)
    vehicle.heartbeat()
    charger.plant.press_stop()
    charger.contactor.opens(within_s=0.1)
    hil_bench.clock.phase(Phase.SETTLE)
    hil_bench.wait(lambda: bool(hil_bench.collector.all(ChargerState, "charger-01")), "a state")
    (state,) = hil_bench.collector.all(ChargerState, "charger-01")
    assert (state.contactor, state.opened_because, state.status) == ("open", "stop button", "faulted")
    assert state.faults == ("contactor: stop button",)
    assert state.delivered_wh == 22
    assert not state.measured  # mocked pins measure nothing


@pytest.mark.hil_mock  # exact currents, which pins wired to themselves do not give
def test_samples_have_readings_with_units(hil_bench: Bench) -> None:
    charger = hil_bench.charger(CHARGER)
    charger.serve(hil_bench.vehicle())
    charger.contactor.closes(within_s=2.0)
    hil_bench.run(1.0)
    charger.device.publish_sample()
    hil_bench.wait(lambda: bool(hil_bench.collector.all(Sample, "charger-01")), "a sample")
    (sample,) = hil_bench.collector.all(Sample, "charger-01")
    assert sample.readings["current_a"] == pytest.approx(10.0, rel=2e-3)
    assert sample.readings["voltage_v"] == pytest.approx(230.0, rel=2e-3)
    assert sample.readings["power_w"] == pytest.approx(2300.0, rel=2e-3)
    assert sample.readings["contactor_closed"] == 1.0
    assert not sample.measured


def test_a_second_vehicle_is_declined_while_the_port_is_reserved(hil_bench: Bench) -> None:
    charger = hil_bench.charger(CHARGER)
    charger.serve(hil_bench.vehicle())
    answer = hil_bench.vehicle("vehicle-2").call(charger.device.file, 5_000)
    assert answer == Decline(1, "port")


def test_the_lamp_shows_the_state(hil_bench: Bench) -> None:
    charger = hil_bench.charger(CHARGER)

    def lit() -> list[bool]:
        return [hil_bench.pi.level(pin)[0] for pin in LAMP]

    hil_bench.run(1.0)
    assert lit() == [False, True, False]
    charger.serve(hil_bench.vehicle())
    hil_bench.run(0.1)
    assert lit() == [True, True, False]
    hil_bench.run(2.0)
    assert lit() == [False, False, True]
    charger.plant.press_stop()
    hil_bench.run(0.1)
    assert lit() == [True, False, False]


def test_the_contactor_opens_when_the_broker_is_lost_for_too_long(hil_make_bench: MakeBench) -> None:
    with EmbeddedBroker() as broker:
        bench = hil_make_bench(broker.url)
        charger = bench.charger(CHARGER + "[safety]\nbroker_lost_s = 20\n")
        charger.serve(bench.vehicle())
        charger.contactor.closes(within_s=2.0)
        broker.close()
        bench.wait(lambda: not charger.device.online, "the connection to be lost")
        charger.contactor.stays(on=True, for_s=18.0)  # a short outage does not stop a charge
        charger.contactor.opens(within_s=2.5)
        assert charger.control.opened_because == "broker lost"


def test_the_contactor_is_open_after_the_end(hil_bench: Bench) -> None:
    charger = hil_bench.charger(CHARGER)
    charger.serve(hil_bench.vehicle())
    charger.contactor.closes(within_s=2.0)
    hil_bench.close()
    assert [change.high for change in hil_bench.pi.changes(17)][-1] is False
