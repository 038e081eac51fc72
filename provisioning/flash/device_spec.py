"""Settings for flashing one device: device file, platform, secrets folder, host name, login and network."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import error_reason
from gridfleet.broker.protocol.messages import Role
from gridfleet.devices.config.device_file import DeviceFile
from gridfleet.devices.config.device_file import load as load_device
from gridfleet.devices.runtime.registrations import limits_of_device
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.deploy.wheels import DEFAULT_MACHINE, DEFAULT_PYTHON, Platform
from gridfleet.provisioning.flash.seed import Wifi, read_ssh_keys
from gridfleet.provisioning.site.enrolment import Enrolment

Machine = Literal["aarch64", "armv7l", "x86_64"]
PythonVersion = Annotated[str, Field(pattern=r"^3\.(1[1-9]|[2-9][0-9])$")]


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """All that is needed to flash one device."""

    device: DeviceFile
    text: str
    """The device file as its owner wrote it."""
    source: Path
    platform: Platform
    secrets: Path
    hostname: str
    time_zone: str
    user: str
    ssh_keys: tuple[str, ...]
    wifi: Wifi | None

    @property
    def enrolment(self) -> Enrolment:
        """The device's id, role, cell and limits, as the user registry keeps them."""
        return Enrolment(self.device.id, self.device.role, self.device.cell, limits_of_device(self.device))

    @property
    def address(self) -> BrokerAddress:
        """The address of its broker."""
        return self.device.address()


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WifiSettings(_Settings):
    """A wireless network, as a fleet file describes it."""

    ssid: str
    passphrase_file: str
    country: str
    hidden: bool = False


class FlashSettings(_Settings):
    """Settings for all devices that are flashed together."""

    machine: Machine = DEFAULT_MACHINE
    python: PythonVersion = DEFAULT_PYTHON
    secrets: str = "secrets"
    time_zone: str = "Etc/UTC"
    user: str = "pi"
    ssh_key: str | None = None
    wifi: WifiSettings | None = None


class DeviceSettings(_Settings):
    """Settings for one device; None means the value from FlashSettings."""

    file: str
    hostname: str | None = None
    machine: Machine | None = None
    python: PythonVersion | None = None
    time_zone: str | None = None
    user: str | None = None
    ssh_key: str | None = None
    wifi: WifiSettings | None = None


def make_device_spec(folder: Path, common: FlashSettings, own: DeviceSettings) -> DeviceSpec:
    """Return what to flash for one device; `folder` is where relative paths start.

    Raises CommandError or DeviceFileError for a file that is wrong or cannot be flashed.
    """
    source = _path(folder, own.file)
    device = load_device(source)
    if device.role is Role.GRID_SUPPLY:
        raise CommandError(source, f"kind: a {device.kind} belongs to the whole site and cannot be flashed")
    _check_broker(source, device)
    key = own.ssh_key or common.ssh_key
    wifi = own.wifi or common.wifi
    return DeviceSpec(
        device=device,
        text=source.read_text(encoding="utf-8"),
        source=source,
        platform=Platform(own.machine or common.machine, own.python or common.python),
        secrets=_path(folder, common.secrets),
        hostname=own.hostname or device.id.replace("_", "-").replace(".", "-"),
        time_zone=own.time_zone or common.time_zone,
        user=own.user or common.user,
        ssh_keys=read_ssh_keys(_path(folder, key)) if key else (),
        wifi=_wifi(folder, wifi) if wifi else None,
    )


def _check_broker(source: Path, device: DeviceFile) -> None:
    """Raise CommandError for a broker that the device cannot reach, or not safely."""
    address = device.address()
    if address.host in {"localhost", "127.0.0.1", "::1"}:
        raise CommandError(
            source,
            f"broker.url: {address} is the device itself; use the address that the device reaches it at",
        )
    if address.password is not None:
        raise CommandError(
            source, "broker.url: remove the password; `gridfleet device flash` makes one and stores it"
        )
    if not address.tls:
        raise CommandError(source, f"broker.url: {address} has no TLS; use mqtts:// (port 8883)")


def _wifi(folder: Path, settings: WifiSettings) -> Wifi:
    path = _path(folder, settings.passphrase_file)
    try:
        passphrase = path.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeError) as error:
        raise CommandError(
            path, f"cannot be read ({error_reason(error)}): write the Wi-Fi passphrase to this file"
        ) from None
    return Wifi.make(settings.ssid, passphrase, settings.country, hidden=settings.hidden)


def _path(folder: Path, text: str) -> Path:
    return folder / Path(text).expanduser()
