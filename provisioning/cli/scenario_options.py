"""Options that choose a scenario and its output directory."""

from argparse import Namespace
from pathlib import Path

from gridfleet.broker.errors import error_reason
from gridfleet.devices.config.scenario import Scenario, load
from gridfleet.devices.runtime.fleet import weather_of
from gridfleet.provisioning.cli.exit_codes import CommandError


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


def output_directory(given: str | None, default: str) -> Path:
    """Return the directory for results, created if missing; raise CommandError when it cannot be created."""
    directory = Path(given) if given is not None else Path("out") / default
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"cannot be used as a directory ({error_reason(error)}): name another with --out"
        raise CommandError(f"--out {directory}", problem) from None
    return directory
