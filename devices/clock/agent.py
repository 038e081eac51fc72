"""The clock: says which phase it is, waits for nobody past the deadline, and obeys the operators' controls.

Its own time base is real milliseconds (in the simulation: virtual ones); simulated time follows from tick and
phase. In lock-step a phase ends when every live device is ready (see `clock.barrier`), else by the clock on
the wall; a pause, a new speed or a new mode takes hold at once, every other setting with the next phase.
A clock that died goes on from its own retained tick (`go_on_from`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from gridfleet.broker.protocol.messages import (
    MAX_OUTAGE_S,
    PHASE_RANK,
    PHASES,
    Algorithm,
    ClockState,
    Control,
    Facts,
    Grant,
    Kind,
    Message,
    Mode,
    Phase,
    Presence,
    Ready,
    Settings,
    Tick,
)
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.agents.base import MIN_SECONDS_PER_TICK, NOTHING, Agent, Handler, Out
from gridfleet.devices.charging import service_status
from gridfleet.devices.clock.barrier import Barrier

OFFSETS_MS: Final = {
    Phase.BID: 0,
    Phase.TRADE: 300_000,
    Phase.RESIDUAL: 390_000,
    Phase.SURPLUS: 450_000,
    Phase.EXCHANGE: 510_000,
    Phase.IMPORT: 600_000,
    Phase.SETTLE: 840_000,
}
"""When each phase begins, in simulated milliseconds after the beginning of the tick."""
BETWEEN_CELLS: Final = frozenset({Phase.RESIDUAL, Phase.SURPLUS, Phase.EXCHANGE})
PACE: Final = {Mode.REALTIME: TICK_MS / 1000}
MOST_TICKS: Final = 2**31 - 1
SETTINGS: Final = (
    "consumer_scale",
    "vehicle_scale",
    "turbine_scale",
    "wind_scale",
    "algorithm",
    "chargers_out",
    "outage_s",
)
ONCE: Final = frozenset({"outage_s", "storm"})
"""Controls that make something happen: what the broker retains of them from an earlier run does not count."""
HIGHEST: Final = {"wind_scale": 5.0, "outage_s": float(MAX_OUTAGE_S)}
"""The highest values of settings that are numbers, where it is not 2."""
GALE: Final = 2.0
GALE_TICKS: Final = 4
"""The storm that an operator orders: so much more wind for so many ticks, then every turbine stands still."""
MOST_ABSENT: Final = 1_000
"""So many absent devices are named in a tick, to keep it short; for others one waits in vain, but not for ever."""
LOCKSTEP_DEADLINE_MS: Final = 10_000


Value = bool | float | str
"""What a control may set something to."""


@dataclass(frozen=True, slots=True)
class Event:
    """A change of settings that the scenario plans for the beginning of a tick."""

    tick: int
    changes: tuple[tuple[str, float | str], ...]
    title: str = ""


class Clock(Agent):
    """One per site."""

    kind = Kind.CLOCK
    __slots__ = (
        "_deadline_ms",
        "_events",
        "_facts",
        "_floor",
        "_granted",
        "_order",
        "_paused_left_ms",
        "_revision",
        "_revisions",
        "_spent_ms",
        "_stepping",
        "_storm",
        "_usual",
        "barrier",
        "epoch",
        "finished",
        "late_phases",
        "mode",
        "now_phase",
        "paused",
        "present",
        "seconds_per_tick",
        "settings",
        "start_ms",
        "ticks",
    )

    def __init__(
        self,
        agent_id: str,
        latitude: float,
        longitude: float,
        *,
        start_ms: int,
        ticks: int,
        mode: Mode,
        seconds_per_tick: float = TICK_MS / 1000,
        settings: Settings,
        events: tuple[Event, ...] = (),
        neighbours: bool = False,
        lockstep_deadline_ms: int = LOCKSTEP_DEADLINE_MS,
        expected: frozenset[str] = frozenset(),
        epoch: int = 0,
        facts: Facts | None = None,
    ) -> None:
        super().__init__(agent_id, "site", latitude, longitude)
        self._facts = facts
        self.start_ms = start_ms
        self.ticks = ticks
        self.mode = mode
        self.seconds_per_tick = seconds_per_tick
        self.settings = settings
        self.now_phase = Phase.SETTLE
        self.epoch = epoch
        self.paused = False
        self.finished = False
        self.barrier = Barrier(expected)
        self.present: set[str] = set()
        """The devices that live, as far as it has heard."""
        self.late_phases = 0
        self._events = events
        self._storm: tuple[Event, ...] = ()
        self._usual = settings
        self._order = tuple(phase for phase in PHASES if neighbours or phase not in BETWEEN_CELLS)
        self._deadline_ms = lockstep_deadline_ms
        self._granted = ("", 0)
        self._spent_ms: dict[str, int] = {}
        self._paused_left_ms = 0
        self._stepping: int | None = None
        self._floor = -1
        self._revision = 0
        self._revisions: dict[str, tuple[int, str]] = {}

    def subscriptions(self) -> list[tuple[str, str]]:
        """Return the (word, scope) pairs it wants to hear, besides the tick."""
        return [("ready", ""), ("control", "+"), ("presence", "+/+")]

    def start(self, now_ms: int) -> Out:
        """Say that it lives, and what holds for the whole run."""
        return [*super().start(now_ms), *([("", self._facts)] if self._facts is not None else [])]

    # --- time --------------------------------------------------------------------------------------------

    @property
    def simulated_ms(self) -> int:
        """Simulated time at the beginning of the present phase."""
        return self.start_ms + max(self.tick, 0) * TICK_MS + OFFSETS_MS[self.now_phase]

    def begin(self, now_ms: int) -> Out:
        """Start the first tick, unless an operator has it wait; or say again the tick that it goes on from."""
        if self.tick < 0:
            return NOTHING if self.paused else self._next_phase(now_ms)
        self._schedule(now_ms)
        self._paused_left_ms = max((self.event_ms or now_ms) - now_ms, 0)
        if self.paused:
            self.event_ms = None
        return [("", self.tick_message), self._account("paused" if self.paused else "running")]

    def go_on_from(self, tick: Tick) -> bool:
        """Take up the run whose present tick the broker has kept; call it before `begin`.

        Return False, and change nothing, when that run is over or was of another scenario.
        """
        begun_ms = self.start_ms + tick.tick * TICK_MS + OFFSETS_MS[tick.phase]
        over = tick.ticks_left == 0 and tick.phase is self._order[-1]
        if over or tick.phase not in self._order or tick.simulated_ms != begun_ms:
            return False
        self.epoch = tick.epoch
        self.tick = tick.tick
        self.now_phase = tick.phase
        self.ticks = tick.tick + 1 + tick.ticks_left
        self.mode = tick.mode
        self.paused = tick.paused
        self.settings = replace(tick.settings, outage_s=0.0)
        if tick.mode is Mode.SCALED:
            self.seconds_per_tick = max(tick.seconds_per_tick, MIN_SECONDS_PER_TICK)
        self.tick_message = tick
        self._floor = self._revision = tick.revision
        return True

    def _following(self) -> Phase:
        return self._order[(self._order.index(self.now_phase) + 1) % len(self._order)]

    def _phase_end(self) -> int:
        """Return the simulated time at which the present phase ends."""
        following = self._following()
        offset = OFFSETS_MS[following] if following is not Phase.BID else TICK_MS
        return self.start_ms + self.tick * TICK_MS + offset

    def _next_phase(self, now_ms: int) -> Out:
        """End the phase that is, and begin the next; after the last tick, finish."""
        following = self._following()
        if following is Phase.BID:
            if self.tick + 1 >= self.ticks:
                self.finished = True
                self.event_ms = None
                return [self._account("finished")]
            if self._stepping is not None:
                if not self._stepping:
                    self._stepping = None
                    return [*self._pause(now_ms), self._account("paused")]
                self._stepping -= 1
            self.tick += 1
            self._apply_events()
        self.now_phase = following
        self.tick_message = Tick(
            tick=self.tick,
            phase=self.now_phase,
            simulated_ms=self.simulated_ms,
            ends_ms=self._phase_end(),
            mode=self.mode,
            seconds_per_tick=self._pace(),
            ticks_left=self.ticks - self.tick - 1,
            paused=False,
            settings=self.settings,
            absent=tuple(sorted(self.barrier.absent)[:MOST_ABSENT]),
            epoch=self.epoch,
            revision=self._revision,
        )
        if self.settings.outage_s:  # it is ordered once
            self.settings = replace(self.settings, outage_s=0.0)
        self._schedule(now_ms)
        out: list[tuple[str, Message]] = [("", self.tick_message)]
        if following is Phase.BID:
            out.append(self._account("running"))
        if self.mode is Mode.LOCKSTEP and self.barrier.awaits_anybody:
            out += self._advance(now_ms)
        return out

    def _pace(self) -> float:
        return 0.0 if self.mode is Mode.LOCKSTEP else PACE.get(self.mode, self.seconds_per_tick)

    def _schedule(self, now_ms: int) -> None:
        """Plan the end of the phase: by the clock on the wall, or by the deadline of lock-step."""
        if self.mode is Mode.LOCKSTEP:
            self._spent_ms.clear()
            self.barrier.begin((self.tick, PHASE_RANK[self.now_phase]))
            self.event_ms = now_ms + self._deadline_ms
        else:
            simulated = self._phase_end() - self.simulated_ms
            self.event_ms = now_ms + round(simulated * self._pace() * 1000 / TICK_MS)

    def on_event(self, now_ms: int) -> Out:
        """The phase is over, or nobody is waited for any longer."""
        if self.paused or self.finished:
            self.event_ms = None
            return NOTHING
        if self.mode is not Mode.LOCKSTEP:
            return self._next_phase(now_ms)
        self.late_phases += self.barrier.give_up()
        return self._advance(now_ms)

    # --- lock-step ---------------------------------------------------------------------------------------

    def _advance(self, now_ms: int) -> Out:
        """When nobody is behind: grant the next instant asked for, or begin the next phase."""
        if self.barrier.behind or self.paused or self.finished:
            return NOTHING
        granted = self.barrier.grant(self._phase_end())
        if granted is None:
            return self._next_phase(now_ms)
        device, instant_ms = granted
        self._granted = (device, now_ms)
        left_ms = self._deadline_ms - self._spent_ms.get(device, 0)
        self.event_ms = now_ms + max(left_ms, 0)
        return [(device, Grant(self.tick, instant_ms))]

    def _on_ready(self, _scope: str, sender: str, ready: Ready, now_ms: int) -> Out:
        """Note that a device has said all it has to say, and when it wants to act next."""
        if self.mode is not Mode.LOCKSTEP:
            return NOTHING
        if ready.tick != self.tick:
            return self.refuse("stale")
        self._account_for(sender, now_ms)
        awaited = self.barrier.ready(sender, (ready.tick, PHASE_RANK[ready.through]), ready.wake_ms)
        return self._advance(now_ms) if awaited else NOTHING

    def _account_for(self, device: str, now_ms: int) -> None:
        """Charge a device with the time its grants take: one deadline is all it has in a phase."""
        granted, since_ms = self._granted
        if device == granted:
            self._spent_ms[device] = self._spent_ms.get(device, 0) + now_ms - since_ms
            self._granted = ("", 0)

    def _on_presence(self, scope: str, sender: str, presence: Presence, now_ms: int) -> Out:
        """A device comes to life or dies: the dead are not waited for."""
        if presence.kind is Kind.CLOCK:
            return NOTHING
        if scope != f"{presence.cell}/{presence.kind}":
            return self.refuse("presence")
        if presence.online:
            self.present.add(sender)
            self.barrier.join(sender, running=self.tick >= 0 and self.mode is Mode.LOCKSTEP)
            return NOTHING
        self.present.discard(sender)
        return self._advance(now_ms) if self.barrier.leave(sender) else NOTHING

    # --- controls ----------------------------------------------------------------------------------------

    def _on_control(self, scope: str, sender: str, control: Control, now_ms: int) -> Out:
        """Apply an operator's wish if it is valid and newer than the last for that setting.

        `step` is how many whole ticks to begin before pausing again.
        """
        if control.revision <= self._floor:
            return NOTHING  # the tick that this clock went on from has it in force
        if (control.revision, sender) <= self._revisions.get(scope, (-1, "")):
            return self.refuse("stale")
        before, self._revision = self._revision, max(self._revision, control.revision)
        if scope in ONCE and self.tick < 0:
            self._revisions[scope] = (control.revision, sender)
            return self.refuse("stale")
        try:
            out = self._set(scope, control.value, now_ms)
        except (ValueError, TypeError, OverflowError):
            self._revision = before
            return self.refuse("control")
        self._revisions[scope] = (control.revision, sender)
        return [*out, self._account("paused" if self.paused else "running")]

    def _set(self, name: str, value: Value, now_ms: int) -> Out:
        """Change one setting; raise ValueError when it or its value does not exist."""
        if name in SETTINGS:
            self.settings = replace(changed(self.settings, name, value), note="")
        elif name == "paused":
            return self._set_paused(_switch(value), now_ms)
        elif name == "step":
            self._stepping = _whole(value)
            return self._resume(now_ms)
        elif name == "ticks":
            self.ticks = max(_whole(value), self.tick + 1)
        elif name == "mode":
            self.mode = Mode(str(value))
            if self.tick >= 0 and not self.paused:
                self._schedule(now_ms)
        elif name == "seconds_per_tick":
            return self._set_pace(value, now_ms)
        elif name == "storm":
            self._set_storm(_switch(value))
        else:
            raise ValueError(name)
        return NOTHING

    def _set_paused(self, paused: bool, now_ms: int) -> Out:  # noqa: FBT001 - what the control says
        if paused:
            return self._pause(now_ms)
        self._stepping = None
        return self._resume(now_ms)

    def _set_storm(self, wanted: bool) -> None:  # noqa: FBT001 - what the control says
        """Plan a gale from the next tick on and the damage it does; or have wind and turbines as in the beginning."""
        usual, first = self._usual, self.tick + 1
        self._storm = ()
        if wanted:
            calm = ("wind_scale", usual.wind_scale)
            self._storm = (
                Event(first, (("wind_scale", GALE),), "Gale"),
                Event(first + GALE_TICKS, (calm, ("turbine_scale", 0.0)), "Storm damage: turbines off"),
            )
        else:
            self.settings = replace(
                self.settings, wind_scale=usual.wind_scale, turbine_scale=usual.turbine_scale, note=""
            )

    def _set_pace(self, value: Value, now_ms: int) -> Out:
        if isinstance(value, bool | str) or not MIN_SECONDS_PER_TICK <= value <= TICK_MS / 1000:
            raise ValueError(value)
        faster = value / self.seconds_per_tick
        self.seconds_per_tick = float(value)
        if self.mode is not Mode.SCALED:
            return NOTHING
        self._paused_left_ms = round(self._paused_left_ms * faster)
        if self.event_ms is not None:
            self.event_ms = now_ms + round(max(self.event_ms - now_ms, 0) * faster)
        return self.retained()

    def _pause(self, now_ms: int) -> Out:
        if self.paused or self.finished:
            return NOTHING
        self.paused = True
        self._paused_left_ms = max((self.event_ms or now_ms) - now_ms, 0)
        self.event_ms = None
        return self.retained()

    def _resume(self, now_ms: int) -> Out:
        if not self.paused:
            return NOTHING
        self.paused = False
        if self.tick < 0:
            return self._next_phase(now_ms)
        self.event_ms = now_ms + self._paused_left_ms
        out = list(self.retained())
        if self.mode is Mode.LOCKSTEP:
            out += self._advance(now_ms)
        return out

    def retained(self) -> Out:
        """Say the present tick again, so that everybody knows whether it is paused and how fast it goes."""
        if self.tick < 0:
            return NOTHING
        self.tick_message = replace(
            self.tick_message, paused=self.paused, seconds_per_tick=self._pace(), revision=self._revision
        )
        return [("", self.tick_message)]

    def _apply_events(self) -> None:
        """Change the settings as planned for this tick."""
        for event in (*self._events, *self._storm):
            if event.tick == self.tick:
                for name, value in event.changes:
                    self.settings = changed(self.settings, name, value)
                self.settings = replace(self.settings, note=event.title)

    def _account(self, status: str) -> tuple[str, ClockState]:
        return "", ClockState(
            tick=max(self.tick, 0),
            latitude=self.latitude,
            longitude=self.longitude,
            measured=False,
            status=status,
            power_w=0,
            balance_neur=0,
            refused=dict(self.refused),
            kind="clock",
            mode=self.mode,
            paused=self.paused,
            seconds_per_tick=self._pace(),
            ticks=self.ticks,
            settings=self.settings,
            revision=self._revision,
        )

    handlers: ClassVar[dict[type[Message], Handler]] = {
        Ready: _on_ready,
        Presence: _on_presence,
        Control: _on_control,
    }
    phases: ClassVar[dict[Phase, Callable[[Any, int], Out]]] = {}


def changed(settings: Settings, name: str, value: Value) -> Settings:
    """Return settings with one changed; raise ValueError when the value is not allowed."""
    if name == "algorithm":
        return replace(settings, algorithm=Algorithm(str(value)))
    if name == "chargers_out":
        return replace(settings, chargers_out=_words(value))
    highest = HIGHEST.get(name, 2.0)
    if isinstance(value, bool | str) or not 0 <= value <= highest:
        raise ValueError(f"{name} is a number from 0 to {highest:g}")
    scale: dict[str, Any] = {name: float(value)}
    return replace(settings, **scale)


def _switch(value: Value) -> bool:
    """Return true or false; raise TypeError for anything else, 1 and 0 included."""
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _words(value: Value) -> str:
    """Return words that `chargers_out` may have; raise ValueError for others."""
    if not isinstance(value, str):
        raise TypeError(value)
    return service_status.checked(value)


def _whole(value: Value) -> int:
    if isinstance(value, bool | str) or not 0 <= value <= MOST_TICKS or value != int(value):
        raise ValueError(value)
    return int(value)
