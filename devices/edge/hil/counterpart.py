"""Who else is on the site: the clock, a listener, and a vehicle that does what a test tells it. They speak MQTT."""

from collections.abc import Callable
from typing import Final, TypeVar

from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.protocol.codec import decode, encode
from gridfleet.broker.protocol.messages import (
    Accept,
    Bill,
    Call,
    Close,
    Decline,
    Heartbeat,
    Incident,
    Lease,
    Message,
    Mode,
    Offer,
    Phase,
    Release,
    Settings,
    Tick,
)
from gridfleet.broker.protocol.topics import (
    CLOCK_ID,
    MESSAGE_TYPES,
    all_topics_filter,
    parse_topic,
    topic,
    topic_filter,
)
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.config.device_file import DeviceFile

M = TypeVar("M", bound=Message)
Wait = Callable[[Callable[[], bool], str], None]
BEGIN_MS: Final = 1_750_032_000_000
"""A quarter hour of 16 June 2025."""
_PHASE_MS: Final = {
    Phase.BID: (0, 300_000),
    Phase.TRADE: (300_000, 600_000),
    Phase.IMPORT: (600_000, 840_000),
    Phase.SETTLE: (840_000, TICK_MS),
}
_LIMIT: Final = 2_000_000
"""What a scripted vehicle pays at most, µEUR/kWh: anything."""


class _Voice:
    """A connection that says messages."""

    def __init__(self, loop: MqttLoop, site: str, name: str, filters: list[tuple[str, int]]) -> None:
        self.name = name
        self._site = site
        self._connection = loop.open(name, on_message=self._on_message, filters=filters)

    @property
    def online(self) -> bool:
        """Whether it is heard."""
        return self._connection.online

    def say(self, scope: str, message: Message) -> None:
        """Say a message to a scope."""
        message_type = MESSAGE_TYPES[message.TYPE]
        text = topic(self._site, message, scope, self.name)
        self._connection.publish(text, encode(message), qos=message_type.qos, retain=message_type.retain)

    def _on_message(self, text: str, payload: bytes, _retained: bool) -> None:  # noqa: FBT001 - the loop's signature
        address = parse_topic(self._site, text)
        self.heard(address.scope, address.sender, decode(address.message_type.name, payload))

    def heard(self, scope: str, sender: str, message: Message) -> None:
        """Take a message."""


class Clockwork(_Voice):
    """The site's clock, which strikes when a test wants it to."""

    def __init__(self, loop: MqttLoop, site: str) -> None:
        super().__init__(loop, site, CLOCK_ID, [])
        self._tick = -1
        self._epoch = 1

    def tick(self) -> int:
        """Begin the next tick; return its number."""
        self._tick += 1
        self.phase(Phase.BID)
        return self._tick

    def phase(self, phase: Phase) -> None:
        """Begin a phase of the tick."""
        begin_ms = BEGIN_MS + self._tick * TICK_MS
        starts_ms, ends_ms = _PHASE_MS[phase]
        message = Tick(
            self._tick,
            phase,
            begin_ms + starts_ms,
            begin_ms + ends_ms,
            Mode.REALTIME,
            TICK_MS / 1000,
            100,
            paused=False,
            settings=Settings(),
            epoch=self._epoch,
        )
        self.say("", message)

    @property
    def now_ms(self) -> int:
        """Simulated time at the beginning of the tick."""
        return BEGIN_MS + self._tick * TICK_MS


class Listener(_Voice):
    """Hears everything, as a recorder does."""

    def __init__(self, loop: MqttLoop, site: str) -> None:
        self.messages: list[tuple[str, Message]] = []
        super().__init__(loop, site, "recorder", [(all_topics_filter(site), 1)])

    def heard(self, scope: str, sender: str, message: Message) -> None:
        """Keep it."""
        del scope
        self.messages.append((sender, message))

    def all(self, kind: type[M], sender: str) -> list[M]:
        """Return what somebody has said of a kind, in order."""
        return [message for name, message in self.messages if name == sender and isinstance(message, kind)]

    def incidents(self, sender: str) -> list[tuple[str, str, str]]:
        """Return what has happened at a device, as (part, what, reason)."""
        return [(said.part, said.what, said.reason) for said in self.all(Incident, sender)]


class Vehicle(_Voice):
    """A vehicle that does as it is told; every step waits for the charger's answer."""

    def __init__(self, loop: MqttLoop, site: str, name: str, wait: Wait) -> None:
        self._wait = wait
        self._call = 0
        self._charger = ""
        self._answers: list[Message] = []
        words = ("offer", "decline", "lease", "bill")
        super().__init__(loop, site, name, [(topic_filter(site, word, name), 1) for word in words])
        self.drawn_wh = 0

    def heard(self, scope: str, sender: str, message: Message) -> None:
        """Keep an answer."""
        del scope, sender
        self._answers.append(message)

    def reserve(self, charger: DeviceFile, energy_wh: int) -> Lease:
        """Call, take the offer, and return the lease; AssertionError when it is declined."""
        offer = self.call(charger, energy_wh)
        if isinstance(offer, Decline):
            raise AssertionError(f"{charger.id} declines: {offer.reason}")  # noqa: TRY004 - a test's failure
        self.say(charger.id, Accept(self._call, BEGIN_MS))
        lease = self._answer(Lease)
        self.say(charger.cell, Close(self._call))
        if not isinstance(lease, Lease):
            raise AssertionError(f"{charger.id} does not lease: {lease}")  # noqa: TRY004 - a test's failure
        return lease

    def call(self, charger: DeviceFile, energy_wh: int) -> Message:
        """Call for proposals beside a charger; return its answer."""
        self._call += 1
        self._charger = charger.id
        self.drawn_wh = 0
        latitude, longitude = charger.place
        self.say(charger.cell, Call(self._call, BEGIN_MS, energy_wh, _LIMIT, latitude, longitude, 150.0))
        return self._answer(Offer)

    def arrive(self) -> Message:
        """Say that it is there and plugged in; return the answer, which confirms the lease."""
        return self.heartbeat(arrived=True)

    def heartbeat(self, *, arrived: bool = True) -> Message:
        """Say that it still wants its reservation; return the answer."""
        self.say(self._charger, Heartbeat(self._call, BEGIN_MS, arrived, self.drawn_wh))
        answer = self._answer(Lease)
        if isinstance(answer, Lease):
            self.drawn_wh = answer.drawn_wh
        return answer

    def release(self) -> Message:
        """End the reservation; return the bill."""
        self.say(self._charger, Release(self._call, BEGIN_MS, self.drawn_wh, "charged"))
        return self._answer(Bill)

    def _answer(self, kind: type[Message]) -> Message:
        """Return the next answer of a kind, or the charger's refusal."""

        def found() -> bool:
            return any(isinstance(each, (kind, Decline)) for each in self._answers)

        self._wait(found, f"a {kind.__name__} or Decline for {self.name}")
        answer = next(each for each in self._answers if isinstance(each, (kind, Decline)))
        self._answers.remove(answer)
        return answer
