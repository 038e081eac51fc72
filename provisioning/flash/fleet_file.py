"""Reads a fleet file: a TOML file that lists the devices to flash in one go.

    secrets = "secrets"
    time_zone = "Europe/Berlin"
    ssh_key = "~/.ssh/id_ed25519.pub"

    [wifi]
    ssid = "bench"
    passphrase_file = "wifi.txt"
    country = "DE"

    [[device]]
    file = "my-charger.toml"

    [[device]]
    file = "roof-turbine.toml"
    machine = "armv7l"

Paths are relative to the fleet file's folder.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from gridfleet.devices.config.toml_errors import FileError, Problem, TomlText
from gridfleet.devices.config.toml_files import read_toml
from gridfleet.provisioning.flash.device_spec import (
    DeviceSettings,
    DeviceSpec,
    FlashSettings,
    make_device_spec,
)


class FleetFileError(FileError):
    """A fleet file that cannot be used; the text has one line for each mistake."""


class FleetFile(FlashSettings):
    """The whole file: settings for all devices, and the devices."""

    device: Annotated[tuple[DeviceSettings, ...], Field(min_length=1)]


def read_fleet(path: Path) -> list[DeviceSpec]:
    """Return the devices of a fleet file with their settings.

    Raises FleetFileError with line, key and remedy for a mistake in it, and CommandError or DeviceFileError for a
    mistake in a file that it names.
    """
    text, source, _ = read_toml(path, FleetFileError)
    toml = TomlText(text, source, FleetFileError)

    def explain(error: dict[str, Any]) -> Problem:
        if error["type"] == "too_short":
            return toml.problem(("device",), ": needs at least one [[device]] table")
        return toml.explain(FleetFile, error)

    fleet = toml.validate(FleetFile, problem=explain)
    specs = [make_device_spec(path.parent, fleet, device) for device in fleet.device]
    for what, names in (
        ("id", [spec.device.id for spec in specs]),
        ("hostname", [spec.hostname.lower() for spec in specs]),
    ):
        duplicates = sorted({name for name in names if names.count(name) > 1})
        if duplicates:
            problem = f"has two devices with the {what} {duplicates[0]!r}: give each its own"
            raise FleetFileError(source, [problem])
    return specs
