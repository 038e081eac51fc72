"""Reads chaos plans: shipped ones by name, others by path; errors name file, line, key and what is allowed."""

from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Any, Final

from pydantic import Field, field_validator, model_validator

from gridfleet.devices.config.toml_errors import (
    FileError,
    Problem,
    TomlText,
    unknown_key,
    value_at,
    wrong_value,
)
from gridfleet.devices.config.toml_files import read_shipped_or_own, shipped_names
from gridfleet.provisioning.chaos.faults import FAULT_KINDS, TARGETS, Fault, Partition, PlanTable, Skew, Stall
from gridfleet.provisioning.chaos.lies import PlannedLiar

MAX_PROCESSES: Final = 64
_TABLES: Final[dict[str, type[PlanTable]]] = {"skews": Skew, "liars": PlannedLiar}


class PlanError(FileError):
    """A plan that cannot be used; the text has one line for each mistake."""


class Plan(PlanTable):
    """A chaos plan: faults and skews, or liars, and the site that they happen to."""

    title: Annotated[str, Field(max_length=120)] = ""
    seconds_per_tick: Annotated[float, Field(ge=0.05, le=900)] = 0.5
    processes: Annotated[int, Field(ge=1, le=MAX_PROCESSES)] = 4
    """Number of processes that the fleet is divided into."""
    changes: tuple[str, ...] = ()
    """Changes of the scenario, as given to --set."""
    skews: tuple[Skew, ...] = ()
    faults: tuple[Fault, ...] = ()
    liars: tuple[PlannedLiar, ...] = ()

    @field_validator("processes", mode="before")
    @classmethod
    def _refuse_bool(cls, value: object) -> object:
        return str(value) if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _check(self) -> "Plan":
        if not self.faults and not self.skews and not self.liars:
            raise ValueError("faults: a plan needs at least one [[faults]], [[skews]] or [[liars]] table")
        self._check_liars()
        for number, (before, after) in enumerate(zip(self.faults, self.faults[1:], strict=False)):
            if after.tick <= before.tick:
                raise ValueError(f"faults.{number + 1}.tick: must be later than the tick of the fault before")
        missing = f"the fleet has {self.processes} processes, fleet-1 to fleet-{self.processes}"
        known = {"clock", "broker", *(f"fleet-{number + 1}" for number in range(self.processes))}
        for number, fault in enumerate(self.faults):
            if isinstance(fault, Stall | Partition) and fault.target not in known:
                raise ValueError(f"faults.{number}.target = {fault.target!r}: {missing}")
        for number, skew in enumerate(self.skews):
            if skew.target not in known:
                raise ValueError(f"skews.{number}.target = {skew.target!r}: {missing}")
        return self

    def _check_liars(self) -> None:
        if self.liars and (self.faults or self.skews):
            raise ValueError("liars: a plan has either liars or faults and skews; divide it into two plans")
        for number, (before, after) in enumerate(zip(self.liars, self.liars[1:], strict=False)):
            if after.tick < before.tick:
                raise ValueError(
                    f"liars.{number + 1}.tick: must not be earlier than the tick of the liar before"
                )


def shipped_plans() -> list[str]:
    """Return the names of the shipped plans."""
    return shipped_names(_folder())


def load_plan(name_or_path: str) -> Plan:
    """Return a plan by the name of a shipped one or by path; raise PlanError for mistakes."""
    found = read_shipped_or_own(name_or_path, _folder(), "plan", PlanError)
    return parse_plan(found.text, found.source)


def parse_plan(text: str, source: str) -> Plan:
    r"""Return the plan in a TOML text; `source` names it in errors. Raises PlanError for mistakes.

    >>> parse_plan("[[faults]]\nkind = 'kill-broker'\ntick = 3\nduration_s = 2", "mine.toml").faults[0].description
    'the broker is killed, for 2 s'
    """
    toml = TomlText(text, source, PlanError)
    return toml.validate(Plan, problem=lambda error: _problem(toml, error))


def _problem(toml: TomlText, error: dict[str, Any]) -> Problem:
    """Return one of pydantic's errors as a problem; its location contains the kind of the fault, which is not a key."""
    location = [part for part in error["loc"] if part not in FAULT_KINDS]
    if error["type"] == "extra_forbidden":
        keys = _keys(toml.document, location[:-1])
        return toml.problem(location, f": {unknown_key(location[-1], keys)}")
    if error["type"] in {"union_tag_invalid", "union_tag_not_found"}:
        return toml.problem([*location, "kind"], f": must be one of {', '.join(FAULT_KINDS)}")
    pattern = error.get("ctx", {}).get("pattern")
    if pattern in TARGETS:
        return toml.problem(location, f" = {error['input']!r}: must be one of {TARGETS[pattern]}")
    return toml.problem(location, wrong_value(toml.document, location, error))


def _keys(document: dict[str, Any], location: Sequence[Any]) -> list[str]:
    """Return the keys allowed in the table at a location."""
    if not location:
        return sorted(Plan.model_fields)
    if location[0] in _TABLES:
        return sorted(_TABLES[location[0]].model_fields)
    table = value_at(document, location)
    return sorted(FAULT_KINDS[table["kind"]].model_fields) if isinstance(table, dict) else []


def _folder() -> Traversable:
    return files("gridfleet.provisioning.chaos") / "plans"
