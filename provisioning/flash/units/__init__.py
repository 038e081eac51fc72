"""The units of systemd that a device runs, as files; where they are."""

from importlib.resources import files
from typing import Final

NAMES: Final = ("gridfleet-device.service", "gridfleet-safe.service")
FIRST_BOOT: Final = "gridfleet-first-boot.service"
"""Is there only until the first boot has succeeded."""
RESTART_MODE: Final = "restart-mode.conf"
"""A drop-in for the device's unit, which systemd before RESTART_MODE_SINCE neither needs nor knows."""
RESTART_MODE_SINCE: Final = 254


def unit(name: str) -> str:
    """Return the text of a unit."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
