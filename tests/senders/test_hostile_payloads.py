"""Hostile payloads, the same ones each time: every receiver refuses them, and nothing of them is in what it keeps."""

from collections import Counter
from collections.abc import Iterator
from functools import cache, partial
from itertools import islice
from pathlib import Path

import pytest

from benchmarks.hostile_messages import OTHER_SCHEMA, Hostile, HostileMessages
from benchmarks.hostile_payloads import measure
from benchmarks.hostile_town import (
    LIAR,
    SITE,
    TABLES,
    birth,
    examples,
    expected,
    roles,
    rows_of,
    scenario,
)
from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.errors import GridFleetError, PayloadError
from gridfleet.broker.mqtt.client import Connection, MqttLoop
from gridfleet.broker.mqtt.client_options import NO_LOGIN
from gridfleet.broker.protocol.codec import SCHEMA, encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import Message, Presence, Supply
from gridfleet.broker.protocol.topics import TOPIC_TABLE, Address, all_topics_filter, topic
from gridfleet.dashboards.console.site_view import SiteView
from gridfleet.dashboards.recording.durable.recorder import DurableRecorder
from gridfleet.dashboards.recording.recording import STORE
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import RunFacts
from gridfleet.devices.runtime.simulation import Simulation
from gridfleet.provisioning.clients.retained import read_retained
from gridfleet.provisioning.clients.site_client import SiteClient

TICKS = 6
MANY = 6_000
SEED = 5
SENDERS = pytest.mark.parametrize("own", [None, LIAR], ids=["anybody", "one device"])


def hostile(count: int, own: str | None) -> Iterator[Hostile]:
    """Yield hostile publications that state our schema version or none."""
    known = roles(secure=own is not None)
    source = HostileMessages(SITE, examples(), known, SEED, own)
    return islice((each for each in source if each.schema != OTHER_SCHEMA), count)


@cache
def honest() -> tuple[tuple[str, bytes], ...]:
    """Topic and payload of everything that the town publishes, after the hostile client's birth."""
    found = [(topic(SITE, birth(), birth().scope, LIAR), encode(birth()))]

    def receive(_now_ms: int, scope: str, sender: str, message: Message) -> None:
        found.append((topic(SITE, message, scope, sender), encode(message)))

    Simulation(scenario(TICKS), receivers=(receive,)).run()
    return tuple(found)


def mixed(own: str | None) -> Iterator[tuple[str, bytes]]:
    """Yield what the town publishes, and after each honest message a hostile one."""
    source = hostile(MANY, own)
    for each in honest():
        yield each
        for wrong in islice(source, 1):
            yield wrong.topic, wrong.payload


@SENDERS
def test_every_hostile_message_is_refused(own: str | None) -> None:
    decoder = SiteDecoder(SITE)
    refused: list[GridFleetError] = []
    births = [each for each in honest() if f"/{Presence.TYPE}/" in each[0]]
    for name, payload in births:
        assert list(decoder.decode(name, payload, lambda _, error: refused.append(error)))
    assert refused == []
    for each in hostile(MANY, own):
        assert list(decoder.decode(each.topic, each.payload, lambda _, error: refused.append(error))) == [], (
            each
        )
        assert refused or not each.payload, (
            each
        )  # an empty payload clears what is retained, and is no message
        for error in refused:
            assert len(str(error)) < 1_000
        refused.clear()


@SENDERS
def test_they_are_of_every_making_and_under_every_topic(own: str | None) -> None:
    source = HostileMessages(SITE, examples(), roles(secure=own is not None), SEED, own)
    made = list(islice(source, MANY))
    assert {each.making for each in made} == set(source.makings)
    types = {each.topic.split("/")[2] for each in made if each.topic.count("/") > 2}
    assert types >= {each.name for each in TOPIC_TABLE} | {"batch"}
    assert {each.qos for each in made} == {0, 1}
    assert any(each.retain for each in made) is (own is not None)
    assert made == list(
        islice(HostileMessages(SITE, examples(), roles(secure=own is not None), SEED, own), MANY)
    )


def test_a_decoder_keeps_nothing_of_them() -> None:
    decoder = SiteDecoder(SITE)
    reasons: Counter[str] = Counter()

    def refuse(_topic: str, error: GridFleetError) -> None:
        reasons[error.reason if isinstance(error, PayloadError) else "topic"] += 1

    for each in hostile(MANY, None):
        list(decoder.decode(each.topic, each.payload, refuse))
    assert set(reasons) >= {"malformed", "invalid", "oversized", "topic", "sender", "version"}
    assert [name for name in roles(secure=False) if decoder.presences.known(name)] == []


def recorded(publications: Iterator[tuple[str, bytes]], folder: Path) -> tuple[dict[str, object], int]:
    """Return the rows that a durable recorder keeps, started again in between, and how many messages it refuses."""
    refused = 0
    publications = iter(list(publications))
    facts = RunFacts("town", "Town", 3, "0", scenario(TICKS).start_ms)
    for part in (2_000, None):
        with DurableRecorder(folder, SITE, lambda _: facts, name=SITE) as recorder:
            for name, payload in islice(publications, part):
                recorder.receive(name, payload, 1_000)
            recorder.checkpoint()
            refused += recorder.refused
    (path,) = folder.glob(f"runs/*/{STORE}")
    with Store.open(path) as store:
        return {table: rows_of(store, table) for table in TABLES}, refused


@SENDERS
def test_a_recorder_keeps_what_the_honest_published(tmp_path: Path, own: str | None) -> None:
    without, refused = recorded(iter(honest()), tmp_path / "without")
    assert refused == 0
    assert without["trades"]
    beside, refused = recorded(mixed(own), tmp_path / "beside")
    assert refused >= len(honest())
    assert beside == without


def test_the_terminal_view_shows_what_the_honest_published() -> None:
    def viewed(publications: Iterator[tuple[str, bytes]]) -> SiteView:
        view, decoder = SiteView(), SiteDecoder(SITE)
        for name, payload in publications:
            for address, message in decoder.decode(name, payload, lambda *_: None):
                view.receive(address.scope, address.sender, message, retained=False)
        return view

    without, beside = viewed(iter(honest())), viewed(mixed(None))
    assert without.new_lines == beside.new_lines
    assert [line for line in without.new_lines if line.startswith("tick")] == expected(TICKS).lines
    assert without.accounts == beside.accounts
    assert len(beside.ticks) <= 3


def acknowledged(link: Connection) -> bool:
    return link.all_acknowledged


@pytest.mark.mosquitto
def test_clients_ignore_another_schema_version() -> None:
    received: list[tuple[Address, Message]] = []
    name = topic(SITE, Supply(1, 7), "cell-1-1", "turbine-1")
    other = "gridfleet/town/presence/cell-1-1/vehicle/car"
    with MosquittoBroker() as broker:
        address = BrokerAddress.parse(broker.url)
        client = SiteClient(
            address,
            SITE,
            NO_LOGIN,
            purpose="test",
            filters=[all_topics_filter(SITE)],
            on_message=lambda place, message, _: received.append((place, message)),
        )
        with client, MqttLoop(address, schema=OTHER_SCHEMA) as old, MqttLoop(address, schema=SCHEMA) as new:
            links = [loop.open(f"client-{loop is new}", on_message=lambda *_: None) for loop in (old, new)]
            for loop, link, energy_wh in zip((old, new), links, (1, 2), strict=True):
                loop.wait_online(5)
                link.publish(name, encode(Supply(1, energy_wh)), qos=1)
                link.publish(other, encode(birth()), qos=1, retain=loop is old)
                assert loop.run_until(partial(acknowledged, link), 5)
            assert client.run_until(lambda: len(received) == 2, 5)
        assert [message for _, message in received] == [Supply(1, 2), birth()]
        assert read_retained(address, SITE, NO_LOGIN, schema=SCHEMA) == {}
        assert set(read_retained(address, SITE, NO_LOGIN)) == {other}


@pytest.mark.mosquitto
@pytest.mark.slow
def test_a_site_over_mosquitto_is_that_of_the_simulation() -> None:
    assert measure(2_000, SEED, 250, with_page=False) == []
