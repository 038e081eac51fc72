"""The way to the broker: name, port, TLS, login, and the access rules, tried by what is delivered."""

import socket
import ssl
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from gridfleet.broker.errors import BrokerError, error_reason
from gridfleet.provisioning.doctor.finding import Finding, fail, ok, warn

if TYPE_CHECKING:
    from gridfleet.broker.mqtt.client import Connection
    from gridfleet.devices.config.device_file import DeviceFile

REACH_S: Final = 5.0
HEAR_S: Final = 1.5
"""How long retained messages may take."""
SOON_DAYS: Final = 30
STRANGER: Final = "nobody-of-that-name"


def look_at_broker(device: "DeviceFile", *, running: bool) -> Iterator[Finding]:
    """Yield what there is to say of it; stop at the first thing without which the next cannot be tried.

    While the agent runs nobody logs in: two clients with one name end each other's session.
    """
    reached = yield from _reach(device)
    if not reached:
        return
    if device.address().tls:
        trusted = yield from _tls(device)
        if not trusted:
            return
    else:
        yield warn("TLS", "none: whoever listens reads along", "use mqtts:// and a broker with secrets")
    if running:
        yield ok("login", "left to the agent, which runs")
        remedy = "sudo systemctl stop gridfleet-device, ask again, start it"
        yield warn("access rules", "not tried while the agent runs", remedy)
        return
    yield from _rights(device)


def _reach(device: "DeviceFile") -> Generator[Finding, None, bool]:
    address = device.address()
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError:
        remedy = "is it spelt right? try its IP address, or NAME.local"
        yield fail("broker", f"the name {address.host} is not known here", remedy)
        return False
    trouble: OSError | None = None
    for family, kind, protocol, _, where in found:
        try:
            with socket.socket(family, kind, protocol) as link:
                link.settimeout(REACH_S)
                begun_s = time.monotonic()
                link.connect(where)
                took_ms = 1000 * (time.monotonic() - begun_s)
        except OSError as error:
            trouble = error
        else:
            yield ok("broker", f"{address} answers in {took_ms:.0f} ms")
            return True
    words = error_reason(trouble) if trouble else "no address"
    remedy = "is it running (gridfleet broker), with --host 0.0.0.0, and its port open in the firewall?"
    yield fail("broker", f"{address} does not answer ({words})", remedy)
    return False


def _tls(device: "DeviceFile") -> Generator[Finding, None, bool]:
    from gridfleet.broker.credentials import FileCredentials

    address = device.address()
    try:
        if device.credentials is not None:
            keyring = FileCredentials(device.credentials, certificates=device.broker.certificate)
            context = keyring.login(device.id).tls or ssl.create_default_context()
        else:
            context = ssl.create_default_context()
    except BrokerError as error:
        yield fail("TLS", str(error), "enrol the device again: gridfleet flash")
        return False
    try:
        with socket.create_connection((address.host, address.port), REACH_S) as plain:
            plain.settimeout(REACH_S)
            with context.wrap_socket(plain, server_hostname=address.host) as link:
                told = link.getpeercert() or {}
                version = link.version()
    except ssl.SSLCertVerificationError as error:
        yield _distrusted(error, address.host)
        return False
    except (OSError, ssl.SSLError) as error:
        words = getattr(error, "reason", None) or error
        yield fail("TLS", f"no agreement with the broker ({words})", "is that its TLS port (8883)?")
        return False
    days = (ssl.cert_time_to_seconds(str(told["notAfter"])) - time.time()) / 86_400
    words = f"{version}, the broker's certificate is good for {days:.0f} days"
    if days < SOON_DAYS:
        remedy = "where its secrets are: gridfleet secrets DIR --rotate --only server, then SIGHUP"
        yield warn("TLS", words, remedy)
    else:
        yield ok("TLS", words)
    return True


def _distrusted(error: ssl.SSLCertVerificationError, host: str) -> Finding:
    words = error.verify_message
    if "not yet valid" in words:
        return fail("TLS", "the broker's certificate is not valid yet", "the clock here is behind: see above")
    if "expired" in words:
        remedy = "where its secrets are: gridfleet secrets DIR --rotate --only server, then SIGHUP"
        return fail("TLS", "the broker's certificate has expired", remedy)
    if "mismatch" in words or "not match" in words:
        remedy = f"where its secrets are: gridfleet secrets DIR --host {host}, then SIGHUP"
        return fail("TLS", f"the broker's certificate is not for {host}", remedy)
    return fail("TLS", f"the broker is not of this site ({words})", "flash again with the right --secrets")


@dataclass(slots=True)
class _Trial:
    """What was heard and what was refused while the rules were tried."""

    heard: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)


def _rights(device: "DeviceFile") -> Iterator[Finding]:
    """Log in as the device; say what it may and may not, and listen to what it may and may not."""
    from gridfleet.broker.access_control import Identity, subscribe_filters
    from gridfleet.broker.credentials import FileCredentials
    from gridfleet.broker.mqtt.client import MqttLoop
    from gridfleet.broker.mqtt.client_options import NO_LOGIN
    from gridfleet.broker.protocol.codec import SCHEMA, encode
    from gridfleet.broker.protocol.messages import Presence
    from gridfleet.broker.protocol.topics import all_topics_filter, topic
    from gridfleet.provisioning.flash.device_spec import MESSAGE_KINDS

    kind = MESSAGE_KINDS[device.kind]
    credentials = device.credentials
    keyring = FileCredentials(credentials, certificates=device.broker.certificate) if credentials else None
    trial = _Trial()
    with MqttLoop(device.address(), schema=SCHEMA, retry_refused=True) as loop:
        link: Connection = loop.open(
            device.id,
            on_message=lambda heard, _payload, _retained: trial.heard.add(heard),
            on_trouble=lambda reason, about: trial.denied.add(about) if reason == "denied" else None,
            filters=[(all_topics_filter(device.site), 1)],
            login=keyring.login(device.id) if keyring else NO_LOGIN,
        )
        if (
            not loop.run_until(lambda: link.online or link.trouble.startswith("refused"), REACH_S)
            or not link.online
        ):
            yield fail("login", link.trouble or "no answer", "enrol the device again: gridfleet flash")
            return
        yield ok("login", f"as {device.id}")
        latitude, longitude = device.place
        truth = Presence(False, kind, device.cell, latitude, longitude, device.label)  # noqa: FBT003 - as in agents
        own = topic(device.site, truth, f"{device.cell}/{kind}", device.id)
        foreign = topic(device.site, truth, f"{device.cell}/{kind}", STRANGER)
        link.publish(own, encode(truth), qos=1, retain=True)
        link.publish(foreign, encode(truth), qos=1)
        loop.run_until(lambda: False, HEAR_S)
        link.close()
    identity = Identity(device.id, kind, device.cell, device.neighbours)
    yield from _judged(trial, own, foreign, list(subscribe_filters(device.site, identity)))


def _judged(trial: _Trial, own: str, foreign: str, audible: list[str]) -> Iterator[Finding]:
    from paho.mqtt.client import topic_matches_sub

    remedy = "where its secrets are: gridfleet secrets DIR, then SIGHUP to the broker"
    ticks = [heard for heard in trial.heard if heard.split("/")[2:3] == ["tick"]]
    strange = sorted(
        h for h in trial.heard - {own} if not any(topic_matches_sub(each, h) for each in audible)
    )
    if own in trial.denied:
        yield fail("access rules", f"the device may not say {own}", remedy)
    if foreign not in trial.denied:
        yield fail("access rules", f"the device may speak as {STRANGER}: anybody may forge", remedy)
    if strange:
        yield fail("access rules", f"the device hears {strange[0]}, which is not its own", remedy)
    if not trial.denied - {foreign} and foreign in trial.denied and not strange:
        yield ok("access rules", "may what it should, and nothing that was tried beyond")
    if ticks:
        yield ok("clock of the site", "its tick is heard")
    else:
        yield warn("clock of the site", "no tick is heard", "start one: gridfleet clock, or gridfleet run")
