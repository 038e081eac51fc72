"""The seed: what a machine becomes at its first boot. cloud_init.py and preseed.py write it as files."""

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gridfleet.broker.errors import error_reason
from gridfleet.provisioning.cli.exit_codes import CommandError

GROUPS: Final = ("adm", "gpio", "spi", "sudo", "systemd-journal")
"""Groups of the user who logs in: read the journal, use the pins, become root."""
_HOSTNAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_USER: Final = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
_PSK: Final = re.compile(r"[0-9a-fA-F]{64}")
_ROUNDS: Final = 4096
"""Iterations of PBKDF2 with SHA-1, by which WPA2 makes a key from a passphrase (IEEE 802.11, annex J.4)."""


@dataclass(frozen=True, slots=True)
class Wifi:
    """A wireless network; its `repr` does not show the key."""

    ssid: str
    psk: str = field(repr=False)
    """256-bit key in hexadecimal, made from the passphrase; it is valid for this network only."""
    country: str
    """ISO 3166 code of two letters: it decides which channels may be used."""
    hidden: bool = False

    @classmethod
    def make(cls, ssid: str, passphrase: str, country: str, *, hidden: bool = False) -> "Wifi":
        """Return a network from name and passphrase; raise CommandError for values that the standard does not allow.

        For WPA2 and WPA3 in transition mode. A network with WPA3 only needs the passphrase itself: not supported.

        >>> Wifi.make("IEEE", "password", "de").country
        'DE'
        """
        if not 1 <= len(ssid.encode()) <= 32:
            raise CommandError("Wi-Fi name", "must have 1 to 32 bytes")
        if not re.fullmatch(r"[A-Za-z]{2}", country):
            raise CommandError(f"Wi-Fi country {country!r}", "must be two letters, such as DE")
        if _PSK.fullmatch(passphrase):
            psk = passphrase.lower()
        elif 8 <= len(passphrase) <= 63 and passphrase.isascii() and passphrase.isprintable():
            psk = hashlib.pbkdf2_hmac("sha1", passphrase.encode(), ssid.encode(), _ROUNDS, 32).hex()
        else:
            raise CommandError(
                "Wi-Fi passphrase",
                "must have 8 to 63 printable ASCII characters, or be a key of 64 hex digits",
            )
        return cls(ssid, psk, country.upper(), hidden)


@dataclass(frozen=True, slots=True)
class Seed:
    """Host name, time zone, user, network and SPI of a machine, and the command that its first boot runs."""

    hostname: str
    instance_id: str
    """A new id makes cloud-init treat the next boot as a first boot."""
    command: tuple[str, ...]
    time_zone: str = "Etc/UTC"
    user: str = "pi"
    ssh_keys: tuple[str, ...] = ()
    wifi: Wifi | None = None
    spi: bool = True
    """Whether to enable the SPI bus, for an analogue-to-digital converter."""

    def __post_init__(self) -> None:
        """Raise CommandError for a host name, user, time zone or key that is not valid."""
        for what, text, allowed, hint in (
            ("host name", self.hostname, _HOSTNAME, "letters, digits and hyphens, at most 63"),
            ("user", self.user, _USER, "lower-case letters, digits, hyphens and underscores, at most 32"),
            ("time zone", self.time_zone, _ZONE, "a name such as Europe/Berlin"),
        ):
            if allowed.fullmatch(text) is None:
                raise CommandError(f"{what} {text!r}", f"must be {hint}")
        for key in self.ssh_keys:
            check_ssh_key(key)


def check_ssh_key(text: str) -> None:
    """Raise CommandError unless a line is a public SSH key."""
    fields = text.split()
    if "PRIVATE" in text:
        raise CommandError(
            "SSH key", "is a private key, which must not be copied: give the .pub file beside it"
        )
    if len(fields) < 2 or "\n" in text or not fields[0].startswith(("ssh-", "ecdsa-", "sk-")):
        raise CommandError(f"SSH key {text[:20]!r}…", "is not a public key: give a .pub file")


def read_ssh_keys(path: Path) -> tuple[str, ...]:
    """Return the public keys in a file; raise CommandError where it has none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise CommandError(path, f"cannot be read ({error_reason(error)})") from None
    keys = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not keys:
        raise CommandError(path, "has no SSH key: give a .pub file")
    for key in keys:
        check_ssh_key(key)
    return keys


def new_instance_id(device: str) -> str:
    """Return an instance id that was never used before."""
    return f"{device.lower()}-{secrets.token_hex(8)}"
