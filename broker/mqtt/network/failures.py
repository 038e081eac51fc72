"""Why a connection to a broker fails, and what to do about it: one cause, one remedy.

The causes come from the system, from TLS and from the broker's CONNACK; nothing is guessed where one of them says it.
"""

import errno
import socket
import ssl
from typing import Final, NamedTuple

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import error_reason

_EXPIRED: Final = 10
_NOT_YET_VALID: Final = 9
_WRONG_HOST: Final = frozenset({62, 64})
_UNKNOWN_ISSUER: Final = frozenset({18, 19, 20, 21})
_NOT_TLS: Final = (
    "WRONG_VERSION_NUMBER",
    "UNKNOWN_PROTOCOL",
    "RECORD_LAYER_FAILURE",
    "HTTP_REQUEST",
    "PACKET_LENGTH_TOO_LONG",
)


class Failure(NamedTuple):
    """Why a connection failed, and the remedy."""

    reason: str
    remedy: str
    permanent: bool = False
    """Whether trying again changes nothing."""

    def __str__(self) -> str:
        return f"{self.reason}: {self.remedy}"


def certificate_failure(error: ssl.SSLCertVerificationError, address: BrokerAddress) -> Failure:
    """Return why a broker's certificate is not trusted."""
    code, text = error.verify_code, error.verify_message
    if code == _EXPIRED:
        return Failure(
            f"its certificate is not trusted ({text})",
            "renew it at the broker (`gridfleet site rotate`), and check this machine's date",
            permanent=True,
        )
    if code == _NOT_YET_VALID:
        return Failure(
            f"its certificate is not trusted ({text})", "check this machine's date and time", permanent=True
        )
    if code in _WRONG_HOST:
        return Failure(
            f"its certificate is not trusted ({text})",
            f"use a name that the certificate states, or make one for {address.host} (`gridfleet site init --host`)",
            permanent=True,
        )
    if code in _UNKNOWN_ISSUER:
        trusted = f"{address.ca} does not hold it" if address.ca else "this machine does not know it"
        return Failure(
            f"its certificate is not trusted ({text}): the authority that signed it is not known, {trusted}",
            "give the CA certificate of the site with --ca FILE or --secrets DIR; where the authority is right, the "
            "broker must also send the intermediate certificate",
            permanent=True,
        )
    return Failure(f"its certificate is not trusted ({text})", "replace it at the broker", permanent=True)


def socket_failure(error: OSError | UnicodeError, address: BrokerAddress) -> Failure:
    """Return why a broker cannot be reached, or TLS cannot be agreed on with it."""
    where = f"{address.host} port {address.port}"
    if isinstance(error, ssl.SSLError):
        return _tls_failure(error, address)
    reason = f"cannot connect: {error_reason(error)}"
    if isinstance(error, socket.gaierror | UnicodeError):
        return Failure(reason, f"check the name {address.host!r} and this machine's name server")
    if address.tls and error.errno in {errno.ECONNRESET, errno.EPIPE}:
        return _no_tls(address)
    if error.errno == errno.ECONNREFUSED:
        return Failure(reason, f"no broker listens at {where}: start it, or check the port")
    if error.errno in {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT}:
        return Failure(reason, f"check this machine's network and the firewalls before {where}")
    return Failure(reason, "is a broker running there, and can this machine reach it?")


def _tls_failure(error: ssl.SSLError, address: BrokerAddress) -> Failure:
    text = str(error.reason or error)
    if isinstance(error, ssl.SSLEOFError) or any(sign in text for sign in _NOT_TLS):
        return _no_tls(address)
    if "CERTIFICATE_REQUIRED" in text or "HANDSHAKE_FAILURE" in text:
        return Failure(
            "cannot connect: the broker asks for a client certificate",
            "log in with one (`gridfleet device enrol --certificates`), or switch that off at the broker",
        )
    return Failure(
        f"cannot connect: TLS failed ({text.lower().replace('_', ' ')})",
        "compare the TLS settings of both sides",
    )


def _no_tls(address: BrokerAddress) -> Failure:
    """Return the failure of a port that does not take part in a TLS handshake."""
    return Failure(
        f"cannot connect: {address.host} port {address.port} answers without TLS",
        f"use {'ws' if address.path is not None else 'mqtt'}:// for this port, or the broker's TLS port, often 8883",
    )


def closed_early(address: BrokerAddress) -> Failure:
    """Return why a broker closes a connection before it answers CONNECT."""
    secure = "wss://" if address.path is not None else "mqtts://"
    tls = "" if address.tls else f"use {secure} if this port expects TLS; "
    return Failure(
        "the broker closed the connection before it answered",
        f"{tls}check that the port is one for MQTT, and look into the broker's log",
    )


def refusal(code: int, address: BrokerAddress) -> Failure | None:
    """Return why a broker refuses CONNECT for good, by its reason code; None where a later attempt may succeed."""
    user = address.username
    if code in {0x86, 0x87} and user is None:
        return Failure(
            "it requires a login, and no user name was given",
            "give --login FILE, --secrets DIR or mqtt://user:password@host",
            permanent=True,
        )
    return {
        0x84: Failure(
            "it does not support this MQTT version",
            "choose another version, or a port of it that does", permanent=True
        ),
        0x85: Failure("it does not accept this client id", "choose an id that the broker allows", permanent=True),
        0x86: Failure(
            f"wrong user name or password of {user!r}",
            "check the credentials: --login FILE, --secrets DIR, or mqtt://user:password@host",
            permanent=True,
        ),
        0x87: Failure(
            f"{user!r} is not authorised: the user is unknown there, the password is wrong or was replaced, or the "
            "user may not connect",
            "check the credentials, or enrol the device again and copy its credentials folder to it",
            permanent=True,
        ),
        0x8A: Failure("this client is banned there", "ask the broker's operator", permanent=True),
        0x8C: Failure("it requires another authentication method",
            "configure password or certificate there", permanent=True),
    }.get(code)  # fmt: skip


TAKEN_OVER: Final = "another client probably uses this client id: stop one of the two, or give it another id"
"""What short connections in a row mean, where the broker gives no reason."""
