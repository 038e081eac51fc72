"""Messages about real hardware: sensor samples, and incidents of switches and sensors."""

from typing import Annotated, Final, Literal, get_args

from pydantic import Field

from gridfleet.broker.protocol.frozen import frozen
from gridfleet.broker.protocol.messages.base import Faults, Message, Reading, ShortText, TimeMs

IncidentKind = Literal["opened", "closed", "applied", "released", "failed", "recovered"]
INCIDENT_KINDS: Final[tuple[str, ...]] = get_args(IncidentKind)


@frozen
class Sample(Message):
    """A device's readings at one instant of real time; published late when the device was offline."""

    TYPE = "sample"
    at_ms: TimeMs
    """Real time of the readings by the device's own clock, milliseconds since the Unix epoch, UTC."""
    synchronised: bool
    """Whether that clock was synchronised by then; else at_ms may be far off."""
    measured: bool
    """True when the readings come from real sensors, false when they are simulated."""
    readings: Annotated[dict[ShortText, Reading], Field(max_length=32)]
    """Each under a name that ends in its unit, such as wind_m_per_s; those of faulty sensors are left out."""
    faults: Faults = ()
    """Faults of its sensors and switches, each as `part: fault`."""


@frozen
class Incident(Message):
    """A switch has acted, or a sensor has failed or recovered: when and why."""

    TYPE = "incident"
    at_ms: TimeMs
    """Real time by the device's own clock, milliseconds since the Unix epoch, UTC."""
    synchronised: bool
    """Whether that clock was synchronised by then."""
    measured: bool
    """True when it happened at real pins, false when it is simulated."""
    part: ShortText
    """Which part: contactor, brake, anemometer and so on."""
    what: IncidentKind
    reason: ShortText
    """Why; of a sensor, its fault."""
