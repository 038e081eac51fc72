"""Batches: what goes in comes out, bounds hold, and what is none is refused whole."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridfleet.broker.errors import GridFleetError, PayloadError
from gridfleet.broker.protocol.batch import MAX_MESSAGES, Batch, pack, unpack
from gridfleet.broker.protocol.codec import MAX_PAYLOAD, encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import Bid, FleetPresence, Kind, Package, Presence
from gridfleet.broker.protocol.topics import batch_topic, parse_batch_topic, topic
from tests.devices.anything import any_message

RESTS = st.from_regex(r"[a-z0-9-]{1,9}(/[a-z0-9-]{1,9})?", fullmatch=True)


@given(st.lists(st.tuples(RESTS, any_message().map(encode)), max_size=20))
def test_what_goes_in_comes_out(messages: list[tuple[str, bytes]]) -> None:
    assert unpack(pack(messages)) == messages


def test_it_can_be_read_by_people() -> None:
    assert pack([("north/a", b'{"tick":1}'), ("north/b", b"{}")]) == b'1\nnorth/a {"tick":1}\nnorth/b {}'


def test_it_is_full_in_time() -> None:
    batch = Batch()
    for _ in range(MAX_MESSAGES):
        assert batch.add("a", b"{}", None)
    assert not batch.add("a", b"{}", None)
    assert len(unpack(batch.payload)) == MAX_MESSAGES
    batch = Batch()
    while batch.add("north/a", b"x" * 5_000, None):
        pass
    assert MAX_PAYLOAD - 5_020 < len(batch.payload) <= MAX_PAYLOAD
    assert len(unpack(batch.payload)) == 13


def test_it_expires_with_its_last_message() -> None:
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
def test_what_is_none_is_refused_with_a_reason(payload: bytes, reason: str) -> None:
    with pytest.raises(PayloadError) as refused:
        unpack(payload)
    assert refused.value.reason == reason


@given(st.binary(max_size=300))
def test_no_bytes_crash_it(payload: bytes) -> None:
    with contextlib.suppress(PayloadError):
        unpack(b"1\n" + payload)


# --- whose messages are believed ---------------------------------------------------------------------------


class Reader:
    """Somebody who reads a site's wire and counts what it refuses."""

    def __init__(self) -> None:
        self.decoder = SiteDecoder("town")
        self.refused: list[str] = []

    def refuse(self, _text: str, error: GridFleetError) -> None:
        self.refused.append(error.reason if isinstance(error, PayloadError) else "topic")

    def born(self, name: str, kind: Kind, via: str | None, *, online: bool = True) -> Presence:
        presence = Presence(online, kind, "north", 1.0, 2.0, via=via)
        text = topic("town", presence, f"north/{kind}", name)
        message = self.decoder.decode_one(text, encode(presence))[1]
        assert isinstance(message, Presence)
        return message

    def host(self, name: str, *, online: bool) -> None:
        message = FleetPresence(online, 1, {})
        self.decoder.decode_one(topic("town", message, "", name), encode(message))

    def batch(self, word: str, cell: str, host: str, *rests: str) -> list[str]:
        payload = pack([(rest, b"{}") for rest in rests])
        found = self.decoder.unpack(batch_topic("town", word, cell, host), payload, self.refuse)
        return [text for text, _ in found]


@pytest.fixture
def reader() -> Reader:
    reader = Reader()
    reader.born("house-1", Kind.CONSUMER, "fleet-1")
    reader.born("house-2", Kind.CONSUMER, "fleet-1")
    reader.born("house-3", Kind.CONSUMER, "fleet-2")
    reader.born("house-4", Kind.CONSUMER, None)
    reader.born("mill-1", Kind.TURBINE, "fleet-1")
    return reader


def test_a_host_is_believed_for_those_who_name_it(reader: Reader) -> None:
    said = reader.batch("bid", "north", "fleet-1", *(f"north/house-{n}" for n in range(1, 6)))
    assert said == ["gridfleet/town/bid/north/house-1", "gridfleet/town/bid/north/house-2"]
    assert reader.refused == ["sender"] * 3


def test_a_sender_says_what_its_kind_may_say_where_it_lives(reader: Reader) -> None:
    assert reader.batch("bid", "north", "fleet-1", "north/mill-1") == []
    assert reader.batch("bid", "south", "fleet-1", "south/house-1", "north/house-1") == []
    assert reader.batch("surplus", "south", "fleet-1", "south/mill-1") == [
        "gridfleet/town/surplus/south/mill-1"
    ]
    assert reader.batch("award", "north", "fleet-1", "house-4/mill-1") == [
        "gridfleet/town/award/house-4/mill-1"
    ]
    assert reader.refused == ["sender"] * 3


def test_one_bad_line_costs_the_others_nothing(reader: Reader) -> None:
    said = reader.batch(
        "bid", "north", "fleet-1", "north", "north/a/b", "north/house-1", "north/$", "north/house-2"
    )
    assert len(said) == 2
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
def test_a_topic_that_is_no_batchs_is_refused(reader: Reader, text: str) -> None:
    assert list(reader.decoder.unpack(text, b"1", reader.refuse)) == []
    assert reader.refused == ["topic"]


def test_what_is_no_batch_stays_as_it_is(reader: Reader) -> None:
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
    assert offline() == offline(["+/+"]) == {*consumers, ("north/turbine", "mill-1")}
    assert offline(["north/consumer"]) == offline(["+/consumer"]) == consumers
    assert offline(["south/consumer"]) == offline(["south/+"]) == offline([]) == set()


def test_a_device_behind_an_offline_fleet_process_is_offline(reader: Reader) -> None:
    reader.host("fleet-1", online=False)
    assert reader.decoder.presences.fleet_of("house-1") is None
    assert not reader.born("house-1", Kind.CONSUMER, "fleet-1").online
    assert reader.born("house-3", Kind.CONSUMER, "fleet-2").online
    reader.host("fleet-1", online=True)
    assert reader.born("house-1", Kind.CONSUMER, "fleet-1").online
    assert reader.decoder.presences.fleet_of("house-1") == ("north", "fleet-1")


def test_decode_gives_the_messages_of_a_batch_and_refuses_the_others(reader: Reader) -> None:
    bid = Bid(4, (Package(0, 500, 1_000_000),))
    lines = [("north/house-1", encode(bid)), ("north/house-3", encode(bid)), ("north/house-2", b"{}")]
    text = batch_topic("town", "bid", "north", "fleet-1")
    decoded = list(reader.decoder.decode(text, pack(lines), reader.refuse))
    assert [(address.sender, message) for address, message in decoded] == [("house-1", bid)]
    assert reader.refused == ["sender", "invalid"]
    assert list(reader.decoder.decode("gridfleet/town/bids/house-1", b"{}", reader.refuse)) == []
    assert list(reader.decoder.decode("gridfleet/town/bid/north/house-1", b"{", reader.refuse)) == []
    assert reader.refused[2:] == ["topic", "malformed"]


def test_who_changes_its_way_is_known_by_the_last(reader: Reader) -> None:
    assert reader.decoder.presences.any_direct([Kind.CONSUMER], "north")
    assert not reader.decoder.presences.any_direct([Kind.TURBINE], None)
    reader.born("house-4", Kind.CONSUMER, "fleet-1")
    assert not reader.decoder.presences.any_direct([Kind.CONSUMER], "north")
    reader.born("mill-1", Kind.TURBINE, None)
    assert reader.decoder.presences.any_direct([Kind.TURBINE], "north")
    assert reader.decoder.presences.any_direct([Kind.TURBINE], None)
    assert not reader.decoder.presences.any_direct([Kind.TURBINE], "south")
    reader.born("mill-1", Kind.TURBINE, None, online=False)
    assert not reader.decoder.presences.any_direct([Kind.TURBINE], "north")


def test_topics_of_batches_are_read_as_they_are_built() -> None:
    message_type, cell, host = parse_batch_topic("town", batch_topic("town", Bid.TYPE, "north", "fleet-1"))
    assert (message_type.message_class, cell, host) == (Bid, "north", "fleet-1")
