"""Ports for servers under test: no two test processes of this machine get the same one.

A port that the kernel chooses and that is given back before the server listens may be taken meanwhile: by another test,
or by an outgoing connection. These ports lie below those that the kernel gives to connections, and each belongs to the
process that asked for it until the process ends: a name in the kernel's abstract namespace stands for it.
"""

import random
import socket
from typing import Final

FIRST: Final = 20_000
LAST: Final = 32_000
"""The kernel's own begin at 32 768 (ip_local_port_range)."""

DEFAULT_PORTS: Final = (1883, 8883, 9443, 3000, 8080, 8086)
"""MQTT, MQTT over TLS, MQTT over WebSocket, Grafana, the live console in our examples, InfluxDB."""

_taken: Final[list[socket.socket]] = []


def free_port() -> int:
    """Return a port on 127.0.0.1 that nobody listens on and no other test process gets."""
    for port in random.SystemRandom().sample(range(FIRST, LAST), 1000):
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0gridfleet-test-port-{port}")
            with socket.create_server(("127.0.0.1", port)):
                pass
        except OSError:
            name.close()
            continue
        _taken.append(name)
        return port
    raise OSError(f"no free port from {FIRST} to {LAST}")


def accepts(port: int) -> bool:
    """Return whether somebody listens on a port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except OSError:
        return False
    return True
