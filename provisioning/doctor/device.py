"""Checks what the device file needs on this machine: secrets, GPIO pins, SPI bus."""

import grp
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from gridfleet.provisioning.doctor.diagnosis import Diagnosis, fail, ok, warn
from gridfleet.provisioning.doctor.machine import Machine
from gridfleet.provisioning.processes.plugin_warnings import plugin_problems

if TYPE_CHECKING:
    from gridfleet.devices.config.device_file import DeviceFile


def check_device(device: "DeviceFile", machine: Machine) -> Iterator[Diagnosis]:
    """Yield the diagnoses of device file, secrets, pins and SPI."""
    yield ok("device file", f"{device.id}, a {device.kind} in {device.cell}, {device.site}")
    yield from _secrets(device)
    if device.backend != "gpio":
        yield warn(
            "pins",
            f"not used: backend = {device.backend!r}, all values are simulated",
            "set backend = 'gpio'",
        )
        return
    yield from _pins(machine)
    if device.adc is not None:
        yield from _spi(machine, device.adc.device)


def check_plugins() -> Iterator[Diagnosis]:
    """Yield the diagnosis of each package whose kind, clearing rule or offer ranking cannot be used."""
    problems = plugin_problems()
    for line in problems:
        yield warn("plug-ins", line, "install another version of the package, or uninstall it")
    if not problems:
        yield ok("plug-ins", "no package has an entry point that cannot be used")


def _secrets(device: "DeviceFile") -> Iterator[Diagnosis]:
    from gridfleet.broker.credentials import SecretsFolder

    if device.credentials is None:
        yield warn("secrets", "not configured", "set broker.credentials, then gridfleet device enrol FILE")
        return
    needed = SecretsFolder(device.credentials).files_of(device.id, certificates=device.broker.certificate)
    for path in needed:
        try:
            path.read_bytes()
        except PermissionError:
            yield fail("secrets", f"you cannot read {path}", "run the doctor with sudo")
            return
        except OSError:
            yield fail(
                "secrets",
                f"{path} is missing",
                "enrol the device: gridfleet device enrol FILE, or gridfleet device flash",
            )
            return
    private = [path for path in needed[1:] if path.suffix != ".crt"]
    public = [path for path in private if path.stat().st_mode & 0o007]
    if public:
        yield fail("secrets", f"every user can read {public[0]}", f"chmod o= {public[0]}")
    else:
        yield ok("secrets", f"complete in {device.credentials}, other users cannot read them")


def _pins(machine: Machine) -> Iterator[Diagnosis]:
    chips = sorted((machine.root / "dev").glob("gpiochip*"))
    if not chips:
        remedy = "backend = 'gpio' needs a Raspberry Pi; elsewhere use 'mock' or 'synthetic'"
        yield fail("pins", "not found: no /dev/gpiochip*", remedy)
        return
    if not any(os.access(chip, os.R_OK | os.W_OK) for chip in chips):
        yield fail("pins", f"{_absolute(chips[0], machine)} cannot be opened by you", _add_to_group("gpio"))
        return
    if find_spec("lgpio") is None:
        yield fail("pins", "the library lgpio is missing", "sudo apt-get install python3-lgpio")
        return
    yield ok("pins", f"{len(chips)} chips, lgpio")


def _spi(machine: Machine, select: int) -> Iterator[Diagnosis]:
    bus = machine.root / "dev" / f"spidev0.{select}"
    if not bus.exists():
        remedy = "add dtparam=spi=on to /boot/firmware/config.txt and reboot"
        yield fail("SPI", f"{_absolute(bus, machine)} does not exist", remedy)
    elif not os.access(bus, os.R_OK | os.W_OK):
        yield fail("SPI", f"{_absolute(bus, machine)} cannot be opened by you", _add_to_group("spi"))
    else:
        yield ok("SPI", _absolute(bus, machine))


def _absolute(path: Path, machine: Machine) -> str:
    return f"/{path.relative_to(machine.root)}"


def _add_to_group(group: str) -> str:
    try:
        grp.getgrnam(group)
    except KeyError:
        return f"sudo groupadd --system {group}, and add a udev rule that gives it the device"
    return (
        f"sudo usermod --append --groups {group} $USER, and log in again; the service is in the group already"
    )
