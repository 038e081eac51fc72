"""Checks by trying whether a broker can serve a site: login, QoS 1, retained messages, last wills, access rules."""

import secrets as random_secrets
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from gridfleet.broker.access_control import ClientRole, Identity, publish_filters
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.client import Connection, MqttLoop, Will
from gridfleet.broker.mqtt.client_options import NO_LOGIN, Login
from gridfleet.broker.protocol.messages import Bid, Presence, Tick
from gridfleet.broker.protocol.topics import (
    ALL,
    BATCH,
    CLOCK_ID,
    all_topics_filter,
    batch_topic,
    topic_filter,
)
from gridfleet.provisioning.clients.retained import decoded, presences, read_retained
from gridfleet.provisioning.doctor.capabilities import try_capabilities
from gridfleet.provisioning.doctor.connection import CONNECT_TIMEOUT_S, check_address, check_tls
from gridfleet.provisioning.doctor.diagnosis import Diagnosis, fail, ok, warn

if TYPE_CHECKING:
    from gridfleet.broker.address import BrokerAddress
    from gridfleet.broker.credentials import FileCredentials
    from gridfleet.provisioning.site.user_registry import UserRegistry

PROBE: Final = b"null"
"""A payload that every receiver refuses."""
WILL: Final = b"0"
ANSWER_S: Final = 5.0
UNKNOWN_ID: Final = "nobody-of-that-name"
_SECRETS: Final = (
    "run it with the site's secrets: gridfleet site broker --secrets DIR, or load its files into yours"
)
_OTHER: Final = "use another broker: docs/how-to/site/broker.md names those that were tested"
_RULES: Final = (
    "load the files passwords and acl of the secrets folder into the broker, and make it reload them"
)


def check_site_broker(
    address: "BrokerAddress",
    site: str,
    credentials: "FileCredentials | None",
    registry: "UserRegistry | None",
) -> Iterator[Diagnosis]:
    """Yield what a broker can do for a site; publish nothing while anything of the site is online.

    With `credentials` and `registry`, the site's users log in and the access rules are tried as well.
    """
    reachable = yield from check_address(address)
    if not reachable:
        return
    if address.tls:
        context = credentials.tls if credentials is not None else ssl.create_default_context()
        trusted = yield from check_tls(address, context)
        if not trusted:
            return
    else:
        yield warn("TLS", "not used: everyone in the network can read the messages", _SECRETS)
    viewer = credentials.login(ClientRole.VIEWER) if credentials is not None else NO_LOGIN
    try:
        retained = read_retained(address, site, viewer)
    except BrokerError as error:
        yield fail(
            "login", str(error), _RULES if credentials is not None else "give --secrets DIR of the site"
        )
        return
    yield ok("login", f"as {viewer.username}" if viewer.username else "none is needed")
    if credentials is None:
        for finding in try_capabilities(address):
            yield finding.diagnosis
    online = sorted(name for name, here in presences(decoded(site, retained)).items() if here)
    if online:
        text = f"not tried: {len(online)} clients of {site} are online, such as {online[0]}"
        yield warn("delivery", text, "stop the site first, or check with another --site")
        return
    device = _device(registry)
    login = credentials.login(device.name) if credentials is not None else NO_LOGIN
    own = topic_filter(site, Presence.TYPE, f"{device.cell}/{device.role}", device.name)
    try:
        yield from _delivery(address, site, viewer, device, login)
        kept = read_retained(address, site, viewer).get(own) == PROBE
        yield (
            ok("retained", "messages are kept") if kept else fail("retained", "messages are not kept", _OTHER)
        )
    finally:
        _restore(address, device, login, own, retained.get(own, b""))
    fleet = _fleet(registry)
    if credentials is not None and fleet is not None:
        yield _batches(address, site, fleet, credentials.login(fleet.name))


def _delivery(
    address: "BrokerAddress", site: str, viewer: Login, device: Identity, login: Login
) -> Iterator[Diagnosis]:
    """Publish as a device what it may and what it may not, and lose its connection."""
    scope = f"{device.cell}/{device.role}"
    own = topic_filter(site, Presence.TYPE, scope, device.name)
    forged = (
        topic_filter(site, Presence.TYPE, scope, UNKNOWN_ID),
        topic_filter(site, Tick.TYPE, sender=CLOCK_ID),
    )
    received: set[tuple[str, bytes]] = set()
    denied: set[str] = set()
    with MqttLoop(address, retry_refused=True) as loop:
        watching = loop.open(
            viewer.username or f"viewer-{random_secrets.token_hex(4)}",
            on_message=lambda topic, payload, _retained: received.add((topic, payload)),
            filters=[(all_topics_filter(site), 1)],
            login=viewer,
        )
        sender = _open(loop, device.name, login, denied, Will(own, WILL, retain=False))
        if not loop.run_until(lambda: watching.online and sender.online, CONNECT_TIMEOUT_S):
            reason = sender.offline_reason or watching.offline_reason or "no answer"
            yield fail("login", f"as {device.name}: {reason}", _RULES)
            return
        sender.publish(own, PROBE, qos=1, retain=True)
        for topic in forged:
            sender.publish(topic, PROBE, qos=1)
        loop.run_until(lambda: sender.all_acknowledged, ANSWER_S)
        arrived = loop.run_until(lambda: (own, PROBE) in received or own in denied, ANSWER_S)
        if own in denied:
            yield fail("access rules", f"{device.name} may not publish {own}", _RULES)
        elif arrived and sender.all_acknowledged:
            yield ok("QoS 1", "a message is acknowledged and delivered")
        else:
            yield fail("QoS 1", "a message is not acknowledged, or not delivered", _OTHER)
        allowed = [topic for topic in forged if topic not in denied]
        if login.username is None:
            yield warn("access rules", "none: every client may publish as any other", _SECRETS)
        elif allowed:
            yield fail(
                "access rules", f"{device.name} may publish {allowed[0]}: it can forge messages", _RULES
            )
        elif own not in denied:
            yield ok("access rules", "a device may publish under its own id only")
        sender.abort()
        if loop.run_until(lambda: (own, WILL) in received, ANSWER_S):
            yield ok("last will", "is published when a connection is lost")
        elif own not in denied:
            yield fail("last will", "is not published when a connection is lost", _OTHER)


def _batches(address: "BrokerAddress", site: str, fleet: Identity, login: Login) -> Diagnosis:
    """Publish a batch as a fleet process, which is allowed only for devices that share its connection."""
    own = next(
        (each for each in publish_filters(site, fleet) if f"/{BATCH}/" in each and ALL not in each), ""
    )
    denied: set[str] = set()
    with MqttLoop(address, retry_refused=True) as loop:
        sender = _open(loop, fleet.name, login, denied)
        if not loop.run_until(lambda: sender.online, CONNECT_TIMEOUT_S):
            return fail("batches", f"{fleet.name}: {sender.offline_reason or 'no answer'}", _RULES)
        topic = own or batch_topic(site, Bid.TYPE, "nowhere", fleet.name)
        sender.publish(topic, b"", qos=1)
        if not loop.run_until(lambda: sender.all_acknowledged, ANSWER_S):
            return fail("batches", f"{fleet.name}: a batch is not acknowledged", _OTHER)
    if own and denied:
        return fail("batches", f"{fleet.name} may not publish {own}", _RULES)
    if not own and not denied:
        return fail("batches", f"{fleet.name} may publish {topic}, which no device of it needs", _RULES)
    return ok(
        "batches", f"{fleet.name} may publish {'those of its devices' if own else 'none, as it should'}"
    )


def _restore(address: "BrokerAddress", device: Identity, login: Login, topic: str, payload: bytes) -> None:
    """Publish again what was retained before; nothing clears the topic."""
    with MqttLoop(address, retry_refused=True) as loop:
        sender = _open(loop, device.name, login, set())
        sender.publish(topic, payload, qos=1, retain=True)
        loop.run_until(lambda: sender.online and sender.all_acknowledged, ANSWER_S)


def _open(loop: MqttLoop, name: str, login: Login, denied: set[str], will: Will | None = None) -> Connection:
    return loop.open(
        name,
        on_message=lambda *_: None,
        on_problem=lambda reason, about: denied.add(about) if reason == "denied" else None,
        will=will,
        login=login,
    )


def _fleet(registry: "UserRegistry | None") -> Identity | None:
    """Return a fleet process of the site, with devices where there is one."""
    fleets = [user for user in registry.users if user.role is ClientRole.FLEET] if registry else []
    return next((each for each in fleets if each.devices), fleets[0] if fleets else None)


def _device(registry: "UserRegistry | None") -> Identity:
    """Return a device of the site; on a broker without users, one that does not exist."""
    from gridfleet.provisioning.site.user_registry import IN_A_CELL

    found = next((user for user in registry.users if user.role in IN_A_CELL), None) if registry else None
    return found or Identity(f"check-{random_secrets.token_hex(4)}", next(iter(sorted(IN_A_CELL))), "check")
