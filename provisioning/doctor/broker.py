"""Checks the connection to the broker: host name, port, TLS, login, and the access rules by trying them."""

import socket
import ssl
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gridfleet.broker.errors import BrokerError, error_reason
from gridfleet.provisioning.doctor.diagnosis import Diagnosis, fail, ok, warn
from gridfleet.provisioning.doctor.presence import online_elsewhere

if TYPE_CHECKING:
    from gridfleet.broker.mqtt.client import Connection
    from gridfleet.devices.config.device_file import DeviceFile

CONNECT_TIMEOUT_S: Final = 5.0
LISTEN_S: Final = 1.5
"""How long to wait for retained messages, in seconds."""
MIN_VALID_DAYS: Final = 30
UNKNOWN_ID: Final = "nobody-of-that-name"
ENROL: Final = "enrol the device again: gridfleet device enrol FILE, or gridfleet device flash"


def check_broker(device: "DeviceFile", *, running: str = "") -> Iterator[Diagnosis]:
    """Yield the diagnoses of the connection; stop at the first failure that makes the next checks impossible.

    `running` says how the agent runs on this machine; empty where it does not. While it runs, here or elsewhere, the
    doctor does not log in as the device: two clients with one id end each other's session.
    """
    reachable = yield from _connect(device)
    if not reachable:
        return
    if device.address().tls:
        trusted = yield from _tls(device)
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


def _connect(device: "DeviceFile") -> Generator[Diagnosis, None, bool]:
    address = device.address()
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError:
        remedy = "check the spelling; try its IP address, or NAME.local"
        yield fail("broker", f"the host name {address.host} cannot be resolved", remedy)
        return False
    trouble: OSError | None = None
    for family, kind, protocol, _, where in found:
        try:
            with socket.socket(family, kind, protocol) as link:
                link.settimeout(CONNECT_TIMEOUT_S)
                begun_s = time.monotonic()
                link.connect(where)
                took_ms = 1000 * (time.monotonic() - begun_s)
        except OSError as error:
            trouble = error
        else:
            yield ok("broker", f"{address} answers in {took_ms:.0f} ms")
            return True
    text = error_reason(trouble) if trouble else "no address"
    remedy = "start it with gridfleet site broker --host 0.0.0.0, and open its port in the firewall"
    yield fail("broker", f"{address} does not answer ({text})", remedy)
    return False


def _tls(device: "DeviceFile") -> Generator[Diagnosis, None, bool]:
    from gridfleet.broker.credentials import FileCredentials

    address = device.address()
    try:
        if device.credentials is not None:
            file_credentials = FileCredentials(device.credentials, certificates=device.broker.certificate)
            context = file_credentials.login(device.id).tls or ssl.create_default_context()
        else:
            context = ssl.create_default_context()
    except BrokerError as error:
        yield fail("TLS", str(error), ENROL)
        return False
    try:
        with socket.create_connection((address.host, address.port), CONNECT_TIMEOUT_S) as plain:
            plain.settimeout(CONNECT_TIMEOUT_S)
            with context.wrap_socket(plain, server_hostname=address.host) as link:
                certificate = link.getpeercert() or {}
                version = link.version()
    except ssl.SSLCertVerificationError as error:
        yield _untrusted(error, address.host)
        return False
    except (OSError, ssl.SSLError) as error:
        text = getattr(error, "reason", None) or error
        yield fail("TLS", f"handshake failed ({text})", "use the broker's TLS port (8883)")
        return False
    days = (ssl.cert_time_to_seconds(str(certificate["notAfter"])) - time.time()) / 86_400
    text = f"{version}, the broker's certificate is valid for {days:.0f} days"
    if days < MIN_VALID_DAYS:
        remedy = "on the broker's machine: gridfleet site rotate DIR --only server, then SIGHUP"
        yield warn("TLS", text, remedy)
    else:
        yield ok("TLS", text)
    return True


def _untrusted(error: ssl.SSLCertVerificationError, host: str) -> Diagnosis:
    text = error.verify_message
    if "not yet valid" in text:
        return fail(
            "TLS", "the broker's certificate is not valid yet", "set the clock of this machine, see above"
        )
    if "expired" in text:
        remedy = "on the broker's machine: gridfleet site rotate DIR --only server, then SIGHUP"
        return fail("TLS", "the broker's certificate has expired", remedy)
    if "mismatch" in text or "not match" in text:
        remedy = (
            f"on the broker's machine: gridfleet site rotate DIR --only server --host {host}, then SIGHUP"
        )
        return fail("TLS", f"the broker's certificate is not for {host}", remedy)
    return fail(
        "TLS", f"the broker is not of this site ({text})", "enrol or flash it again with the right --secrets"
    )


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
        yield fail("access rules", f"the device may not publish {own}", remedy)
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
