"""Options that choose a scenario and change it."""

from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path

from gridfleet.devices.config.run_size import run_size
from gridfleet.devices.config.scenario import Change, Scenario, load
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.trust.liars.lying_devices import parse_liars
from gridfleet.devices.weather.of_scenario import weather_of
from gridfleet.provisioning.cli.arguments import MAX_SEED
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.cli.progress_bar import slow_step
from gridfleet.provisioning.cli.terminal import print_message


def scenario_from_arguments(arguments: Namespace) -> Scenario:
    """Return the scenario that a command's arguments name; raise ScenarioError for mistakes in it."""
    scenario = scenario_with_changes(
        arguments.scenario, arguments, seed=arguments.seed, algorithm=arguments.algorithm
    )
    for line in run_size(scenario).warnings(Path(getattr(arguments, "out", None) or ".")):
        print_message(f"{scenario.name} {line}")
    return scenario


def fleet_from_arguments(arguments: Namespace) -> Fleet:
    """Return the fleet of the scenario that a command's arguments name, with the liars of `--liars`.

    Raises ScenarioError and LiarError for mistakes in them.
    """
    scenario, liars = scenario_from_arguments(arguments), parse_liars(arguments.liars)
    with slow_step(f"building the devices of {scenario.name}"):
        return Fleet(scenario, liars=liars)


def scenario_with_changes(
    name: str,
    arguments: Namespace,
    *,
    seed: int | None = None,
    algorithm: str | None = None,
    varied: Iterable[Change] = (),
) -> Scenario:
    """Return a scenario changed by `--set`, `--ticks`, `seed`, `algorithm` and `varied`, which win over `--set`."""
    changes: list[str | Change] = list(arguments.changes)
    if arguments.ticks is not None:
        changes.append(f"ticks={arguments.ticks}")
    if seed is not None:
        changes.append(f"seed={seed}")
    if algorithm is not None:
        changes.append(f"settings.algorithm='{algorithm}'")
    scenario = load(name, [*changes, *varied])
    if scenario.weather.files:
        with slow_step("reading the weather"):
            weather_of(
                scenario, scenario.seed
            )  # reports mistakes in weather files before anything is written
    return scenario


def overrides_of(arguments: Namespace) -> list[str]:
    """Return the changes of the scenario that a command's arguments ask for, as `key=value`."""
    given = {"ticks": arguments.ticks, "seed": arguments.seed, "settings.algorithm": arguments.algorithm}
    return [*arguments.changes, *(f"{key}={value}" for key, value in given.items() if value is not None)]


def over_seeds(scenario: Scenario, count: int) -> list[Scenario]:
    """Return a scenario with `count` seeds, counted up from its own; raise CommandError where they do not fit."""
    if scenario.seed + count - 1 > MAX_SEED:
        problem = f"goes beyond the highest seed, {MAX_SEED}: begin with a lower one, --set seed=S"
        raise CommandError("--seeds", problem)
    return [scenario.model_copy(update={"seed": scenario.seed + offset}) for offset in range(count)]
