"""The broker refuses what a sender may not publish, to a client of another library too: judged by what is delivered."""

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.credentials import FileCredentials
from gridfleet.broker.protocol.topics import CLOCK_ID, ClientRole
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.provisioning.site.secrets import identities, make_secrets
from tests.senders.publications import FLEET, OPERATOR, Publication, birth_of, hostile, scenario, senders
from tests.waiting import wait_until

pytestmark = pytest.mark.mosquitto

PROTOCOLS: Final = (MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311)
SENTINEL: Final = "gridfleet/town/tick/clock"
CLIENTS: Final = (ClientRole.OPERATOR, ClientRole.VIEWER, ClientRole.RECORDER)


class Plain:
    """A client as anybody writes one with paho-mqtt: nothing of GridFleet's is between it and the broker."""

    def __init__(
        self, broker: MosquittoBroker, secrets: Path, name: str, protocol: MQTTProtocolVersion
    ) -> None:
        address, login = BrokerAddress.parse(broker.url), FileCredentials(secrets).login(name)
        self.received: list[tuple[str, bool]] = []
        self.subscribed = False
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=protocol)
        self._client.username_pw_set(name, login.password)
        assert isinstance(login.tls, ssl.SSLContext)
        self._client.tls_set_context(login.tls)
        self._client.on_message = lambda _c, _u, message: self.received.append(
            (message.topic, message.retain)
        )
        self._client.on_subscribe = lambda *_: setattr(self, "subscribed", True)
        self._client.connect(address.host, address.port)
        self._client.loop_start()
        wait_until(self._client.is_connected)

    def subscribe(self) -> None:
        self._client.subscribe("#", qos=1)
        wait_until(lambda: self.subscribed)

    def publish(self, publications: Iterable[tuple[str, bytes]], *, retain: bool = False) -> None:
        """Publish with QoS 1, and wait for the broker's answers."""
        sent = [self._client.publish(name, payload, qos=1, retain=retain) for name, payload in publications]
        wait_until(lambda: all(each.is_published() for each in sent))

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The secrets of a site with devices of every role and a fleet process."""
    folder = tmp_path_factory.mktemp("town") / "secrets"
    make_secrets(folder, scenario().site, identities(Fleet(scenario()), processes=1))
    return folder


def tries(name: str) -> list[Publication]:
    """Return what a sender may not publish: under its own name, and under those of the senders that may."""
    own = [each.publication for each in hostile() if each.publication.sender == name]
    if name in CLIENTS:
        own = [
            each.publication._replace(sender=name)
            for each in hostile()
            if ClientRole(name) not in each.message_type.senders
        ]
    forged = [each.publication for each in hostile() if each.publication.sender != name]
    return [*own, *forged]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=["MQTT 5", "MQTT 3.1.1"])
def test_what_a_sender_may_not_publish_is_not_delivered_to_anybody(
    town: Path, protocol: MQTTProtocolVersion
) -> None:
    names = [*senders().values(), *CLIENTS]
    assert FLEET in names
    assert CLOCK_ID in names
    with MosquittoBroker(town) as broker:
        # The recorder is among those who try; the viewer receives as much.
        listeners = {"viewer": Plain(broker, town, "viewer", protocol)}
        listeners["viewer"].subscribe()
        allowed = set()
        for name in names:
            client = listeners.get(name) or Plain(broker, town, name, protocol)
            for retain in (False, True):
                client.publish(((each.topic, each.payload) for each in tries(name)), retain=retain)
            if name in senders().values() and name != FLEET:
                birth = birth_topic(name)
                allowed.add(birth)
                client.publish([(birth, b"{}")])
            if name == CLOCK_ID:
                client.publish([(SENTINEL, b"{}")])
            if client is not listeners["viewer"]:
                client.close()
        clock = Plain(broker, town, CLOCK_ID, protocol)
        clock.publish([("gridfleet/town/facts/clock", b"end")])
        viewer = listeners["viewer"]
        wait_until(lambda: any(name == "gridfleet/town/facts/clock" for name, _ in viewer.received))
        assert {name for name, _ in viewer.received} == {*allowed, SENTINEL, "gridfleet/town/facts/clock"}
        late = Plain(broker, town, "recorder", protocol)
        late.subscribe()
        clock.publish([(SENTINEL, b"{}")])
        wait_until(lambda: any(name == SENTINEL for name, _ in late.received))
        assert late.received == [(SENTINEL, False)], "nothing is retained of what was refused"
        for client in (clock, late, viewer):
            client.close()


def birth_topic(name: str) -> str:
    """Return the topic of a device's own birth, which it may publish."""
    return f"gridfleet/town/presence/{birth_of(name).scope}/{name}"


def test_every_sender_tries_every_message_type() -> None:
    for name in [*senders().values(), *CLIENTS]:
        assert len({each.message.TYPE for each in tries(name)}) >= 26, name
    assert OPERATOR not in senders().values()
