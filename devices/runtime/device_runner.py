"""Runs a device's agent on a broker, in the site's simulated time.

In lock-step the runner reports to the clock when the agent is ready and when it wants to act next. Ticks that ended
long ago, as after a suspension of the machine, are ignored.
"""

from functools import partial
from typing import Final

from gridfleet.broker.mqtt.channel import ChannelFactory
from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS, Credentials
from gridfleet.broker.mqtt.event_loop import Timer
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import PHASES, Grant, Message, Phase, Ready, Tick
from gridfleet.broker.protocol.topics import Address
from gridfleet.devices.agents.base import NETWORK_TIMEOUT_MS, Agent
from gridfleet.devices.runtime.agent_runner import AgentRunner, real_ms
from gridfleet.devices.runtime.device_time import DeviceTime, pace_of, same_instant

OVERDUE_WAIT_SHARE: Final = 0.2
"""Share of a tick for which an overdue tick waits for a newer one; NETWORK_TIMEOUT_MS if that is less."""
MAX_OVERDUE_WAITS: Final = 10
"""How often that wait is repeated while received messages still wait to be handled."""
MIN_EXPIRY_S: Final = 1.0


class DeviceRunner(AgentRunner):
    """A device: its time is the site's simulated time, as the ticks give it."""

    def __init__(
        self,
        agent: Agent,
        channels: ChannelFactory,
        decoder: SiteDecoder,
        credentials: Credentials = ADDRESS_CREDENTIALS,
        *,
        skew_ms: int = 0,
    ) -> None:
        """`skew_ms` is by how much the device's clock is ahead of the site's time, for tests of such errors."""
        self._skew_ms = skew_ms
        self._time = DeviceTime()
        self._overdue_timer: Timer | None = None
        self._published_ready: Ready | None = None
        self._ready_again = False
        """Whether Ready is published even if it is the same as before."""
        super().__init__(agent, channels, decoder, credentials)

    def now_ms(self) -> int:
        """Return what the device's clock shows: simulated time, and its error."""
        return self._time.now_ms(real_ms()) + self._skew_ms

    def real_delay_ms(self, due_ms: int) -> int:
        """Return the real milliseconds until then; in lock-step our timer only waits for answers, in real time."""
        if self._time.tick is None or self._time.lockstep:
            return NETWORK_TIMEOUT_MS
        return max(round(self._time.real_duration_ms(due_ms - self.now_ms())), 0)

    def expiry_s(self) -> float | None:
        """Return the real seconds to the end of the phase and of the wait for answers; None while time stands still."""
        tick = self._time.tick
        if tick is None or not self._time.running:
            return None
        left_ms = tick.ends_ms + self.agent.answer_timeout_ms - self.now_ms()
        return max(self._time.real_duration_ms(left_ms) / 1000, MIN_EXPIRY_S)

    def next_event_ms(self) -> int | None:
        """Return the agent's next event; None in lock-step, where the clock grants it, and while time is paused."""
        return self.agent.event_ms if self._time.running or self._time.tick is None else None

    def receive(self, address: Address, message: Message) -> None:
        """Take the time from ticks and grants, and hand everything else to the agent."""
        if isinstance(message, Tick):
            self._on_tick(address, message)
        elif isinstance(message, Grant):
            self._on_grant(message)
        elif address.message_type.expires and self._time.is_over(real_ms()):
            self._refuse(address.message_type.name, "stale", "its tick is over")
        else:
            super().receive(address, message)

    def after_action(self) -> None:
        """In lock-step, publish that the agent is ready, and when it wants to act next."""
        tick = self._time.tick
        agent = self.agent
        if tick is None or not self._time.lockstep or agent.waiting:
            return
        ready = Ready(tick.tick, _ready_through(agent, tick.phase), agent.event_ms)
        if ready != self._published_ready or self._ready_again:
            self._published_ready = ready
            self._ready_again = False
            self._publish([("", ready)])

    def after_reconnect(self) -> None:
        """In lock-step, publish again that the agent is ready: the clock may not have received it."""
        self._ready_again = True
        self.after_action()

    def _on_grant(self, grant: Grant) -> None:
        """Wake the agent at the instant that the clock grants."""
        if self._time.tick is None or grant.tick != self._time.tick.tick:
            return
        self._time.grant(grant.simulated_ms)
        self._ready_again = True
        self._act(self.agent.wake(grant.simulated_ms))

    # --- ticks -------------------------------------------------------------------------------------------

    def _on_tick(self, address: Address, tick: Tick) -> None:
        """Take a tick; an overdue one only when no other follows at once.

        So a device that slept or lost its connection does not act on the ticks that it has missed; and when it was
        the clock that slept, the clock's time counts.
        """
        if self._overdue_timer is not None:
            self._overdue_timer.cancel()
            self._overdue_timer = None
        if self._time.is_overdue(tick, real_ms()):
            self._take_after_wait(address, tick)
        else:
            self._take(address, tick)

    def _take_after_wait(self, address: Address, tick: Tick, waits: int = MAX_OVERDUE_WAITS) -> None:
        """Take an overdue tick when all that was received is handled and no other tick was among it."""

        def check() -> None:
            if self._channels.idle or waits <= 1:
                self._take(address, tick)
            else:
                self._take_after_wait(address, tick, waits - 1)

        wait_s = min(tick.seconds_per_tick * OVERDUE_WAIT_SHARE, NETWORK_TIMEOUT_MS / 1000)
        self._overdue_timer = self._channels.call_later(wait_s, check)

    def _take(self, address: Address, tick: Tick) -> None:
        """Go to the time of a tick, and let the agent act on it."""
        self._overdue_timer = None
        known = self._time.tick
        if self._time.is_past(tick):
            super().receive(address, tick)  # the agent refuses it
            return
        self._time.take(tick, real_ms())
        if known is not None and same_instant(known, tick):
            self._ready_again = True  # the clock may have restarted without knowing who was ready
        if known is None or pace_of(known) != pace_of(tick):
            self._cancel_timer()  # it was set for another speed
        if tick.phase in self.agent.phases or tick.phase is Phase.BID:
            self._act(self.agent.handle(address.scope, address.sender, tick, self.now_ms()))
        else:
            self._act(())
        # A device that has just started, or returns from the drill and receives its tick again, does not take part.
        if tick.settings.outage_s and known is not None and tick.simulated_ms > known.simulated_ms:
            self._drill_outage(tick.settings.outage_s)

    def _drill_outage(self, seconds: float) -> None:
        """Drop the connection, as when the broker is lost, and reconnect after that many seconds."""
        drop = partial(self.connection.drop, "an outage as a drill", offline_s=seconds)
        self._channels.call_later(0, drop)


def _ready_through(agent: Agent, phase: Phase) -> Phase:
    """Return the phase before the next one in which the agent acts."""
    index = PHASES.index(phase)
    for later in range(index + 1, len(PHASES)):
        if PHASES[later] in agent.phases:
            return PHASES[later - 1]
    return PHASES[-1]
