"""The broker of a testbed: Mosquitto or rumqttd, which can be killed, suspended and started again on its port."""

import contextlib
import os
import signal
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker, Ports, find_mosquitto


class TestbedBroker:
    """Context manager: the broker runs while it is open."""

    def __init__(self, name: str | None) -> None:
        """`name` is `mosquitto` or `rumqttd`; None means Mosquitto where it is installed.

        Mosquitto keeps retained messages on disk, rumqttd does not.
        """
        self.name = name or ("mosquitto" if find_mosquitto() else "rumqttd")
        self._store: tempfile.TemporaryDirectory[str] | None = None
        self._broker: MosquittoBroker | EmbeddedBroker

    def __enter__(self) -> Self:
        if self.name == "mosquitto":
            self._store = tempfile.TemporaryDirectory(prefix="gridfleet-chaos-")
            self._broker = MosquittoBroker(ports=Ports(plain=0), store=Path(self._store.name))
        else:
            self._broker = EmbeddedBroker()
        self._broker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(Exception):
            self.resume()
        self._broker.close()
        if self._store is not None:
            self._store.cleanup()

    @property
    def title(self) -> str:
        """Its name, and whether it keeps retained messages, for people."""
        if self.name == "mosquitto":
            return "Mosquitto, which keeps retained messages on disk"
        return "rumqttd, which loses retained messages when it is killed"

    @property
    def url(self) -> str:
        """The address that clients connect to."""
        return self._broker.url

    def kill(self) -> None:
        """End it as a power failure would (SIGKILL)."""
        if isinstance(self._broker, MosquittoBroker):
            self._broker.kill()
        else:
            os.kill(self._broker.pid, signal.SIGKILL)
            port = self._broker.port
            self._broker.close()
            self._broker = EmbeddedBroker(port)

    def restart(self) -> None:
        """Start it again on the same port."""
        self._broker.start()

    def suspend(self) -> None:
        """Stop it from running (SIGSTOP)."""
        os.kill(self._broker.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it run again (SIGCONT)."""
        os.kill(self._broker.pid, signal.SIGCONT)
