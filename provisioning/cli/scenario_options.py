"""The scenario that a command line names, with the changes it asks for."""

from argparse import Namespace
from pathlib import Path

from gridfleet.broker.errors import error_reason
from gridfleet.devices.config.scenario import Scenario, load
from gridfleet.devices.runtime.fleet import weather_of
from gridfleet.provisioning.cli.exit_codes import CommandError


def chosen_scenario(arguments: Namespace) -> Scenario:
    """Return the scenario of a command's arguments; raise ScenarioError for mistakes in it."""
    return changed_scenario(arguments.scenario, arguments, seed=arguments.seed, algorithm=arguments.algorithm)


def changed_scenario(name: str, arguments: Namespace, *, seed: int | None, algorithm: str | None) -> Scenario:
    """Return a scenario with `--set`; what has an option of its own wins over it."""
    changes = list(arguments.changes)
    if arguments.ticks is not None:
        changes.append(f"ticks={arguments.ticks}")
    if seed is not None:
        changes.append(f"seed={seed}")
    if algorithm is not None:
        changes.append(f"settings.algorithm='{algorithm}'")
    scenario = load(name, changes)
    if scenario.weather.files:
        weather_of(scenario, scenario.seed)  # what is wrong with them is told before anything is written
    return scenario


def output_directory(given: str | None, default: str) -> Path:
    """Return the directory for results, made where it is missing; raise CommandError when it cannot be."""
    directory = Path(given) if given is not None else Path("out") / default
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(
            f"--out {directory}", f"cannot be used as a directory ({error_reason(error)})"
        ) from None
    return directory
