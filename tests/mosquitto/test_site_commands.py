"""`gridfleet site purge`, `site status` and `broker check` on real brokers, with and without access rules."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker, Ports
from gridfleet.broker.credentials import SecretsFolder
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.client_options import NO_LOGIN
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.messages import (
    Control,
    Facts,
    FleetPresence,
    Message,
    Mode,
    Phase,
    Presence,
    Role,
    Settings,
    Tick,
)
from gridfleet.broker.protocol.topics import discovery_topic, topic
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.clients.retained import read_retained
from gridfleet.provisioning.site.user_registry import IN_A_CELL, read_registry
from tests.mosquitto.clients import Clients

TICK = Tick(3, Phase.BID, 0, 0, Mode.SCALED, 2.0, 6, False, Settings())
FACTS = Facts("Town", 50.0, 51.0, 9.0, 10.0, 3, 1, 900_000)


class Site:
    """Publishes retained messages as a site's senders do."""

    def __init__(self, clients: Clients, secrets: Path) -> None:
        self.clients = clients
        users = [user for user in read_registry(SecretsFolder(secrets)).users if user.role in IN_A_CELL]
        self.devices = {user.name: user for user in users[:3]}
        self.names = list(self.devices)
        self.connections = {
            name: clients.connect(name).connection for name in ("clock", "operator", *self.names)
        }

    def publish(self, sender: str, where: str, payload: bytes) -> None:
        self.connections[sender].publish(where, payload, qos=1, retain=True)
        assert self.clients.loop.run_until(lambda: not self.clients.unacknowledged(), 60)

    def say(self, sender: str, message: Message, scope: str = "") -> None:
        self.publish(sender, topic("town", message, scope, sender), encode(message))

    def present(self, name: str, *, online: bool) -> None:
        user = self.devices[name]
        presence = Presence(online, Role(user.role), user.cell, 50.0, 9.0)
        self.say(name, presence, presence.scope)

    def publish_all(self, *, online: bool) -> int:
        """Publish what a site retains; return the number of messages."""
        self.say("clock", TICK)
        self.say("clock", FACTS)
        self.say("operator", Control(value=True, revision=1), "paused")
        for name in self.names:
            self.present(name, online=online)
        self.publish(self.names[0], discovery_topic("town", self.names[0]), b"{}")
        return 4 + len(self.names)


@pytest.fixture
def site(clients: Clients, secrets: Path) -> Site:
    return Site(clients, secrets)


def words(broker: MosquittoBroker, secrets: Path) -> list[str]:
    return ["--broker", broker.url, "--secrets", str(secrets)]


def retained(broker: MosquittoBroker, clients: Clients) -> dict[str, bytes]:
    return read_retained(BrokerAddress.parse(broker.url), "town", clients.credentials.login("viewer"))


# --- purge ---


@pytest.mark.mosquitto
def test_a_finished_site_is_cleared_with_the_logins_of_its_senders(
    site: Site,
    clients: Clients,
    mosquitto: MosquittoBroker,
    secrets: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    count = site.publish_all(online=False)
    clients.loop.close()
    assert len(retained(mosquitto, clients)) == count
    assert main(["site", "purge", "--site", "town", *words(mosquitto, secrets), "--yes"]) == ExitCode.SUCCESS
    assert f"Cleared   {count}\n" in capsys.readouterr().out
    assert retained(mosquitto, clients) == {}
    assert main(["site", "purge", "--site", "town", *words(mosquitto, secrets)]) == ExitCode.SUCCESS
    assert "has no retained messages of town" in capsys.readouterr().out


@pytest.mark.mosquitto
def test_a_site_with_devices_online_is_not_purged(
    site: Site,
    clients: Clients,
    mosquitto: MosquittoBroker,
    secrets: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    count = site.publish_all(online=False)
    site.present(site.names[1], online=True)
    clients.loop.close()
    purge = ["site", "purge", "--site", "town", *words(mosquitto, secrets), "--yes"]
    assert main(purge) == ExitCode.USAGE
    assert f"town: {site.names[1]} is online: stop them first, or give --force" in capsys.readouterr().err
    assert len(retained(mosquitto, clients)) == count
    assert main([*purge, "--force"]) == ExitCode.SUCCESS
    assert retained(mosquitto, clients) == {}


@pytest.mark.mosquitto
def test_messages_of_a_sender_without_a_password_are_left_and_named(
    site: Site,
    clients: Clients,
    mosquitto: MosquittoBroker,
    secrets: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    site.publish_all(online=False)
    clients.loop.close()
    part = tmp_path / "part"
    (part / "clients").mkdir(parents=True)
    (part / "ca.crt").write_bytes((secrets / "ca.crt").read_bytes())
    for name in ("viewer", "clock", "operator", *site.names[1:]):
        (part / "clients" / f"{name}.password").write_bytes(
            (secrets / "clients" / f"{name}.password").read_bytes()
        )
    assert main(["site", "purge", "--site", "town", *words(mosquitto, part), "--yes"]) == ExitCode.FAILED
    assert f"Left      2 of {site.names[0]}: {part}/ has no password of theirs" in capsys.readouterr().out
    assert len(retained(mosquitto, clients)) == 2


@pytest.mark.mosquitto
def test_other_sites_keep_their_messages(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = (
        "gridfleet/town2/tick/clock",
        "gridfleet/tow/tick/clock",
        "other/town/tick",
        discovery_topic("town2", "a"),
    )
    own = ("gridfleet/town/tick/clock", "gridfleet/town/bid/anything/at/all")
    with MosquittoBroker(None, Ports(plain=0)) as broker, MqttLoop(BrokerAddress.parse(broker.url)) as loop:
        received: dict[str, bytes] = {}
        client = loop.open("someone", on_message=lambda *_: None)
        loop.wait_online(60)
        for name in (*kept, *own):
            client.publish(name, b"{}", qos=1, retain=True)
        assert loop.run_until(lambda: client.all_acknowledged, 60)
        purge = ["site", "purge", "--site", "town", "--broker", broker.url]
        assert main(purge) == ExitCode.USAGE
        assert "--yes: is needed, because standard input is not a terminal" in capsys.readouterr().err
        for answer, code in (("n\n", ExitCode.USAGE), ("y\n", ExitCode.SUCCESS)):
            monkeypatch.setattr("sys.stdin", Terminal(answer))
            assert main(purge) == code
        assert "Cleared   2\n" in capsys.readouterr().out
        loop.open(
            "late", on_message=lambda name, payload, _: received.update({name: payload}), filters=[("#", 1)]
        )
        assert loop.run_until(lambda: len(received) >= len(kept), 60)
        client.publish("end", b"1", qos=1)
        assert loop.run_until(lambda: "end" in received, 60)
    assert set(received) == {*kept, "end"}


class Terminal(io.StringIO):
    """Standard input as of a person who types an answer."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("site", ["+", "#", "a/b", ""])
def test_a_site_that_would_match_others_is_refused(site: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["site", "purge", "--site", site, "--broker", "mqtt://127.0.0.1:1", "--yes"]) == ExitCode.USAGE
    )
    assert "is not an id" in capsys.readouterr().err


# --- status ---


@pytest.mark.mosquitto
def test_status_says_who_is_online(
    site: Site, mosquitto: MosquittoBroker, secrets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.publish_all(online=True)
    clock = Presence(True, Role.CLOCK, "site", 50.0, 9.0)
    site.say("clock", clock, clock.scope)
    status = ["site", "status", "--site", "town", *words(mosquitto, secrets)]
    assert main(status) == ExitCode.SUCCESS
    assert capsys.readouterr().out.splitlines() == [
        "Site      town, tick 4 of 10, phase 1 Bid, mode scaled, clock online",
        "Online    3 of 3 devices",
    ]
    site.present(site.names[0], online=False)
    site.say("clock", replace(clock, online=False), clock.scope)
    assert main(status) == ExitCode.FAILED
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == [
        "Online    2 of 3 devices",
        f"Offline   {site.names[0]}",
        "Problem   the clock is offline",
        "Problem   1 device is offline",
    ]
    assert main([*status, "--json"]) == ExitCode.FAILED
    shown = json.loads(capsys.readouterr().out)
    assert (shown["live"]["tick"], shown["live"]["ticks"], shown["live"]["clock_online"]) == (3, 10, False)
    assert shown["live"]["offline"] == [site.names[0]]
    assert len(shown["problems"]) == 2
    assert main([*status, "--devices"]) == ExitCode.FAILED
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[3:7]]
    assert rows[0] == ["id", "role", "kind"]
    assert {row[0]: row[-1] for row in rows[1:]} == {
        name: "offline" if name == site.names[0] else "online" for name in site.names
    }


def test_status_needs_something_to_look_at(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["site", "status"]) == ExitCode.USAGE
    assert "needs --broker URL, the directory of a recorder, or both" in capsys.readouterr().err
    assert main(["site", "status", "out", "--devices"]) == ExitCode.USAGE
    assert "--devices: needs --broker URL" in capsys.readouterr().err


@pytest.mark.mosquitto
def test_devices_are_offline_when_their_fleet_process_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with MosquittoBroker(None, Ports(plain=0)) as broker, MqttLoop(BrokerAddress.parse(broker.url)) as loop:
        client = loop.open("fleet-1", on_message=lambda *_: None)
        loop.wait_online(60)
        behind = Presence(True, Role.CHARGER, "north", 50.0, 9.0, via="fleet-1")
        for message, scope, sender in (
            (behind, behind.scope, "charger-1"),
            (FleetPresence(False, 1, {}), "", "fleet-1"),
        ):
            client.publish(topic("town", message, scope, sender), encode(message), qos=1, retain=True)
        assert loop.run_until(lambda: client.all_acknowledged, 60)
        assert main(["site", "status", "--site", "town", "--broker", broker.url]) == ExitCode.FAILED
    assert "Online    0 of 1 devices\nOffline   charger-1\n" in capsys.readouterr().out


# --- broker check ---


def severities(text: str) -> dict[str, str]:
    """Return the severity of each subject; the worst where one has several lines."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        severity, subject = line[:5].strip(), line[6:24].strip()
        if severity and found.get(subject) != "fail":
            found[subject] = severity
    return found


@pytest.mark.mosquitto
def test_a_broker_with_the_secrets_of_a_site_passes_and_stays_as_it_was(
    site: Site,
    clients: Clients,
    mosquitto: MosquittoBroker,
    secrets: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    site.publish_all(online=False)
    clients.loop.close()
    before = retained(mosquitto, clients)
    assert main(["broker", "check", *words(mosquitto, secrets)]) == ExitCode.SUCCESS
    output = capsys.readouterr().out
    assert severities(output) == dict.fromkeys(
        ("broker", "TLS", "login", "QoS 1", "access rules", "last will", "retained", "batches"), "ok"
    )
    assert "fleet-1 may publish those of its devices" in output
    assert retained(mosquitto, clients) == before


@pytest.mark.mosquitto
def test_nothing_is_tried_while_the_site_is_online(
    site: Site, mosquitto: MosquittoBroker, secrets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.publish_all(online=True)
    assert main(["broker", "check", *words(mosquitto, secrets)]) == ExitCode.SUCCESS
    found = severities(capsys.readouterr().out)
    assert found == {"broker": "ok", "TLS": "ok", "login": "ok", "delivery": "warn"}
    assert all(connection.online for connection in site.connections.values())


@pytest.mark.mosquitto
@pytest.mark.parametrize(
    ("rules", "failed"),
    [
        ("topic readwrite #\n", "may publish"),
        ("user viewer\ntopic read #\n", "may not publish"),
    ],
    ids=["everything is allowed", "nothing is allowed"],
)
def test_wrong_access_rules_are_found(
    rules: str, failed: str, secrets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own"
    for path in secrets.rglob("*"):
        if path.is_file():
            target = own / path.relative_to(secrets)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    users = [user.name for user in read_registry(SecretsFolder(own)).users]
    text = "".join(f"user {user}\n{rules}" for user in users) if rules.startswith("topic") else rules
    SecretsFolder(own).acl.write_text(text)
    with MosquittoBroker(own) as broker:
        assert main(["broker", "check", *words(broker, own)]) == ExitCode.FAILED
    output = capsys.readouterr().out
    found = severities(output)
    assert found["access rules"] == "fail"
    assert failed in output
    assert found["batches"] == ("ok" if rules.startswith("topic") else "fail")


def test_an_open_broker_passes_with_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    with EmbeddedBroker() as broker:
        assert main(["broker", "check", "--broker", broker.url]) == ExitCode.SUCCESS
        assert read_retained(BrokerAddress.parse(broker.url), "germany", NO_LOGIN) == {}
    found = severities(capsys.readouterr().out)
    assert {name for name, severity in found.items() if severity == "warn"} == {"TLS", "access rules"}
    assert "fail" not in found.values()


def test_a_broker_that_does_not_answer_is_a_failed_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["broker", "check", "--broker", "mqtt://127.0.0.1:1"]) == ExitCode.FAILED
    assert "fail  broker             mqtt://127.0.0.1:1 does not answer" in capsys.readouterr().out
