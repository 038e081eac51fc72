"""A scenario in a few words: its duration, its weather and events, and its devices."""

from gridfleet.broker.protocol.messages import Role
from gridfleet.dashboards.kind_names import counted
from gridfleet.devices.config.scenario import Scenario, load


def checked_scenario(name: str) -> Scenario:
    """Return a shipped scenario or that of a file; raise ScenarioError for mistakes in it or in its weather files."""
    from gridfleet.devices.runtime.fleet import Fleet

    scenario = load(name)
    Fleet(scenario)  # reads the weather files as well
    return scenario


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
    parts += [f"hour {event.hour:g}: {event.title}" for event in scenario.events]
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
