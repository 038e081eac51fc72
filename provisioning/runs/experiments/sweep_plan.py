"""A sweep as a TOML file: the same choices as on the command line, to keep beside its results.

scenario = "normal"       # a shipped scenario, or a file beside this one
seeds = 5
ticks = 96
warm_up = 8               # ticks left out of the key figures
sample = 100              # a Latin hypercube of so many settings; without it, every combination
[vary]
"settings.turbine_scale" = "0.2:2.0"
"settings.algorithm" = ["best", "random"]
[set]
"vehicles.count" = 60
"""

from argparse import Namespace
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field

from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.config.shared_tables import Table
from gridfleet.devices.config.toml_errors import FileError, TomlText
from gridfleet.devices.config.toml_files import read_toml
from gridfleet.provisioning.cli.arguments import MAX_SEEDS, MAX_TICKS

MAX_SAMPLE: Final = 10_000


class SweepPlanError(FileError):
    """A plan of a sweep that cannot be used; the text has one line for each problem."""


class SweepPlan(Table):
    """The keys of a plan."""

    scenario: str
    seeds: Annotated[int, Field(ge=1, le=MAX_SEEDS)] | None = None
    ticks: Annotated[int, Field(ge=1, le=MAX_TICKS)] | None = None
    warm_up: Annotated[int, Field(ge=0, le=MAX_TICKS)] | None = None
    sample: Annotated[int, Field(ge=1, le=MAX_SAMPLE)] | None = None
    vary: Annotated[dict[str, Any], Field(min_length=1)]
    set: dict[str, Any] = Field(default_factory=dict)


def read_plan(path: str) -> SweepPlan:
    """Return the plan in a TOML file; raise SweepPlanError with every wrong key."""
    source = read_toml(path, SweepPlanError)
    toml = TomlText(source.text, source.source, SweepPlanError)
    return toml.validate(SweepPlan, {}, lambda error: toml.explain(SweepPlan, error))


def apply_plan(arguments: Namespace) -> None:
    """Take the choices of a plan into a command's arguments; those of the command line win."""
    missing = arguments.scenario.endswith(".toml") and not Path(arguments.scenario).exists()
    if not is_plan(arguments.scenario) and (arguments.vary or not missing):
        return  # a scenario; a missing file without --vary is a plan that cannot be read
    path = Path(arguments.scenario)
    plan = read_plan(str(path))
    own = path.parent / plan.scenario
    arguments.scenario = plan.scenario if plan.scenario in Scenario.shipped() else str(own)
    known = {text.partition("=")[0] for text in arguments.vary}
    arguments.vary += [f"{key}={_values(value)}" for key, value in plan.vary.items() if key not in known]
    given = {text.partition("=")[0] for text in arguments.changes}
    arguments.changes = [
        *(f"{key}={_toml(value)}" for key, value in plan.set.items() if key not in given),
        *arguments.changes,
    ]
    for name in ("seeds", "ticks", "warm_up", "sample"):
        if getattr(arguments, name) is None:
            setattr(arguments, name, getattr(plan, name))


def is_plan(name: str) -> bool:
    """Return whether a name is that of a plan: a TOML file with a table `vary`."""
    if not name.endswith(".toml") or not Path(name).is_file():
        return False
    text = read_toml(name, SweepPlanError).text
    return any(line.strip().replace(" ", "") == "[vary]" for line in text.splitlines())


def _values(value: object) -> str:
    """Return the values of a key as `--vary` has them."""
    if isinstance(value, list):
        return ",".join(map(_toml, value))
    return str(value) if isinstance(value, str) else _toml(value)


def _toml(value: object) -> str:
    """Return a value as TOML."""
    import tomli_w

    return tomli_w.dumps({"value": value}).partition("=")[2].strip()
