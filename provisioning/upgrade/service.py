"""The systemd service that runs the agent: restart it and read its status."""

import subprocess
from dataclasses import dataclass
from typing import Final, Protocol

from gridfleet.provisioning.cli.exit_codes import CommandError

UNIT: Final = "gridfleet-device.service"
SAFE_UNIT: Final = "gridfleet-safe.service"
_PROPERTIES: Final = ("ActiveState", "SubState", "MainPID", "NRestarts", "Result")


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """Status of a service."""

    ready: bool
    """Whether it has reported READY=1 and still runs."""
    pid: int
    """Id of its main process; a new id means that it was restarted."""
    text: str
    """The status for people."""


class Service(Protocol):
    """What an upgrade needs of a service."""

    def restart(self) -> None:
        """Start or restart it; do not wait until it is ready."""

    def status(self) -> ServiceStatus:
        """Return its status."""


class SystemdService:
    """A systemd unit of Type=notify: it is active only after the agent has reported READY=1."""

    def __init__(self, unit: str = UNIT) -> None:
        self._unit = unit

    def restart(self) -> None:
        """Restart the unit, and reset its failure counter."""
        systemctl("reset-failed", self._unit, check=False)
        systemctl("--no-block", "restart", self._unit)

    def status(self) -> ServiceStatus:
        """Return the status that systemd reports."""
        output = systemctl("show", self._unit, f"--property={','.join(_PROPERTIES)}")
        properties = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
        text = f"{properties.get('ActiveState')} ({properties.get('SubState')}, result {properties.get('Result')})"
        return ServiceStatus(
            properties.get("ActiveState") == "active", int(properties.get("MainPID") or 0), text
        )


def systemctl(*arguments: str, check: bool = True) -> str:
    """Run systemctl and return its output; raise CommandError where it is missing or fails."""
    command = ["systemctl", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise CommandError("systemctl", "is not installed: this machine has no systemd") from None
    if check and done.returncode != 0:
        raise CommandError(" ".join(command), f"failed ({done.stderr.strip()}): are you root?")
    return done.stdout
