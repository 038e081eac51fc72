"""Reads a fleet file: a TOML file that lists the devices to flash in one go.

    secrets = "secrets"
    time_zone = "Europe/Berlin"
    ssh_key = "~/.ssh/id_ed25519.pub"

    [wifi]
    ssid = "bench"
    passphrase_file = "wifi.txt"
    country = "DE"

    [[device]]
    file = "charger-01.toml"

    [[device]]
    file = "turbine-01.toml"
    machine = "armv7l"

Paths are relative to the fleet file's folder.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from gridfleet.broker.errors import error_reason
from gridfleet.devices.config.file_errors import FileError, unknown_key, wrong_value
from gridfleet.devices.config.toml_lines import line_of, lines_of
from gridfleet.provisioning.flash.device_spec import (
    DeviceSettings,
    DeviceSpec,
    FlashSettings,
    WifiSettings,
    make_device_spec,
)


class FleetFileError(FileError):
    """A fleet file that cannot be used; the text has one line for each mistake."""


class FleetFile(FlashSettings):
    """The whole file: settings for all devices, and the devices."""

    device: Annotated[tuple[DeviceSettings, ...], Field(min_length=1)]


def read_fleet(path: Path) -> list[DeviceSpec]:
    """Return what a fleet file says of each device.

    Raises FleetFileError with line, key and remedy for a mistake in it, and CommandError or DeviceFileError for a
    mistake in a file that it names.
    """
    source = str(path)
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except (OSError, UnicodeError) as error:
        raise FleetFileError(source, [f"cannot be read ({error_reason(error)})"]) from None
    except tomllib.TOMLDecodeError as error:
        raise FleetFileError(source, [f"is not TOML: {error}"]) from None
    try:
        fleet = FleetFile.model_validate(document)
    except ValidationError as error:
        lines = lines_of(text)
        mistakes = [dict(each) for each in error.errors(include_url=False) if each["type"] != "too_short"]
        problems = [_problem(document, lines, each) for each in mistakes]
        raise FleetFileError(source, problems or ["device: needs at least one [[device]] table"]) from None
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


def _problem(document: dict[str, Any], lines: dict[tuple[str, ...], int], error: dict[str, Any]) -> str:
    """Return one mistake in words: line, key, value, and what is allowed."""
    location = error["loc"]
    keys = [part for part in location if isinstance(part, str)]
    index = next((part for part in location if isinstance(part, int)), None)
    key = ".".join(keys) + (f" (device {index + 1})" if index is not None else "")
    line = line_of(lines, keys) if index in {None, 0} else None
    start = f"line {line}: {key}" if line else key
    if error["type"] == "extra_forbidden":
        return f"{start}: {unknown_key(location[-1], sorted(_model_at(keys).model_fields))}"
    if error["type"] == "missing":
        return f"{start}: missing; add this key"
    return start + wrong_value(document, location, error["msg"], hidden=(dict, list))


def _model_at(keys: list[str]) -> type[BaseModel]:
    """Return the model of the table that holds a key."""
    if "wifi" in keys[:-1]:
        return WifiSettings
    return DeviceSettings if keys[:1] == ["device"] else FleetFile
