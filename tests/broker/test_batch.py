"""Batches: packing and unpacking, bounds, malformed batches, and whose messages are accepted."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridfleet.broker.errors import GridFleetError, PayloadError
from gridfleet.broker.protocol.batch import MAX_MESSAGES, Batch, pack, unpack
from gridfleet.broker.protocol.codec import MAX_PAYLOAD, encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import Bid, FleetPresence, Package, Presence, Role
from gridfleet.broker.protocol.topics import batch_topic, parse_batch_topic, topic
from tests.devices.message_strategies import any_message

TOPIC_RESTS = st.from_regex(r"[a-z0-9-]{1,9}(/[a-z0-9-]{1,9})?", fullmatch=True)


@given(st.lists(st.tuples(TOPIC_RESTS, any_message().map(encode)), max_size=20))
def test_unpack_returns_what_was_packed(messages: list[tuple[str, bytes]]) -> None:
    assert unpack(pack(messages)) == messages


def test_a_batch_is_readable_text() -> None:
    assert pack([("north/a", b'{"tick":1}'), ("north/b", b"{}")]) == b'1\nnorth/a {"tick":1}\nnorth/b {}'


def test_a_full_batch_takes_no_more() -> None:
    batch = Batch()
    for _ in range(MAX_MESSAGES):
        assert batch.add("a", b"{}", None)
    assert not batch.add("a", b"{}", None)
    assert len(unpack(batch.payload)) == MAX_MESSAGES
    batch = Batch()
    while batch.add("north/a", b"x" * 5_000, None):
        pass
    assert MAX_PAYLOAD - 5_020 < len(batch.payload) <= MAX_PAYLOAD
    assert len(unpack(batch.payload)) == MAX_PAYLOAD // 5_010


def test_a_batch_expires_with_its_last_message() -> None:
    batch = Batch()
    for expiry_s in (3.0, 5.0, 4.0):
        batch.add("a", b"", expiry_s)
    assert batch.expiry_s == 5.0
    batch.add("a", b"", None)
    assert batch.expiry_s is None


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "version"),
        (b"2\na {}", "version"),
        (b'{"tick":1}', "version"),
        (b"1\n", "malformed"),
        (b"1\na", "malformed"),
        (b"1\na {}\n", "malformed"),
        (b"1\n\xff {}", "malformed"),
        (b"1" + b"\na {}" * (MAX_MESSAGES + 1), "oversized"),
        (b"1\na " + b"x" * MAX_PAYLOAD, "oversized"),
    ],
)
def test_a_malformed_batch_is_refused_with_a_reason(payload: bytes, reason: str) -> None:
    with pytest.raises(PayloadError) as refused:
        unpack(payload)
    assert refused.value.reason == reason


LINES = st.lists(
    st.tuples(TOPIC_RESTS.map(str.encode), st.binary(max_size=20)).map(b" ".join), min_size=1, max_size=5
)


def test_any_bytes_are_unpacked_or_refused() -> None:
    results: Counter[str] = Counter()

    @given(st.binary(max_size=300) | LINES.map(b"\n".join))
    def run(payload: bytes) -> None:
        try:
            messages = unpack(b"1\n" + payload)
        except PayloadError as error:
            results[error.reason] += 1
        else:
            assert pack(messages) == b"1\n" + payload
            results["unpacked"] += 1

    run()
    assert min(results["unpacked"], results["malformed"]) >= 3, results


# --- whose messages are believed ---------------------------------------------------------------------------


class Reader:
    """Somebody who reads a site's wire and counts what it refuses."""

    def __init__(self) -> None:
        self.decoder = SiteDecoder("town")
        self.refused: list[str] = []

    def refuse(self, _text: str, error: GridFleetError) -> None:
        self.refused.append(error.reason if isinstance(error, PayloadError) else "topic")

    def publish_presence(self, name: str, kind: Role, via: str | None, *, online: bool = True) -> Presence:
        presence = Presence(online, kind, "north", 1.0, 2.0, via=via)
        text = topic("town", presence, f"north/{kind}", name)
        message = self.decoder.decode_one(text, encode(presence))[1]
        assert isinstance(message, Presence)
        return message

    def fleet_presence(self, name: str, *, online: bool) -> None:
        message = FleetPresence(online, 1, {})
        self.decoder.decode_one(topic("town", message, "", name), encode(message))

    def batch(self, word: str, cell: str, fleet: str, *rests: str) -> list[str]:
        payload = pack([(rest, b"{}") for rest in rests])
        found = self.decoder.unpack(batch_topic("town", word, cell, fleet), payload, self.refuse)
        return [text for text, _ in found]


@pytest.fixture
def reader() -> Reader:
    reader = Reader()
    reader.publish_presence("house-1", Role.CONSUMER, "fleet-1")
    reader.publish_presence("house-2", Role.CONSUMER, "fleet-1")
    reader.publish_presence("house-3", Role.CONSUMER, "fleet-2")
    reader.publish_presence("house-4", Role.CONSUMER, None)
    reader.publish_presence("turbine-1", Role.PRODUCER, "fleet-1")
    return reader


def test_messages_are_accepted_of_devices_whose_presence_names_the_fleet_process(reader: Reader) -> None:
    topics = reader.batch("bid", "north", "fleet-1", *(f"north/house-{n}" for n in range(1, 6)))
    assert topics == ["gridfleet/town/bid/north/house-1", "gridfleet/town/bid/north/house-2"]
    assert reader.refused == ["sender"] * 3


def test_a_device_publishes_what_its_kind_may_in_its_cells(reader: Reader) -> None:
    assert reader.batch("bid", "north", "fleet-1", "north/turbine-1") == []
    assert reader.batch("bid", "south", "fleet-1", "south/house-1", "north/house-1") == []
    assert reader.batch("surplus", "south", "fleet-1", "south/turbine-1") == [
        "gridfleet/town/surplus/south/turbine-1"
    ]
    assert reader.batch("award", "north", "fleet-1", "house-4/turbine-1") == [
        "gridfleet/town/award/house-4/turbine-1"
    ]
    assert reader.refused == ["sender"] * 3


def test_one_bad_line_does_not_affect_the_others(reader: Reader) -> None:
    topics = reader.batch(
        "bid", "north", "fleet-1", "north", "north/a/b", "north/house-1", "north/$", "north/house-2"
    )
    assert len(topics) == 2
    assert reader.refused == ["topic"] * 3


@pytest.mark.parametrize(
    "text",
    [
        "gridfleet/town/batch/state/site/fleet-1",
        "gridfleet/town/batch/tick/site/clock",
        "gridfleet/town/batch/nonsense/north/fleet-1",
        "gridfleet/town/batch/bid/north",
        "gridfleet/town/batch/bid/north/fleet-1/more",
        "gridfleet/town/batch/bid/nö/fleet-1",
    ],
)
def test_a_malformed_batch_topic_is_refused(reader: Reader, text: str) -> None:
    assert list(reader.decoder.unpack(text, b"1", reader.refuse)) == []
    assert reader.refused == ["topic"]


def test_a_single_message_is_returned_unchanged(reader: Reader) -> None:
    assert list(reader.decoder.unpack("any/topic", b"\xff", reader.refuse)) == [("any/topic", b"\xff")]


def test_the_last_will_of_a_fleet_process_gives_those_of_its_devices(reader: Reader) -> None:
    def offline(scopes: list[str] | None = None) -> set[tuple[str, str]]:
        message = FleetPresence(online=False, devices=1, refused={})
        text, payload = topic("town", message, "", "fleet-1"), encode(message)
        first, *wills = reader.decoder.decode(text, payload, reader.refuse, scopes)
        assert (first[0].sender, first[1]) == ("fleet-1", message)
        assert all(isinstance(will, Presence) and not will.online for _, will in wills)
        return {(address.scope, address.sender) for address, _ in wills}

    consumers = {("north/consumer", "house-1"), ("north/consumer", "house-2")}
    assert reader.decoder.presences.fleet_of("house-1") == ("north", "fleet-1")
    assert reader.decoder.presences.fleet_of("house-4") is None
    assert offline() == offline(["+/+"]) == {*consumers, ("north/producer", "turbine-1")}
    assert offline(["north/consumer"]) == offline(["+/consumer"]) == consumers
    assert offline(["south/consumer"]) == offline(["south/+"]) == offline([]) == set()


def test_a_device_behind_an_offline_fleet_process_is_offline(reader: Reader) -> None:
    reader.fleet_presence("fleet-1", online=False)
    assert reader.decoder.presences.fleet_of("house-1") is None
    assert not reader.publish_presence("house-1", Role.CONSUMER, "fleet-1").online
    assert reader.publish_presence("house-3", Role.CONSUMER, "fleet-2").online
    reader.fleet_presence("fleet-1", online=True)
    assert reader.publish_presence("house-1", Role.CONSUMER, "fleet-1").online
    assert reader.decoder.presences.fleet_of("house-1") == ("north", "fleet-1")


def test_decode_gives_the_messages_of_a_batch_and_refuses_the_others(reader: Reader) -> None:
    bid = Bid(4, (Package(0, 500, 1_000_000),))
    channels = [("north/house-1", encode(bid)), ("north/house-3", encode(bid)), ("north/house-2", b"{}")]
    text = batch_topic("town", "bid", "north", "fleet-1")
    decoded = list(reader.decoder.decode(text, pack(channels), reader.refuse))
    assert [(address.sender, message) for address, message in decoded] == [("house-1", bid)]
    assert reader.refused == ["sender", "invalid"]
    assert list(reader.decoder.decode("gridfleet/town/bids/house-1", b"{}", reader.refuse)) == []
    assert list(reader.decoder.decode("gridfleet/town/bid/north/house-1", b"{", reader.refuse)) == []
    assert reader.refused[2:] == ["topic", "malformed"]


def test_the_last_presence_says_which_connection_a_device_uses(reader: Reader) -> None:
    assert reader.decoder.presences.any_direct([Role.CONSUMER], "north")
    assert not reader.decoder.presences.any_direct([Role.PRODUCER], None)
    reader.publish_presence("house-4", Role.CONSUMER, "fleet-1")
    assert not reader.decoder.presences.any_direct([Role.CONSUMER], "north")
    reader.publish_presence("turbine-1", Role.PRODUCER, None)
    assert reader.decoder.presences.any_direct([Role.PRODUCER], "north")
    assert reader.decoder.presences.any_direct([Role.PRODUCER], None)
    assert not reader.decoder.presences.any_direct([Role.PRODUCER], "south")
    reader.publish_presence("turbine-1", Role.PRODUCER, None, online=False)
    assert not reader.decoder.presences.any_direct([Role.PRODUCER], "north")


def test_a_batch_topic_is_parsed_as_it_was_built() -> None:
    message_type, cell, fleet = parse_batch_topic("town", batch_topic("town", Bid.TYPE, "north", "fleet-1"))
    assert (message_type.message_class, cell, fleet) == (Bid, "north", "fleet-1")
