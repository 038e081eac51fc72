"""What every agent is: a state machine that takes a message and a time, and returns messages to send.

An agent has no I/O, no clock and no randomness of its own. It never sleeps: `event_ms` is the simulated instant
at which it wants to act of its own accord, `deadline_ms` the instant until which it waits for others. Whoever
runs it (simulation, fleet or device) calls `wake` when the earlier of the two has come.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from gridfleet.broker.protocol.messages import Kind, Message, Mode, Phase, Presence, Settings, Tick
from gridfleet.broker.protocol.topics import CLOCK_ID
from gridfleet.broker.protocol.units import TICK_MS

PATIENCE_MS: Final = 10_000
"""Simulated milliseconds that an agent waits for an answer before it asks again or goes on."""
NETWORK_MS: Final = 2_000
"""Real milliseconds that an answer over a network may take: nobody's patience is shorter."""
LEAST_SECONDS_PER_TICK: Final = 0.001
"""No clock goes faster than this, whatever a message says."""
ATTEMPTS: Final = 3
"""How often an unanswered message is sent in all."""

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
"""What an agent knows of time before it has heard the clock; never on a wire."""

Out = Sequence[tuple[str, Message]]
"""What an agent says: (scope, message) pairs, in order."""
NOTHING: Final[Out] = ()
Handler = Callable[[Any, str, str, Any, int], Out]


class Agent:
    """Base of the agents: identity, sense of the tick, dispatch by message class, count of refusals."""

    kind: ClassVar[Kind]
    handlers: ClassVar[dict[type[Message], Handler]] = {}
    """What to do with a message: (agent, scope, sender, message, now in ms) -> messages."""
    phases: ClassVar[dict[Phase, Callable[[Any, int], Out]]] = {}
    """What to do when a phase begins: (agent, now in ms) -> messages."""

    __slots__ = (
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
        "ticking",
    )

    def __init__(self, agent_id: str, cell: str, latitude: float, longitude: float, label: str = "") -> None:
        self.id = agent_id
        self.cell = cell
        self.latitude = latitude
        self.longitude = longitude
        self.label = label
        self.tick = -1
        self.ticking = NO_TICK
        self.event_ms: int | None = None
        self.deadline_ms: int | None = None
        self.balance_neur = 0
        self.refused: dict[str, int] = {}

    # --- for whoever runs it -----------------------------------------------------------------------------

    def subscriptions(self) -> list[tuple[str, str]]:
        """Return the (word, scope) pairs it wants to hear, besides the tick."""
        return []

    def presence(self, *, online: bool = True) -> tuple[str, Presence]:
        """Return its birth, or its last will."""
        message = Presence(online, self.kind, self.cell, self.latitude, self.longitude, self.label)
        return f"{self.cell}/{self.kind}", message

    def start(self, now_ms: int) -> Out:  # noqa: ARG002 - some agents plan their first event here
        """Say what a device says when it comes to life."""
        return [self.presence()]

    @property
    def tick_ms(self) -> int:
        """Simulated time at the beginning of the present phase, as the clock says; its own clock may be off."""
        return self.ticking.simulated_ms

    @property
    def waiting(self) -> bool:
        """Whether it waits for somebody's answer, and so is not ready for the next phase."""
        return self.deadline_ms is not None

    @property
    def patience_ms(self) -> int:
        """How long it waits for an answer, in simulated milliseconds; always less than the phase lasts."""
        tick = self.ticking
        if tick.mode is not Mode.SCALED:
            return PATIENCE_MS
        network_ms = round(NETWORK_MS * TICK_MS / 1000 / max(tick.seconds_per_tick, LEAST_SECONDS_PER_TICK))
        return min(max(PATIENCE_MS, network_ms), (tick.ends_ms - tick.simulated_ms) // (ATTEMPTS + 1))

    def handle(self, scope: str, sender: str, message: Message, now_ms: int) -> Out:
        """Take a message; return what to say. Never raises for anything that a peer may say."""
        handler = self.handlers.get(type(message))
        if handler is None:
            return self.refuse("unexpected")
        return handler(self, scope, sender, message, now_ms)

    def wake(self, now_ms: int) -> Out:
        """Act because `deadline_ms` or `event_ms` has come."""
        if self.deadline_ms is not None and now_ms >= self.deadline_ms:
            return self.on_deadline(now_ms)
        if self.event_ms is not None and now_ms >= self.event_ms:
            return self.on_event(now_ms)
        return NOTHING

    # --- for the agents themselves -----------------------------------------------------------------------

    def inherit(self, former: Any) -> None:  # noqa: ANN401 - an agent of the same class
        """Take over what a device without memory finds when it comes back: place and money, as they were."""
        self.latitude = former.latitude
        self.longitude = former.longitude
        self.balance_neur = former.balance_neur

    def start_books(self) -> None:
        """Forget the ticks of an earlier run of the clock: its numbers begin anew."""

    def on_deadline(self, now_ms: int) -> Out:  # noqa: ARG002
        """Go on without the answer."""
        self.deadline_ms = None
        return NOTHING

    def on_event(self, now_ms: int) -> Out:  # noqa: ARG002
        """Act at the instant it had asked for."""
        self.event_ms = None
        return NOTHING

    def refuse(self, reason: str) -> Out:
        """Count a message that is not acted upon."""
        self.refused[reason] = self.refused.get(reason, 0) + 1
        return NOTHING

    def on_tick(self, _scope: str, sender: str, tick: Tick, now_ms: int) -> Out:
        """Take the beginning of a phase; the same again only updates it, and what is older is refused."""
        known = self.ticking
        if sender != CLOCK_ID:
            return self.refuse("clock")
        overdue: Out = NOTHING
        if tick.epoch > known.epoch:
            if known is not NO_TICK:
                self.start_books()
        elif tick.simulated_ms < known.simulated_ms or tick.epoch < known.epoch:
            return self.refuse("stale")
        elif tick.tick != known.tick and known.phase is not Phase.SETTLE:
            overdue = self._act(Phase.SETTLE, now_ms)  # its end was not heard: account for it all the same
        self.ticking = tick
        self.tick = tick.tick
        if tick.simulated_ms == known.simulated_ms and tick.epoch == known.epoch:
            return NOTHING
        out = self._act(tick.phase, now_ms)
        return [*overdue, *out] if overdue else out

    def _act(self, phase: Phase, now_ms: int) -> Out:
        """Do what is due when a phase begins."""
        action = self.phases.get(phase)
        return action(self, now_ms) if action is not None else NOTHING
