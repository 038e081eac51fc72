"""What all control loops share: what they know of the agent, which events they report, and their base class.

The control loop and the agent run in different threads. The agent's thread replaces one frozen object (`AgentStatus`),
the control loop fills a queue of events, and neither waits for the other.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from gridfleet.broker.protocol.messages import INCIDENT_KINDS, MAX_SHORT_TEXT, IncidentKind
from gridfleet.devices.agents.instruments import Permit
from gridfleet.devices.config.device_file import DeviceFile
from gridfleet.devices.edge.hardware.board import Board, Output
from gridfleet.devices.edge.hardware.faults import ControlError, SensorFault
from gridfleet.devices.edge.hardware.lamp import Lamp

MAX_EVENTS: Final = 1000
"""The most events that wait to be published; the oldest are dropped."""


MAX_PART: Final = MAX_SHORT_TEXT - max(len(f": {fault}") for fault in SensorFault)
"""The longest name of a part with a fault: states and samples give both in one text."""


def no_wake() -> None:
    """Leave the next step to its period."""


class PinEvent(NamedTuple):
    """A change at the pins, to be published as an incident; `what` is one of the values of `Incident.what`."""

    at_ms: int
    """Real time, UTC."""
    part: str
    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """What the control loop knows of agent and broker; times are the board's, in seconds."""

    permit: Permit | None
    """Who may draw energy at the plug."""
    broker_seen_s: float
    """When the broker was last reached."""
    agent_seen_s: float
    """When the agent was last alive."""


class ControlLoop(Protocol):
    """Reads sensors, decides and switches. Only one thread calls `step`."""

    events: deque[PinEvent]
    agent_status: AgentStatus
    wake: Callable[[], None]
    """Starts the next step at once. The caller of `step` sets it; the threads that receive edges call it."""

    @property
    def measured(self) -> bool:
        """Whether its pins are real."""
        ...

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong, each as `part: fault`."""
        ...

    @property
    def last_step_s(self) -> float:
        """When it read its sensors last, by the board's time."""
        ...

    def now_s(self) -> float:
        """Return the board's time in seconds."""
        ...

    def step(self) -> None:
        """Read the sensors, decide and switch once."""

    def readings(self) -> dict[str, float]:
        """Return the readings of the sensors without a fault, each under a name that ends in its unit."""
        ...

    def make_safe(self, reason: str) -> None:
        """Open the contactor, apply the brake; called at the end, or when the loop has failed."""


class FaultRegister:
    """The sensors' present faults; every change becomes an event."""

    def __init__(self, board: Board, events: deque[PinEvent]) -> None:
        self._board = board
        self._events = events
        self._faults: dict[str, SensorFault] = {}
        self.texts: tuple[str, ...] = ()
        """Each as `part: fault`."""

    def __contains__(self, part: str) -> bool:
        return part in self._faults

    def set(self, part: str, fault: SensorFault | None) -> None:
        """Set what is wrong with a part now."""
        before = self._faults.get(part)
        if fault is before:
            return
        what, reason = ("recovered", before) if fault is None else ("failed", fault)
        if fault is None:
            del self._faults[part]
        else:
            self._faults[part] = fault
        self.texts = tuple(f"{name}: {known}" for name, known in sorted(self._faults.items()))
        self._events.append(PinEvent(self._board.wall_ms(), part, what, str(reason)))


class DeviceControl:
    """Base of the control loops: one thread calls `step`, everything else may be read from another.

    A subclass opens its pins in its constructor, those that must be safe first, then calls `open_signals`.
    """

    def __init__(self, device: DeviceFile, board: Board) -> None:
        """Open no pins yet."""
        now_s = board.now_s()
        self.board: Final = board
        self.measured: Final = device.measured
        self.events: deque[PinEvent] = deque(maxlen=MAX_EVENTS)
        self.wake: Callable[[], None] = no_wake
        self.agent_status = AgentStatus(None, now_s, now_s)
        self.last_step_s = now_s
        self.fault_register: Final = FaultRegister(board, self.events)
        self.lamp = Lamp(board, None)
        self._device = device
        self._alive: Output | None = None
        self._steps = 0

    def open_signals(self) -> None:
        """Open the pins that show that the device works: the status lamp, and the signal of life for a watchdog."""
        device = self._device
        if device.alive is not None:
            self._alive = self.board.output(device.alive.pin, high=False)
        self.lamp = Lamp(self.board, device.lamp)

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong, each as `part: fault`."""
        return self.fault_register.texts

    @property
    def agent_silent(self) -> bool:
        """Whether the agent has not updated the control loop for longer than `safety.agent_silent_s`."""
        return self.last_step_s - self.agent_status.agent_seen_s > self._device.safety.agent_silent_s

    def now_s(self) -> float:
        """Return the board's time in seconds."""
        return self.board.now_s()

    def step(self) -> None:
        """Read the sensors, decide and switch once; begins with `begin_step`."""
        raise NotImplementedError("a control loop defines step()")

    def make_safe(self, reason: str) -> None:
        """Switch off; called at the end, or when the loop has failed. It may be called twice."""
        raise NotImplementedError("a control loop defines make_safe(reason)")

    def readings(self) -> dict[str, float]:
        """Return the readings of the sensors without a fault, each under a name that ends in its unit."""
        return {}

    def more_readings(self) -> dict[str, float]:
        """Return what only someone needs who wires or calibrates; it is shown at the device and never published."""
        return {}

    def begin_step(self) -> float:
        """Note the time of a step, give the signal of life; return the seconds since the step before."""
        now_s = self.board.now_s()
        gap_s, self.last_step_s = now_s - self.last_step_s, now_s
        self._steps += 1
        if self._alive is not None:
            self._alive.set(high=self._steps % 2 == 0)
        return gap_s

    def report(self, part: str, what: IncidentKind, reason: str) -> None:
        """Publish a change at the pins as an incident.

        Raises ControlError for another `what`, and for a `part` or a `reason` that receivers would refuse.
        """
        if what not in INCIDENT_KINDS:
            raise ControlError(f"report: what = {what!r}; allowed are {', '.join(INCIDENT_KINDS)}")
        _check_text("report: part", part, MAX_SHORT_TEXT)
        _check_text("report: reason", reason, MAX_SHORT_TEXT)
        self.events.append(PinEvent(self.board.wall_ms(), part, what, str(reason)))

    def set_fault(self, part: str, fault: SensorFault | None) -> None:
        """Set what is wrong with a sensor now; None when it works. Every change is published as an incident.

        Raises ControlError for a fault that is no `SensorFault`, and for a `part` whose name is too long.
        """
        _check_text("set_fault: part", part, MAX_PART)
        try:
            known = SensorFault(fault) if fault is not None else None
        except ValueError:
            allowed = ", ".join(f"SensorFault.{each.name}" for each in SensorFault)
            raise ControlError(f"set_fault: fault = {fault!r}; allowed are None, {allowed}") from None
        self.fault_register.set(part, known)


def _check_text(name: str, text: object, most: int) -> None:
    if not isinstance(text, str) or len(text) > most:
        raise ControlError(f"{name} = {text!r}; allowed is a text of at most {most} characters")
