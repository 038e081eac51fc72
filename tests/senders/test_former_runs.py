"""What a broker has kept of a run that is over does not reach the present one: each message is tied to its run."""

import time
from dataclasses import replace
from typing import Final

import pytest

from gridfleet.broker.errors import FormerRunError, GridFleetError
from gridfleet.broker.protocol.batch import pack
from gridfleet.broker.protocol.codec import OWN_EPOCH, TIED_TO_RUN, encode, split_epoch
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import FleetPresence, Presence, Role, Supply, Suspension, Tick
from gridfleet.broker.protocol.topics import MESSAGE_TYPES, batch_topic, topic
from tests.senders.publications import FLEET, SITE, Publication, examples, honest

FORMER: Final = 7
PRESENT: Final = 8
MANY: Final = 4
"""So many messages of each type are tried."""


def refuse(topic_name: str, error: GridFleetError) -> None:
    raise AssertionError(f"{topic_name}: {error}")


def decoder_of_a_run(epoch: int) -> SiteDecoder:
    """Return a decoder that has received a tick of a run, and the births of the site."""
    decoder = SiteDecoder(SITE)
    for each in honest():
        if isinstance(each.message, Presence | FleetPresence):
            decoder.decode_one(each.topic, each.payload)
        elif isinstance(each.message, Tick):
            decoder.decode_one(each.topic, encode(replace(each.message, epoch=epoch)))
    assert decoder.epoch == epoch
    return decoder


def published(name: str) -> list[Publication]:
    found = [each for each in (*examples(0), *honest()) if name == each.message.TYPE]
    return [each for each in found if not isinstance(each.message, FleetPresence) or each.message.online][
        :MANY
    ]


def of_run(each: Publication, epoch: int) -> bytes:
    message = each.message
    if isinstance(message, Tick | Suspension):
        message = replace(message, epoch=epoch)
    return encode(message, epoch)


@pytest.mark.parametrize("name", sorted(TIED_TO_RUN | OWN_EPOCH))
def test_a_message_of_a_former_run_is_dropped_without_a_word(name: str) -> None:
    decoder = decoder_of_a_run(PRESENT)
    tried = published(name)
    assert tried
    for each in tried:
        assert list(decoder.decode(each.topic, of_run(each, FORMER), refuse)) == []
        with pytest.raises(FormerRunError, match=f"of run {FORMER}, while run {PRESENT} is in progress"):
            decoder.decode_one(each.topic, of_run(each, FORMER))
    assert decoder.former == len(tried)


@pytest.mark.parametrize("name", sorted(MESSAGE_TYPES))
def test_a_message_of_the_present_run_or_of_none_is_received(name: str) -> None:
    tried = published(name)
    assert tried
    for each in tried:
        for payload in (of_run(each, PRESENT), of_run(each, PRESENT + 1)):
            ((_, message),) = decoder_of_a_run(PRESENT).decode(each.topic, payload, refuse)
            assert type(message) is type(each.message)
        if name not in OWN_EPOCH:
            ((_, message),) = decoder_of_a_run(PRESENT).decode(each.topic, encode(each.message), refuse)
            assert message == each.message


def test_of_a_batch_only_messages_of_a_former_run_are_dropped() -> None:
    decoder = SiteDecoder(SITE)
    births = [each for each in honest() if isinstance(each.message, Presence) and each.sender != "clock"]
    for each in births:
        assert isinstance(each.message, Presence)
        decoder.decode(each.topic, encode(replace(each.message, via=FLEET)), refuse)
    decoder.epoch = PRESENT
    supply = next(each for each in honest() if isinstance(each.message, Supply))
    assert isinstance(supply.message, Supply)
    rest = supply.topic.split("/", 3)[3]
    of_both = [replace(supply.message, energy_wh=1), replace(supply.message, energy_wh=2)]
    lines = [
        (rest, encode(message, epoch)) for message, epoch in zip(of_both, (FORMER, PRESENT), strict=True)
    ]
    where = batch_topic(SITE, "supply", rest.split("/")[0], FLEET)
    ((_, message),) = decoder.decode(where, pack(lines), refuse)
    assert message == of_both[1]
    assert decoder.former == 1


def test_a_former_tick_does_not_bring_its_run_back() -> None:
    decoder = decoder_of_a_run(PRESENT)
    tick = next(each for each in honest() if isinstance(each.message, Tick))
    assert list(decoder.decode(tick.topic, of_run(tick, FORMER), refuse)) == []
    assert decoder.epoch == PRESENT


def test_an_epoch_is_the_last_member_of_a_payload_whoever_wrote_it() -> None:
    supply = encode(Supply(tick=4, energy_wh=500))
    for written in (b'{"tick":4,"energy_wh":500,"epoch":7}', b'{"tick":4,"energy_wh":500,"epoch": 7}\n'):
        assert split_epoch("supply", written) == (supply, 7)
    assert split_epoch("supply", supply) == (supply, None)
    assert b"epoch" not in encode(Presence(True, Role.PRODUCER, "north", 51.0, 9.0), epoch=7)


def test_a_retained_last_will_does_not_undo_a_birth_that_another_connection_has_received() -> None:
    decoder = SiteDecoder(SITE)
    birth = Presence(True, Role.PRODUCER, "north", 51.0, 9.0)
    name, will = topic(SITE, birth, birth.scope, "t"), encode(replace(birth, online=False))
    before_s = time.monotonic()
    assert list(decoder.decode(name, encode(birth), refuse))
    assert list(decoder.decode(name, will, refuse, subscribed_s=before_s)) == []
    assert decoder.presences.device("t") is not None
    ((_, received),) = decoder.decode(name, will, refuse, subscribed_s=time.monotonic())
    assert isinstance(received, Presence)
    assert not received.online
    assert decoder.presences.device("t") is None
