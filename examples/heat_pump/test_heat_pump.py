"""The heat pump in the simulation, over a broker, and as a device on mocked pins."""

from pathlib import Path
from typing import Any

import pytest

import gridfleet
from gridfleet.testing import Bench, Bid, ConsumerState, Phase, Presence

HERE = Path(__file__).parent
SCENARIO = str(HERE / "winter.toml")
ID = "my-heat-pump"
TICKS = 24
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def simulated() -> gridfleet.Result:
    return gridfleet.simulate(SCENARIO, ticks=TICKS)


def bought(result: gridfleet.Result) -> Rows:
    """The trades of the heat pumps."""
    return [row for row in result.trades if str(row["consumer"]).startswith("heat_pump-")]


def test_it_buys_and_keeps_its_house_warm(simulated: gridfleet.Result) -> None:
    pumps: Rows = [row for row in simulated.agents if row["kind"] == "heat_pump"]
    assert len({row["agent"] for row in pumps}) == 12
    assert all(15 < row["indoor_c"] < 23 for row in pumps)
    assert all(1.5 < row["cop"] < 6 for row in pumps)
    assert sum(row["energy_kwh"] for row in bought(simulated)) > 10
    assert [finding for finding in simulated.findings if not finding.holds] == []


def test_a_cold_house_pays_more() -> None:
    mild = gridfleet.simulate(gridfleet.Scenario.load(SCENARIO, {"heat_pump.loss_w_per_k": 20}), ticks=TICKS)
    cold = gridfleet.simulate(gridfleet.Scenario.load(SCENARIO, {"heat_pump.loss_w_per_k": 600}), ticks=TICKS)

    def mean_price(result: gridfleet.Result) -> float:
        energy_kwh = sum(row["energy_kwh"] for row in bought(result))
        paid_eur = sum(row["energy_kwh"] * row["price_eur_per_kwh"] for row in bought(result))
        return float(paid_eur / energy_kwh)

    assert mean_price(cold) > 2 * mean_price(mild)


def test_over_a_broker_in_lock_step_the_ledger_is_the_same(simulated: gridfleet.Result) -> None:
    over_a_broker = gridfleet.run(SCENARIO, ticks=TICKS)
    assert list(over_a_broker.trades) == list(simulated.trades)
    assert list(over_a_broker.agents) == list(simulated.agents)


def test_the_files_of_a_run_show_it(simulated: gridfleet.Result, tmp_path: Path) -> None:
    folder = simulated.save(tmp_path / "run")
    header = (folder / "agents.csv").read_text(encoding="utf-8").splitlines()[0]
    assert {"indoor_c", "outdoor_c", "cop"} <= set(header.split(","))
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "heat pump" in report
    assert "Temperature of the house" in report


def test_a_wrong_setting_names_file_line_and_remedy(tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text("[heat_pump]\npower_kw = -1\nwarmth_c = 20\n", encoding="utf-8")
    with pytest.raises(gridfleet.GridFleetError) as error:
        gridfleet.Scenario.load(file)
    assert "line 2: heat_pump.power_kw = -1: must be greater than 0" in str(error.value)
    assert "line 3: heat_pump.warmth_c: unknown key; did you mean 'warm_c'?" in str(error.value)


# --- on mocked pins -----------------------------------------------------------------------------------------


def test_its_relay_closes_while_energy_was_bought(hil_bench: Bench) -> None:
    pump = hil_bench.device((HERE / "heat-pump.toml").read_text(encoding="utf-8"))
    relay = pump.switch(17)
    assert not relay.on
    collector = hil_bench.collector
    tick = hil_bench.clock.tick()
    hil_bench.wait(lambda: [bid.tick for bid in collector.all(Bid, ID)][-1:] == [tick], "its bid")
    bid = collector.all(Bid, ID)[-1]
    assert bid.packages
    hil_bench.clock.phase(Phase.TRADE)
    receipt = hil_bench.seller().sell(ID, bid)
    assert receipt.lots == bid.packages
    relay.goes(on=True, within_s=1.0)
    hil_bench.clock.phase(Phase.SETTLE)
    hil_bench.wait(
        lambda: [state.tick for state in collector.all(ConsumerState, ID)][-1:] == [tick], "its account"
    )
    account = collector.all(ConsumerState, ID)[-1]
    assert account.kind == "heat_pump"
    assert account.figures["indoor_c"] == pytest.approx(21, abs=0.2)
    birth = collector.all(Presence, ID)[-1]
    assert (birth.role, birth.kind) == (gridfleet.Role.CONSUMER, "heat_pump")
    assert {figure.name: figure.unit for figure in birth.figures} == {
        "indoor_c": "°C",
        "outdoor_c": "°C",
        "cop": "",
    }


def test_without_an_agent_its_relay_opens(hil_bench: Bench) -> None:
    pump = hil_bench.device((HERE / "heat-pump.toml").read_text(encoding="utf-8"))
    relay = pump.switch(17)
    pump.control.released = True
    relay.goes(on=True, within_s=1.0)
    hil_bench.agent_alive = False
    relay.goes(on=False, within_s=10.0)
    assert ("relay", "closed", "energy was bought") in hil_bench.collector.incidents(ID)


def test_without_flow_its_relay_opens_and_the_fault_is_reported(hil_bench: Bench) -> None:
    pump = hil_bench.device((HERE / "heat-pump.toml").read_text(encoding="utf-8"))
    relay, collector = pump.switch(17), hil_bench.collector
    pump.control.released = True
    relay.goes(on=True, within_s=1.0)
    relay.stays(on=True, for_s=8.0)
    assert pump.control.readings() == {"relay_closed": 1.0, "water_flows": 1.0}
    pump.plant.blocked = True
    relay.goes(on=False, within_s=1.0)
    hil_bench.wait(lambda: ("flow", "failed", "missing") in collector.incidents(ID), "the fault")
    assert pump.control.faults == ("flow: missing",)
    pump.plant.blocked = pump.control.released = False
    hil_bench.run(1.0)
    pump.control.released = True
    relay.goes(on=True, within_s=1.0)
    hil_bench.run(2.0)
    hil_bench.wait(lambda: ("flow", "recovered", "missing") in collector.incidents(ID), "the recovery")


def test_a_device_file_on_pins_needs_the_relay(hil_bench: Bench) -> None:
    text = (HERE / "heat-pump.toml").read_text(encoding="utf-8").replace("relay = 17\n", "")
    with pytest.raises(
        gridfleet.GridFleetError, match=r"heat_pump\.relay: missing; a heat_pump on pins needs it"
    ):
        hil_bench.device(text)
