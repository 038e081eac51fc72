"""What the device file asks of the machine: secrets, pins, SPI bus."""

import grp
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.doctor.finding import Finding, fail, ok, warn
from gridfleet.provisioning.doctor.machine import Machine

if TYPE_CHECKING:
    from gridfleet.devices.config.device_file import DeviceFile

SERVICE_GROUP: Final = "gridfleet"
"""Who may read the secrets beside root."""


def look_at_device(device: "DeviceFile", machine: Machine) -> Iterator[Finding]:
    """Yield what there is to say of it."""
    yield ok("device file", f"{device.id}, a {device.kind} in {device.cell}, {device.site}")
    yield from _secrets(device)
    if device.backend != "gpio":
        yield warn("pins", f"none: backend = {device.backend!r}, so all is simulated", "set backend = 'gpio'")
        return
    yield from _pins(machine)
    if device.adc is not None:
        yield from _spi(machine, device.adc.device)


def _secrets(device: "DeviceFile") -> Iterator[Finding]:
    from gridfleet.broker.credentials import SecretsFolder

    if device.credentials is None:
        yield warn("secrets", "none are named", "set broker.credentials; gridfleet flash does it by itself")
        return
    folder = SecretsFolder(device.credentials)
    needed = [folder.authority, folder.password_of(device.id)]
    if device.broker.certificate:
        needed += [folder.certificate_of(device.id), folder.key_of(device.id)]
    for path in needed:
        try:
            path.read_bytes()
        except PermissionError:
            yield fail("secrets", f"{path} cannot be read by you", "run the doctor with sudo")
            return
        except OSError:
            yield fail("secrets", f"{path} is missing", "enrol the device again: gridfleet flash")
            return
    private = [path for path in needed[1:] if path.suffix != ".crt"]
    shown = [path for path in private if path.stat().st_mode & 0o007]
    if shown:
        yield fail("secrets", f"{shown[0]} can be read by everybody", f"chmod o= {shown[0]}")
    else:
        yield ok("secrets", f"complete in {device.credentials}, and nobody else's")


def _pins(machine: Machine) -> Iterator[Finding]:
    chips = sorted((machine.root / "dev").glob("gpiochip*"))
    if not chips:
        remedy = "backend = 'gpio' needs a Raspberry Pi; elsewhere use 'mock' or 'synthetic'"
        yield fail("pins", "there are none: no /dev/gpiochip*", remedy)
        return
    if not any(os.access(chip, os.R_OK | os.W_OK) for chip in chips):
        yield fail("pins", f"{_shown(chips[0], machine)} is closed to you", _join("gpio"))
        return
    if find_spec("lgpio") is None:
        yield fail("pins", "their library is missing", "sudo apt-get install python3-lgpio")
        return
    yield ok("pins", f"{len(chips)} chips, lgpio")


def _spi(machine: Machine, select: int) -> Iterator[Finding]:
    bus = machine.root / "dev" / f"spidev0.{select}"
    if not bus.exists():
        remedy = "add dtparam=spi=on to /boot/firmware/config.txt and start again"
        yield fail("SPI", f"{_shown(bus, machine)} is not there", remedy)
    elif not os.access(bus, os.R_OK | os.W_OK):
        yield fail("SPI", f"{_shown(bus, machine)} is closed to you", _join("spi"))
    else:
        yield ok("SPI", _shown(bus, machine))


def _shown(path: Path, machine: Machine) -> str:
    return f"/{path.relative_to(machine.root)}"


def _join(group: str) -> str:
    try:
        grp.getgrnam(group)
    except KeyError:
        return f"sudo groupadd --system {group}, and give it the device by a udev rule"
    return f"sudo usermod --append --groups {group} $USER, and log in again; the service has it already"
