"""After hours of loss, delay and duplication the ledger of every tick agrees, to the nEUR."""

import pytest

from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.network_faults import parse_faults
from gridfleet.devices.runtime.simulation import Simulation
from gridfleet.provisioning.chaos.ledger import TickLedger, oversold_packages, tick_ledger
from gridfleet.provisioning.chaos.observations import Observations
from tests.system.message_log import EXCHANGING

TICKS, FAULTS_END = 48, 32


def run(
    faults: tuple[str, ...], changes: tuple[str, ...], seed: int
) -> tuple[Observations, list[TickLedger]]:
    observations = Observations()
    network_faults = parse_faults((*faults, "from_tick=4", f"to_tick={FAULTS_END}"))
    Simulation(
        load("normal", changes),
        seed=seed,
        ticks=TICKS,
        faults=network_faults,
        receivers=(observations.receive,),
    ).run()
    return observations, [tick_ledger(observations, tick) for tick in range(TICKS)]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("changes", [(), EXCHANGING], ids=["one cell", "four cells"])
@pytest.mark.parametrize(
    "faults", [("loss=0.35",), ("partition=0.5",), ("loss=0.3", "delay_s=400", "duplicate=0.2")], ids=" ".join
)
def test_every_tick_agrees_in_the_end(faults: tuple[str, ...], changes: tuple[str, ...], seed: int) -> None:
    observations, ledgers = run(faults, changes, seed)
    assert [number for number, each in enumerate(ledgers) if not each.agrees] == []
    late = [number for number, each in enumerate(ledgers[:FAULTS_END]) if each.complete_tick > number + 1]
    assert late or "partition=0.5" in faults  # a partition of the simulation interrupts no negotiation
    assert max(each.complete_tick for each in ledgers[:FAULTS_END]) <= FAULTS_END + 1
    assert all(each.sold_wh for each in ledgers[FAULTS_END:])
    assert oversold_packages(observations, range(TICKS)) == []
