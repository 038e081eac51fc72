"""What a chaos plan may say: its schema, its defaults, and errors that name file, key and what is allowed."""

from collections.abc import Sequence
from difflib import get_close_matches
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from gridfleet.broker.protocol.messages import ID_PATTERN
from gridfleet.devices.config.toml_errors import (
    FileError,
    Problem,
    TomlText,
    unknown_key,
    value_at,
    wrong_value,
)

MOST_PROCESSES: Final = 64
FIRST_TICK: Final = 2
"""Before it, there is nothing to compare with."""

Seconds = Annotated[float, Field(gt=0, le=3600)]
Part = Annotated[str, Field(pattern=r"^fleet-[1-9][0-9]?$")]
Process = Annotated[str, Field(pattern=r"^(clock|fleet-[1-9][0-9]?)$")]


class PlanError(FileError):
    """A plan that cannot be played; the text has one line for each mistake."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Fault(_Table):
    """What every fault has: when it strikes."""

    tick: Annotated[int, Field(ge=FIRST_TICK, le=1_000_000)]
    """The tick in which it strikes; a later one where the fault before is not over yet."""
    at: Annotated[float, Field(ge=0, lt=1)] = 0.4
    """How far into the tick, as a share of it; 0.4 is in the middle of trading."""

    @property
    def words(self) -> str:
        """The fault in words, for people."""
        raise NotImplementedError

    @property
    def lasting_s(self) -> float:
        """How long it lasts, in seconds."""
        raise NotImplementedError


class _Lasting(_Fault):
    lasts_s: Seconds

    @property
    def lasting_s(self) -> float:
        """How long it lasts, in seconds."""
        return self.lasts_s


class KillBroker(_Lasting):
    """The broker dies as in a power failure, and is started again on its ports."""

    kind: Literal["kill-broker"]

    @property
    def words(self) -> str:
        """The fault in words, for people."""
        return f"the broker is killed, for {self.lasts_s:g} s"


class KillDevices(_Lasting):
    """A share of the fleet's processes dies, and starts again without memory."""

    kind: Literal["kill-devices"]
    share: Annotated[float, Field(gt=0, le=1)] = 0.25

    @property
    def words(self) -> str:
        """The fault in words, for people."""
        return f"{self.share:.0%} of the fleet's processes are killed, for {self.lasts_s:g} s"


class Stall(_Lasting):
    """A process stands still (SIGSTOP), and goes on as if nothing had happened (SIGCONT)."""

    kind: Literal["stall"]
    who: Annotated[str, Field(pattern=r"^(broker|clock|fleet-[1-9][0-9]?)$")]

    @property
    def words(self) -> str:
        """The fault in words, for people."""
        return f"{self.who} stands still, for {self.lasts_s:g} s"


class Partition(_Lasting):
    """The network between a process and the broker is cut."""

    kind: Literal["partition"]
    who: Process
    silent: bool = True
    """Whether it swallows everything without a word; else connections are reset and new ones refused."""

    @property
    def words(self) -> str:
        """The fault in words, for people."""
        how = "hears and says nothing" if self.silent else "is refused any connection"
        return f"{self.who} {how}, for {self.lasts_s:g} s"


class DuplicateId(_Lasting):
    """A second client with the same client id fights for it: each throws the other out."""

    kind: Literal["duplicate-id"]
    who: Annotated[str, Field(pattern=ID_PATTERN)]
    """A device, or the clock."""

    @property
    def words(self) -> str:
        """The fault in words, for people."""
        return f"another client calls itself {self.who}, for {self.lasts_s:g} s"


class ReconnectStorm(_Fault):
    """All connections are cut at once, several times."""

    kind: Literal["reconnect-storm"]
    times: Annotated[int, Field(ge=1, le=1000)] = 3
    every_s: Seconds = 0.5

    @property
    def words(self) -> str:
        """The fault in words, for people."""
        return f"all connections are cut, {self.times} times, every {self.every_s:g} s"

    @property
    def lasting_s(self) -> float:
        """How long it lasts, in seconds."""
        return (self.times - 1) * self.every_s


Fault = Annotated[
    KillBroker | KillDevices | Stall | Partition | DuplicateId | ReconnectStorm, Field(discriminator="kind")
]
TABLES: Final = (KillBroker, KillDevices, Stall, Partition, DuplicateId, ReconnectStorm)
KINDS: Final = {
    str(table.model_fields["kind"].annotation.__args__[0]): table  # type: ignore[union-attr]
    for table in TABLES
}


class Skew(_Table):
    """A process whose devices' clocks are off, from the first tick to the last."""

    who: Part
    skew_s: Annotated[float, Field(ge=-600, le=600)]
    """By how many seconds of the site's time its clock is ahead (behind, where negative)."""

    @property
    def words(self) -> str:
        """The fault in words, for people."""
        way = "ahead" if self.skew_s > 0 else "behind"
        return f"the clock of {self.who} is {abs(self.skew_s):g} s {way}, from the first tick to the last"


class Plan(_Table):
    """A whole plan, every value checked."""

    title: Annotated[str, Field(max_length=120)] = ""
    seconds_per_tick: Annotated[float, Field(ge=0.05, le=900)] = 0.5
    processes: Annotated[int, Field(ge=1, le=MOST_PROCESSES)] = 4
    """Into how many processes the fleet is divided."""
    changes: tuple[str, ...] = ()
    """Changes of the scenario, as with --set."""
    skews: tuple[Skew, ...] = ()
    faults: tuple[Fault, ...] = ()

    @field_validator("processes", mode="before")
    @classmethod
    def _no_truth_values(cls, value: object) -> object:
        return str(value) if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _fits(self) -> "Plan":
        if not self.faults and not self.skews:
            raise ValueError("faults: a plan needs at least one [[faults]] or [[skews]] table")
        for number, (before, after) in enumerate(zip(self.faults, self.faults[1:], strict=False)):
            if after.tick <= before.tick:
                raise ValueError(f"faults.{number + 1}.tick: comes after the one before, in a later tick")
        known = {"clock", "broker", *(f"fleet-{number + 1}" for number in range(self.processes))}
        for number, fault in enumerate(self.faults):
            if isinstance(fault, Stall | Partition) and fault.who not in known:
                raise ValueError(f"faults.{number}.who: the fleet has {self.processes} processes")
        for number, skew in enumerate(self.skews):
            if skew.who not in known:
                raise ValueError(f"skews.{number}.who: the fleet has {self.processes} processes")
        return self


def shipped_plans() -> list[str]:
    """Return the names of the plans that come with the product."""
    return sorted(
        entry.name.removesuffix(".toml") for entry in _folder().iterdir() if entry.name.endswith(".toml")
    )


def load_plan(name_or_path: str) -> Plan:
    """Return a shipped plan or one's own file; raise PlanError for mistakes."""
    if name_or_path in shipped_plans():
        source, text = f"{name_or_path}.toml", (_folder() / f"{name_or_path}.toml").read_text()
    elif Path(name_or_path).is_file():
        source = name_or_path
        try:
            text = Path(name_or_path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PlanError(source, [f"cannot be read as UTF-8 text: {error}"]) from None
    else:
        close = get_close_matches(name_or_path, shipped_plans(), 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        known = ", ".join(shipped_plans())
        raise PlanError(name_or_path, [f"no such plan or file{hint} (shipped: {known})"])
    return parse_plan(text, source)


def parse_plan(text: str, source: str) -> Plan:
    """Return the plan that a TOML text is; `source` names it in errors."""
    toml = TomlText(text, source, PlanError)
    return toml.validate(Plan, problem=lambda error: _problem(toml, error))


def _problem(toml: TomlText, error: dict[str, Any]) -> Problem:
    """Return one of pydantic's errors as a problem; the kind of a fault is no key of the file."""
    location = [part for part in error["loc"] if part not in KINDS]
    if error["type"] == "extra_forbidden":
        keys = _keys(toml.document, location[:-1])
        return toml.problem(location, f": {unknown_key(location[-1], keys)}")
    if error["type"] in {"union_tag_invalid", "union_tag_not_found"}:
        return toml.problem([*location, "kind"], f": must be one of {', '.join(KINDS)}")
    return toml.problem(location, wrong_value(toml.document, location, error))


def _keys(document: dict[str, Any], location: Sequence[Any]) -> list[str]:
    """Return the keys allowed in the table at that place."""
    if not location:
        return sorted(Plan.model_fields)
    if location[0] == "skews":
        return sorted(Skew.model_fields)
    table = value_at(document, location)
    return sorted(KINDS[table["kind"]].model_fields) if isinstance(table, dict) else []


def _folder() -> Traversable:
    return files("gridfleet.provisioning.chaos") / "plans"
