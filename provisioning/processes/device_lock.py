"""Which process on this machine runs a device: a Unix socket with the device's name, which ends with its process.

Two clients with one id disconnect each other, so `gridfleet device doctor` does not log in as a device that runs.
"""

import logging
import socket
from types import TracebackType
from typing import Self

_log = logging.getLogger(__name__)


class DeviceLock:
    """Context manager: makes it known on this machine that this process runs a device.

    It warns when another process does so already, and goes on: an agent that does not start would be worse.
    """

    def __init__(self, site: str, device: str) -> None:
        self._device = device
        self._name = _name(site, device)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def __enter__(self) -> Self:
        try:
            self._socket.bind(self._name)
            self._socket.listen()
        except OSError:
            _log.warning(
                "another process on this machine runs %s: the two disconnect each other, stop one",
                self._device,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()


def runs_on_this_machine(site: str, device: str) -> bool:
    """Return whether a process on this machine runs a device."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(0)
        try:
            link.connect(_name(site, device))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except BlockingIOError:  # more have asked than its queue holds
            return True
    return True


def _name(site: str, device: str) -> str:
    """Return the socket's name in the abstract namespace, which leaves no file behind."""
    return f"\0gridfleet/{site}/{device}"
