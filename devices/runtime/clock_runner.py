"""The clock on a real broker: its time is real, and it takes up the tick at which an earlier clock died."""

from gridfleet.broker.mqtt.channel import ChannelFactory
from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS, Credentials
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import Control, Message, Presence, Tick
from gridfleet.broker.protocol.topics import Address
from gridfleet.devices.clock.agent import Clock
from gridfleet.devices.runtime.agent_runner import AgentRunner, real_ms


class ClockRunner(AgentRunner):
    """The clock: its time is real. What operators wish it hears once it has begun."""

    agent: Clock

    def __init__(
        self,
        agent: Clock,
        loop: ChannelFactory,
        decoder: SiteDecoder,
        credentials: Credentials = ADDRESS_CREDENTIALS,
    ) -> None:
        self.kept: Tick | None = None
        """The tick of an earlier clock that the broker has kept."""
        self.heard_itself = False
        """Whether its birth has come back from the broker, and with it whatever was kept there."""
        self._begun = False
        self._wishes: list[tuple[Address, Message]] = []
        super().__init__(agent, loop, decoder, credentials)

    def now_ms(self) -> int:
        """Return real time."""
        return real_ms()

    def real_delay_ms(self, due_ms: int) -> int:
        """Return how long it is until then."""
        return max(due_ms - real_ms(), 0)

    def receive(self, address: Address, message: Message) -> None:
        """Hand a message to the clock; keep operators' wishes for its beginning."""
        if isinstance(message, Control) and not self._begun:
            self._wishes.append((address, message))
        else:
            super().receive(address, message)

    def echo(self, message: Message) -> None:
        """Find the tick at which an earlier clock died."""
        if self._begun:
            return
        if isinstance(message, Tick):
            self.kept = message
        elif isinstance(message, Presence):
            self.heard_itself = self.heard_itself or (self._alive and message.online)

    def take_up(self) -> bool:
        """Go on from the tick that was kept; False where there is none of a run that can be gone on with."""
        return self.kept is not None and self.agent.go_on_from(self.kept)

    def returned(self) -> None:
        """Say the present tick again: the one that the broker retained may be long over."""
        self._say(self.agent.retained())

    def begin(self) -> None:
        """Start the first tick, or say again the one that was taken up."""
        clock, kept = self.agent, self.kept
        if kept is not None and clock.tick < 0:
            clock.epoch = max(clock.epoch, kept.epoch + 1)
        self._begun = True
        for address, wish in self._wishes:
            super().receive(address, wish)
        self._wishes.clear()
        self._act(clock.begin(real_ms()))
