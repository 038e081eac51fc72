"""Writes a card's boot partition: seed, device file, secrets and wheels; reads it back and compares."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridfleet.broker.credentials import SecretsFolder
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.broker.readers.toml_text import parse_toml
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.flash.cloud_init import cloud_init
from gridfleet.provisioning.flash.device_spec import DeviceSpec
from gridfleet.provisioning.flash.first_boot import (
    BOOT_PARTITION,
    BUNDLE_FOLDER,
    CARD_FOLDER,
    DEVICE_FILE,
    SECRETS_FOLDER,
)
from gridfleet.provisioning.flash.preseed import preseed
from gridfleet.provisioning.flash.seed import Seed
from gridfleet.provisioning.flash.volumes import Volume
from gridfleet.provisioning.upgrade.bundle import MANIFEST, REQUIREMENTS, Bundle

WRITERS: Final[dict[str, Callable[[Seed], dict[str, bytes]]]] = {
    "cloud-init": cloud_init,
    "rpi-preseed": preseed,
}
"""The program that reads the seed at first boot, and the function that writes the seed for it."""
CONFIG: Final = "config.txt"
CMDLINE: Final = "cmdline.txt"
SPI: Final = "dtparam=spi=on"
_BROKER: Final = re.compile(r"\s*\[\s*broker\s*\]\s*(#.*)?$")
_HEADER: Final = re.compile(r"\s*\[")
_CREDENTIALS: Final = re.compile(r"\s*credentials\s*=")


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What was written and read back."""

    files: int
    size_bytes: int


def make_seed(spec: DeviceSpec, instance_id: str, wheel: str) -> Seed:
    """Return the seed for a device; `wheel` is the file name of GridFleet's wheel, which the first boot runs from."""
    boot = f"{BOOT_PARTITION}/{CARD_FOLDER}"
    path = f"PYTHONPATH={boot}/{BUNDLE_FOLDER}/{wheel}"
    command = ("env", path, "python3", "-m", "gridfleet.provisioning.flash.first_boot", boot)
    return Seed(
        hostname=spec.hostname,
        instance_id=instance_id,
        command=command,
        time_zone=spec.time_zone,
        user=spec.user,
        ssh_keys=spec.ssh_keys,
        wifi=spec.wifi,
        spi=spec.device.adc is not None,
    )


def seed_files(seed: Seed, system: str) -> dict[str, bytes]:
    """Return the files that `system`, a key of WRITERS, reads at the first boot."""
    return WRITERS[system](seed)


def device_files(spec: DeviceSpec, bundle: Bundle) -> dict[str, bytes]:
    """Return the device file, the device's secrets and its wheels, by path on the card.

    Raises CommandError where a secret is missing.
    """
    folder, name = SecretsFolder(spec.secrets), spec.device.id
    card = SecretsFolder(Path(CARD_FOLDER) / SECRETS_FOLDER)
    try:
        found = {
            str(target): source.read_bytes()
            for source, target in zip(_secret_files(folder, name), _secret_files(card, name), strict=True)
        }
    except OSError as error:
        raise CommandError(
            error.filename, "is missing: run `gridfleet device flash` for this device again"
        ) from None
    found[f"{CARD_FOLDER}/{DEVICE_FILE}"] = set_credentials(spec.text, SECRETS_FOLDER, spec.source).encode()
    for file in (MANIFEST, REQUIREMENTS, *bundle.wheels):
        found[f"{CARD_FOLDER}/{BUNDLE_FOLDER}/{file}"] = (bundle.path / file).read_bytes()
    return found


def _secret_files(folder: SecretsFolder, name: str) -> tuple[Path, ...]:
    """Return the files of a secrets folder that a device needs."""
    return folder.authority, folder.password_of(name), folder.certificate_of(name), folder.key_of(name)


def set_credentials(text: str, folder: str, source: Path) -> str:
    r"""Return a device file's text with `broker.credentials` set to a folder, and otherwise unchanged.

    Raises CommandError, which names the file (`source`), for a text without a separate table [broker].

    >>> set_credentials('[broker]\nurl = "mqtts://b"', "secrets", Path("x.toml")).splitlines()
    ['[broker]', 'credentials = "secrets"', 'url = "mqtts://b"']
    """
    expected = parse_toml(text)
    expected["broker"]["credentials"] = folder
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
        same = parse_toml(changed) == expected
    except ReadError:
        same = False
    if not same:
        raise CommandError(source, "broker: write it as a separate table, [broker], with one key per line")
    return changed


def check_boot(volume: Volume) -> None:
    """Raise CommandError unless a volume looks like the boot partition of Raspberry Pi OS."""
    for name in (CONFIG, CMDLINE):
        if volume.read(name) is None:
            raise CommandError(
                f"boot partition of {volume}",
                f"has no {name}: is it Raspberry Pi OS? (--plain writes to any FAT partition)",
            )


def write_card(
    volume: Volume, files: dict[str, bytes], seed: Seed, *, plain: bool, system: str
) -> WriteResult:
    """Write all files and read them back; raise CommandError unless every byte is equal.

    With `plain`, config.txt and cmdline.txt stay as they are: for a seed partition of any machine with cloud-init.
    """
    volume.clear(CARD_FOLDER)
    content_by_path = dict(files)
    if not plain:
        content_by_path |= _boot_settings(volume, seed, system)
    for path, content in content_by_path.items():
        volume.write(path, content)
    volume.sync()
    for path, content in content_by_path.items():
        read = volume.read(path)
        if read is None or hashlib.sha256(read).digest() != hashlib.sha256(content).digest():
            raise CommandError(
                volume, f"{path} does not read back as it was written: the card is faulty, use another"
            )
    return WriteResult(len(content_by_path), sum(map(len, content_by_path.values())))


def _boot_settings(volume: Volume, seed: Seed, system: str) -> dict[str, bytes]:
    """Return config.txt and cmdline.txt with the settings that the device needs, where they change."""
    found: dict[str, bytes] = {}
    config = (volume.read(CONFIG) or b"").decode("utf-8", "surrogateescape")
    if seed.spi and SPI not in map(str.strip, config.splitlines()):
        # The file may end in a section for one model: [all] ends it.
        found[CONFIG] = f"{config.rstrip()}\n\n[all]\n{SPI}\n".encode("utf-8", "surrogateescape")
    if system == "cloud-init":
        options = (volume.read(CMDLINE) or b"").decode("utf-8", "surrogateescape").split()
        kept = [option for option in options if not option.startswith("ds=nocloud")]
        # cloud-init reads the kernel command line before meta-data: both have the same id.
        line = " ".join([*kept, f"ds=nocloud;i={seed.instance_id}"])
        found[CMDLINE] = f"{line}\n".encode("utf-8", "surrogateescape")
    return found
