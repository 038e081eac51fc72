"""A scenario in a few words: its duration, its weather and events, and its devices."""

from gridfleet.broker.protocol.messages import Role
from gridfleet.dashboards.kind_names import counted
from gridfleet.devices.config.scenario import Scenario, load


def checked_scenario(name: str) -> Scenario:
    """Return a shipped scenario or that of a file; raise ScenarioError for mistakes in it or in its weather files."""
    scenario = load(name)
    check_fleet(scenario)
    return scenario


def check_fleet(scenario: Scenario) -> None:
    """Build the devices of a scenario, and read its weather files; raise ScenarioError for mistakes in them."""
    from gridfleet.devices.runtime.fleet import Fleet
    from gridfleet.provisioning.cli.progress_bar import slow_step

    with slow_step(f"building the devices of {scenario.name}"):
        Fleet(scenario)


def warning_texts(scenario: Scenario) -> list[str]:
    """Return what a valid scenario leaves unserved by its own settings, each with a remedy."""
    market, reactors = scenario.market, scenario.reactors
    consumers = sum(
        group.settings.count for group in scenario.groups if group.agent_type.role is Role.CONSUMER
    )
    if not consumers:
        return []
    if not reactors.count:
        text = "without a reactor consumers get nothing when own generation is short; set reactors.count = 1"
        return [f"{text}, and see unserved_consumers_kwh in the results"]
    if not reactors.price_file and market.reactor_price_eur_per_kwh > market.consumer_price_eur_per_kwh:
        text = (
            f"the reactor's price of {market.reactor_price_eur_per_kwh:g} EUR/kWh is above the consumers' bid of "
            f"{market.consumer_price_eur_per_kwh:g}: it never serves them; lower market.reactor_price_eur_per_kwh, "
            "or raise market.consumer_price_eur_per_kwh"
        )
        return [text]
    return []


def extent_text(scenario: Scenario) -> str:
    """Return duration, cells, weather and events of a scenario as text."""
    area = scenario.area
    cells = area.rows * area.columns
    hours = scenario.ticks / 4
    parts = [
        f"{scenario.ticks} ticks ({hours:g} h) from {scenario.start:%Y-%m-%d %H:%M}",
        f"{cells} cell{'' if cells == 1 else 's'}",
        f"{scenario.weather.source} weather",
    ]
    parts += [f"hour {event.hour:g}: {' '.join(event.title.split())}" for event in scenario.events]
    return " · ".join(parts)


def devices_text(scenario: Scenario) -> str:
    """Return the number of devices of each kind as text."""
    groups = sorted(scenario.groups, key=lambda group: group.agent_type.role is Role.GRID_SUPPLY)
    parts = [_counted(group.settings.count, group.prefix) for group in groups if group.settings.count]
    return " · ".join(parts) if parts else "no devices"


def _counted(count: int, prefix: str) -> str:
    """Return a number of devices whose ids begin with a prefix; `commerce` is no noun for one of them."""
    if prefix == "commerce":
        return "1 shop or office" if count == 1 else f"{count} shops and offices"
    return counted(count, prefix)
