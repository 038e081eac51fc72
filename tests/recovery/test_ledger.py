"""Whatever is lost, late or said twice for hours: once all is well again, every tick's ledger agrees, to the nEUR."""

import pytest

from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.network_faults import parse_faults
from gridfleet.devices.runtime.simulation import Simulation
from gridfleet.provisioning.chaos.ledger import Page, oversold, page
from gridfleet.provisioning.chaos.observations import Observations
from tests.system.heard import EXCHANGING

TICKS, WELL_AGAIN = 48, 32


def pages(faults: tuple[str, ...], changes: tuple[str, ...], seed: int) -> tuple[Observations, list[Page]]:
    evidence = Observations()
    chosen = parse_faults((*faults, "from_tick=4", f"to_tick={WELL_AGAIN}"))
    Simulation(load("normal", changes), seed=seed, ticks=TICKS, faults=chosen, taps=(evidence.tap,)).run()
    return evidence, [page(evidence, tick) for tick in range(TICKS)]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("changes", [(), EXCHANGING], ids=["one cell", "four cells"])
@pytest.mark.parametrize(
    "faults", [("loss=0.35",), ("partition=0.5",), ("loss=0.3", "delay_s=400", "duplicate=0.2")], ids=" ".join
)
def test_every_tick_agrees_in_the_end(faults: tuple[str, ...], changes: tuple[str, ...], seed: int) -> None:
    evidence, found = pages(faults, changes, seed)
    assert [number for number, each in enumerate(found) if not each.agrees] == []
    late = [number for number, each in enumerate(found[:WELL_AGAIN]) if each.settled > number + 1]
    assert late or "partition=0.5" in faults  # it cuts no bargain in two
    assert max(each.settled for each in found[:WELL_AGAIN]) <= WELL_AGAIN + 1
    assert all(each.sold_wh for each in found[WELL_AGAIN:])
    assert oversold(evidence, range(TICKS)) == []
