"""What an agent knows of its own instruments: plain readings, and whether they are real.

An agent never touches a pin. What reads the pins (`edge.hardware`) keeps these readings up to date; an agent
without instruments is simulated, and says so.
"""

from typing import Final, NamedTuple, Protocol

from gridfleet.broker.errors import GridFleetError


class NoReadingError(GridFleetError, LookupError):
    """An instrument that gives nothing to go by; the text says which and why."""


class Instruments(Protocol):
    """A device's instruments, taken together."""

    @property
    def measured(self) -> bool:
        """Whether the readings come from real sensors; those of mocked pins do not."""
        ...

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong with sensors and switches, each as `part: fault`."""
        ...


class Permit(NamedTuple):
    """Whose plug may draw how much: a lease whose vehicle has arrived."""

    vehicle: str
    call: int
    energy_wh: int


class Connector(Instruments, Protocol):
    """A charger's one plug: its meter and its contactor."""

    @property
    def ready(self) -> bool:
        """Whether a vehicle may be promised anything: nothing is latched, nothing is wrong."""
        ...

    @property
    def closed(self) -> bool:
        """Whether the contactor is closed."""
        ...

    @property
    def opened_because(self) -> str:
        """Why the contactor opened last; empty when it never has."""
        ...

    def delivered_wh(self, vehicle: str, call: int) -> int:
        """Return what the meter has counted for a vehicle's call, in whole Wh."""
        ...


class _Simulated:
    """No instruments at all."""

    __slots__ = ()
    measured: Final = False
    faults: Final = ()


SIMULATED: Final[Instruments] = _Simulated()
