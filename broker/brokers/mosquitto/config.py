"""Mosquitto's configuration, for 2.0 and for 2.1, from the same few options.

One set of users and access rules serves all listeners. With different ones for each (`per_listener_settings`, which
2.1 has removed) one listener could accept a password that another refuses. So even the plain listener on the loopback
interface requires a password, unless there are no users at all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.quota_plugin import plugin_options
from gridfleet.broker.protocol.codec import MAX_PAYLOAD
from gridfleet.broker.protocol.topics import ROOT, discovery_filter

MAX_PACKET: Final = MAX_PAYLOAD + 1_024
"""The largest MQTT packet in bytes: a payload, its topic and its properties; a sender of more is disconnected."""
MAX_IN_FLIGHT: Final = 200
"""Unacknowledged messages of QoS 1 to one client, or from it."""
MAX_QUEUED: Final = 100_000
"""Messages queued for one client beyond those: in lock-step every device publishes to the clock at once."""
MAX_QUEUED_ALONE: Final = 20_000
"""The same where no plugin counts: a flood fills the queues of all its receivers, and each entry takes 100 bytes."""
MAX_QUEUED_BYTES: Final = 32 * 1_048_576
"""Their payloads; the count alone would allow as many of the largest ones."""
MEMORY_LIMIT: Final = 192 * 1_048_576
"""The most memory in bytes that Mosquitto takes for messages and clients, to which MEMORY_PER_USER is added for each
user. Beyond, it disconnects the client whose message no longer fits."""
MEMORY_PER_USER: Final = 65_536
MAX_CONNECTIONS: Final = 20_000
"""Per listener."""
AUTOSAVE_S: Final = 60
"""How often retained messages and sessions are written to disk, in seconds."""
SESSION_EXPIRY: Final = "1d"
"""How long the session of a disconnected client is kept."""
BRIDGE_WAITS_S: Final = (1, 5)
"""Shortest and longest wait before a bridge reconnects, in seconds."""
PLUGINS: Final = Path("/usr/lib")
"""The folder of the plugins in the container image of 2.1."""


class Version(Enum):
    """The versions that differ in how users and access rules are configured."""

    V2_0 = "2.0"
    V2_1 = "2.1"


@dataclass(frozen=True, slots=True)
class Tls:
    """The broker's certificate; where clients must show theirs too, also their CA and the list of revoked ones."""

    certificate: Path
    key: Path
    authority: Path
    revoked: Path | None = None
    client_certificates: bool = False
    """Whether clients log in with a certificate, whose common name is the user name, instead of a password."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A port on one interface (on all when `host` is empty)."""

    port: int
    host: str = "127.0.0.1"
    tls: Tls | None = None
    websockets: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """The files with the users' passwords and access rules, and how many users they have, on which limits depend."""

    passwords: Path
    rules: Path
    users: int = 0


@dataclass(frozen=True, slots=True)
class Bridge:
    """Another broker that all GridFleet topics are bridged with, both ways; one of the two opens the connection.

    Messages keep their QoS, expiry and retain flag, and are not sent back to where they came from.
    """

    address: BrokerAddress
    """With user name and password where the broker requires them."""
    authority: Path | None = None
    """The CA certificate for its certificate, where it uses TLS."""


def configuration(
    listeners: Sequence[Listener],
    access: Access | None,
    *,
    version: Version = Version.V2_0,
    store: Path | None = None,
    user: str | None = None,
    plugins: Path = PLUGINS,
    bridge: Bridge | None = None,
    quota_plugin: Path | None = None,
) -> str:
    """Return the text of mosquitto.conf.

    Without `access` every client may do everything: for tests on the loopback interface. Retained messages and
    sessions are stored in the folder `store`. `user` is the user that Mosquitto runs as when root starts it. `plugins`
    is the folder of the plugins of 2.1. `quota_plugin` is the compiled plugin of that name. Raises ValueError for a
    path that the file cannot hold.
    """
    users = access.users if access else 0
    lines = [
        *_access(access, version, plugins),
        *(_quota(quota_plugin, version, users) if quota_plugin is not None else ()),
        *(["persistence true", f"persistence_location {store}/"] if store else ["persistence false"]),
        *([f"autosave_interval {AUTOSAVE_S}"] if store else []),
        f"persistent_client_expiration {SESSION_EXPIRY}",
        f"max_packet_size {MAX_PACKET}",
        f"max_inflight_messages {MAX_IN_FLIGHT}",
        f"max_queued_messages {MAX_QUEUED_ALONE if access and quota_plugin is None else MAX_QUEUED}",
        f"max_queued_bytes {MAX_QUEUED_BYTES}",
        f"memory_limit {MEMORY_LIMIT + MEMORY_PER_USER * users}",
        "upgrade_outgoing_qos true",  # Mosquitto limits the bytes that it queues with QoS 1 only
        "queue_qos0_messages false",
        "allow_zero_length_clientid false",
        "check_retain_source true",
        "set_tcp_nodelay true",
        "log_dest stdout",
        *(f"log_type {kind}" for kind in ("error", "warning", "notice")),
        "log_timestamp_format %Y-%m-%dT%H:%M:%S",
        *([f"user {user}"] if user else []),
    ]
    for listener in listeners:
        lines += ["", *_listener(listener, access, version)]
    if bridge is not None:
        lines += ["", *_bridge(bridge)]
    for line in lines:
        if not line.isprintable():
            raise ValueError(f"mosquitto.conf cannot hold control characters: {line!r}")
    return "\n".join(lines) + "\n"


def _access(access: Access | None, version: Version, plugins: Path) -> Iterator[str]:
    if version is Version.V2_0:
        yield "per_listener_settings false"
        yield f"allow_anonymous {'false' if access else 'true'}"
        if access:
            yield f"password_file {access.passwords}"
            yield f"acl_file {access.rules}"
    elif access:
        yield f"global_plugin {plugins / 'mosquitto_password_file.so'}"
        yield f"plugin_opt_password_file {access.passwords}"
        yield f"global_plugin {plugins / 'mosquitto_acl_file.so'}"
        yield f"plugin_opt_acl_file {access.rules}"


def _quota(plugin: Path, version: Version, users: int) -> Iterator[str]:
    yield f"{'plugin' if version is Version.V2_0 else 'global_plugin'} {plugin}"
    yield from plugin_options(users)


def _listener(listener: Listener, access: Access | None, version: Version) -> Iterator[str]:
    yield f"listener {listener.port} {listener.host}".rstrip()
    if listener.websockets:
        yield "protocol websockets"
    if version is not Version.V2_0:
        yield f"listener_allow_anonymous {'false' if access else 'true'}"
    yield f"max_connections {MAX_CONNECTIONS}"
    if access:
        yield "use_username_as_clientid true"  # else any user could take over the session of another
    tls = listener.tls
    if tls is not None:
        yield f"certfile {tls.certificate}"
        yield f"keyfile {tls.key}"
        yield "tls_version tlsv1.2"
        if tls.client_certificates:
            yield f"cafile {tls.authority}"
            yield "require_certificate true"
            yield "use_identity_as_username true"
            if tls.revoked is not None:
                yield f"crlfile {tls.revoked}"


def _bridge(bridge: Bridge) -> Iterator[str]:
    address = bridge.address
    yield "connection gridfleet-bridge"
    yield f"address {address.host}:{address.port}"
    yield "bridge_protocol_version mqttv50"
    yield f"topic {ROOT}/# both 1"
    yield f"topic {discovery_filter()} both 1"
    yield "cleansession false"
    yield "try_private true"
    yield "notifications false"
    yield f"restart_timeout {BRIDGE_WAITS_S[0]} {BRIDGE_WAITS_S[1]}"
    if address.username is not None:
        yield f"remote_username {address.username}"
        yield f"remote_clientid {address.username}"
    if address.password is not None:
        yield f"remote_password {address.password}"
    if address.tls:
        yield f"bridge_cafile {bridge.authority}"
