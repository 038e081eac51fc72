"""A scenario and a device file with the same settings give the same agents."""

from typing import Any, Final

import pytest

from gridfleet.devices.agents.base import Agent
from gridfleet.devices.config.device_file import parse as device_of
from gridfleet.devices.config.scenario import parse as scenario_of
from gridfleet.devices.edge.device_agent import build_agent
from gridfleet.devices.runtime.fleet import Fleet

SCENARIO: Final = """
site = "home"
[market]
package_kwh = 4
consumer_price_eur_per_kwh = 0.8
reactor_price_eur_per_kwh = 0.7
charger_floor_eur_per_kwh = 0.2
[weather]
measured_at_m = 10
source = "synthetic"
[turbines]
count = 1
rotor_diameter_m = [80, 80]
hub_height_m = 100
[households]
annual_kwh = 5000
[chargers]
count = 1
capacity_kwh = 120
stored_share = 0.25
max_kwh_per_tick = 20
ports = 3
[vehicles]
count = 0
"""
DEVICE: Final = """
id = "{kind}-1"
kind = "{kind}"
site = "home"
backend = "synthetic"
reactor = "reactor-1"
[broker]
url = "mqtt://localhost"
[market]
package_kwh = 4
consumer_price_eur_per_kwh = 0.8
reactor_price_eur_per_kwh = 0.7
charger_floor_eur_per_kwh = 0.2
"""
TABLES: Final = {
    "turbine": "[turbine]\nrotor_diameter_m = 80\nhub_height_m = 100\nmeasured_at_m = 10\n",
    "charger": "[charger]\ncapacity_kwh = 120\nstored_share = 0.25\nmax_kwh_per_tick = 20\nports = 3\n",
    "household": "[household]\nannual_kwh = 5000\n",
    "reactor": "",
}
OTHER: Final = {"latitude", "longitude", "cell", "_wind", "roster"}
"""What a scenario draws or shares, or has for the whole site."""


def settings_of(agent: Agent) -> dict[str, Any]:
    """Return the plain values among an agent's attributes, which do not depend on its place."""
    names = {name for each in type(agent).__mro__ for name in getattr(each, "__slots__", ())} - OTHER
    return {
        name: value
        for name in sorted(names)
        if isinstance(value := getattr(agent, name, None), int | float | str | tuple | None)
    }


@pytest.mark.parametrize("kind", TABLES)
def test_the_same_settings_give_the_same_agent(kind: str) -> None:
    from_scenario = Fleet(scenario_of(SCENARIO, "home.toml")).build_agent(f"{kind}-1")
    from_file = build_agent(device_of(DEVICE.format(kind=kind) + TABLES[kind], "device.toml"))
    assert type(from_scenario) is type(from_file)
    found = settings_of(from_scenario)
    assert found == settings_of(from_file)
    assert len(found) > 5
