"""The clock of a site: publishes ticks and phases, and applies the operators' controls.

The clock's own time is real milliseconds (virtual ones in the simulation); simulated time follows from tick and phase.
In lock-step a phase ends when every online device is ready or its deadline has passed, and not before its share of the
least duration of a tick, so that people can watch; else after its share of the tick. A pause, a new speed or a new mode
takes effect at once, every other setting with the next phase. A restarted clock resumes from its own retained tick
(`resume_from`).

Its parts: `Schedule` (the current phase), `Pace` (mode, speed and pause), `LockStep` (which devices it waits for),
`SettingsPlan` and `ControlRevisions`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

from gridfleet.broker.protocol.messages import (
    ClockState,
    Control,
    Facts,
    Grant,
    Message,
    Mode,
    Phase,
    Presence,
    Ready,
    Registration,
    Role,
    Settings,
    Tick,
)
from gridfleet.broker.protocol.topics import WHOLE_SITE
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.agents.base import NOTHING, Agent, Handler, Out, Prices
from gridfleet.devices.clock.controls import ONE_TIME, ControlRevisions, boolean, whole_number
from gridfleet.devices.clock.lockstep import LOCKSTEP_DEADLINE_MS, LockStep
from gridfleet.devices.clock.pace import Pace
from gridfleet.devices.clock.schedule import Schedule
from gridfleet.devices.clock.settings import SETTINGS, Event, SettingsPlan, Value

NO_REGISTRATIONS: Final[Mapping[str, Registration]] = {}
MAX_ABSENT: Final = 250
"""A tick names at most this many absent devices, to keep it short; agents wait for further ones until their timeout."""


class Clock(Agent):
    """The one clock of a site."""

    role = Role.CLOCK
    kind = "clock"
    __slots__ = (
        "_controls",
        "_facts",
        "_not_before_ms",
        "_reactor_prices",
        "_registrations",
        "_settings_plan",
        "epoch",
        "finished",
        "lockstep",
        "online_devices",
        "pace",
        "resumptions",
        "schedule",
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
        least_seconds_per_tick: float = 0.0,
        settings: Settings,
        events: tuple[Event, ...] = (),
        neighbours: bool = False,
        lockstep_deadline_ms: int = LOCKSTEP_DEADLINE_MS,
        expected: frozenset[str] = frozenset(),
        epoch: int = 0,
        facts: Facts | None = None,
        registrations: Mapping[str, Registration] = NO_REGISTRATIONS,
        reactor_prices: Prices | None = None,
    ) -> None:
        """`start_ms` is the simulated time of tick 0; `neighbours` says whether the site has more than one cell.

        `seconds_per_tick` is the speed of scaled time; in lock-step a tick takes at least `least_seconds_per_tick`.

        `expected` are the devices that lock-step waits for from the beginning; `epoch` numbers the runs of a site.
        `registrations` is the site's register by device or prefix; `reactor_prices` change the facts from tick to tick.
        """
        super().__init__(agent_id, WHOLE_SITE, latitude, longitude)
        self._facts = facts
        self._registrations = registrations
        self._reactor_prices = reactor_prices
        self.schedule = Schedule(start_ms, ticks, neighbours=neighbours)
        self._settings_plan = SettingsPlan(settings, events)
        self._controls = ControlRevisions()
        self.lockstep = LockStep(expected, lockstep_deadline_ms)
        self.pace = Pace(mode, seconds_per_tick, least_seconds_per_tick)
        self._not_before_ms = 0
        """Lock-step begins no phase before this real time."""
        self.epoch = epoch
        self.resumptions = 0
        """How many clocks have resumed this run, this one included."""
        self.finished = False
        self.online_devices: set[str] = set()
        """Devices that are online, by their presence messages."""

    def subscriptions(self) -> list[tuple[str, str]]:
        """Return the (message type, scope) pairs that it subscribes to."""
        return [("ready", ""), ("control", "+"), ("presence", "+/+")]

    def start(self, now_ms: int) -> Out:
        """Return its birth, and the constants of the run."""
        return [*super().start(now_ms), *self.constants()]

    def constants(self) -> Out:
        """Return the facts of the whole run and the site's register: retained messages of the run."""
        facts = [] if self._facts is None else [("", self._facts)]
        return [*facts, *self._registrations.items()]

    @property
    def settings(self) -> Settings:
        """The settings in force from the next phase on."""
        return self._settings_plan.current

    @property
    def simulated_ms(self) -> int:
        """Simulated time at the beginning of the current phase."""
        return self.schedule.simulated_ms

    @property
    def ticks(self) -> int:
        """How many ticks the run has."""
        return self.schedule.ticks

    # --- phases ------------------------------------------------------------------------------------------

    def begin(self, now_ms: int) -> Out:
        """Begin the first tick, unless the run is paused; a resumed clock publishes its retained tick again."""
        if self.tick < 0:
            return NOTHING if self.pace.paused else self._begin_next_phase(now_ms)
        self._plan_phase_end(now_ms)
        if self.pace.paused:
            self._stop_phase(now_ms)
        return [("", self.tick_message), self._state(self._status)]

    def resume_from(self, tick: Tick) -> bool:
        """Resume the run whose last tick the broker has retained; call it before `begin`.

        Return False, and change nothing, when that run has ended or was of another scenario.
        """
        if not self.schedule.resume(tick):
            return False
        self.epoch = tick.epoch
        self.tick = tick.tick
        self.pace.resume_from(tick)
        self._settings_plan.current = replace(tick.settings, outage_s=0.0)
        self.resumptions = tick.resumptions + 1
        self.tick_message = replace(tick, resumptions=self.resumptions)
        self._controls.resume(tick.revision)
        return True

    def republish_tick(self) -> Out:
        """Publish the current tick again, with pause and speed as they are now."""
        if self.tick < 0:
            return NOTHING
        self.tick_message = replace(
            self.tick_message,
            mode=self.pace.mode,
            paused=self.pace.paused,
            seconds_per_tick=self.pace.tick_duration_s,
            revision=self._controls.revision,
        )
        return [("", self.tick_message)]

    def on_event(self, now_ms: int) -> Out:
        """End the phase: its time is over, or its deadline in lock-step has passed."""
        if self.pace.paused or self.finished:
            self.event_ms = None
            return NOTHING
        if self.pace.mode is not Mode.LOCKSTEP:
            return self._begin_next_phase(now_ms)
        self.lockstep.give_up()
        return self._advance(now_ms)

    def _begin_next_phase(self, now_ms: int) -> Out:
        """End the current phase and begin the next; finish after the last tick."""
        schedule = self.schedule
        new_tick = schedule.at_tick_end
        if new_tick:
            if schedule.at_run_end:
                self.finished = True
                self.event_ms = None
                return [self._state("finished")]
            if not self.pace.take_step():
                return [*self._pause(now_ms), self._state("paused")]
        schedule.advance()
        if new_tick:
            self.tick = schedule.tick
            self._settings_plan.begin_tick(self.tick)
        self.tick_message = Tick(
            tick=self.tick,
            phase=schedule.phase,
            simulated_ms=schedule.simulated_ms,
            ends_ms=schedule.phase_ends_ms,
            mode=self.pace.mode,
            seconds_per_tick=self.pace.tick_duration_s,
            ticks_left=schedule.ticks_left,
            paused=False,
            settings=self._settings_plan.current,
            absent=tuple(sorted(self.lockstep.barrier.absent)[:MAX_ABSENT]),
            epoch=self.epoch,
            revision=self._controls.revision,
            resumptions=self.resumptions,
        )
        self._settings_plan.end_outage()
        self._plan_phase_end(now_ms)
        out: list[tuple[str, Message]] = [
            *(self._changed_facts() if new_tick else ()),
            ("", self.tick_message),
        ]
        if new_tick:
            out.append(self._state("running"))
        if self.pace.mode is Mode.LOCKSTEP and self.lockstep.barrier.has_devices:
            out += self._advance(now_ms)
        return out

    def _changed_facts(self) -> Out:
        """Return the facts with the reactor's price of the new tick, where it differs from the last one."""
        if self._reactor_prices is None or self._facts is None:
            return NOTHING
        price = self._reactor_prices.at(self.schedule.simulated_ms)
        if price == self._facts.reactor_price_ueur_per_kwh:
            return NOTHING
        self._facts = replace(self._facts, reactor_price_ueur_per_kwh=price)
        return [("", self._facts)]

    def _plan_phase_end(self, now_ms: int) -> None:
        """Plan the end of the phase: by its share of the tick, or by the deadline of lock-step."""
        if self.pace.mode is Mode.LOCKSTEP:
            self.event_ms = self.lockstep.begin_phase(self.tick, self.schedule.phase, now_ms)
            least_ms = self.pace.least_duration_ms(self.schedule.phase_ends_ms - self.simulated_ms)
            self._not_before_ms = now_ms + least_ms
        else:
            self.event_ms = now_ms + self.pace.duration_ms(self.schedule.phase_ends_ms - self.simulated_ms)

    # --- lock-step ---------------------------------------------------------------------------------------

    def _advance(self, now_ms: int) -> Out:
        """Grant the next requested time, or begin the next phase, unless a device is still waited for."""
        if self.lockstep.barrier.awaited or self.pace.paused or self.finished:
            return NOTHING
        granted = self.lockstep.grant(self.schedule.phase_ends_ms, now_ms)
        if granted is None:
            if now_ms < self._not_before_ms:
                self.event_ms = self._not_before_ms
                return NOTHING
            return self._begin_next_phase(now_ms)
        device, wake_ms, self.event_ms = granted
        return [(device, Grant(self.tick, wake_ms))]

    def _on_ready(self, _scope: str, sender: str, ready: Ready, now_ms: int) -> Out:
        """Note that a device is ready, and when it wants to act next."""
        if self.pace.mode is not Mode.LOCKSTEP:
            return NOTHING
        if ready.tick != self.tick:
            return self.refuse("stale")
        was_awaited = self.lockstep.ready(sender, ready.tick, ready.through, ready.wake_ms, now_ms)
        return self._advance(now_ms) if was_awaited else NOTHING

    def _on_presence(self, scope: str, sender: str, presence: Presence, now_ms: int) -> Out:
        """Note that a device comes online or goes offline; the clock does not wait for an offline device."""
        if presence.role is Role.CLOCK:
            return NOTHING
        if scope != presence.scope:
            return self.refuse("presence")
        barrier = self.lockstep.barrier
        if presence.online:
            self.online_devices.add(sender)
            barrier.join(sender, running=self.tick >= 0 and self.pace.mode is Mode.LOCKSTEP)
            return NOTHING
        self.online_devices.discard(sender)
        return self._advance(now_ms) if barrier.leave(sender) else NOTHING

    # --- controls ----------------------------------------------------------------------------------------

    def _on_control(self, name: str, sender: str, control: Control, now_ms: int) -> Out:
        """Apply an operator's control if it is valid, and newer than the last one for that setting."""
        controls = self._controls
        if controls.includes(control):
            return NOTHING
        if not controls.is_newer(name, sender, control):
            return self.refuse("stale")
        before, controls.revision = controls.revision, max(controls.revision, control.revision)
        if name in ONE_TIME and self.tick < 0:
            controls.note(name, sender, control)
            return self.refuse("stale")
        try:
            out = self._set(name, control.value, now_ms)
        except (ValueError, TypeError, OverflowError):
            controls.revision = before
            return self.refuse("control")
        controls.note(name, sender, control)
        return [*out, self._state(self._status)]

    def _set(self, name: str, value: Value, now_ms: int) -> Out:
        """Change one setting; raise ValueError or TypeError when it does not exist or the value is not allowed."""
        if name in SETTINGS:
            self._settings_plan.set(name, value)
        elif name == "paused":
            return self._set_paused(boolean(value), now_ms)
        elif name == "step":  # run so many whole ticks, then pause again
            self.pace.steps_left = whole_number(value)
            return self._resume(now_ms)
        elif name == "ticks":
            self.schedule.ticks = max(whole_number(value), self.tick + 1)
        elif name == "mode":
            return self._set_mode(Mode(str(value)), now_ms)
        elif name == "seconds_per_tick":
            return self._set_seconds_per_tick(value, now_ms)
        elif name == "storm":
            if boolean(value):
                self._settings_plan.order_storm(self.tick + 1)
            else:
                self._settings_plan.cancel_storm()
        else:
            raise ValueError(f"{name}: no such setting")
        return NOTHING

    def _set_paused(self, paused: bool, now_ms: int) -> Out:  # noqa: FBT001 - the value of the control
        if paused:
            return self._pause(now_ms)
        self.pace.steps_left = None
        return self._resume(now_ms)

    def _set_mode(self, mode: Mode, now_ms: int) -> Out:
        """Change how time passes; the tick is published again, because a device follows the mode of the last one.

        Without that, lock-step would wait for devices that do not know that they are waited for.
        """
        if mode is self.pace.mode:
            self.pace.least_s = 0.0
            return NOTHING
        self.pace.set_mode(mode)
        if self.tick < 0:
            return NOTHING
        self._plan_phase_end(now_ms)
        if self.pace.paused:
            self._stop_phase(now_ms)
        return self.republish_tick()

    def _set_seconds_per_tick(self, value: Value, now_ms: int) -> Out:
        """Change the speed of scaled time, also for what is left of the current phase."""
        factor = self.pace.set_seconds_per_tick(value)
        if self.pace.mode is not Mode.SCALED:
            return NOTHING  # in lock-step it is the least duration, from the next phase on
        if self.event_ms is not None:
            self.event_ms = now_ms + round(max(self.event_ms - now_ms, 0) * factor)
        return self.republish_tick()

    def _pause(self, now_ms: int) -> Out:
        if self.pace.paused or self.finished:
            return NOTHING
        self._stop_phase(now_ms)
        return self.republish_tick()

    def _stop_phase(self, now_ms: int) -> None:
        """Keep what is left of the phase for the end of the pause."""
        self.pace.pause(max((self.event_ms or now_ms) - now_ms, 0))
        self.event_ms = None

    def _resume(self, now_ms: int) -> Out:
        if not self.pace.paused:
            return NOTHING
        left_ms = self.pace.end_pause()
        if self.tick < 0:
            return self._begin_next_phase(now_ms)
        self.event_ms = now_ms + left_ms
        out = list(self.republish_tick())
        if self.pace.mode is Mode.LOCKSTEP:
            out += self._advance(now_ms)
        return out

    @property
    def _status(self) -> str:
        return "paused" if self.pace.paused else "running"

    def _state(self, status: str) -> tuple[str, ClockState]:
        state = ClockState(
            max(self.tick, 0),
            *self.account(status, 0)[1:],
            mode=self.pace.mode,
            paused=self.pace.paused,
            seconds_per_tick=self.pace.tick_duration_s,
            ticks=self.ticks,
            settings=self._settings_plan.current,
            revision=self._controls.revision,
        )
        return self.role_name, state

    handlers: ClassVar[dict[type[Message], Handler]] = {
        Ready: _on_ready,
        Presence: _on_presence,
        Control: _on_control,
    }
    phases: ClassVar[dict[Phase, Callable[[Any, int], Out]]] = {}
