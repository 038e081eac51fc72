"""Runs the clock on a broker: in real time, and from the tick at which an earlier clock stopped."""

from collections.abc import Mapping
from typing import Final

from gridfleet.broker.mqtt.channel import ChannelFactory
from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS, Credentials
from gridfleet.broker.mqtt.connection import SESSION_TAKEN_OVER
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import Control, Message, Presence, Registration, Tick
from gridfleet.broker.protocol.topics import Address
from gridfleet.devices.clock.agent import Clock
from gridfleet.devices.runtime.agent_runner import AgentRunner, real_ms

RESUMED_MS: Final = 60_000
"""A clock that resumed a run and is disconnected by another one within this time, in ms, began later than the other."""


class ClockRunner(AgentRunner):
    """The runner of the clock, in real time; `begin` applies the control messages that arrived earlier."""

    agent: Clock

    def __init__(
        self,
        agent: Clock,
        channels: ChannelFactory,
        decoder: SiteDecoder,
        credentials: Credentials = ADDRESS_CREDENTIALS,
    ) -> None:
        self.retained_tick: Tick | None = None
        """The last tick of an earlier clock, as the broker retains it."""
        self.received_retained = False
        """Whether the clock's own birth has come back from the broker, and so every retained message before it."""
        self.other_clock: Tick | None = None
        """A tick of another clock that runs for the same site and is ahead of this one, or began earlier."""
        self._enrolled: dict[str, Registration] = {}
        """Registrations of devices that are not in the scenario."""
        self._begun = False
        self._begun_ms = 0
        self._run_is_known = False
        self._early_controls: list[tuple[Address, Message, int | None]] = []
        """Controls that arrived before the run began, with the epoch of the run that each was meant for."""
        super().__init__(agent, channels, decoder, credentials)

    def now_ms(self) -> int:
        """Return real time."""
        return real_ms()

    def real_delay_ms(self, due_ms: int) -> int:
        """Return the real milliseconds until an instant of real time."""
        return max(due_ms - real_ms(), 0)

    def receive(self, address: Address, message: Message) -> None:
        """Hand a message to the clock; keep control messages until it begins."""
        if isinstance(message, Control) and not self._begun:
            self._early_controls.append((address, message, self._decoder.stated_epoch))
        else:
            super().receive(address, message)

    def receive_own(self, message: Message) -> None:
        """Take the tick at which an earlier clock stopped; afterwards, notice the ticks of another clock."""
        if self._begun:
            if isinstance(message, Tick) and self._is_ahead(message):
                self.other_clock = message
            return
        if isinstance(message, Tick):
            self.retained_tick = message
        elif isinstance(message, Presence):
            self.received_retained = self.received_retained or (self._started and message.online)

    def _on_problem(self, reason: str, topic_name: str) -> None:
        """End for another clock that is alive: it takes the connection back soon after this one has resumed its run."""
        super()._on_problem(reason, topic_name)
        resumed = self._begun and self.agent.resumptions > 0
        if reason == SESSION_TAKEN_OVER and resumed and real_ms() - self._begun_ms < RESUMED_MS:
            self.other_clock = self.agent.tick_message

    def _is_ahead(self, tick: Tick) -> bool:
        """Return whether a tick is of another clock that is ahead, or that began earlier where the instant is the same.

        Two clocks that keep the same pace are at the same instant, which does not say which one ends. Mostly neither
        receives a tick of the other, since they disconnect each other in turn: then `_on_problem` ends one.
        """
        clock = self.agent
        present = (clock.epoch, clock.tick_message.simulated_ms, -clock.resumptions)
        return tick != self.retained_tick and (tick.epoch, tick.simulated_ms, -tick.resumptions) > present

    def start(self) -> None:
        """Publish the clock's birth; what belongs to a run follows when it is known which run it is."""
        self._started = True
        self._publish([self.agent.presence()])

    def epoch(self) -> int | None:
        """Return the epoch of the run; None as long as it is not known whether an earlier run is resumed."""
        return self.agent.epoch if self._run_is_known else None

    def resume(self) -> bool:
        """Continue the run of the retained tick; return False where there is none, or its run is over."""
        resumed = self.retained_tick is not None and self.agent.resume_from(self.retained_tick)
        if resumed:
            self._announce_run()
        return resumed

    def begin_run(self) -> None:
        """Begin a run of its own, later than the one of the retained tick, and publish its facts and register."""
        if self.retained_tick is not None:
            self.agent.epoch = max(self.agent.epoch, self.retained_tick.epoch + 1)
        self._announce_run()

    def _announce_run(self) -> None:
        self._run_is_known = True
        self._decoder.epoch = self.agent.epoch
        self._publish(self.agent.constants())

    def publish_registrations(self, registrations: Mapping[str, Registration]) -> None:
        """Publish registrations by device."""
        if registrations:
            self._enrolled.update(registrations)
            self._publish([*registrations.items()])

    def after_reconnect(self) -> None:
        """Publish again what the broker should retain: it may have lost it, or retain an old tick."""
        if self._run_is_known:
            self._publish([*self.agent.constants(), *self._enrolled.items()])
        self._publish(self.agent.republish_tick())

    def begin(self) -> None:
        """Publish the first tick of a run that `begin_run` has announced, or of one that is resumed the tick again.

        Controls that arrived earlier count, unless they were meant for an earlier run.
        """
        if not self._run_is_known:
            self.begin_run()
        self._begun = True
        self._begun_ms = real_ms()
        for address, control, epoch in self._early_controls:
            if epoch is None or epoch >= self.agent.epoch:
                super().receive(address, control)
        self._early_controls.clear()
        self._act(self.agent.begin(real_ms()))
