"""Checks the connection to a broker: host name, port, and its certificate."""

import socket
import ssl
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Final

from gridfleet.broker.errors import error_reason
from gridfleet.provisioning.doctor.diagnosis import Diagnosis, fail, ok, warn

if TYPE_CHECKING:
    from gridfleet.broker.address import BrokerAddress

CONNECT_TIMEOUT_S: Final = 5.0
MIN_VALID_DAYS: Final = 30


def check_address(address: "BrokerAddress") -> Generator[Diagnosis, None, bool]:
    """Yield whether a broker answers at an address; return whether it does."""
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


def check_tls(address: "BrokerAddress", context: ssl.SSLContext) -> Generator[Diagnosis, None, bool]:
    """Yield the diagnosis of the broker's certificate; return whether it is trusted."""
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
        "TLS",
        f"the broker is not of this site ({text})",
        "name the secrets of its site, or enrol or flash the device again with them",
    )
