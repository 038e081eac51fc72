"""The decoder refuses what a sender may not publish, and nothing of an honest site."""

from dataclasses import replace

import pytest

from gridfleet.broker.errors import GridFleetError, PayloadError, TopicError
from gridfleet.broker.protocol.batch import pack
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import Message, Presence, Role, Supply
from gridfleet.broker.protocol.senders import WRONG_SENDER
from gridfleet.broker.protocol.topics import (
    MESSAGE_TYPES,
    TOPIC_TABLE,
    Address,
    MessageType,
    batch_topic,
    topic,
)
from tests.senders.publications import FLEET, SITE, honest, hostile, senders


class Listener:
    """Somebody who receives everything of a site, and counts what it refuses."""

    def __init__(self) -> None:
        self.decoder = SiteDecoder(SITE)
        self.refused: list[GridFleetError] = []

    def receive(self, name: str, payload: bytes) -> list[tuple[Address, Message]]:
        return list(self.decoder.decode(name, payload, lambda _topic, error: self.refused.append(error)))

    def presence(
        self, name: str, role: Role, cell: str, via: str | None = None, *, online: bool = True
    ) -> bool:
        """Receive a presence; return whether it was believed."""
        message = Presence(online, role, cell, 51.0, 9.0, via=via)
        return bool(self.receive(topic(SITE, message, message.scope, name), encode(message)))


def listener(via: str | None = None) -> Listener:
    """Return a listener that knows the births of an honest site, with connections of their own or behind `via`."""
    made = Listener()
    for each in honest():
        message = each.message
        if isinstance(message, Presence):
            message = replace(message, via=via)
        if message.TYPE in {"presence", "fleet"}:
            assert made.receive(each.topic, encode(message))
    return made


def is_sender_error(error: GridFleetError) -> bool:
    return isinstance(error, TopicError) or (isinstance(error, PayloadError) and error.reason == WRONG_SENDER)


def test_everything_of_an_honest_site_is_believed() -> None:
    made = Listener()
    for each in honest():
        assert [(address.sender, message) for address, message in made.receive(each.topic, each.payload)] == [
            (each.sender, each.message)
        ]
    assert made.refused == []


def test_the_wrong_messages_cover_every_message_type_and_every_role() -> None:
    tried = {(each.message_type.name, each.role) for each in hostile()}
    for message_type in TOPIC_TABLE:
        for role in senders():
            allowed = role in message_type.senders or message_type.message_class is Presence
            assert allowed or (message_type.name, role) in tried, (message_type.name, role)


@pytest.mark.parametrize("message_type", TOPIC_TABLE, ids=lambda each: each.name)
def test_what_a_sender_may_not_publish_is_refused(message_type: MessageType) -> None:
    made = listener()
    wrong = [each for each in hostile() if each.message_type is message_type]
    assert wrong
    for each in wrong:
        made.refused.clear()
        assert made.receive(each.publication.topic, each.publication.payload) == [], each
        (error,) = made.refused
        assert is_sender_error(error), error


def test_a_batch_is_no_way_round() -> None:
    made = listener(via=FLEET)
    assert made.presence("honest", Role.PRODUCER, "cell-1-1", FLEET)
    honest_line = ("cell-1-1/honest", encode(Supply(1, 7)))
    in_batches = [each for each in hostile() if not each.message_type.retain]
    assert {each.message_type for each in in_batches} == {each for each in TOPIC_TABLE if not each.retain}
    for each in in_batches:
        publication = each.publication
        rest = "/".join(filter(None, (publication.scope, publication.sender)))
        name = each.message_type.name
        cell = publication.scope if each.message_type.scope.levels == ("cell",) else "site"
        payload = pack([(rest, publication.payload), *([honest_line] if name == Supply.TYPE else [])])
        decoded = made.receive(batch_topic(SITE, name, cell, FLEET), payload)
        assert all(address.sender == "honest" for address, _ in decoded), each
        assert made.refused, each
        made.refused.clear()


def test_a_device_is_in_one_place_and_role_at_a_time() -> None:
    made = Listener()
    supply = ("gridfleet/town/supply/north/x", encode(Supply(1, 7)))
    assert made.presence("x", Role.PRODUCER, "north")
    assert made.receive(*supply)
    assert made.presence("x", Role.VEHICLE, "south")
    assert made.receive(*supply) == []
    assert made.receive("gridfleet/town/close/south/x", b'{"call":1}')
    assert not made.presence("x", Role.PRODUCER, "north", online=False), (
        "the last will of the place that it left"
    )
    assert made.decoder.presences.device("x") is not None
    assert made.presence("x", Role.VEHICLE, "south", online=False)
    assert made.decoder.presences.device("x") is None
    assert made.receive(*supply) == [], "an offline device keeps its role"
    assert made.presence("x", Role.PRODUCER, "north")
    assert made.receive(*supply)


def test_a_fleet_process_and_a_device_are_never_one_sender() -> None:
    made = Listener()
    fleet = "gridfleet/town/fleet/x"
    offline = b'{"online":false,"devices":0,"refused":{}}'
    assert made.presence("x", Role.PRODUCER, "north")
    assert made.presence("y", Role.PRODUCER, "north", via="x")
    assert made.receive(fleet, offline) == [], "a device ends no other by a last will as a fleet process"
    assert made.decoder.presences.fleet_of("y") == ("north", "x")
    assert made.receive("gridfleet/town/fleet/f", b'{"online":true,"devices":0,"refused":{}}')
    assert made.receive("gridfleet/town/supply/north/f", encode(Supply(1, 7))) == []
    assert made.receive("gridfleet/town/control/paused/f", b'{"value":true,"revision":9}') == []


def test_a_device_that_names_anothers_fleet_process_loses_what_it_gains() -> None:
    """It only lets that process publish for itself, and goes offline with it."""
    made = Listener()
    assert made.presence("honest", Role.PRODUCER, "north", via="f")
    assert made.presence("guest", Role.PRODUCER, "north", via="f")
    batch = pack([("north/honest", encode(Supply(1, 1))), ("north/guest", encode(Supply(1, 2)))])
    topic_name = batch_topic(SITE, Supply.TYPE, "north", "f")
    assert [address.sender for address, _ in made.receive(topic_name, batch)] == ["honest", "guest"]
    assert made.receive(batch_topic(SITE, Supply.TYPE, "north", "guest"), batch) == []


def test_names_behind_fleet_processes_do_not_pile_up() -> None:
    made = Listener()
    for number in range(1000):
        assert made.presence("x", Role.PRODUCER, f"cell-{number}", via=f"fleet-{number}")
        assert made.presence("y", Role.PRODUCER, f"cell-{number}")
    registry = made.decoder.presences
    assert [name for name in map(str, range(1000)) if list(registry.last_wills(f"fleet-{name}"))] == ["999"]
    assert not registry.any_direct([Role.PRODUCER], "cell-1")
    assert registry.any_direct([Role.PRODUCER], "cell-999")
    assert made.presence("x", Role.PRODUCER, "cell-999", via="fleet-999", online=False)
    assert list(registry.last_wills("fleet-999")) == []


def test_unknown_senders_are_believed_but_not_as_the_clock() -> None:
    """Whom a receiver does not know, the broker's access rules keep from publishing for another role."""
    made = Listener()
    assert made.receive("gridfleet/town/supply/north/stranger", encode(Supply(1, 7)))
    for each in hostile():
        if each.message_type.senders == MESSAGE_TYPES["tick"].senders:
            stranger = each.publication._replace(sender="stranger")
            assert made.receive(stranger.topic, stranger.payload) == []
