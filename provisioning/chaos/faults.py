"""The faults that a chaos plan can contain: their keys, limits and texts. `injections.py` carries them out."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from gridfleet.broker.protocol.messages import ID_PATTERN

MIN_TICK: Final = 2
"""The first tick in which a fault may begin: before it, there is nothing to compare with."""

Seconds = Annotated[float, Field(gt=0, le=3600)]
TARGETS: Final = {
    r"^fleet-[1-9][0-9]?$": "fleet-1, fleet-2, …",
    r"^(clock|fleet-[1-9][0-9]?)$": "clock, fleet-1, fleet-2, …",
    r"^(broker|clock|fleet-[1-9][0-9]?)$": "broker, clock, fleet-1, fleet-2, …",
}
"""What a target may be, by pattern and as text."""
_FLEET, _CLIENT, _ANY = TARGETS
FleetProcess = Annotated[str, Field(pattern=_FLEET)]
ClientProcess = Annotated[str, Field(pattern=_CLIENT)]
AnyProcess = Annotated[str, Field(pattern=_ANY)]


class PlanTable(BaseModel):
    """A table of a plan: unknown keys and infinite numbers are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Fault(PlanTable):
    """Keys of every fault: when it begins."""

    tick: Annotated[int, Field(ge=MIN_TICK, le=1_000_000)]
    """The tick in which it begins; it begins later if the fault before is not judged yet."""
    at: Annotated[float, Field(ge=0, lt=1)] = 0.4
    """When in the tick, as a share of it; 0.4 is in the middle of trading."""

    @property
    def description(self) -> str:
        """The fault as text."""
        raise NotImplementedError

    @property
    def length_s(self) -> float:
        """How long it lasts, in seconds."""
        raise NotImplementedError


class _TimedFault(_Fault):
    duration_s: Seconds

    @property
    def length_s(self) -> float:
        """How long it lasts, in seconds."""
        return self.duration_s


class KillBroker(_TimedFault):
    """The broker is killed as by a power failure, and started again on its ports."""

    kind: Literal["kill-broker"]

    @property
    def description(self) -> str:
        """The fault as text."""
        return f"the broker is killed, for {self.duration_s:g} s"


class KillDevices(_TimedFault):
    """A share of the fleet's processes is killed, and started again without memory."""

    kind: Literal["kill-devices"]
    share: Annotated[float, Field(gt=0, le=1)] = 0.25

    @property
    def description(self) -> str:
        """The fault as text."""
        return f"{self.share:.0%} of the fleet's processes are killed, for {self.duration_s:g} s"


class Stall(_TimedFault):
    """A process is suspended (SIGSTOP) and resumed (SIGCONT)."""

    kind: Literal["stall"]
    target: AnyProcess

    @property
    def description(self) -> str:
        """The fault as text."""
        return f"{self.target} is suspended, for {self.duration_s:g} s"


class Partition(_TimedFault):
    """The network between a process and the broker is interrupted."""

    kind: Literal["partition"]
    target: ClientProcess
    silent: bool = True
    """Whether packets are held back without a reset; otherwise connections are reset and new ones refused."""

    @property
    def description(self) -> str:
        """The fault as text."""
        how = "is cut off silently" if self.silent else "has its connections reset and refused"
        return f"{self.target} {how}, for {self.duration_s:g} s"


class DuplicateId(_TimedFault):
    """A second client with the same client id connects: each disconnects the other."""

    kind: Literal["duplicate-id"]
    target: Annotated[str, Field(pattern=ID_PATTERN)]
    """A device, or the clock."""

    @property
    def description(self) -> str:
        """The fault as text."""
        return f"a second client uses the id {self.target}, for {self.duration_s:g} s"


class ReconnectStorm(_Fault):
    """All connections are reset at once, several times."""

    kind: Literal["reconnect-storm"]
    times: Annotated[int, Field(ge=1, le=1000)] = 3
    every_s: Seconds = 0.5

    @property
    def description(self) -> str:
        """The fault as text."""
        return f"all connections are reset {self.times} times, every {self.every_s:g} s"

    @property
    def length_s(self) -> float:
        """How long it lasts, in seconds."""
        return (self.times - 1) * self.every_s


Fault = Annotated[
    KillBroker | KillDevices | Stall | Partition | DuplicateId | ReconnectStorm, Field(discriminator="kind")
]
_FAULTS: Final = (KillBroker, KillDevices, Stall, Partition, DuplicateId, ReconnectStorm)
FAULT_KINDS: Final = {
    str(table.model_fields["kind"].annotation.__args__[0]): table  # type: ignore[union-attr]
    for table in _FAULTS
}
"""Each fault's class by its `kind` in the file."""


class Skew(PlanTable):
    """A fleet process whose devices have a wrong clock, from the first tick to the last."""

    target: FleetProcess
    skew_s: Annotated[float, Field(ge=-600, le=600)]
    """How far its clock is ahead, in simulated seconds; negative where it is behind."""

    @property
    def description(self) -> str:
        """The fault as text."""
        way = "ahead" if self.skew_s > 0 else "behind"
        return f"the clock of {self.target} is {abs(self.skew_s):g} s {way}, from the first tick to the last"
