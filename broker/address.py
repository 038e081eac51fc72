"""The address of a broker: mqtt://user:password@host:port, or mqtts:// for TLS."""

from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import unquote, urlsplit

from gridfleet.broker.errors import BrokerError

DEFAULT_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """A broker's address and, where given, user name and password; its text never shows the password."""

    host: str
    port: int
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Return the address in a URL; raise BrokerError that says what is wrong with it.

        >>> BrokerAddress.parse("mqtts://ann:secret@broker.example")
        BrokerAddress(host='broker.example', port=8883, tls=True, username='ann')
        """
        scheme, separator, rest = url.partition("://")
        shown = f"{scheme}{separator}{rest.rpartition('@')[2]}"
        if scheme not in DEFAULT_PORTS or not separator:
            raise _wrong(shown, "it must begin with mqtt:// or mqtts://")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise _wrong(shown, "the port must be 1 to 65535, an IPv6 host in [ ]") from None
        if not host:
            raise _wrong(shown, "the host is missing")
        if port == 0:
            raise _wrong(shown, "the port must be 1 to 65535")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise _wrong(shown, "nothing may follow the port")
        if parts.password is not None and not parts.username:
            raise _wrong(shown, "a password needs a user name before it")
        return cls(
            host=host,
            port=port or DEFAULT_PORTS[scheme],
            tls=scheme == "mqtts",
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password is not None else None,
        )

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"


def _wrong(url: str, reason: str) -> BrokerError:
    return BrokerError(f"broker address {url!r}: {reason} (for example mqtt://user:password@host:1883)")
