"""Measured loads and day-ahead prices: read in both layouts, followed by devices, clock and auditor."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gridfleet.broker.protocol.messages import Award, ConsumerState, Facts
from gridfleet.devices.config.scenario import Scenario, load
from gridfleet.devices.config.scenario_series import loads_of, reactor_prices_of
from gridfleet.devices.physics.time_series import TimeSeries, read_series
from gridfleet.devices.runtime.registrations import registrations_of
from gridfleet.devices.runtime.simulation import Simulation
from gridfleet.devices.weather import WeatherFileError, WeatherSpanError
from gridfleet.devices.weather.site_clock import STANDARD_CLOCK
from gridfleet.provisioning.runs.results import open_recording
from tests.system.message_log import simulate

HOUR = 3_600_000
ENTSOE = """"MTU (CET/CEST)","Day-ahead Price [EUR/MWh]","Currency"
"25.10.2025 23:00 - 26.10.2025 00:00","100.0","EUR"
"26.10.2025 00:00 - 26.10.2025 01:00","-20.5","EUR"
"26.10.2025 01:00 - 26.10.2025 02:00","30","EUR"
"26.10.2025 02:00 - 26.10.2025 03:00","40","EUR"
"26.10.2025 02:00 - 26.10.2025 03:00","50","EUR"
"26.10.2025 03:00 - 26.10.2025 04:00","n/e","EUR"
"""


def clock_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


def series(folder: Path, text: str, quantity: str) -> TimeSeries:
    file = folder / "series.csv"
    file.write_text(text)
    return read_series(file, quantity, STANDARD_CLOCK)  # type: ignore[arg-type]


def test_prices_of_entsoe_over_the_change_in_autumn(tmp_path: Path) -> None:
    prices = series(tmp_path, ENTSOE, "price")
    begin = clock_ms("2025-10-25T22:00")  # 23:00 of the legal clock
    assert [prices.at(begin + hour * HOUR) for hour in range(5)] == [0.1, -0.0205, 0.03, 0.04, 0.05]
    with pytest.raises(WeatherSpanError, match=r"no value for 2025-10-26 03:00, tick 20"):
        prices.check(begin, 24)


@pytest.mark.parametrize(
    ("head", "value", "kw"),
    [("load_kw", "8", 8), ("load_mw", "0.008", 8), ("load_kwh", "2", 8), ("Actual Total Load [MW] - BZN", "1", 1000)],
)  # fmt: skip
def test_loads_are_power_or_energy_of_a_step(tmp_path: Path, head: str, value: str, kw: float) -> None:
    rows = f"2025-03-01T00:00,{value}\n2025-03-01T00:15,{value}\n"
    assert series(tmp_path, f"time,{head}\n{rows}", "load").at(clock_ms("2025-03-01T00:20")) == kw


@pytest.mark.parametrize(
    ("text", "quantity", "message"),
    [
        (
            "time,load\n2025-03-01,1\n",
            "load",
            r"no column with a load; name one load_kw, load_mw or load_kwh",
        ),
        ("when,load_kw\n2025-03-01,1\n", "load", "no column for the time; name it time"),
        (
            "time,load_kw\n2025-03-01,1\n2025-03-01,1\n",
            "load",
            "line 3, column time: 2025-03-01 occurs twice",
        ),
        ("time,load_kw\n2025-03-01,-1\n", "load", "-1 is out of range; check the unit"),
        ("time,price_eur_per_kwh\n2025-03-01,x\n", "price", "'x' is not a number"),
        ("time,price_eur_per_kwh\n2025-03-01,\n", "price", "no row with a value"),
        ("time,price_eur_per_kwh\nnoon,1\n", "price", "'noon' is not an ISO 8601 time"),
        (ENTSOE.replace("25.10.2025 23:00 -", "25th -"), "price", "'25th - .*' is no time unit of ENTSO-E"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, quantity: str, message: str) -> None:
    with pytest.raises(WeatherFileError, match=message):
        series(tmp_path, text, quantity)


def scenario(folder: Path, more: str = "") -> Scenario:
    """One hour, a household with a measured load, and prices that rise in the half."""
    (folder / "load.csv").write_text("time,load_kw\n2025-03-01T00:00,40\n2025-03-01T00:30,80\n")
    (folder / "price.csv").write_text("time,price_eur_per_mwh\n2025-03-01T00:00,50\n2025-03-01T00:30,1200\n")
    file = folder / "mine.toml"
    file.write_text(
        "start = 2025-03-01\nticks = 4\n[households]\nload_file = 'load.csv'\nload_factor = 0.5\n"
        "[commerce]\ncount = 0\n"
        "[farms]\ncount = 0\n[turbines]\ncount = 0\n[chargers]\ncount = 0\n[vehicles]\ncount = 0\n"
        f"[reactors]\nprice_file = 'price.csv'\nprice_added_eur_per_kwh = 0.1\n{more}"
    )
    return load(str(file))


@pytest.mark.parametrize("rule", ["pay-as-bid", "uniform-price"])
def test_a_run_follows_its_loads_and_prices(tmp_path: Path, rule: str) -> None:
    chosen = scenario(tmp_path, f"[settings]\nclearing_rule = '{rule}'\n")
    log = simulate(chosen, 4)
    states = [state for _, _, state in log.of(ConsumerState)]
    # The household bids 1 EUR/kWh: the reactor serves it at 0.15 EUR/kWh, and not at 1.30.
    assert [(state.demand_wh, state.bought_wh) for state in states] == [
        (5000, 5000), (5000, 5000), (10000, 0), (10000, 0)
    ]  # fmt: skip
    prices = {lot.price_ueur_per_kwh for _, _, award in log.of(Award) for lot in award.lots}
    assert prices == {150_000 if rule == "uniform-price" else 1_000_000}
    assert [facts.reactor_price_ueur_per_kwh for _, _, facts in log.of(Facts)] == [
        900_000,
        150_000,
        1_300_000,
    ]


def test_the_auditor_knows_the_price_of_each_tick(tmp_path: Path) -> None:
    chosen = scenario(tmp_path, "[settings]\nclearing_rule = 'uniform-price'\n")
    with open_recording(chosen, None) as recorded:
        Simulation(chosen, receivers=(recorded.receive,), judge=recorded.judgements).run()
        findings = {found.name: found for found in recorded.finish().findings}
    assert findings["prices"].breaches == 0
    assert findings["prices"].checked > 0


def test_what_a_measured_consumer_may_bid_is_its_largest_load(tmp_path: Path) -> None:
    chosen = scenario(tmp_path)
    assert (
        registrations_of(chosen)["household"].limits.buys_wh == 20_003
    )  # 80 kW / 2 / 4, twice for the scale
    assert loads_of(chosen)["household"].energy_wh(chosen.start_ms, 0) == 5000
    prices = reactor_prices_of(chosen)
    assert prices is not None
    assert prices.at(chosen.start_ms) == 150_000
    with pytest.raises(WeatherSpanError, match="no value for 2025-03-01 01:00"):
        loads_of(chosen.with_changes({"ticks": 5}))
