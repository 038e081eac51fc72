"""EMQX 5 in place of Mosquitto: its configuration, users and access rules, from the same topic table and secrets.

EMQX is a cluster where a single Mosquitto does not do any more. Nothing here talks to it: these are files that it
reads. The rules grow with kinds of device and cells, not with devices, because EMQX looks through them in order.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Final

from gridfleet.broker.access_control import Identity, publish_filters, subscribe_filters
from gridfleet.broker.brokers.mosquitto.config import (
    FORGET_SESSIONS,
    MAX_PACKET,
    MOST_CONNECTIONS,
    MOST_IN_FLIGHT,
    MOST_QUEUED,
)
from gridfleet.broker.protocol.topics import discovery_topic

NAME: Final = "${username}"
"""What EMQX's rules call the user."""
USERS_HEADER: Final = "user_id,password_hash,salt,is_superuser"
_SALT_LENGTH: Final = 32
_PORT: Final = 8883


@dataclass(frozen=True, slots=True)
class Files:
    """Where EMQX finds what it needs, on its own machine or in its own container."""

    certificate: PurePosixPath
    key: PurePosixPath
    authority: PurePosixPath
    users: PurePosixPath
    rights: PurePosixPath


def acl(site: str, identities: Iterable[Identity]) -> str:
    """Return EMQX's access rules (a file of Erlang terms), which say the same as those for Mosquitto.

    Users who may say and hear the same, but for their own names, share a rule. What no rule allows is denied.
    """
    users: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for identity in identities:
        users.setdefault(_filters(site, identity), []).append(identity.name)
    lines = ["%% Made from the topic table; do not edit."]
    for (heard, said), names in users.items():
        who = _string(f"^({'|'.join(name.replace('.', re.escape('.')) for name in names)})$")
        for action, filters in (("subscribe", heard), ("publish", said)):
            if filters:
                topics = ", ".join(map(_string, filters))
                lines.append(f"{{allow, {{username, {{re, {who}}}}}, {action}, [{topics}]}}.")
    return "\n".join([*lines, "{deny, all}."]) + "\n"


def users(passwords: Mapping[str, str]) -> str:
    """Return the table of users that EMQX reads when it starts, with SHA-256 of password and salt.

    A password of ours is 256 random bits, which no slower hash makes safer. The salt follows from name and password,
    so that the table changes only when they do.
    """
    lines = [USERS_HEADER]
    for name, password in passwords.items():
        salt = hashlib.sha256(f"{name}:{password}".encode()).hexdigest()[:_SALT_LENGTH]
        digest = hashlib.sha256((password + salt).encode()).hexdigest()
        lines.append(f"{name},{digest},{salt},false")
    return "\n".join(lines) + "\n"


def configuration(files: Files, *, cluster: Sequence[str] | str, cookie: str) -> str:
    """Return the text of emqx.conf, in HOCON.

    `cluster` names the nodes (`emqx@host.domain`) or, as one string, the DNS name whose SRV records do; `cookie` is
    the secret that they share. Who may enter, and the limits, are those that Mosquitto has.
    """
    discovery = (
        f'  discovery_strategy = dns\n  dns {{ name = {_string(cluster)}, record_type = "srv" }}'
        if isinstance(cluster, str)
        else f"  discovery_strategy = static\n  static {{ seeds = {json.dumps(list(cluster))} }}"
    )
    return f"""\
# Made by GridFleet; do not edit.
node {{ cookie = {_string(cookie)}, data_dir = "data" }}
cluster {{
  name = gridfleet
{discovery}
}}
listeners {{
  tcp.default.enable = false
  ws.default.enable = false
  wss.default.enable = false
  ssl.default {{
    bind = "0.0.0.0:{_PORT}"
    max_connections = {MOST_CONNECTIONS}
    tcp_options {{ nodelay = true }}
    ssl_options {{
      certfile = {_string(str(files.certificate))}
      keyfile = {_string(str(files.key))}
      cacertfile = {_string(str(files.authority))}
      verify = verify_none
      versions = ["tlsv1.3", "tlsv1.2"]
    }}
  }}
}}
mqtt {{
  max_packet_size = "{MAX_PACKET // 1024}KB"
  max_inflight = {MOST_IN_FLIGHT}
  max_mqueue_len = {MOST_QUEUED}
  mqueue_store_qos0 = false
  session_expiry_interval = "{FORGET_SESSIONS}"
  use_username_as_clientid = true
}}
authentication = [
  {{
    mechanism = password_based
    backend = built_in_database
    user_id_type = username
    password_hash_algorithm {{ name = sha256, salt_position = suffix }}
    bootstrap_file = {_string(str(files.users))}
    bootstrap_type = hash
  }}
]
authorization {{
  no_match = deny
  deny_action = ignore
  sources = [{{ type = file, enable = true, path = {_string(str(files.rights))} }}]
}}
dashboard.listeners.http.bind = 0
log.console {{ enable = true, level = warning }}
"""


def _filters(site: str, identity: Identity) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what somebody may hear and say, with a placeholder where the own name stands."""
    anybody = replace(identity, name=NAME)
    pattern, topic = discovery_topic(site, NAME), discovery_topic(site, identity.name)
    # Home Assistant knows fewer letters than we do: such a name is spelt differently there.
    said = (
        topic if each == pattern != topic.replace(identity.name, NAME) else each
        for each in publish_filters(site, anybody)
    )
    return tuple(subscribe_filters(site, anybody)), tuple(said)


def _string(text: str) -> str:
    """Return a string as Erlang and HOCON spell it alike; raise ValueError for what they do not share."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError(f"EMQX's files cannot hold {text!r}")
    return json.dumps(text)
