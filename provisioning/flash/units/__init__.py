"""The systemd units of a device, as files in this folder."""

from importlib.resources import files
from typing import Final

NAMES: Final = ("gridfleet-device.service", "gridfleet-safe.service")
FIRST_BOOT: Final = "gridfleet-first-boot.service"
"""Installed until the first boot has succeeded."""
RESTART_MODE: Final = "restart-mode.conf"
"""A drop-in for the device's unit; versions of systemd before RESTART_MODE_SINCE do not need or know it."""
RESTART_MODE_SINCE: Final = 254


def unit(name: str) -> str:
    """Return the text of a unit or drop-in."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
