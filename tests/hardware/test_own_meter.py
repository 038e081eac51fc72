"""A whole site whose chargers have meters: the metered energy is booked and billed, and the auditor agrees."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pytest

from gridfleet.broker.protocol.messages import ChargerState, Lease, VehicleState
from gridfleet.dashboards.reports.columns import AGENTS, TRADES
from gridfleet.devices.config.scenario import load
from gridfleet.devices.kinds.charger import CHARGER
from gridfleet.devices.kinds.registry import AGENT_TYPES
from tests.dashboards.runs import audit, broken, record
from tests.plugins import registered
from tests.system.message_log import MessageLog, simulate

TICKS: Final = 40
PER_READING_WH: Final = 1_700


class Meter:
    """Counts the same energy at every reading, whatever the vehicle reports; measured, as on real pins."""

    measured = True
    faults = ()
    ready = True
    closed = True
    opened_because = "unplugged"

    def __init__(self) -> None:
        self._counted: dict[tuple[str, int], int] = {}

    def delivered_wh(self, vehicle: str, call: int) -> int:
        key = vehicle, call
        self._counted[key] = self._counted.get(key, -PER_READING_WH) + PER_READING_WH
        return self._counted[key]


@pytest.fixture
def run() -> Iterator[MessageLog]:
    metered = replace(CHARGER, build=lambda context: CHARGER.build(replace(context, hardware=Meter())))
    with registered(AGENT_TYPES, metered):
        yield simulate(
            load("normal", ["chargers.stored_share=0.8", "vehicles.stored_share=[0.1, 0.4]"]), TICKS
        )


def test_vehicles_pay_for_the_metered_energy(run: MessageLog) -> None:
    messages = [message for *_, message in run.messages]
    assert sum(isinstance(message, Lease) and message.metered for message in messages) > 20
    chargers = [message for message in messages if isinstance(message, ChargerState)]
    vehicles = [message for message in messages if isinstance(message, VehicleState)]
    delivered_wh = sum(state.delivered_wh for state in chargers)
    assert delivered_wh > 20 * PER_READING_WH
    assert delivered_wh == sum(state.drawn_wh for state in vehicles)
    assert sum(state.earned_neur for state in chargers) == sum(state.paid_neur for state in vehicles)
    assert all(0 <= state.stored_wh <= state.capacity_wh for state in vehicles)


def test_states_are_marked_as_measured(run: MessageLog) -> None:
    chargers = [message for *_, message in run.messages if isinstance(message, ChargerState)]
    assert {(state.measured, state.contactor) for state in chargers} == {(True, "closed")}


def test_the_auditor_finds_nothing(run: MessageLog) -> None:
    assert broken(audit(run.messages)) == {}


def test_every_row_of_the_ledger_says_what_is_behind_it(run: MessageLog) -> None:
    with record(run.messages) as store:
        lines = [*map(AGENTS.line, store.agents())]
        assert {line[2] for line in lines if line[-1] == "measured"} == {"charger"}
        assert {line[2] for line in lines if line[-1] == "simulated"} == {
            "turbine", "consumer", "vehicle", "reactor",
        }  # fmt: skip
        served = [row for row in store.reservations() if row.charger]
        assert served
        assert all(row.measured for row in served)
        assert {TRADES.line(row)[-1] for row in store.trades()} == {
            "simulated"
        }  # the turbines have no sensors
