"""The decoding path: from an MQTT topic and payload to addressed messages.

`SiteDecoder.decode` parses topics, validates payloads, unpacks batches, refuses what a sender may not publish
(`protocol.senders`), and turns the last will of a fleet process into the last wills of the devices behind it. Every
receiver of messages uses it.

It also knows the run: the epoch of the clock's last tick. What a broker has retained, stored or queued of a former run
is dropped without a word: it is neither false nor of any concern. A message that states no epoch belongs to no run.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from gridfleet.broker.errors import FormerRunError, GridFleetError, OutdatedError, PayloadError, TopicError
from gridfleet.broker.protocol.batch import unpack
from gridfleet.broker.protocol.codec import decode, split_epoch
from gridfleet.broker.protocol.messages import (
    FleetPresence,
    Message,
    Presence,
    Registration,
    State,
    Suspension,
    Tick,
    Verify,
)
from gridfleet.broker.protocol.presence_registry import PresenceRegistry
from gridfleet.broker.protocol.quota import FLOOD_ERROR, Quota
from gridfleet.broker.protocol.senders import WRONG_SENDER, check_sender
from gridfleet.broker.protocol.topics import (
    BATCH,
    ROOT,
    Address,
    MessageType,
    Scope,
    parse_batch_topic,
    parse_topic,
)

WRONG_SIGNATURE: Final = "signature"
"""The reason by which registrations are refused that the site's CA has not signed."""

MessageReceiver = Callable[[int, str, str, Message], None]
"""Called with every message of a site: simulated time in ms, scope, sender, message."""

_MAX_ADDRESSES: Final = 100_000

OnRefused = Callable[[str, GridFleetError], object]
"""Called with the topic of a refused message and the error that says why."""


class SiteDecoder:
    """Decodes the messages of one site; caches parsed topics and the last message, knows the run and who is online."""

    __slots__ = (
        "_addresses",
        "_batch_prefix",
        "_last",
        "_verify",
        "epoch",
        "former",
        "presences",
        "site",
        "stated_epoch",
    )

    def __init__(self, site: str, verify: Verify | None = None, epoch: int = -1) -> None:
        """`verify` checks the signatures of the site's CA; None believes unsigned registrations.

        `epoch` is that of the present run, where it is known before the clock's first tick.
        """
        self.site = site
        self._verify = verify
        self.epoch = epoch
        """The epoch of the present run; what states a lower one is dropped. -1 before the first tick."""
        self.stated_epoch: int | None = None
        """The epoch that the message decoded last has stated."""
        self.former = 0
        """How many outdated messages were dropped."""
        self.presences = PresenceRegistry()
        self._batch_prefix = f"{ROOT}/{site}/{BATCH}/"
        self._addresses: dict[str, Address] = {}
        self._last: tuple[str, bytes, tuple[Address, Message]] | None = None

    def decode(
        self,
        topic: str,
        payload: bytes,
        on_refused: OnRefused,
        scopes: Iterable[str] | None = None,
        quota: Quota | None = None,
        *,
        subscribed_s: float | None = None,
    ) -> Iterable[tuple[Address, Message]]:
        """Return the messages of a publication with their addresses; never raise for what a sender did wrong.

        A batch gives each of its messages. The last will of a fleet process is followed by the last wills of its
        devices; `scopes` limits these to presence scopes (`cell/role`, each level may be `+`). Refused messages are
        left out and passed to `on_refused`; those of former runs are only left out. With the receiver's `quota`, what
        is beyond it is refused unread. `subscribed_s` belongs to a retained message that one of several connections
        received, which share this decoder: when that one was subscribed, by `monotonic()`.

        >>> from gridfleet.broker.protocol.codec import encode
        >>> from gridfleet.broker.protocol.messages import Bid, Package
        >>> payload = encode(Bid(tick=4, packages=(Package(0, energy_wh=500, price_ueur_per_kwh=1_000_000),)))
        >>> for address, bid in SiteDecoder("home").decode("gridfleet/home/bid/north/house-1", payload, print):
        ...     print(address.scope, address.sender, bid.packages[0].energy_wh, "Wh")
        north house-1 500 Wh
        >>> def refused(topic: str, error: GridFleetError) -> None:
        ...     print("refused:", error.reason)
        >>> SiteDecoder("home").decode("gridfleet/home/bid/north/house-1", b"{", refused)
        refused: malformed
        ()
        """
        if topic.startswith(self._batch_prefix):
            return self._decode_batch(topic, payload, on_refused, quota)
        if quota is not None and not quota.admits(topic):
            on_refused(topic, FLOOD_ERROR)
            return ()
        if self._is_cleared(topic, payload):
            return ()
        try:
            decoded = self.decode_one(topic, payload, subscribed_s)
        except (TopicError, PayloadError) as error:
            self._refuse(topic, error, on_refused)
            return ()
        message = decoded[1]
        if quota is not None and isinstance(message, Tick):
            quota.begin_tick(message.epoch, message.tick)
        if isinstance(message, FleetPresence) and not message.online:
            return decoded, *self.presences.last_wills(decoded[0].sender, scopes)
        return (decoded,)

    def decode_one(
        self, topic: str, payload: bytes, subscribed_s: float | None = None
    ) -> tuple[Address, Message]:
        """Return address and message of a publication that is no batch; raise TopicError or PayloadError.

        Raises OutdatedError, which is a PayloadError, for a message of a run that is over, and for a retained last will
        that a birth has followed (`subscribed_s` as for `decode`).
        The payload object that was decoded last is not decoded again: a process hands one to each of its agents.
        """
        last = self._last
        if last is not None and payload is last[1] and topic == last[0]:
            return last[2]
        address = self.address(topic)
        name = address.message_type.name
        body, stated = split_epoch(name, payload)
        if stated is not None and stated < self.epoch:
            raise FormerRunError(name, stated, self.epoch)
        check_sender(address, self.presences)
        message = decode(name, body)
        if isinstance(message, Tick | Suspension):
            stated = message.epoch
            if stated < self.epoch:
                raise FormerRunError(name, stated, self.epoch)
            if isinstance(message, Tick):
                self.epoch = stated
        self.stated_epoch = stated
        if isinstance(message, Presence | State) and address.scope != message.scope:
            detail = f"scope {message.scope} by the payload, {address.scope} by the topic"
            raise PayloadError(message.TYPE, WRONG_SENDER, detail)
        if isinstance(message, Registration):
            self._check_signature(address, message)
        if isinstance(message, Presence):
            message = self._note_device(address, message, subscribed_s)
        elif isinstance(message, FleetPresence):
            self.presences.note_fleet(address.sender, message)
        decoded = address, message
        self._last = topic, payload, decoded
        return decoded

    def _refuse(self, topic: str, error: GridFleetError, on_refused: OnRefused) -> None:
        """Pass on a refused message; one that is outdated is only counted."""
        if isinstance(error, OutdatedError):
            self.former += 1
        else:
            on_refused(topic, error)

    def _check_signature(self, address: Address, registration: Registration) -> None:
        """Raise PayloadError for a registration that the site's CA has not signed, where the CA is known."""
        signed = registration.signed_bytes(self.site, address.scope)
        if self._verify is not None and not self._verify(signed, registration.signature):
            detail = f"that of {address.scope} is not signed by the site's CA"
            raise PayloadError(registration.TYPE, WRONG_SIGNATURE, detail)

    def _note_device(self, address: Address, presence: Presence, subscribed_s: float | None) -> Presence:
        if subscribed_s is not None and self.presences.is_overtaken(address.sender, presence, subscribed_s):
            raise OutdatedError(presence.TYPE, "overtaken", f"{address.sender} is online again")
        noted = self.presences.note_device(address.sender, address.scope, presence)
        if noted is None:
            detail = (
                f"{address.sender} is online elsewhere: a last will of {address.scope}, which it has left"
            )
            raise PayloadError(presence.TYPE, "presence", detail)
        return noted

    def _is_cleared(self, topic: str, payload: bytes) -> bool:
        """Return whether a publication clears a retained message, which says nothing; a topic may be a wrong one."""
        if payload:
            return False
        try:
            return self.address(topic).message_type.retain
        except TopicError:
            return False

    def address(self, topic: str) -> Address:
        """Return the parsed topic; raise TopicError when it is not one of the site's."""
        address = self._addresses.get(topic)
        if address is None:
            address = parse_topic(self.site, topic)
            if len(self._addresses) >= _MAX_ADDRESSES:
                self._addresses.clear()
            self._addresses[topic] = address
        return address

    def unpack(
        self, topic: str, payload: bytes, on_refused: OnRefused, quota: Quota | None = None
    ) -> Iterable[tuple[str, bytes]]:
        """Return topic and payload of each message in a batch, undecoded; any other publication as it is.

        A malformed batch is refused as a whole. A message that its sender may not publish there is refused alone. With
        a `quota`, a batch beyond the lines of its fleet process and a message beyond its sender's budget are refused.
        """
        is_batch = topic.startswith(self._batch_prefix)
        if quota is not None and not quota.admits(topic, payload.count(b"\n") or 1 if is_batch else 1):
            on_refused(topic, FLOOD_ERROR)
            return ()
        if not is_batch:
            return () if self._is_cleared(topic, payload) else ((topic, payload),)
        try:
            message_type, cell, fleet_process = parse_batch_topic(self.site, topic)
            lines = unpack(payload)
        except GridFleetError as error:
            on_refused(topic, error)
            return ()
        return list(self._permitted(message_type, cell, fleet_process, lines, on_refused, quota))

    def _decode_batch(
        self, topic: str, payload: bytes, on_refused: OnRefused, quota: Quota | None
    ) -> Iterator[tuple[Address, Message]]:
        for each, inner in self.unpack(topic, payload, on_refused, quota):
            try:
                yield self.decode_one(each, inner)
            except (TopicError, PayloadError) as error:
                self._refuse(each, error, on_refused)

    def _permitted(
        self,
        message_type: MessageType,
        cell: str,
        fleet_process: str,
        lines: list[tuple[str, bytes]],
        on_refused: OnRefused,
        quota: Quota | None,
    ) -> Iterator[tuple[str, bytes]]:
        prefix = f"{ROOT}/{self.site}/{message_type.name}/"
        for rest, payload in lines:
            topic = prefix + rest
            try:
                self._check_sender(self.address(topic), cell, fleet_process)
            except GridFleetError as error:
                on_refused(topic, error)
                continue
            if quota is None or quota.admits(topic):
                yield topic, payload
            else:
                on_refused(topic, FLOOD_ERROR)

    def _check_sender(self, address: Address, cell: str, fleet_process: str) -> None:
        """Raise PayloadError for what a fleet process may not publish for a sender.

        These are the access rules that the broker enforces for devices with a connection of their own.
        """
        message_type, scope, name = address
        device = self.presences.device(name)
        if device is None or device.via != fleet_process:
            raise PayloadError(
                BATCH,
                WRONG_SENDER,
                f"{fleet_process} may not publish for {name}: its presence does not name it",
            )
        check_sender(address, self.presences)
        if message_type.scope is Scope.CELL and scope != cell:
            raise PayloadError(BATCH, WRONG_SENDER, f"a message of {name} to {scope} in a batch to {cell}")
