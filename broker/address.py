"""The address of a broker: mqtt://user:password@host:port, mqtts:// for TLS, ws:// and wss:// for WebSocket.

Several addresses of one broker, such as the nodes of a cluster, follow each other with commas: a client tries the next
one when it loses one.
"""

import re
from dataclasses import dataclass, field, replace
from typing import Final, Self
from urllib.parse import unquote, urlsplit

from gridfleet.broker.errors import BrokerError

PAGE_PORT: Final = 8470
"""The port of the live page, if no other program has it."""
DEFAULT_PORTS: Final = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
WEBSOCKET_PATH: Final = "/mqtt"
"""The path of a WebSocket listener where the address names none: that of Mosquitto, EMQX and HiveMQ."""
_SCHEMES: Final = "mqtt://, mqtts://, ws:// or wss://"
_NEXT: Final = re.compile(r",(?=\w+://)")


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """A broker's address and, where given, user name and password; its text never shows the password."""

    host: str
    port: int
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    path: str | None = None
    """The path of a WebSocket listener; None for MQTT over TCP."""
    ca: str | None = None
    """A file with the certificates of the authorities to trust; None for those of the system."""
    others: tuple["BrokerAddress", ...] = ()
    """Further addresses of the same broker, in the order in which they are tried."""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Return the address in a URL, or in several with commas between; raise BrokerError that says what is wrong.

        A login in one of several URLs is used at all of them.

        >>> BrokerAddress.parse("mqtts://ann:secret@broker.example")
        BrokerAddress(host='broker.example', port=8883, tls=True, username='ann', path=None, ca=None, others=())
        >>> str(BrokerAddress.parse("mqtt://node-1,mqtt://node-2:1884"))
        'mqtt://node-1:1883,mqtt://node-2:1884'
        """
        first, *rest = [cls._parse_one(each) for each in _NEXT.split(url)]
        named = next((each for each in (first, *rest) if each.username is not None), first)
        whole = replace(first, others=tuple(rest))
        return whole if named.username is None else whole.with_login(named.username, named.password)

    @classmethod
    def _parse_one(cls, url: str) -> Self:
        scheme, separator, rest = url.partition("://")
        shown = f"{scheme}{separator}{rest.rpartition('@')[2]}"
        if scheme not in DEFAULT_PORTS or not separator:
            raise _wrong(shown, f"it must begin with {_SCHEMES}")
        if "@" in rest and any(sign in rest.rpartition("@")[0] for sign in "#/?"):
            remedy = "in user name and password write # as %23, / as %2F, ? as %3F, @ as %40 and % as %25"
            raise _wrong(f"{scheme}://…@{rest.rpartition('@')[2]}", remedy)
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise _wrong(shown, "the port must be 1 to 65535, an IPv6 host in [ ]") from None
        if not host:
            raise _wrong(shown, "the host is missing")
        if port == 0:
            raise _wrong(shown, "the port must be 1 to 65535")
        is_websocket = scheme.startswith("ws")
        if (parts.path.strip("/") and not is_websocket) or parts.query or parts.fragment:
            raise _wrong(
                shown,
                "nothing may follow the port" if not is_websocket else "only a path may follow the port",
            )
        if parts.password is not None and not parts.username:
            raise _wrong(shown, "a password needs a user name before it")
        return cls(
            host=host,
            port=port or DEFAULT_PORTS[scheme],
            tls=scheme in {"mqtts", "wss"},
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password is not None else None,
            path=(parts.path if parts.path.strip("/") else WEBSOCKET_PATH) if is_websocket else None,
        )

    @property
    def all(self) -> tuple["BrokerAddress", ...]:
        """This address and the others, each without others."""
        return (replace(self, others=()) if self.others else self, *self.others)

    def with_login(self, username: str | None, password: str | None) -> Self:
        """Return the addresses with another user name and password."""
        others = tuple(replace(each, username=username, password=password) for each in self.others)
        return replace(self, username=username, password=password, others=others)

    def with_ca(self, ca: str) -> Self:
        """Return the addresses with a file of authorities to trust."""
        return replace(self, ca=ca, others=tuple(replace(each, ca=ca) for each in self.others))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = ("wss" if self.tls else "ws") if self.path is not None else "mqtts" if self.tls else "mqtt"
        return ",".join([f"{scheme}://{host}:{self.port}{self.path or ''}", *map(str, self.others)])


def _wrong(url: str, reason: str) -> BrokerError:
    return BrokerError(f"broker address {url!r}: {reason} (for example mqtt://user:password@host:1883)")
