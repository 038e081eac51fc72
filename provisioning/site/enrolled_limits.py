"""The registrations of enrolled devices, for the site's clock: read again whenever the user registry changes."""

from pathlib import Path

from gridfleet.broker.credentials import SecretsFolder
from gridfleet.broker.protocol.messages import Limits, Registration
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.site.user_registry import read_registry


class EnrolledLimits:
    """Returns the registrations that are new or have changed since the last call."""

    def __init__(self, directory: Path) -> None:
        """`directory` is the site's secrets folder; one without a user registry has no enrolled devices."""
        self._folder = SecretsFolder(directory)
        self._written_ns = -1
        self._known: dict[str, Limits] = {}

    def __call__(self) -> dict[str, Registration]:
        """Return device -> registration; nothing while the registry cannot be read."""
        try:
            written_ns = self._folder.user_registry.stat().st_mtime_ns
        except OSError:
            return {}
        if written_ns == self._written_ns:
            return {}
        try:
            limits = read_registry(self._folder).limits
        except CommandError:
            return {}
        self._written_ns = written_ns
        changed = {name: each for name, each in limits.items() if self._known.get(name) != each}
        self._known = limits
        return {name: Registration(0, each) for name, each in changed.items()}
