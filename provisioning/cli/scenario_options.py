"""Options that choose a scenario and change it."""

from argparse import Namespace

from gridfleet.devices.config.scenario import Scenario, load
from gridfleet.devices.runtime.fleet import weather_of


def scenario_from_arguments(arguments: Namespace) -> Scenario:
    """Return the scenario that a command's arguments name; raise ScenarioError for mistakes in it."""
    return scenario_with_changes(
        arguments.scenario, arguments, seed=arguments.seed, algorithm=arguments.algorithm
    )


def scenario_with_changes(
    name: str, arguments: Namespace, *, seed: int | None, algorithm: str | None
) -> Scenario:
    """Return a scenario changed by `--set`, `--ticks`, `seed` and `algorithm`; the last three win over `--set`."""
    changes = list(arguments.changes)
    if arguments.ticks is not None:
        changes.append(f"ticks={arguments.ticks}")
    if seed is not None:
        changes.append(f"seed={seed}")
    if algorithm is not None:
        changes.append(f"settings.algorithm='{algorithm}'")
    scenario = load(name, changes)
    if scenario.weather.files:
        weather_of(scenario, scenario.seed)  # reports mistakes in weather files before anything is written
    return scenario
