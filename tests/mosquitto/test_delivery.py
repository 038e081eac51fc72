"""Access rules are tested by what is delivered, not by what the broker acknowledges."""

import itertools
from pathlib import Path

import pytest

from gridfleet.broker.access_control import ClientRole, Identity, publish_filters, subscribe_filters
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.credentials import FileCredentials
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.client_options import Login
from gridfleet.broker.protocol.messages import Role
from gridfleet.broker.protocol.topics import ROOT, TOPIC_TABLE, Scope, batch_topic, discovery_topic
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.provisioning.site.secrets import identities, make_secrets
from tests.mosquitto.clients import SENTINEL, Clients
from tests.mosquitto.test_access_rules import any_of

pytestmark = pytest.mark.mosquitto

USERS = (
    "turbine-1",
    "household-1",
    "charger-1",
    "vehicle-1",
    "reactor-1",
    "clock",
    "viewer",
    "operator",
    "recorder",
)
ALL = "#"


@pytest.fixture(scope="module")
def users(scenario: Scenario) -> dict[str, Identity]:
    return {user.name: user for user in identities(Fleet(scenario), processes=2, shared=True, discovery=True)}


def every_topic(names: tuple[str, ...], sender: str) -> list[str]:
    """Return a topic of every message type, in every scope, of a sender."""
    cells, kinds = ("cell-1-1", "cell-2-1", "cell-3-1"), tuple(Role)
    scopes = {
        Scope.SITE: [""],
        Scope.CELL: [f"{cell}/" for cell in cells],
        Scope.DEVICE: [f"{name}/" for name in names],
        Scope.ROLE: [f"{role}/" for role in kinds],
        Scope.CELL_ROLE: [f"{cell}/{kind}/" for cell, kind in itertools.product((*cells, "site"), kinds)],
        Scope.SETTING: ["paused/", "mode/"],
        Scope.SUBJECT: ["charger/", "charger-1/"],
    }
    return [
        f"{ROOT}/town/{message_type.name}/{scope}{sender}"
        for message_type in TOPIC_TABLE
        for scope in scopes[message_type.scope]
    ]


@pytest.mark.parametrize("name", USERS)
def test_only_permitted_publications_are_delivered(
    clients: Clients, users: dict[str, Identity], name: str
) -> None:
    listener = clients.connect("viewer" if name == "recorder" else "recorder", ALL)
    clock = clients.connect("clock")
    publisher = clock if name == "clock" else clients.connect(name)
    filters = list(publish_filters("town", users[name]))
    others = ("turbine-1", "household-2", "charger-2", "clock", "operator", "viewer", "unknown")
    tried = [text for sender in {name, *others} for text in every_topic(USERS, sender)]
    tried += [
        "$SYS/broker/uptime",
        "homeassistant/device/x/config",
        "gridfleet/other/tick/clock",
        f"{ROOT}/town",
    ]
    tried += [discovery_topic("town", sender) for sender in {name, *others}]
    tried.remove(SENTINEL)
    for text in tried:
        publisher.connection.publish(text, name.encode(), qos=1)
    clients.wait_delivered(clock, listener)
    allowed = {text for text in tried if any_of(filters, text)}
    assert set(listener.topics()) == allowed
    assert bool(allowed) == (name != "viewer")
    assert all(text.endswith(f"/{name}") or text == discovery_topic("town", name) for text in allowed)


def test_a_device_receives_only_what_its_rules_allow(clients: Clients, users: dict[str, Identity]) -> None:
    listeners = {name: clients.connect(name, ALL) for name in USERS}
    clock = listeners["clock"]
    published = set()
    for name, user in users.items():
        publisher = listeners.get(name) or clients.connect(name)
        filters = list(publish_filters("town", user))
        for text in every_topic((*USERS, "turbine-2", "vehicle-2"), name):
            if any_of(filters, text) and text != SENTINEL:
                published.add(text)
                publisher.connection.publish(text, b"", qos=1)
    clients.wait_delivered(clock, *listeners.values())
    assert {text.split("/")[2] for text in published} == {
        message_type.name for message_type in TOPIC_TABLE
    } - {"tick"}
    for name, listener in listeners.items():
        filters = list(subscribe_filters("town", users[name]))
        assert set(listener.topics()) == {text for text in published if any_of(filters, text)}, name


def batches(users: dict[str, Identity], fleet: str) -> list[str]:
    """Return a batch topic of every message type, to every cell, of a fleet process."""
    cells = ("cell-1-1", "cell-2-1", "cell-3-1", "site")
    return [
        batch_topic("town", message_type.name, cell, fleet) for message_type in TOPIC_TABLE for cell in cells
    ]


def test_a_fleet_process_publishes_only_what_its_devices_may(
    clients: Clients, users: dict[str, Identity]
) -> None:
    listener, clock, fleet = (
        clients.connect("recorder", ALL),
        clients.connect("clock"),
        clients.connect("fleet-1"),
    )
    own = {device.name for device in users["fleet-1"].devices}
    names = (*USERS, "fleet-1", "fleet-2", "household-5", "turbine-2", "unknown")
    assert 0 < len(own & set(names)) < len(own)
    assert not own & {device.name for device in users["fleet-2"].devices}
    tried = [text for sender in names for text in every_topic(USERS, sender)]
    tried += [text for name in ("fleet-1", "fleet-2", "charger-1") for text in batches(users, name)]
    tried.remove(SENTINEL)
    for text in tried:
        fleet.connection.publish(text, b"1", qos=1)
    clients.wait_delivered(clock, listener)
    filters = list(publish_filters("town", users["fleet-1"]))
    delivered = set(listener.topics())
    assert delivered == {text for text in tried if any_of(filters, text)}
    assert {text.rpartition("/")[2] for text in delivered} == (own | {"fleet-1"}) & set(names)
    batched = {text.split("/")[3] for text in delivered if "/batch/" in text}
    assert batched == {message_type.name for message_type in TOPIC_TABLE if not message_type.retain} - {
        "grant"
    }


def test_a_device_neither_publishes_nor_receives_batches(
    clients: Clients, users: dict[str, Identity]
) -> None:
    clock, listener, fleet = (
        clients.connect("clock", ALL),
        clients.connect("recorder", ALL),
        clients.connect("fleet-1"),
    )
    spies = [
        clients.connect(name, ALL, "gridfleet/town/batch/#") for name in ("vehicle-2", "turbine-1", "fleet-2")
    ]
    for text in batches(users, "fleet-1"):
        fleet.connection.publish(text, b"1", qos=1)
    charger = clients.connect("charger-1")
    for text in batches(users, "charger-1"):
        charger.connection.publish(text, b"1", qos=1)
    clients.wait_delivered(clock, listener, *spies)
    assert set(clock.topics()) - {SENTINEL} == {"gridfleet/town/batch/ready/site/fleet-1"}
    vehicle, turbine, other = (set(spy.topics()) for spy in spies)
    assert vehicle == turbine == set()
    filters = list(subscribe_filters("town", users["fleet-2"]))
    assert other == {text for text in listener.topics() if any_of(filters, text)}
    assert not any("/ready/" in text or "cell-1-1" in text for text in other if "offer" in text)


def test_offers_to_others_are_not_readable(clients: Clients) -> None:
    clock = clients.connect("clock")
    spy = clients.connect("vehicle-2", "gridfleet/town/offer/#", "gridfleet/town/offer/vehicle-1/+", ALL)
    mine = clients.connect("vehicle-1", "gridfleet/town/offer/vehicle-1/+", "gridfleet/town/tick/+")
    clients.connect("charger-1").connection.publish("gridfleet/town/offer/vehicle-1/charger-1", b"1", qos=1)
    clients.wait_delivered(clock, spy, mine)
    assert (spy.received, mine.topics()) == ([], ["gridfleet/town/offer/vehicle-1/charger-1"])


def test_retained_messages_to_others_are_not_readable_later(clients: Clients) -> None:
    clients.connect("charger-1").connection.publish(
        "gridfleet/town/state/charger/charger-1", b"1", qos=1, retain=True
    )
    clients.loop.run_until(lambda: not clients.unacknowledged(), 60)
    spy, viewer = clients.connect("vehicle-2", ALL), clients.connect("viewer", ALL)
    clients.wait_delivered(clients.connect("clock"), spy, viewer)
    assert (spy.topics(), viewer.topics()) == ([], ["gridfleet/town/state/charger/charger-1"])


@pytest.mark.parametrize(
    "login",
    [
        Login(),
        Login("charger-1", None),
        Login("charger-1", ""),
        Login("charger-1", "wrong"),
        Login("unknown", "wrong"),
        Login("", ""),
    ],
    ids=["anonymous", "no password", "empty password", "wrong password", "unknown", "empty name"],
)
def test_an_unknown_user_receives_and_publishes_nothing(clients: Clients, login: Login) -> None:
    clock = clients.connect("clock")
    trusted = Login(login.username, login.password, clients.credentials.login("clock").tls)
    stranger = clients.start_connecting("stranger", "#", login=trusted)
    stranger.connection.publish(SENTINEL, b"forged", qos=1)
    viewer = clients.start_connecting("viewer", ALL)
    assert clients.loop.run_until(lambda: viewer.connection.online, 60)
    clock.connection.publish("gridfleet/town/tick/clock", b"true", qos=1)
    assert clients.loop.run_until(lambda: "refused" in stranger.connection.offline_reason, 60)
    assert clients.loop.run_until(lambda: bool(viewer.received), 60)
    assert [payload for _, payload in viewer.received] == [b"true"]
    assert stranger.received == []


def test_a_password_is_valid_only_for_its_user_name(clients: Clients) -> None:
    charger, clock = clients.credentials.login("charger-1"), clients.credentials.login("clock")
    stranger = clients.start_connecting("clock", ALL, login=Login("clock", charger.password, clock.tls))
    assert clients.loop.run_until(lambda: "refused" in stranger.connection.offline_reason, 60)


def test_a_user_cannot_take_over_the_session_of_another(clients: Clients) -> None:
    clock, viewer = clients.connect("clock"), clients.connect("viewer", ALL)
    clients.connect("clock", login=clients.credentials.login("charger-1"))
    clients.wait_delivered(clock, viewer)
    assert clock.connection.online
    assert clock.connection.offline_reason == ""


def test_a_connection_without_tls_is_refused(mosquitto: MosquittoBroker) -> None:
    from gridfleet.broker.address import BrokerAddress
    from gridfleet.broker.mqtt.client import MqttLoop

    with MqttLoop(BrokerAddress("127.0.0.1", mosquitto.ports.tls or 0)) as loop:
        loop.open("charger-1", on_message=lambda *_: None)
        with pytest.raises(BrokerError, match="not online"):
            loop.wait_online(1.0)


def test_a_rotated_password_stops_working_at_once(tmp_path: Path, scenario: Scenario) -> None:
    users = identities(Fleet(scenario))
    folder = tmp_path / "secrets"
    make_secrets(folder, "town", users)
    with MosquittoBroker(folder) as broker, Clients(broker, FileCredentials(folder)) as clients:
        old = clients.credentials.login("charger-1")
        old_client, clock = clients.connect("charger-1", ALL, login=old), clients.connect("clock")
        viewer = clients.connect("viewer", ALL)
        make_secrets(folder, "town", users, rotate=["charger-1"])
        broker.reload()
        assert clients.loop.run_until(lambda: "refused" in old_client.connection.offline_reason, 60)
        old_client.connection.abort()
        own = clients.connect("charger-1", ALL)
        clients.wait_delivered(clock, own, viewer)
        assert clock.connection.offline_reason == ""


def test_a_device_removed_from_the_scenario_loses_access(tmp_path: Path, scenario: Scenario) -> None:
    users = identities(Fleet(scenario))
    folder = tmp_path / "secrets"
    make_secrets(folder, "town", users)
    with MosquittoBroker(folder) as broker, Clients(broker, FileCredentials(folder)) as clients:
        removed = clients.connect("charger-1")
        make_secrets(folder, "town", [user for user in users if user.name != "charger-1"])
        broker.reload()
        assert clients.loop.run_until(lambda: "refused" in removed.connection.offline_reason, 60)


def test_certificates_identify_and_are_revoked(tmp_path: Path, scenario: Scenario) -> None:
    users = identities(Fleet(scenario))
    folder = tmp_path / "secrets"
    make_secrets(folder, "town", users)
    credentials = FileCredentials(folder, certificates=True)
    old = credentials.login("charger-1")
    with MosquittoBroker(folder, client_certificates=True) as broker, Clients(broker, credentials) as clients:
        clock, viewer = clients.connect("clock"), clients.connect("viewer", ALL)
        # the name in the certificate counts, not the user name
        charger = clients.connect("clock", login=Login("clock", None, old.tls))
        charger.connection.publish("gridfleet/town/state/clock/clock", b"forged", qos=1)
        charger.connection.publish("gridfleet/town/state/charger/charger-1", b"true", qos=1)
        clients.wait_delivered(clock, viewer)
        assert viewer.topics() == ["gridfleet/town/state/charger/charger-1"]
        charger.connection.abort()
        make_secrets(folder, "town", users, rotate=["charger-1"])
        broker.reload()
        clients.connect("charger-1")
        old_client = clients.start_connecting("old_client", ALL, login=old)
        without_certificate = clients.start_connecting(
            "without_certificate", ALL, login=FileCredentials(folder).login("clock")
        )
        refused = [old_client.connection, without_certificate.connection]
        assert clients.loop.run_until(lambda: all(each.attempts for each in refused), 60)
        assert not any(each.online for each in refused)


def test_client_roles_are_named_like_their_users() -> None:
    assert {role.value for role in ClientRole} - {ClientRole.FLEET, ClientRole.BRIDGE} == {
        "recorder",
        "viewer",
        "operator",
    }


def test_without_discovery_no_device_publishes_any(tmp_path: Path, scenario: Scenario) -> None:
    make_secrets(tmp_path / "secrets", "town", identities(Fleet(scenario)))
    with (
        MosquittoBroker(tmp_path / "secrets") as broker,
        Clients(broker, FileCredentials(tmp_path / "secrets")) as clients,
    ):
        clock, viewer, charger = (
            clients.connect("clock"),
            clients.connect("viewer", ALL),
            clients.connect("charger-1"),
        )
        for name in ("charger-1", "charger-2", "clock"):
            charger.connection.publish(discovery_topic("town", name), b"{}", qos=1, retain=True)
        charger.connection.publish("gridfleet/town/state/charger/charger-1", b"1", qos=1)
        clients.wait_delivered(clock, viewer)
        assert viewer.topics() == ["gridfleet/town/state/charger/charger-1"]
