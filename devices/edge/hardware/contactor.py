"""Decides when a charger's contactor may be closed: a pure state machine, without pins, clock or messages.

State: since when the contactor is open or closed, since when the plug is in, and which causes are latched. Input: what
the sensors show and who may charge (`ContactorInputs`). Output: whether the contactor is to be closed, and why not. It
closes only when no rule of the table applies; the first one that applies is the reason. A cause keeps it open:

    CONDITION_ENDS  until its condition ends
    UNPLUGGED       until its condition has ended and the plug has been pulled
    REPAIRED        until the device is restarted, after somebody has inspected it
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final, NamedTuple

from gridfleet.devices.agents.instruments import Permit
from gridfleet.devices.config.sensor_tables import SafetyTable

SLOW_TRIP_RATIO: Final = 1.1
"""Ratio of current to limit that trips after `trip_after_s`."""
INSTANT_TRIP_RATIO: Final = 1.5
"""Ratio of current to limit that trips at once."""
MAX_STEP_GAP_S: Final = 0.25
"""The control loop steps at least every 0.1 s; after a longer gap the contactor opens, because nothing was checked."""


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
    AGENT = "agent silent"
    VOLTAGE = "voltage out of range"
    NO_LEASE = "no lease"
    DELIVERED = "energy delivered"
    SHUTDOWN = "shut down"


class OpenUntil(Enum):
    """How long a cause keeps the contactor open."""

    CONDITION_ENDS = "the condition ends"
    UNPLUGGED = "unplugged"
    REPAIRED = "repaired"


@dataclass(frozen=True, slots=True)
class ContactorInputs:
    """Everything that the decision depends on, at one instant."""

    plugged: bool
    stopped: bool
    permit: Permit | None
    delivered_wh: float
    """Metered for that permit."""
    current_a: float
    voltage_v: float
    """Of the mains: measured, or nominal without a sensor."""
    feedback: bool | None
    """Whether the auxiliary contact is closed; None without one."""
    sensors_faulty: bool
    broker_silent_s: float
    agent_silent_s: float
    gap_s: float
    """Since the step before."""


class ContactorDecision(NamedTuple):
    """Whether the contactor is to be closed."""

    closed: bool
    changed: bool
    cause: Cause | None
    """Why it is open; None while it is closed, or about to close."""


class Contactor:
    """The contactor's state; call `step` several times a second."""

    __slots__ = ("_safety", "_settle_s", "closed", "latched", "over_since_s", "plugged_since_s", "since_s")

    def __init__(self, safety: SafetyTable, plug_settle_s: float, now_s: float) -> None:
        self._safety = safety
        self._settle_s = plug_settle_s
        self.closed = False
        self.since_s = now_s
        """When it was opened or closed last."""
        self.plugged_since_s: float | None = None
        self.over_since_s: float | None = None
        self.latched: dict[Cause, OpenUntil] = {}

    def step(self, now_s: float, inputs: ContactorInputs) -> ContactorDecision:
        """Return what to do now."""
        self._note(now_s, inputs)
        active = {rule.cause for rule in RULES if rule.applies(self, inputs, now_s)}
        self.latched.update(
            {rule.cause: rule.open_until for rule in RULES if rule.cause in active and rule.latches}
        )
        for cause, open_until in [*self.latched.items()]:
            if cause not in active and open_until is OpenUntil.UNPLUGGED and not inputs.plugged:
                del self.latched[cause]
        active |= self.latched.keys()
        reason = next((rule.cause for rule in RULES if rule.cause in active), None)
        wanted = reason is None and (self.closed or self._may_close(now_s))
        changed = wanted is not self.closed
        if changed:
            self.closed = wanted
            self.since_s = now_s
        return ContactorDecision(wanted, changed, reason)

    @property
    def healthy(self) -> bool:
        """Whether nothing is latched."""
        return not self.latched

    # --- conditions of the rules ------------------------------------------------------------------------------

    def _note(self, now_s: float, inputs: ContactorInputs) -> None:
        """Remember since when the plug is in, and since when the current is too high."""
        if not inputs.plugged:
            self.plugged_since_s = None
        elif self.plugged_since_s is None:
            self.plugged_since_s = now_s
        if inputs.current_a <= SLOW_TRIP_RATIO * self._safety.max_current_a:
            self.over_since_s = None
        elif self.over_since_s is None:
            self.over_since_s = now_s

    def _may_close(self, now_s: float) -> bool:
        settled = self.plugged_since_s is not None and now_s - self.plugged_since_s >= self._settle_s
        return settled and now_s - self.since_s >= self._safety.rest_s

    def _settled(self, now_s: float) -> bool:
        return now_s - self.since_s > self._safety.parting_s

    def welded(self, inputs: ContactorInputs, now_s: float) -> bool:
        """Return whether current flows, or the auxiliary contact is closed, although it was opened."""
        flows = inputs.current_a > self._safety.idle_a and not inputs.sensors_faulty
        return not self.closed and self._settled(now_s) and (flows or inputs.feedback is True)

    def over_current(self, inputs: ContactorInputs, now_s: float) -> bool:
        """Return whether the current is far too high, or too high for too long."""
        lasting = self.over_since_s is not None and now_s - self.over_since_s >= self._safety.trip_after_s
        return lasting or inputs.current_a > INSTANT_TRIP_RATIO * self._safety.max_current_a

    def not_closed(self, inputs: ContactorInputs, now_s: float) -> bool:
        """Return whether the auxiliary contact stays open although it was closed."""
        return self.closed and self._settled(now_s) and inputs.feedback is False

    def broker_lost(self, inputs: ContactorInputs, _now_s: float) -> bool:
        """Return whether the broker has not been reached for too long."""
        return inputs.broker_silent_s > self._safety.broker_lost_s

    def agent_silent(self, inputs: ContactorInputs, _now_s: float) -> bool:
        """Return whether the agent has not updated the control loop for too long."""
        return inputs.agent_silent_s > self._safety.agent_silent_s

    def bad_voltage(self, inputs: ContactorInputs, _now_s: float) -> bool:
        """Return whether the mains voltage is too high or too low."""
        return not self._safety.min_voltage_v <= inputs.voltage_v <= self._safety.max_voltage_v


def _delivered(_: Contactor, inputs: ContactorInputs, _now_s: float) -> bool:
    return inputs.permit is not None and inputs.delivered_wh >= inputs.permit.energy_wh


class OpeningRule(NamedTuple):
    """A cause to open, the condition under which it applies, and how long it keeps the contactor open."""

    cause: Cause
    applies: Callable[[Contactor, ContactorInputs, float], bool]
    open_until: OpenUntil

    @property
    def latches(self) -> bool:
        """Whether it keeps the contactor open after its condition has ended."""
        return self.open_until is not OpenUntil.CONDITION_ENDS


RULES: Final = (
    OpeningRule(Cause.WELDED, Contactor.welded, OpenUntil.REPAIRED),
    OpeningRule(Cause.STOP, lambda _, inputs, __: inputs.stopped, OpenUntil.UNPLUGGED),
    OpeningRule(Cause.OVER_CURRENT, Contactor.over_current, OpenUntil.UNPLUGGED),
    OpeningRule(Cause.NOT_CLOSED, Contactor.not_closed, OpenUntil.UNPLUGGED),
    OpeningRule(Cause.SENSOR, lambda _, inputs, __: inputs.sensors_faulty, OpenUntil.UNPLUGGED),
    OpeningRule(Cause.LATE, lambda _, inputs, __: inputs.gap_s > MAX_STEP_GAP_S, OpenUntil.CONDITION_ENDS),
    OpeningRule(Cause.UNPLUGGED, lambda _, inputs, __: not inputs.plugged, OpenUntil.CONDITION_ENDS),
    OpeningRule(Cause.VOLTAGE, Contactor.bad_voltage, OpenUntil.CONDITION_ENDS),
    OpeningRule(Cause.BROKER, Contactor.broker_lost, OpenUntil.CONDITION_ENDS),
    OpeningRule(Cause.AGENT, Contactor.agent_silent, OpenUntil.CONDITION_ENDS),
    OpeningRule(Cause.NO_LEASE, lambda _, inputs, __: inputs.permit is None, OpenUntil.CONDITION_ENDS),
    OpeningRule(Cause.DELIVERED, _delivered, OpenUntil.CONDITION_ENDS),
)
"""Every cause to open, the most serious first."""
