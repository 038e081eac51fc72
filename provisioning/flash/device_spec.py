"""What is to be flashed: from the command line for one device, from a fleet file for many.

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

Paths count from the fleet file's folder.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import error_reason
from gridfleet.broker.protocol.messages import Kind
from gridfleet.devices.config.device_file import DeviceFile
from gridfleet.devices.config.device_file import load as load_device
from gridfleet.devices.config.toml_lines import line_of, lines_of
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.deploy.wheels import MACHINE, PYTHON, Target
from gridfleet.provisioning.flash.seed import Wifi, ssh_keys
from gridfleet.provisioning.site.enrolment import Enrolment

KINDS: Final = {
    "turbine": Kind.TURBINE,
    "charger": Kind.CHARGER,
    "household": Kind.CONSUMER,
    "vehicle": Kind.VEHICLE,
}
"""What the broker calls the kinds of a device file."""


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """One device: its file, what machine it runs on, and what that machine is to become."""

    device: DeviceFile
    text: str
    """The device file as its owner wrote it."""
    source: Path
    target: Target
    secrets: Path
    hostname: str
    time_zone: str
    user: str
    ssh_keys: tuple[str, ...]
    wifi: Wifi | None

    @property
    def enrolment(self) -> Enrolment:
        """Who it is to be at the broker."""
        return Enrolment(self.device.id, KINDS[self.device.kind], self.device.cell)

    @property
    def address(self) -> BrokerAddress:
        """Where its broker is."""
        return self.device.address()


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WifiTable(_Table):
    """A wireless network, as a fleet file says it."""

    ssid: str
    passphrase_file: str
    country: str
    hidden: bool = False


class Settings(_Table):
    """What may be said for all devices, and otherwise for one."""

    machine: Literal["aarch64", "armv7l", "x86_64"] = MACHINE
    python: Annotated[str, Field(pattern=r"^3\.(1[1-9]|[2-9][0-9])$")] = PYTHON
    secrets: str = "secrets"
    time_zone: str = "Etc/UTC"
    user: str = "pi"
    ssh_key: str | None = None
    wifi: WifiTable | None = None


class DeviceTable(_Table):
    """One device of a fleet file; what it does not say is as for all."""

    file: str
    hostname: str | None = None
    machine: Literal["aarch64", "armv7l", "x86_64"] | None = None
    python: Annotated[str, Field(pattern=r"^3\.(1[1-9]|[2-9][0-9])$")] | None = None
    time_zone: str | None = None
    user: str | None = None
    ssh_key: str | None = None
    wifi: WifiTable | None = None


class FleetFile(Settings):
    """A bench of devices."""

    device: Annotated[tuple[DeviceTable, ...], Field(min_length=1)]


def read_fleet(path: Path) -> list[DeviceSpec]:
    """Return the orders of a fleet file; raise CommandError that names line, key and mend."""
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except (OSError, UnicodeError) as error:
        raise CommandError(path, f"cannot be read ({error_reason(error)})") from None
    except tomllib.TOMLDecodeError as error:
        raise CommandError(path, f"is not TOML: {error}") from None
    try:
        fleet = FleetFile.model_validate(document)
    except ValidationError as error:
        raise CommandError(path, _problems(text, error)) from None
    orders = [_order(path.parent, fleet, device) for device in fleet.device]
    for what in ("id", "hostname"):
        named = [each.device.id if what == "id" else each.hostname.lower() for each in orders]
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            raise CommandError(path, f"has two devices with the {what} {twice[0]!r}: give each its own")
    return orders


def make_device_spec(folder: Path, settings: Settings, device: DeviceTable) -> DeviceSpec:
    """Return the order for one device; raise CommandError or DeviceFileError for what cannot be."""
    return _order(folder, settings, device)


def _order(folder: Path, common: Settings, own: DeviceTable) -> DeviceSpec:
    source = _path(folder, own.file)
    device = load_device(source)
    if device.kind not in KINDS:
        raise CommandError(source, f"kind: a {device.kind} belongs to the whole site and is not flashed")
    _check_broker(source, device)
    key = own.ssh_key or common.ssh_key
    wifi = own.wifi or common.wifi
    return DeviceSpec(
        device=device,
        text=source.read_text(encoding="utf-8"),
        source=source,
        target=Target(own.machine or common.machine, own.python or common.python),
        secrets=_path(folder, common.secrets),
        hostname=own.hostname or device.id.replace("_", "-").replace(".", "-"),
        time_zone=own.time_zone or common.time_zone,
        user=own.user or common.user,
        ssh_keys=ssh_keys(_path(folder, key)) if key else (),
        wifi=_wifi(folder, wifi) if wifi else None,
    )


def _check_broker(source: Path, device: DeviceFile) -> None:
    """Raise CommandError for a broker that the device could not reach, or not safely."""
    address = device.address()
    if address.host in {"localhost", "127.0.0.1", "::1"}:
        raise CommandError(
            source, f"broker.url: {address} is the device itself; name the broker as the device reaches it"
        )
    if address.password is not None:
        raise CommandError(
            source, "broker.url: remove the password; `gridfleet flash` makes one and keeps it"
        )
    if not address.tls:
        raise CommandError(source, f"broker.url: {address} has no TLS; use mqtts:// (port 8883)")


def _wifi(folder: Path, table: WifiTable) -> Wifi:
    path = _path(folder, table.passphrase_file)
    try:
        passphrase = path.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeError) as error:
        raise CommandError(
            path, f"cannot be read ({error_reason(error)}): write the Wi-Fi passphrase there"
        ) from None
    return Wifi.make(table.ssid, passphrase, table.country, hidden=table.hidden)


def _path(folder: Path, text: str) -> Path:
    return folder / Path(text).expanduser()


def _problems(text: str, error: ValidationError) -> str:
    lines = lines_of(text)
    return "; ".join(_problem(lines, dict(each)) for each in error.errors(include_url=False))


def _problem(lines: dict[tuple[str, ...], int], error: dict[str, Any]) -> str:
    place = [part for part in error["loc"] if isinstance(part, str)]
    number = next((part for part in error["loc"] if isinstance(part, int)), None)
    where = ".".join(place) + (f" (device {number + 1})" if number is not None else "")
    line = line_of(lines, place) if number in {None, 0} else None
    said = f"line {line}: " if line else ""
    if error["type"] == "extra_forbidden":
        model: type[BaseModel] = FleetFile
        if "wifi" in place[:-1]:
            model = WifiTable
        elif place[:1] == ["device"]:
            model = DeviceTable
        return f"{said}{where}: unknown key; allowed are {', '.join(sorted(model.model_fields))}"
    if error["type"] == "missing":
        return f"{said}{where}: missing; add this key"
    return f"{said}{where}: {error['msg']}"
