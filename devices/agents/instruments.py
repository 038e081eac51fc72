"""Interfaces between an agent and its own instruments: plain readings, and whether they are measured.

An agent never touches a pin. The drivers in `edge.hardware` keep these readings up to date; an agent without
instruments is simulated, and reports that.
"""

from typing import Final, NamedTuple, Protocol

from gridfleet.broker.errors import GridFleetError


class NoReadingError(GridFleetError, LookupError):
    """An instrument has no valid reading; the text names the instrument and the reason."""


class Instruments(Protocol):
    """All instruments of a device."""

    @property
    def measured(self) -> bool:
        """Whether the readings come from real sensors, not from mocked pins."""
        ...

    @property
    def faults(self) -> tuple[str, ...]:
        """Faults of sensors and switches, each as `part: fault`."""
        ...


class Permit(NamedTuple):
    """A lease whose vehicle has arrived: who may draw at the plug, and how much."""

    vehicle: str
    call: int
    energy_wh: int


class Connector(Instruments, Protocol):
    """A charger's plug with its meter and contactor."""

    @property
    def ready(self) -> bool:
        """Whether it can serve a vehicle: no fault, no latched safety trip."""
        ...

    @property
    def closed(self) -> bool:
        """Whether the contactor is closed."""
        ...

    @property
    def opened_because(self) -> str:
        """Why the contactor last opened; empty when it never has."""
        ...

    def delivered_wh(self, vehicle: str, call: int) -> int:
        """Return the energy that the meter has counted for a vehicle's call, Wh."""
        ...


class _Simulated:
    """No instruments at all."""

    __slots__ = ()
    measured: Final = False
    faults: Final = ()


SIMULATED: Final[Instruments] = _Simulated()
