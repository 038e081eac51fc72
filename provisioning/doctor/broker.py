"""Checks the connection of a device to its broker: address, TLS, login, and the access rules by trying them."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gridfleet.broker.errors import BrokerError
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.doctor.connection import CONNECT_TIMEOUT_S, check_address, check_tls
from gridfleet.provisioning.doctor.diagnosis import Diagnosis, fail, ok, warn
from gridfleet.provisioning.doctor.presence import online_elsewhere

if TYPE_CHECKING:
    from gridfleet.broker.mqtt.client import Connection
    from gridfleet.devices.config.device_file import DeviceFile

OWN_TOPIC: Final = (
    "correct site, cell and kind in the device file; if they are right, enrol the device again: "
    "gridfleet device enrol FILE"
)
LISTEN_S: Final = 1.5
"""How long to wait for retained messages, in seconds."""
UNKNOWN_ID: Final = "nobody-of-that-name"
SITE: Final = (
    "correct `site` in the device file, or enrol the device at that site: gridfleet device enrol FILE"
)
ENROL: Final = "enrol the device again: gridfleet device enrol FILE, or gridfleet device flash"


def check_broker(device: "DeviceFile", *, running: str = "") -> Iterator[Diagnosis]:
    """Yield the diagnoses of the connection; stop at the first failure that makes the next checks impossible.

    `running` says how the agent runs on this machine; empty where it does not. While it runs, here or elsewhere, the
    doctor does not log in as the device: two clients with one id end each other's session.
    """
    from gridfleet.provisioning.site.device_credentials import wrong_site

    try:
        wrong = wrong_site(device)
    except CommandError as error:
        yield fail("site", str(error), ENROL)
        return
    if wrong is not None:
        yield fail("site", wrong, SITE)
        return
    address = device.address()
    reachable = yield from check_address(address)
    if not reachable:
        return
    if address.tls:
        try:
            context = _context(device)
        except BrokerError as error:
            yield fail("TLS", str(error), ENROL)
            return
        trusted = yield from check_tls(address, context)
        if not trusted:
            return
    else:
        yield warn(
            "TLS",
            "not used: everyone in the network can read the messages",
            "use mqtts:// and a broker with secrets",
        )
    running = running or online_elsewhere(device)
    if running:
        yield ok("login", f"not tried: {running}")
        remedy = "stop the agent (the service: sudo systemctl stop gridfleet-device), run the doctor again, start it"
        yield warn(
            "access rules", f"not tried, because a second login would disconnect it: {running}", remedy
        )
        return
    yield from _access_rules(device)


def _context(device: "DeviceFile") -> ssl.SSLContext:
    """Return the TLS context that the device uses."""
    from gridfleet.broker.credentials import FileCredentials

    if device.credentials is None:
        return ssl.create_default_context()
    credentials = FileCredentials(device.credentials, certificates=device.broker.certificate)
    return credentials.login(device.id).tls or ssl.create_default_context()


@dataclass(slots=True)
class _AccessTrial:
    """Topics received, and topics whose publication was denied, while the access rules were tried."""

    received: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)


def _access_rules(device: "DeviceFile") -> Iterator[Diagnosis]:
    """Log in as the device; publish and subscribe to what it may and to what it may not."""
    from gridfleet.broker.access_control import Identity, subscribe_filters
    from gridfleet.broker.credentials import FileCredentials
    from gridfleet.broker.mqtt.client import MqttLoop
    from gridfleet.broker.mqtt.client_options import NO_LOGIN
    from gridfleet.broker.protocol.codec import SCHEMA, encode
    from gridfleet.broker.protocol.topics import all_topics_filter, topic

    credentials = device.credentials
    file_credentials = (
        FileCredentials(credentials, certificates=device.broker.certificate) if credentials else None
    )
    trial = _AccessTrial()
    with MqttLoop(device.address(), schema=SCHEMA, retry_refused=True) as loop:
        connection: Connection = loop.open(
            device.id,
            on_message=lambda topic, _payload, _retained: trial.received.add(topic),
            on_problem=lambda reason, about: trial.denied.add(about) if reason == "denied" else None,
            filters=[(all_topics_filter(device.site), 1)],
            login=file_credentials.login(device.id) if file_credentials else NO_LOGIN,
        )
        if (
            not loop.run_until(
                lambda: connection.online or connection.offline_reason.startswith("refused"),
                CONNECT_TIMEOUT_S,
            )
            or not connection.online
        ):
            yield fail(
                "login",
                connection.offline_reason or "no answer",
                ENROL,
            )
            return
        yield ok("login", f"as {device.id}")
        presence = device.offline_presence()
        own = topic(device.site, presence, presence.scope, device.id)
        foreign = topic(device.site, presence, presence.scope, UNKNOWN_ID)
        connection.publish(own, encode(presence), qos=1, retain=True)
        connection.publish(foreign, encode(presence), qos=1)
        loop.run_until(lambda: False, LISTEN_S)
        connection.close()
    identity = Identity(device.id, device.role, device.cell, device.neighbours)
    yield from _diagnose_access(trial, own, foreign, list(subscribe_filters(device.site, identity)))


def _diagnose_access(trial: _AccessTrial, own: str, foreign: str, allowed: list[str]) -> Iterator[Diagnosis]:
    from paho.mqtt.client import topic_matches_sub

    remedy = "on the broker's machine: gridfleet site init DIR, which writes the rules again, then SIGHUP to the broker"
    ticks = [topic for topic in trial.received if topic.split("/")[2:3] == ["tick"]]
    leaked = sorted(
        topic
        for topic in trial.received - {own}
        if not any(topic_matches_sub(each, topic) for each in allowed)
    )
    if own in trial.denied:
        yield fail("access rules", f"the device may not publish {own}", OWN_TOPIC)
    if foreign not in trial.denied:
        yield fail(
            "access rules", f"the device may publish as {UNKNOWN_ID}: every client can forge messages", remedy
        )
    if leaked:
        yield fail("access rules", f"the device receives {leaked[0]}, which it must not", remedy)
    if not trial.denied - {foreign} and foreign in trial.denied and not leaked:
        yield ok(
            "access rules",
            "the device may publish and receive what it should, and nothing else that was tried",
        )
    if ticks:
        yield ok("clock of the site", "its tick is received")
    else:
        yield warn("clock of the site", "no tick is received", "start gridfleet site clock, or gridfleet run")
