"""The others on a bench's site, which tests control: clock, seller, buyer, vehicle; and a collector of messages."""

from collections.abc import Callable
from typing import Final, TypeVar

from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import (
    Accept,
    Award,
    Bid,
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
    Package,
    Phase,
    Presence,
    Receipt,
    Release,
    Role,
    Settings,
    Tick,
)
from gridfleet.broker.protocol.topics import (
    CLOCK_ID,
    MESSAGE_TYPES,
    all_topics_filter,
    topic,
    topic_filter,
)
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.config.device_file import DeviceFile

M = TypeVar("M", bound=Message)
Wait = Callable[[Callable[[], bool], str], None]
START_MS: Final = 1_750_032_000_000
"""A quarter hour of 16 June 2025."""
_PHASE_MS: Final = {
    Phase.BID: (0, 300_000),
    Phase.TRADE: (300_000, 600_000),
    Phase.IMPORT: (600_000, 840_000),
    Phase.SETTLE: (840_000, TICK_MS),
}
_LIMIT_UEUR_PER_KWH: Final = 2_000_000
"""What a scripted vehicle pays at most: more than any charger asks."""


class _Client:
    """A connection that publishes and receives messages."""

    def __init__(self, loop: MqttLoop, site: str, name: str, filters: list[tuple[str, int]]) -> None:
        self.name = name
        self._site = site
        self._decoder = SiteDecoder(site)
        self._connection = loop.open(name, on_message=self._on_message, filters=filters)

    @property
    def online(self) -> bool:
        """Whether it is connected."""
        return self._connection.online

    def publish(self, scope: str, message: Message) -> None:
        """Publish a message to a scope."""
        message_type = MESSAGE_TYPES[message.TYPE]
        topic_name = topic(self._site, message, scope, self.name)
        self._connection.publish(
            topic_name, encode(message), qos=message_type.qos, retain=message_type.retain
        )

    def _on_message(self, topic_name: str, payload: bytes, _retained: bool) -> None:  # noqa: FBT001 - the loop's signature
        address, message = self._decoder.decode_one(topic_name, payload)
        self.receive(address.scope, address.sender, message)

    def receive(self, scope: str, sender: str, message: Message) -> None:
        """Take a message."""


class ScriptedClock(_Client):
    """The site's clock; a test begins its ticks and phases."""

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
        begin_ms = START_MS + self._tick * TICK_MS
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
        self.publish("", message)

    @property
    def now_ms(self) -> int:
        """Simulated time at the beginning of the tick."""
        return START_MS + self._tick * TICK_MS


class MessageCollector(_Client):
    """Receives and keeps every message, as a recorder does."""

    def __init__(self, loop: MqttLoop, site: str) -> None:
        self.messages: list[tuple[str, Message]] = []
        super().__init__(loop, site, "recorder", [(all_topics_filter(site), 1)])

    def receive(self, scope: str, sender: str, message: Message) -> None:
        """Keep it."""
        del scope
        self.messages.append((sender, message))

    def all(self, kind: type[M], sender: str) -> list[M]:
        """Return the messages of a class from a sender, in order."""
        return [message for name, message in self.messages if name == sender and isinstance(message, kind)]

    def incidents(self, sender: str) -> list[tuple[str, str, str]]:
        """Return a device's incidents as (part, what, reason)."""
        return [(each.part, each.what, each.reason) for each in self.all(Incident, sender)]


class ScriptedSeller(_Client):
    """A seller that a test controls: it awards what a device has bid for."""

    def __init__(self, loop: MqttLoop, site: str, name: str, wait: Wait) -> None:
        self._wait = wait
        self._receipts: list[Receipt] = []
        super().__init__(loop, site, name, [(topic_filter(site, "receipt", name), 1)])

    def receive(self, scope: str, sender: str, message: Message) -> None:
        """Keep a receipt."""
        del scope, sender
        if isinstance(message, Receipt):
            self._receipts.append(message)

    def sell(self, buyer: str, bid: Bid) -> Receipt:
        """Award all packages of a bid to its sender; return the receipt."""
        self._receipts.clear()
        self.publish(buyer, Award(bid.tick, 0, bid.packages))
        self._wait(lambda: bool(self._receipts), f"a receipt of {buyer} for {self.name}")
        return self._receipts[0]


class ScriptedBuyer(_Client):
    """A consumer that a test controls: it bids, and gives receipts for what it is awarded."""

    def __init__(self, loop: MqttLoop, site: str, name: str, cell: str, wait: Wait) -> None:
        self._wait = wait
        self._cell = cell
        self._awards: list[tuple[str, Award]] = []
        super().__init__(loop, site, name, [(topic_filter(site, "award", name), 1)])

    def receive(self, scope: str, sender: str, message: Message) -> None:
        """Keep an award."""
        del scope
        if isinstance(message, Award):
            self._awards.append((sender, message))

    def join(self) -> None:
        """Become a member of the cell: its producers wait for the bid of each tick before they sell."""
        presence = Presence(
            online=True, role=Role.CONSUMER, cell=self._cell, latitude=0.0, longitude=0.0, kind="consumer"
        )
        self.publish(presence.scope, presence)

    def bid(self, tick: int, energy_wh: int, price_ueur_per_kwh: int) -> Bid:
        """Bid in a tick for one package, Wh, at the most that it pays, µEUR/kWh; 0 Wh for nothing. Return the bid."""
        packages = (Package(0, energy_wh, price_ueur_per_kwh),) if energy_wh else ()
        self._awards.clear()
        bid = Bid(tick, packages)
        self.publish(self._cell, bid)
        return bid

    def buy(self, seller: str, *, take: bool = True) -> Award:
        """Wait for an award of a seller, and give the receipt; without `take`, for none of its lots."""

        def found() -> bool:
            return any(sender == seller for sender, _ in self._awards)

        self._wait(found, f"an award of {seller} for {self.name}")
        award = next(award for sender, award in self._awards if sender == seller)
        self._awards.remove((seller, award))
        self.publish(seller, Receipt(award.tick, award.serial, award.lots if take else ()))
        return award


class ScriptedVehicle(_Client):
    """A vehicle that a test controls; every step waits for the charger's answer."""

    def __init__(self, loop: MqttLoop, site: str, name: str, wait: Wait) -> None:
        self._wait = wait
        self._call = 0
        self._charger = ""
        self._answers: list[Message] = []
        answers = ("offer", "decline", "lease", "bill")
        super().__init__(loop, site, name, [(topic_filter(site, answer, name), 1) for answer in answers])
        self.drawn_wh = 0

    def receive(self, scope: str, sender: str, message: Message) -> None:
        """Keep an answer."""
        del scope, sender
        self._answers.append(message)

    def reserve(self, charger: DeviceFile, energy_wh: int) -> Lease:
        """Call, accept the offer, and return the lease; AssertionError when it is declined."""
        offer = self.call(charger, energy_wh)
        if isinstance(offer, Decline):
            raise AssertionError(f"{charger.id} declines: {offer.reason}")  # noqa: TRY004 - a test's failure
        self.publish(charger.cell, Accept(self._call, START_MS, charger.id))
        lease = self._answer(Lease)
        self.publish(charger.cell, Close(self._call))
        if not isinstance(lease, Lease):
            raise AssertionError(f"{charger.id} does not lease: {lease}")  # noqa: TRY004 - a test's failure
        return lease

    def call(self, charger: DeviceFile, energy_wh: int) -> Message:
        """Publish a call for proposals at a charger's place; return the charger's answer."""
        self._call += 1
        self._charger = charger.id
        self.drawn_wh = 0
        latitude, longitude = charger.place
        self.publish(
            charger.cell,
            Call(self._call, START_MS, energy_wh, _LIMIT_UEUR_PER_KWH, latitude, longitude, 150.0),
        )
        return self._answer(Offer)

    def arrive(self) -> Message:
        """Report that it has arrived; return the answer, which confirms the lease."""
        return self.heartbeat(arrived=True)

    def heartbeat(self, *, arrived: bool = True) -> Message:
        """Publish a heartbeat, which keeps the reservation; return the answer."""
        self.publish(self._charger, Heartbeat(self._call, START_MS, arrived, self.drawn_wh))
        answer = self._answer(Lease)
        if isinstance(answer, Lease):
            self.drawn_wh = answer.drawn_wh
        return answer

    def release(self) -> Message:
        """End the reservation; return the bill."""
        self.publish(self._charger, Release(self._call, START_MS, self.drawn_wh, "charged"))
        return self._answer(Bill)

    def _answer(self, kind: type[Message]) -> Message:
        """Return the next answer of a class, or the charger's Decline."""

        def found() -> bool:
            return any(isinstance(each, (kind, Decline)) for each in self._answers)

        self._wait(found, f"a {kind.__name__} or Decline for {self.name}")
        answer = next(each for each in self._answers if isinstance(each, (kind, Decline)))
        self._answers.remove(answer)
        return answer
