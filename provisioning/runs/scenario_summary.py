"""A scenario in a few words: its duration, its weather and events, and its devices."""

from typing import Final

from gridfleet.devices.config.scenario import Scenario, load

_KINDS: Final = (
    ("turbines", "turbine"),
    ("households", "household"),
    ("commerce", "shop or office"),
    ("farms", "farm"),
    ("chargers", "charger"),
    ("vehicles", "vehicle"),
    ("reactors", "reactor"),
)
_PLURAL: Final = {"shop or office": "shops and offices"}


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
    parts = []
    for field, noun in _KINDS:
        count = getattr(scenario, field).count
        if count:
            parts.append(f"{count} {noun if count == 1 else _PLURAL.get(noun, noun + 's')}")
    return " · ".join(parts) if parts else "no devices"
