"""What a card gets: the seed, the device's file and secrets, the wheels; written, and read back."""

import hashlib
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridfleet.broker.credentials import SecretsFolder
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.flash.cloud_init import cloud_init
from gridfleet.provisioning.flash.device_spec import DeviceSpec
from gridfleet.provisioning.flash.first_boot import BOOT, BUNDLE, DEVICE, FOLDER, SECRETS
from gridfleet.provisioning.flash.preseed import preseed
from gridfleet.provisioning.flash.seed import Seed
from gridfleet.provisioning.flash.volumes import Volume
from gridfleet.provisioning.upgrade.bundle import LIST, REQUIREMENTS, Bundle

WRITERS: Final[dict[str, Callable[[Seed], dict[str, bytes]]]] = {
    "cloud-init": cloud_init,
    "rpi-preseed": preseed,
}
"""Who reads the seed at first boot, and what writes it for them."""
CONFIG: Final = "config.txt"
CMDLINE: Final = "cmdline.txt"
SPI: Final = "dtparam=spi=on"
_BROKER: Final = re.compile(r"\s*\[\s*broker\s*\]\s*(#.*)?$")
_HEADER: Final = re.compile(r"\s*\[")
_CREDENTIALS: Final = re.compile(r"\s*credentials\s*=")


@dataclass(frozen=True, slots=True)
class Written:
    """What was written and read back."""

    files: int
    size: int
    """In bytes."""


def seed_of(order: DeviceSpec, instance_id: str, wheel: str) -> Seed:
    """Return what the machine is to become; `wheel` is GridFleet's own, out of which the first boot runs."""
    boot = f"{BOOT}/{FOLDER}"
    command = (
        *(
            "env",
            f"PYTHONPATH={boot}/{BUNDLE}/{wheel}",
            "python3",
            "-m",
            "gridfleet.provisioning.flash.first_boot",
        ),
        boot,
    )
    return Seed(
        hostname=order.hostname,
        instance_id=instance_id,
        command=command,
        time_zone=order.time_zone,
        user=order.user,
        ssh_keys=order.ssh_keys,
        wifi=order.wifi,
        spi=order.device.adc is not None,
    )


def seed_files(seed: Seed, system: str) -> dict[str, bytes]:
    """Return the files that the first boot of that kind of system reads."""
    return WRITERS[system](seed)


def device_files(order: DeviceSpec, bundle: Bundle) -> dict[str, bytes]:
    """Return what is the device's own: its file, its secrets, its wheels.

    Raises CommandError when a secret is missing.
    """
    folder, name = SecretsFolder(order.secrets), order.device.id
    card = SecretsFolder(Path(FOLDER) / SECRETS)
    try:
        found = {
            str(there): here.read_bytes()
            for here, there in zip(_own(folder, name), _own(card, name), strict=True)
        }
    except OSError as error:
        raise CommandError(error.filename, "is missing: enrol the device again") from None
    found[f"{FOLDER}/{DEVICE}"] = with_credentials(order.text, SECRETS).encode()
    for file in (LIST, REQUIREMENTS, *bundle.wheels):
        found[f"{FOLDER}/{BUNDLE}/{file}"] = (bundle.path / file).read_bytes()
    return found


def _own(folder: SecretsFolder, name: str) -> tuple[Path, ...]:
    """Return all that a device needs of a site's secrets."""
    return folder.authority, folder.password_of(name), folder.certificate_of(name), folder.key_of(name)


def with_credentials(text: str, folder: str) -> str:
    """Return a device file that looks for its secrets in `folder`, otherwise as its owner wrote it.

    Raises CommandError for a text whose broker is not in a table of its own.
    """
    wanted = tomllib.loads(text)
    wanted["broker"]["credentials"] = folder
    lines: list[str] = []
    inside = False
    for line in text.splitlines():
        if inside and _CREDENTIALS.match(line):
            continue
        if _HEADER.match(line):
            inside = _BROKER.match(line) is not None
        lines.append(line)
        if inside and _BROKER.match(line):
            lines.append(f'credentials = "{folder}"')
    changed = "\n".join(lines) + "\n"
    try:
        same = tomllib.loads(changed) == wanted
    except tomllib.TOMLDecodeError:
        same = False
    if not same:
        raise CommandError("broker", "write it as a table of its own, [broker], with one key per line")
    return changed


def check_boot(volume: Volume) -> None:
    """Raise CommandError unless a volume is the boot partition of Raspberry Pi OS."""
    for name in (CONFIG, CMDLINE):
        if volume.read(name) is None:
            raise CommandError(
                "boot partition",
                f"has no {name}: is it Raspberry Pi OS? (--plain writes to any FAT partition)",
            )


def write_card(volume: Volume, files: dict[str, bytes], seed: Seed, *, plain: bool, system: str) -> Written:
    """Write everything and read it back; raise CommandError unless each byte is as it was written.

    `plain` leaves config.txt and cmdline.txt alone: a seed partition for any cloud-init.
    """
    volume.clear(FOLDER)
    whole = dict(files)
    if not plain:
        whole |= _boot_settings(volume, seed, system)
    for path, content in whole.items():
        volume.write(path, content)
    volume.sync()
    for path, content in whole.items():
        read = volume.read(path)
        if read is None or hashlib.sha256(read).digest() != hashlib.sha256(content).digest():
            raise CommandError(path, "does not read back as it was written: the card is faulty, take another")
    return Written(len(whole), sum(map(len, whole.values())))


def _boot_settings(volume: Volume, seed: Seed, system: str) -> dict[str, bytes]:
    """Return config.txt and cmdline.txt with what the device needs, where that changes them."""
    found: dict[str, bytes] = {}
    config = (volume.read(CONFIG) or b"").decode("utf-8", "surrogateescape")
    if seed.spi and SPI not in map(str.strip, config.splitlines()):
        # [all], because the file may end in a section for one model.
        found[CONFIG] = f"{config.rstrip()}\n\n[all]\n{SPI}\n".encode("utf-8", "surrogateescape")
    if system == "cloud-init":
        words = (volume.read(CMDLINE) or b"").decode("utf-8", "surrogateescape").split()
        kept = [word for word in words if not word.startswith("ds=nocloud")]
        # The kernel's line is read before the files: the same id in both.
        line = " ".join([*kept, f"ds=nocloud;i={seed.instance_id}"])
        found[CMDLINE] = f"{line}\n".encode("utf-8", "surrogateescape")
    return found
