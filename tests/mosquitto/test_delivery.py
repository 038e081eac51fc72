"""What rights are worth is shown by what arrives, not by what the broker acknowledges."""

import itertools
from pathlib import Path

import pytest

from gridfleet.broker.access_control import ClientRole as Role
from gridfleet.broker.access_control import Identity, publish_filters, subscribe_filters
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.credentials import FileCredentials
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.client_options import Login
from gridfleet.broker.protocol.messages import Kind
from gridfleet.broker.protocol.topics import ROOT, TOPIC_TABLE, Scope, batch_topic, discovery_topic
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.provisioning.site.secrets import identities, make_secrets
from tests.mosquitto.guests import SENTINEL, Guests
from tests.mosquitto.test_rights import any_of

pytestmark = pytest.mark.mosquitto

CAST = (
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
    return {user.name: user for user in identities(Fleet(scenario), processes=2, shared=True)}


def every_topic(names: tuple[str, ...], sender: str) -> list[str]:
    """Return a topic of every word, to whoever it may be for, from somebody."""
    cells, kinds = ("cell-1-1", "cell-2-1", "cell-3-1"), tuple(Kind)
    scopes = {
        Scope.SITE: [""],
        Scope.CELL: [f"{cell}/" for cell in cells],
        Scope.DEVICE: [f"{name}/" for name in names],
        Scope.CELL_KIND: [f"{cell}/{kind}/" for cell, kind in itertools.product((*cells, "site"), kinds)],
        Scope.SETTING: ["paused/", "mode/"],
    }
    return [
        f"{ROOT}/town/{message_type.name}/{scope}{sender}"
        for message_type in TOPIC_TABLE
        for scope in scopes[message_type.scope]
    ]


@pytest.mark.parametrize("name", CAST)
def test_only_what_somebody_may_say_is_delivered(
    guests: Guests, users: dict[str, Identity], name: str
) -> None:
    ear = guests.come("viewer" if name == "recorder" else "recorder", ALL)
    clock = guests.come("clock")
    rogue = clock if name == "clock" else guests.come(name)
    rights = list(publish_filters("town", users[name]))
    others = ("turbine-1", "household-2", "charger-2", "clock", "operator", "viewer", "nobody")
    tried = [text for sender in {name, *others} for text in every_topic(CAST, sender)]
    tried += [
        "$SYS/broker/uptime",
        "homeassistant/device/x/config",
        "gridfleet/other/tick/clock",
        f"{ROOT}/town",
    ]
    tried += [discovery_topic("town", sender) for sender in {name, *others}]
    tried.remove(SENTINEL)
    for text in tried:
        rogue.connection.publish(text, name.encode(), qos=1)
    guests.settle(clock, ear)
    allowed = {text for text in tried if any_of(rights, text)}
    assert set(ear.topics()) == allowed
    assert bool(allowed) == (name not in {"viewer", "recorder"})
    assert all(text.endswith(f"/{name}") or text == discovery_topic("town", name) for text in allowed)


def test_only_what_concerns_a_device_is_delivered_to_it(guests: Guests, users: dict[str, Identity]) -> None:
    ears = {name: guests.come(name, ALL) for name in CAST}
    clock = ears["clock"]
    said = set()
    for name, user in users.items():
        mouth = ears.get(name) or guests.come(name)
        rights = list(publish_filters("town", user))
        for text in every_topic((*CAST, "turbine-2", "vehicle-2"), name):
            if any_of(rights, text) and text != SENTINEL:
                said.add(text)
                mouth.connection.publish(text, b"", qos=1)
    guests.settle(clock, *ears.values())
    assert {text.split("/")[2] for text in said} == {message_type.name for message_type in TOPIC_TABLE} - {
        "tick"
    }
    for name, ear in ears.items():
        rights = list(subscribe_filters("town", users[name]))
        assert set(ear.topics()) == {text for text in said if any_of(rights, text)}, name


def batches(users: dict[str, Identity], host: str) -> list[str]:
    """A batch of every word, to every cell, from a host."""
    cells = ("cell-1-1", "cell-2-1", "cell-3-1", "site")
    return [
        batch_topic("town", message_type.name, cell, host) for message_type in TOPIC_TABLE for cell in cells
    ]


def test_a_host_says_only_what_its_devices_may(guests: Guests, users: dict[str, Identity]) -> None:
    ear, clock, host = guests.come("recorder", ALL), guests.come("clock"), guests.come("fleet-1")
    own = {device.name for device in users["fleet-1"].devices}
    names = (*CAST, "fleet-1", "fleet-2", "household-5", "turbine-2", "nobody")
    assert 0 < len(own & set(names)) < len(own)
    assert not own & {device.name for device in users["fleet-2"].devices}
    tried = [text for sender in names for text in every_topic(CAST, sender)]
    tried += [text for name in ("fleet-1", "fleet-2", "charger-1") for text in batches(users, name)]
    tried.remove(SENTINEL)
    for text in tried:
        host.connection.publish(text, b"1", qos=1)
    guests.settle(clock, ear)
    rights = list(publish_filters("town", users["fleet-1"]))
    delivered = set(ear.topics())
    assert delivered == {text for text in tried if any_of(rights, text)}
    assert {text.rpartition("/")[2] for text in delivered} == (own | {"fleet-1"}) & set(names)
    batched = {text.split("/")[3] for text in delivered if "/batch/" in text}
    assert batched == {message_type.name for message_type in TOPIC_TABLE if not message_type.retain} - {
        "grant"
    }


def test_a_device_neither_says_nor_hears_batches(guests: Guests, users: dict[str, Identity]) -> None:
    clock, ear, host = guests.come("clock", ALL), guests.come("recorder", ALL), guests.come("fleet-1")
    spies = [
        guests.come(name, ALL, "gridfleet/town/batch/#") for name in ("vehicle-2", "turbine-1", "fleet-2")
    ]
    for text in batches(users, "fleet-1"):
        host.connection.publish(text, b"1", qos=1)
    charger = guests.come("charger-1")
    for text in batches(users, "charger-1"):
        charger.connection.publish(text, b"1", qos=1)
    guests.settle(clock, ear, *spies)
    assert set(clock.topics()) - {SENTINEL} == {"gridfleet/town/batch/ready/site/fleet-1"}
    vehicle, turbine, other = (set(spy.topics()) for spy in spies)
    assert vehicle == turbine == set()
    rights = list(subscribe_filters("town", users["fleet-2"]))
    assert other == {text for text in ear.topics() if any_of(rights, text)}
    assert not any("/ready/" in text or "cell-1-1" in text for text in other if "offer" in text)


def test_offers_to_others_are_not_readable(guests: Guests) -> None:
    clock = guests.come("clock")
    spy = guests.come("vehicle-2", "gridfleet/town/offer/#", "gridfleet/town/offer/vehicle-1/+", ALL)
    mine = guests.come("vehicle-1", "gridfleet/town/offer/vehicle-1/+", "gridfleet/town/tick/+")
    guests.come("charger-1").connection.publish("gridfleet/town/offer/vehicle-1/charger-1", b"1", qos=1)
    guests.settle(clock, spy, mine)
    assert (spy.heard, mine.topics()) == ([], ["gridfleet/town/offer/vehicle-1/charger-1"])


def test_what_is_retained_is_not_readable_later_either(guests: Guests) -> None:
    guests.come("charger-1").connection.publish("gridfleet/town/state/charger-1", b"1", qos=1, retain=True)
    guests.loop.run_until(lambda: not guests.unanswered(), 60)
    spy, viewer = guests.come("vehicle-2", ALL), guests.come("viewer", ALL)
    guests.settle(guests.come("clock"), spy, viewer)
    assert (spy.topics(), viewer.topics()) == ([], ["gridfleet/town/state/charger-1"])


@pytest.mark.parametrize(
    "login",
    [
        Login(),
        Login("charger-1", None),
        Login("charger-1", ""),
        Login("charger-1", "wrong"),
        Login("nobody", "wrong"),
        Login("", ""),
    ],
    ids=["anonymous", "no password", "empty password", "wrong password", "unknown", "empty name"],
)
def test_who_is_not_known_gets_nothing(guests: Guests, login: Login) -> None:
    clock = guests.come("clock")
    trusted = Login(login.username, login.password, guests.keyring.login("clock").tls)
    stranger = guests.try_to_come("stranger", "#", login=trusted)
    stranger.connection.publish(SENTINEL, b"forged", qos=1)
    viewer = guests.try_to_come("viewer", ALL)
    assert guests.loop.run_until(lambda: viewer.connection.online, 60)
    clock.connection.publish("gridfleet/town/tick/clock", b"true", qos=1)
    assert guests.loop.run_until(lambda: "refused" in stranger.connection.offline_reason, 60)
    assert guests.loop.run_until(lambda: bool(viewer.heard), 60)
    assert [payload for _, payload in viewer.heard] == [b"true"]
    assert stranger.heard == []


def test_a_password_is_good_for_its_own_name_only(guests: Guests) -> None:
    charger, clock = guests.keyring.login("charger-1"), guests.keyring.login("clock")
    stranger = guests.try_to_come("clock", ALL, login=Login("clock", charger.password, clock.tls))
    assert guests.loop.run_until(lambda: "refused" in stranger.connection.offline_reason, 60)


def test_nobody_can_take_over_anothers_session(guests: Guests) -> None:
    clock, viewer = guests.come("clock"), guests.come("viewer", ALL)
    guests.come("clock", login=guests.keyring.login("charger-1"))
    guests.settle(clock, viewer)
    assert clock.connection.online
    assert clock.connection.offline_reason == ""


def test_without_tls_nobody_gets_in(mosquitto: MosquittoBroker) -> None:
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
    with MosquittoBroker(folder) as broker, Guests(broker, FileCredentials(folder)) as guests:
        old = guests.keyring.login("charger-1")
        thief, clock = guests.come("charger-1", ALL, login=old), guests.come("clock")
        viewer = guests.come("viewer", ALL)
        make_secrets(folder, "town", users, rotate=["charger-1"])
        broker.reload()
        assert guests.loop.run_until(lambda: "refused" in thief.connection.offline_reason, 60)
        thief.connection.abort()
        own = guests.come("charger-1", ALL)
        guests.settle(clock, own, viewer)
        assert clock.connection.offline_reason == ""


def test_who_left_the_scenario_is_locked_out(tmp_path: Path, scenario: Scenario) -> None:
    users = identities(Fleet(scenario))
    folder = tmp_path / "secrets"
    make_secrets(folder, "town", users)
    with MosquittoBroker(folder) as broker, Guests(broker, FileCredentials(folder)) as guests:
        gone = guests.come("charger-1")
        make_secrets(folder, "town", [user for user in users if user.name != "charger-1"])
        broker.reload()
        assert guests.loop.run_until(lambda: "refused" in gone.connection.offline_reason, 60)


def test_certificates_identify_and_are_revoked(tmp_path: Path, scenario: Scenario) -> None:
    users = identities(Fleet(scenario))
    folder = tmp_path / "secrets"
    make_secrets(folder, "town", users)
    keyring = FileCredentials(folder, certificates=True)
    old = keyring.login("charger-1")
    with MosquittoBroker(folder, client_certificates=True) as broker, Guests(broker, keyring) as guests:
        clock, viewer = guests.come("clock"), guests.come("viewer", ALL)
        # who the certificate says, whatever the user name says
        charger = guests.come("clock", login=Login("clock", None, old.tls))
        charger.connection.publish("gridfleet/town/state/clock", b"forged", qos=1)
        charger.connection.publish("gridfleet/town/state/charger-1", b"true", qos=1)
        guests.settle(clock, viewer)
        assert viewer.topics() == ["gridfleet/town/state/charger-1"]
        charger.connection.abort()
        make_secrets(folder, "town", users, rotate=["charger-1"])
        broker.reload()
        guests.come("charger-1")
        thief = guests.try_to_come("thief", ALL, login=old)
        naked = guests.try_to_come("naked", ALL, login=FileCredentials(folder).login("clock"))
        guests.loop.run_until(lambda: False, 1.0)
        assert not thief.connection.online
        assert not naked.connection.online


def test_the_roles_of_guests_are_named_like_their_users() -> None:
    assert {role.value for role in Role} - {Role.FLEET, Role.BRIDGE} == {"recorder", "viewer", "operator"}
