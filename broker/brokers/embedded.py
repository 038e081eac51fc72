"""The embedded broker: rumqttd (PyPI `iotcore`, MQTT 5) in a child process, on the loopback interface.

rumqttd cannot be stopped from within its process, and should use a processor of its own. So it runs in a child process
that leads its own session, so that Ctrl-C in the terminal does not reach it. The child ends when its standard input
closes or its parent ends for any reason.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from gridfleet.broker.brokers.child_process import stop_process
from gridfleet.broker.brokers.subprocess_environment import python_environment
from gridfleet.broker.errors import BrokerError, error_reason
from gridfleet.broker.install_command import install_command

MAX_PACKET: Final = 262_144
"""The largest MQTT packet in bytes that it accepts."""
SITE_LOG_BYTES: Final = 32 * 1_048_576
SCOPE_LOG_BYTES: Final = 2 * 1_048_576
"""The size of rumqttd's log of messages for each filter: the small one for a cell or a device, the other for the rest.

A slower subscriber loses the oldest messages, whatever the QoS. Unlimited logs would fill the memory.
"""
MAX_CONNECTIONS: Final = 20_000
MAX_RETAINED: Final = 10_000
"""The most retained messages sent for a new filter of QoS 0; with QoS 1 or 2 rumqttd sends only the first 100."""
START_S: Final = 10.0
"""How long the broker may take to answer the first CONNECT, in seconds."""
_MAX_TRIES: Final = 3
_SEGMENTS: Final = 8

_LISTENER: Final = """
[{kind}.1]
name = "{kind}"
listen = "{host}:{port}"
next_connection_delay_ms = 0
[{kind}.1.connections]
connection_timeout_ms = 30000
max_payload_size = {max_packet}
max_inflight_count = 500
"""
_ROUTER: Final = f"""id = 0
[router]
id = 0
max_connections = {MAX_CONNECTIONS}
max_outgoing_packet_count = {MAX_RETAINED}
max_segment_size = {SITE_LOG_BYTES // _SEGMENTS}
max_segment_count = {_SEGMENTS}
"""
_SCOPE_LOG: Final = f"""[router.custom_segment.'{{pattern}}']
max_segment_size = {SCOPE_LOG_BYTES // _SEGMENTS}
max_segment_count = {_SEGMENTS}
"""
_CONNECT: Final = bytes.fromhex("10 13 0004 4d515454 05 02 003c 00 0006 67662d627573".replace(" ", ""))
"""CONNECT, MQTT 5, clean start, keep-alive 60 s, client id gf-bus."""
_CONNACK: Final = 0x20


class EmbeddedBroker:
    """Context manager: a broker at `url`; raises BrokerError when it cannot start or is used after close."""

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        ws_port: int | None = None,
        v4_port: int | None = None,
    ) -> None:
        """Listen for MQTT 5 on `port`, for MQTT 3.1.1 on `ws_port` (WebSocket) and `v4_port`; 0 is any free port."""
        self._requested = port
        self._host = host
        self._extra_ports = {
            kind: number for kind, number in (("ws", ws_port), ("v4", v4_port)) if number is not None
        }
        self._port = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the broker and wait until it answers; raise BrokerError when it does not."""
        if self._child is not None:
            raise BrokerError("this embedded broker was started before: make a new EmbeddedBroker")
        tries = 1 if self._requested else _MAX_TRIES
        for left in reversed(range(tries)):
            ports = {"v5": self._requested, **self._extra_ports}
            ports = {kind: _free_port(self._host, port) for kind, port in ports.items()}
            self._port = ports["v5"]
            try:
                self._launch(ports)
            except BrokerError:
                self.close()
                if not left:
                    raise
                self._child = None  # another program has taken the port
            except BaseException:
                self.close()
                raise
            else:
                return

    def close(self) -> None:
        """Stop the broker and free its ports; its retained messages are lost. Closing twice is safe."""
        child, errors = self._child, self._errors
        self._errors = None
        if child is not None:
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()
            stop_process(child)
        if errors is not None:
            errors.close()

    @property
    def host(self) -> str:
        """The address that it listens on."""
        return self._host

    @property
    def port(self) -> int:
        """The port of the MQTT 5 listener; raises BrokerError when the broker is not running."""
        self._running()
        return self._port

    @property
    def url(self) -> str:
        """The URL for clients; raises BrokerError when the broker is not running."""
        return f"mqtt://{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        """The process id; raises BrokerError when the broker is not running."""
        return self._running().pid

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._errors is None:
            raise BrokerError("the embedded broker is not running: use it inside its `with` block")
        return self._child

    def _launch(self, ports: dict[str, int]) -> None:
        listeners = (
            _LISTENER.format(kind=kind, host=self._host, port=port, max_packet=MAX_PACKET)
            for kind, port in ports.items()
        )
        scope_logs = (_SCOPE_LOG.format(pattern=pattern) for pattern in _filters_with_scope())
        config = "".join((_ROUTER, *scope_logs, *listeners))
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, config, str(len(ports))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=python_environment(),
            start_new_session=True,
        )
        deadline = time.monotonic() + START_S
        answered = self._child.stdout is not None and self._child.stdout.read(1) == b"+"
        while not (answered and _answers(self._host, ports["v5"])):
            if not answered or self._child.poll() is not None or time.monotonic() > deadline:
                raise BrokerError(
                    f"the embedded broker does not answer on {self._host}:{ports['v5']} "
                    f"({_last_line(self._errors)}): is iotcore installed? {install_command('iotcore')} – "
                    "or use a broker of your own with --broker mqtt://host:port"
                )
            time.sleep(0.01)


def _filters_with_scope() -> list[str]:
    """Return a filter for each message type that is not for the whole site."""
    from gridfleet.broker.protocol.topics import (  # the child process needs none of this
        ALL,
        TOPIC_TABLE,
        Scope,
        topic_filter,
    )

    return [
        topic_filter(ALL, message_type.name)
        for message_type in TOPIC_TABLE
        if message_type.scope is not Scope.SITE
    ]


def _free_port(host: str, port: int) -> int:
    """Return the port if it is free, any free one for 0; raise BrokerError otherwise."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except (OSError, OverflowError) as error:
            raise BrokerError(
                f"the embedded broker cannot listen on {host}:{port} ({error_reason(error)}): "
                "choose another port, or 0 for a free one"
            ) from None
        return int(probe.getsockname()[1])


def _answers(host: str, port: int) -> bool:
    """Return whether a broker accepts an MQTT 5 CONNECT there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1.0) as link:
        link.sendall(_CONNECT)
        return link.recv(1)[:1] == bytes([_CONNACK])
    return False


def _last_line(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it wrote no error"


# --- in the child process -------------------------------------------------------------------------------------------


def main(config: str, listeners: int) -> None:
    """Run rumqttd until standard input closes or the parent ends; write `+` once it listens."""
    import logging

    from iotcore.iotcore import IotCoreBroker

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # rumqttd logs every packet at level ERROR; pass none of it to Python.
    logging.getLogger().setLevel(logging.CRITICAL + 1)
    parent = os.getppid()
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(config)
        file.flush()
        broker = IotCoreBroker(config_path=file.name)
    broker.start()
    deadline = time.monotonic() + START_S
    while _set_nodelay() < listeners:
        if time.monotonic() > deadline:
            sys.exit("rumqttd did not open its ports")
        time.sleep(0.005)
    os.write(1, b"+")
    os.close(1)
    while os.getppid() == parent and not select.select([0], [], [], 1.0)[0]:
        pass
    os._exit(0)  # rumqttd's threads never end


def _set_nodelay() -> int:
    """Set TCP_NODELAY on the listening sockets, which accepted ones inherit; return how many there are.

    rumqttd leaves Nagle's algorithm on, which delays an exchange of small messages by up to 40 ms.
    """
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            link = socket.socket(fileno=int(entry.name))
            try:
                if link.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    count += 1
            finally:
                link.detach()  # the descriptor is rumqttd's
    return count


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
