"""A whole site whose chargers have meters: the metered energy is booked and billed, and the auditor agrees."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pytest

from gridfleet.broker.protocol.messages import ChargerState, Lease, VehicleState
from gridfleet.dashboards.reports.columns import AGENTS, TRADES
from gridfleet.devices.agents.base import Agent
from gridfleet.devices.agents.charger import Charger
from gridfleet.devices.config.scenario import load
from gridfleet.devices.kinds.agent_type import AgentContext
from gridfleet.devices.kinds.charger import CHARGER, ChargerSettings
from gridfleet.devices.kinds.registry import AGENT_TYPES
from tests.dashboards.runs import audit, broken, record
from tests.plugins import registered
from tests.system.message_log import MessageLog, simulate

TICKS: Final = 40
PER_READING_WH: Final = 1_700


class Meter:
    """Counts the same energy at every reading, whatever a vehicle reports; measured, as on real pins.

    With a charger only while the vehicle is plugged in there, without one at every reading after the first.
    """

    measured = True
    faults = ()
    ready = True
    closed = True
    opened_because = "unplugged"

    def __init__(self) -> None:
        self._counted: dict[tuple[str, int], int] = {}
        self.charger: Charger | None = None

    def delivered_wh(self, vehicle: str, call: int) -> int:
        key = vehicle, call
        if self.charger is None:
            plugged = key in self._counted
        else:
            reservation = self.charger.reservation_book.reservations.get(vehicle)
            plugged = reservation is not None and reservation.arrived
        self._counted[key] = self._counted.get(key, 0) + PER_READING_WH * plugged
        return self._counted[key]


def metered_charger(context: AgentContext[ChargerSettings]) -> Agent:
    meter = Meter()
    agent = CHARGER.build(replace(context, hardware=meter))
    assert isinstance(agent, Charger)
    meter.charger = agent
    return agent


@pytest.fixture
def run() -> Iterator[MessageLog]:
    metered = replace(CHARGER, build=metered_charger)
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
