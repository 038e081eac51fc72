"""Base class of all agents: a state machine that takes a message and a time, and returns messages to send.

An agent has no I/O, no clock and no randomness of its own, and it never sleeps. `event_ms` is the simulated time of
its next planned action (`plan`); `deadline_ms` is the simulated time until which it waits for answers (`wait`). The
runtime (simulation, fleet or device) calls `wake` at the earlier of the two.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, Protocol, Self

from gridfleet.broker.errors import GridFleetError
from gridfleet.broker.protocol.messages import (
    MAX_AVOIDED,
    Figure,
    Message,
    Mode,
    Phase,
    Presence,
    Registration,
    Role,
    Settings,
    Suspension,
    Tick,
)
from gridfleet.broker.protocol.topics import CLOCK_ID
from gridfleet.broker.protocol.units import MS_PER_HOUR, TICK_MS
from gridfleet.devices.agents.instruments import Permit
from gridfleet.devices.trust.trust import BELIEVES_ALL

ANSWER_TIMEOUT_MS: Final = 10_000
"""Simulated milliseconds that an agent waits for an answer before it asks again or continues without one."""
NETWORK_TIMEOUT_MS: Final = 2_000
"""Real milliseconds that an answer over a network may take; no answer timeout is shorter."""
MIN_SECONDS_PER_TICK: Final = 0.001
"""The fastest speed of a clock; a message that states a faster one is limited to it."""
MAX_ATTEMPTS: Final = 3
"""How often an unanswered message is sent, the first time included."""

NO_TICK: Final = Tick(
    tick=-1,
    phase=Phase.SETTLE,
    simulated_ms=0,
    ends_ms=0,
    mode=Mode.REALTIME,
    seconds_per_tick=TICK_MS / 1000,
    ticks_left=0,
    paused=False,
    settings=Settings(),
    epoch=-1,
)
"""Stands for the tick before the first one is received; never sent."""

Out = Sequence[tuple[str, Message]]
"""Messages to send: (scope, message) pairs, in order."""
NOTHING: Final[Out] = ()
"""No messages to send."""
NO_REFUSALS: Final[dict[str, int]] = {}
NO_FIGURES: Final[dict[str, float]] = {}
Common = tuple[
    int, float, float, bool, str, int, int, dict[str, int], str, dict[str, float], tuple[str, ...], Any
]
"""The first fields of an account: those of `State`, then the role."""
Handler = Callable[[Any, str, str, Any, int], Out]
"""(agent, scope, sender, message, now in ms) -> messages to send."""
Action = Callable[[int], Out]
"""(now in ms) -> messages to send."""


class Prices(Protocol):
    """A price that changes over time."""

    def at(self, simulated_ms: int) -> int:
        """Return the price of the quarter hour of this time, µEUR/kWh."""


class AgentError(GridFleetError, ValueError):
    """An agent does what no agent may; the text names what, and where it is known the device and the place."""

    def __init__(self, text: str, *, located: bool = False) -> None:
        super().__init__(text)
        self.located = located
        """Whether the text names device and place."""


def mean_power_w(energy_wh: int) -> int:
    """Return the mean power in W of an energy in Wh over a tick, rounded down.

    >>> mean_power_w(250)
    1000
    """
    return energy_wh * MS_PER_HOUR // TICK_MS


class Agent:
    """Base of the agents: identity, current tick, dispatch by message class, timers, count of refused messages.

    `handlers` and `phases` list methods; where a subclass overrides a listed method, its own is called. So an agent of
    your own overrides `on_call` or `on_trade_phase`, and needs a table only for a message class that its base ignores.
    """

    role: ClassVar[Role]
    """What it may publish and receive, and what its account states."""
    role_name: ClassVar[str]
    """The role as text: the scope of its accounts."""
    kind: ClassVar[str]
    """What sort of device it is: lower-case letters, digits, `_` and `-`."""
    figures: ClassVar[tuple[Figure, ...]] = ()
    """Figures of its own, which `read_figures` gives at the end of each tick."""
    handlers: ClassVar[dict[type[Message], Handler]] = {}
    """What to do with a received message, by its class."""
    phases: ClassVar[dict[Phase, Callable[[Any, int], Out]]] = {}
    """What to do when a phase begins: (agent, now in ms) -> messages to send."""

    __slots__ = (
        "_event_action",
        "_timeout_action",
        "balance_neur",
        "cell",
        "deadline_ms",
        "event_ms",
        "id",
        "label",
        "latitude",
        "longitude",
        "refused",
        "tick",
        "tick_message",
        "trust",
    )

    def __init_subclass__(cls) -> None:
        """Put methods that the subclass overrides into the tables that it inherits."""
        super().__init_subclass__()
        if "role" in vars(cls):
            cls.role_name = cls.role.value
        cls.handlers = {
            message_class: getattr(cls, each.__name__, each) for message_class, each in cls.handlers.items()
        }
        cls.phases = {phase: getattr(cls, each.__name__, each) for phase, each in cls.phases.items()}

    def __init__(self, agent_id: str, cell: str, latitude: float, longitude: float, label: str = "") -> None:
        self.id = agent_id
        self.cell = cell
        self.latitude = latitude
        self.longitude = longitude
        self.label = label
        self.tick = -1
        self.tick_message = NO_TICK
        self.event_ms: int | None = None
        self.deadline_ms: int | None = None
        self.balance_neur = 0
        self.refused = NO_REFUSALS
        """Refused messages, counted by reason; replaced by `refuse`, never changed, so that states can share it."""
        self.trust = BELIEVES_ALL
        """Whom it believes; the runtime gives it the site's register."""
        self._event_action: Action | None = None
        self._timeout_action: Action | None = None

    # --- for the runtime ---------------------------------------------------------------------------------

    def subscriptions(self) -> list[tuple[str, str]]:
        """Return the (message type, scope) pairs that it subscribes to, besides the tick."""
        return []

    def presence(self, *, online: bool = True) -> tuple[str, Presence]:
        """Return the scope and message of its birth, or of its last will."""
        message = Presence(
            online,
            self.role,
            self.cell,
            self.latitude,
            self.longitude,
            self.label,
            kind=self.kind,
            figures=self.figures,
        )
        return message.scope, message

    def permit(self, now_ms: int) -> Permit | None:  # noqa: ARG002 - chargers answer by it
        """Return who may draw energy at its plug; None for an agent that has none."""
        return None

    def follow_prices(self, prices: Prices) -> None:
        """Take the reactor's prices from a series; agents that neither buy nor sell there ignore it."""

    def read_figures(self) -> dict[str, float]:
        """Return the figures of its own by name, as they are at the end of the tick; all finite."""
        return NO_FIGURES

    def start(self, now_ms: int) -> Out:  # noqa: ARG002 - some agents plan their first event here
        """Return what a device publishes when it starts."""
        return [self.presence()]

    @property
    def tick_ms(self) -> int:
        """Simulated time at the beginning of the current phase, by the site's clock; its own clock may be off."""
        return self.tick_message.simulated_ms

    @property
    def waiting(self) -> bool:
        """Whether it waits for an answer, and so is not ready for the next phase."""
        return self.deadline_ms is not None

    @property
    def answer_timeout_ms(self) -> int:
        """How long it waits for an answer, in simulated milliseconds; all attempts fit into the phase."""
        tick = self.tick_message
        if tick.mode is not Mode.SCALED:
            return ANSWER_TIMEOUT_MS
        network_ms = round(
            NETWORK_TIMEOUT_MS * TICK_MS / 1000 / max(tick.seconds_per_tick, MIN_SECONDS_PER_TICK)
        )
        return min(
            max(ANSWER_TIMEOUT_MS, network_ms), (tick.ends_ms - tick.simulated_ms) // (MAX_ATTEMPTS + 1)
        )

    def handle(self, scope: str, sender: str, message: Message, now_ms: int) -> Out:
        """Take a received message; return what to send. Never raises, whatever a peer sends.

        `scope` and `sender` come from the topic, `now_ms` is simulated time. Every runtime calls this for every
        message, so a subclass may override it.
        """
        handler = self.handlers.get(type(message))
        if handler is None:
            if isinstance(message, Suspension):
                if self.trust.enabled:
                    self.trust.judge(scope, sender, message)
                return NOTHING
            if isinstance(message, Registration):
                if self.trust.enabled and sender == CLOCK_ID:
                    self.trust.register.enrol(scope, message)
                return NOTHING
            return self.refuse("unexpected")
        return handler(self, scope, sender, message, now_ms)

    def wake(self, now_ms: int) -> Out:
        """Act because `deadline_ms` or `event_ms` has been reached; return what to send."""
        if self.deadline_ms is not None and now_ms >= self.deadline_ms:
            return self.on_deadline(now_ms)
        if self.event_ms is not None and now_ms >= self.event_ms:
            return self.on_event(now_ms)
        return NOTHING

    # --- for the agents themselves -----------------------------------------------------------------------

    def plan(self, at_ms: int, action: Action) -> None:
        """Call `action` at a simulated time; an agent has one plan at a time, and this replaces it."""
        self.event_ms = at_ms
        self._event_action = action

    def cancel_plan(self) -> None:
        """Plan nothing."""
        self.event_ms = None
        self._event_action = None

    def wait(self, now_ms: int, then: Action) -> None:
        """Wait for answers, and call `then` if `stop_waiting` is not called within `answer_timeout_ms`."""
        self.deadline_ms = now_ms + self.answer_timeout_ms
        self._timeout_action = then

    def stop_waiting(self) -> None:
        """Stop waiting for answers."""
        self.deadline_ms = None
        self._timeout_action = None

    def on_deadline(self, now_ms: int) -> Out:
        """Call what was to follow if no answer comes."""
        action = self._timeout_action
        self.stop_waiting()
        return action(now_ms) if action is not None else NOTHING

    def on_event(self, now_ms: int) -> Out:
        """Do what was planned for this time."""
        action = self._event_action
        self.cancel_plan()
        return action(now_ms) if action is not None else NOTHING

    def account(self, status: str, power_w: int, *, measured: bool = False) -> Common:
        """Return the first fields of an account, which all roles share; `power_w` is positive into the grid."""
        return (
            self.tick,
            self.latitude,
            self.longitude,
            measured,
            status,
            power_w,
            self.balance_neur,
            self.refused,
            self.kind,
            self.read_figures() if self.figures else NO_FIGURES,
            self.avoided(),
            self.role_name,
        )

    def avoided(self) -> tuple[str, ...]:
        """Return the devices with which it has no dealings because of what they did, at most MAX_AVOIDED."""
        return self.trust.liars(self.tick)[:MAX_AVOIDED] if self.trust.lied else ()

    def restore_from(self, previous: Self) -> None:
        """Take over what a restart without memory does not change: place and money."""
        self.latitude = previous.latitude
        self.longitude = previous.longitude
        self.balance_neur = previous.balance_neur

    def on_new_run(self) -> None:
        """Forget the ticks of an earlier run of the clock: tick numbers begin again."""
        self.trust.clear()

    def refuse(self, reason: str) -> Out:
        """Count a message that is ignored; return no messages."""
        self.refused = {**self.refused, reason: self.refused.get(reason, 0) + 1}
        return NOTHING

    def note_lie(self, liar: str, what: str) -> Out:
        """Count a message that no honest device sends, and have no more dealings with its sender."""
        self.trust.note_lie(liar, self.tick)
        return self.refuse(what)

    def error(self, text: str, remedy: str) -> AgentError:
        """Return an error that names this device and the tick, for what ends the run."""
        where = f"tick {self.tick}: " if self.tick >= 0 else ""
        return AgentError(f"{self.id}, a {self.kind}: {where}{text}; {remedy}", located=True)

    def on_tick(self, _scope: str, sender: str, tick: Tick, now_ms: int) -> Out:
        """Begin a phase. A repeated tick only updates the settings; an older one is refused."""
        known = self.tick_message
        if sender != CLOCK_ID:
            return self.refuse("clock")
        settled: Out = NOTHING
        if tick.epoch > known.epoch:
            if known is not NO_TICK:
                self.on_new_run()
        elif tick.simulated_ms < known.simulated_ms or tick.epoch < known.epoch:
            return self.refuse("stale")
        elif tick.tick != known.tick and known.phase is not Phase.SETTLE and Phase.SETTLE in self.phases:
            settled = self.phases[Phase.SETTLE](self, now_ms)  # the device missed the end of the last tick
        self.tick_message = tick
        self.tick = tick.tick
        action = self.phases.get(tick.phase)
        if action is None or (tick.simulated_ms == known.simulated_ms and tick.epoch == known.epoch):
            return settled
        out = action(self, now_ms)
        return [*settled, *out] if settled else out
