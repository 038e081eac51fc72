"""When a charger's contactor may be closed: a pure state machine, without pins, clock or messages.

What lives here: since when the contactor is open or closed, since when the plug is there, and which causes are
latched. It is told what the sensors say and whose turn it is (`Senses`), and answers with whether the contactor is
to be closed, and why not. It closes only when no rule of the table speaks against it; the first rule that holds is
the reason. A cause holds as long as its condition, or beyond it:

    WHILE   until the condition ends
    UNPLUG  until the condition has ended and the plug has been pulled
    REPAIR  until the device is started again, by somebody who has looked
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final, NamedTuple

from gridfleet.devices.agents.instruments import Permit
from gridfleet.devices.config.sensor_tables import SafetyTable

GENTLE_EXCESS: Final = 1.1
"""Current over the limit that trips after a while."""
HARD_EXCESS: Final = 1.5
"""Current over the limit that trips at once."""
MOST_GAP_S: Final = 0.25
"""The control loop comes round within 0.1 s; a longer gap means that nobody was watching."""


class Cause(StrEnum):
    """Why the contactor is open."""

    STARTED = "started"
    WELDED = "contactor welded"
    STOP = "stop button"
    OVER_CURRENT = "over-current"
    NOT_CLOSED = "contactor did not close"
    SENSOR = "sensor fault"
    LATE = "control loop late"
    UNPLUGGED = "unplugged"
    BROKER = "broker lost"
    MARKET = "agent silent"
    VOLTAGE = "voltage out of range"
    NO_LEASE = "no lease"
    DELIVERED = "energy delivered"
    SHUTDOWN = "shut down"


class Holds(Enum):
    """How long a cause keeps the contactor open."""

    WHILE = "while"
    UNPLUG = "unplug"
    REPAIR = "repair"


@dataclass(frozen=True, slots=True)
class Senses:
    """All that the decision rests on, at one instant."""

    plugged: bool
    stopped: bool
    permit: Permit | None
    delivered_wh: float
    """By the meter, for that permit."""
    current_a: float
    voltage_v: float
    """The mains: measured, or nominal where no sensor is."""
    feedback: bool | None
    """Whether the auxiliary contact is closed; None without one."""
    sensors_faulty: bool
    broker_silent_s: float
    market_silent_s: float
    gap_s: float
    """Since the sensors were looked at before."""


class Decision(NamedTuple):
    """What to do with the contactor."""

    closed: bool
    changed: bool
    cause: Cause | None
    """Why it is open; None while it is closed, or about to close."""


class Contactor:
    """`step` it with what the sensors say, several times a second."""

    __slots__ = ("_safety", "_settle_s", "closed", "latched", "over_since_s", "plugged_since_s", "since_s")

    def __init__(self, safety: SafetyTable, plug_settle_s: float, now_s: float) -> None:
        self._safety = safety
        self._settle_s = plug_settle_s
        self.closed = False
        self.since_s = now_s
        """When it was opened or closed last."""
        self.plugged_since_s: float | None = None
        self.over_since_s: float | None = None
        self.latched: dict[Cause, Holds] = {}

    def step(self, now_s: float, senses: Senses) -> Decision:
        """Return what to do now."""
        self._note(now_s, senses)
        holding = {rule.cause for rule in RULES if rule.speaks(self, senses, now_s)}
        self.latched.update(
            {rule.cause: rule.holds for rule in RULES if rule.cause in holding and rule.latches}
        )
        for cause, holds in [*self.latched.items()]:
            if cause not in holding and holds is Holds.UNPLUG and not senses.plugged:
                del self.latched[cause]
        holding |= self.latched.keys()
        speaking = next((rule.cause for rule in RULES if rule.cause in holding), None)
        wanted = speaking is None and (self.closed or self._may_close(now_s))
        changed = wanted is not self.closed
        if changed:
            self.closed = wanted
            self.since_s = now_s
        return Decision(wanted, changed, speaking)

    @property
    def healthy(self) -> bool:
        """Whether nothing is latched."""
        return not self.latched

    # --- what the rules ask ------------------------------------------------------------------------------

    def _note(self, now_s: float, senses: Senses) -> None:
        """Remember since when the plug is there, and the current too high."""
        if not senses.plugged:
            self.plugged_since_s = None
        elif self.plugged_since_s is None:
            self.plugged_since_s = now_s
        if senses.current_a <= GENTLE_EXCESS * self._safety.most_current_a:
            self.over_since_s = None
        elif self.over_since_s is None:
            self.over_since_s = now_s

    def _may_close(self, now_s: float) -> bool:
        settled = self.plugged_since_s is not None and now_s - self.plugged_since_s >= self._settle_s
        return settled and now_s - self.since_s >= self._safety.rest_s

    def _parted(self, now_s: float) -> bool:
        return now_s - self.since_s > self._safety.parting_s

    def welded(self, senses: Senses, now_s: float) -> bool:
        """Tell whether current flows, or the auxiliary contact is closed, though it was opened."""
        flows = senses.current_a > self._safety.idle_a and not senses.sensors_faulty
        return not self.closed and self._parted(now_s) and (flows or senses.feedback is True)

    def over_current(self, senses: Senses, now_s: float) -> bool:
        """Tell whether the current is far too high, or too high for too long."""
        lasting = self.over_since_s is not None and now_s - self.over_since_s >= self._safety.trip_after_s
        return lasting or senses.current_a > HARD_EXCESS * self._safety.most_current_a

    def not_closed(self, senses: Senses, now_s: float) -> bool:
        """Tell whether the auxiliary contact stays open though it was closed."""
        return self.closed and self._parted(now_s) and senses.feedback is False

    def broker_lost(self, senses: Senses, _now_s: float) -> bool:
        """Tell whether the broker has been silent for too long."""
        return senses.broker_silent_s > self._safety.broker_lost_s

    def market_lost(self, senses: Senses, _now_s: float) -> bool:
        """Tell whether the agent has been silent for too long."""
        return senses.market_silent_s > self._safety.market_lost_s

    def bad_voltage(self, senses: Senses, _now_s: float) -> bool:
        """Tell whether the mains are too high or too low."""
        return not self._safety.least_voltage_v <= senses.voltage_v <= self._safety.most_voltage_v


def _delivered(_: Contactor, senses: Senses, _now_s: float) -> bool:
    return senses.permit is not None and senses.delivered_wh >= senses.permit.energy_wh


class Rule(NamedTuple):
    """A cause to open, when it speaks, and how long it holds."""

    cause: Cause
    speaks: Callable[[Contactor, Senses, float], bool]
    holds: Holds

    @property
    def latches(self) -> bool:
        """Whether it outlasts its condition."""
        return self.holds is not Holds.WHILE


RULES: Final = (
    Rule(Cause.WELDED, Contactor.welded, Holds.REPAIR),
    Rule(Cause.STOP, lambda _, senses, __: senses.stopped, Holds.UNPLUG),
    Rule(Cause.OVER_CURRENT, Contactor.over_current, Holds.UNPLUG),
    Rule(Cause.NOT_CLOSED, Contactor.not_closed, Holds.UNPLUG),
    Rule(Cause.SENSOR, lambda _, senses, __: senses.sensors_faulty, Holds.UNPLUG),
    Rule(Cause.LATE, lambda _, senses, __: senses.gap_s > MOST_GAP_S, Holds.WHILE),
    Rule(Cause.UNPLUGGED, lambda _, senses, __: not senses.plugged, Holds.WHILE),
    Rule(Cause.VOLTAGE, Contactor.bad_voltage, Holds.WHILE),
    Rule(Cause.BROKER, Contactor.broker_lost, Holds.WHILE),
    Rule(Cause.MARKET, Contactor.market_lost, Holds.WHILE),
    Rule(Cause.NO_LEASE, lambda _, senses, __: senses.permit is None, Holds.WHILE),
    Rule(Cause.DELIVERED, _delivered, Holds.WHILE),
)
"""Who may speak against closing, the gravest first."""
