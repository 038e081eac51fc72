"""The service that runs the agent, as an upgrade sees it: it is restarted, and asked how it fares."""

import subprocess
from dataclasses import dataclass
from typing import Final, Protocol

from gridfleet.provisioning.cli.exit_codes import CommandError

UNIT: Final = "gridfleet-device.service"
SAFE_UNIT: Final = "gridfleet-safe.service"
_ASKED: Final = ("ActiveState", "SubState", "MainPID", "NRestarts", "Result")


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """How a service fares."""

    ready: bool
    """Whether it has said that it is ready, and has not ended since."""
    process: int
    """The id of its process: another one means that it was started again."""
    words: str
    """The same, for people."""


class Service(Protocol):
    """What an upgrade needs of a service."""

    def restart(self) -> None:
        """Start it, or end it and start it again; do not wait for it to be ready."""

    def status(self) -> ServiceStatus:
        """Return how it fares now."""


class Systemd:
    """A unit of systemd, of Type=notify: it is active only once the agent has said READY=1."""

    def __init__(self, unit: str = UNIT) -> None:
        self._unit = unit

    def restart(self) -> None:
        """Restart the unit, and forget that it failed before."""
        systemctl("reset-failed", self._unit, check=False)
        systemctl("--no-block", "restart", self._unit)

    def status(self) -> ServiceStatus:
        """Ask systemd."""
        said = systemctl("show", self._unit, f"--property={','.join(_ASKED)}")
        told = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        words = f"{told.get('ActiveState')} ({told.get('SubState')}, result {told.get('Result')})"
        return ServiceStatus(told.get("ActiveState") == "active", int(told.get("MainPID") or 0), words)


def systemctl(*words: str, check: bool = True) -> str:
    """Run systemctl and return what it said; raise CommandError when it is missing or fails."""
    command = ["systemctl", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise CommandError("systemctl", "is not here: this machine has no systemd") from None
    if check and done.returncode != 0:
        raise CommandError(" ".join(command), f"failed ({done.stderr.strip()}): are you root?")
    return done.stdout
