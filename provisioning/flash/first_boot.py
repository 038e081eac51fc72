"""The first boot of a flashed card, as root.

    python3 -m gridfleet.provisioning.flash.first_boot /boot/firmware/gridfleet

Installs the bundle, moves the device file and the secrets to /etc/gridfleet, which only root and the service can read,
starts the service, and appends the result to first-boot.txt on the boot partition.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridfleet.broker.errors import GridFleetError
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.flash.units import FIRST_BOOT, NAMES, RESTART_MODE, RESTART_MODE_SINCE, unit
from gridfleet.provisioning.upgrade.bundle import Bundle
from gridfleet.provisioning.upgrade.service import UNIT, systemctl
from gridfleet.provisioning.upgrade.versions import BuildEnvironment, Versions

BOOT_PARTITION: Final = "/boot/firmware"
"""Where Raspberry Pi OS mounts the boot partition."""
CARD_FOLDER: Final = "gridfleet"
BUNDLE_FOLDER: Final = "bundle"
SECRETS_FOLDER: Final = "secrets"
DEVICE_FILE: Final = "device.toml"
RESULT_FILE: Final = "first-boot.txt"
"""On the boot partition: one line for each attempt, with its result."""
GROUPS: Final = ("gridfleet", "gpio", "spi")
"""The group that may read the secrets; the groups for GPIO and SPI, which Raspberry Pi OS has already."""


@dataclass(slots=True)
class Host:
    """The machine as the first boot changes it; tests use another."""

    root: Path = Path("/")
    now_s: Callable[[], float] = time.time
    build: BuildEnvironment | None = None

    def set_clock(self, to_s: int) -> None:
        """Set the time to seconds since 1970, and keep it through a power cut."""
        time.clock_settime(time.CLOCK_REALTIME, to_s)
        with contextlib.suppress(OSError):
            Path("/var/lib/systemd/timesync/clock").touch()

    def add_group(self, name: str) -> int:
        """Create a group unless it exists; return its id."""
        import grp

        subprocess.run(["/usr/sbin/groupadd", "--system", "--force", name], check=True)
        return grp.getgrnam(name).gr_gid

    def set_owner(self, path: Path, group: int) -> None:
        """Make root the owner of a file, and give it a group."""
        os.chown(path, 0, group)

    def systemd_version(self) -> int:
        """Return the version of systemd, such as 257."""
        return int(systemctl("--version").split()[1].partition(".")[0].rstrip("~rc"))

    def start_service(self) -> None:
        """Start the service, now and at every boot."""
        systemctl("daemon-reload")
        systemctl("enable", UNIT)
        systemctl("reset-failed", UNIT, check=False)
        systemctl("--no-block", "restart", UNIT)


def first_boot(card: Path, host: Host) -> str:
    """Install GridFleet on this machine and start it; return the result as text.

    `card` is the folder on the boot partition. Raises CommandError for a bundle or card that is incomplete. After a
    failure or a power cut the same call continues.
    """
    _install_retry_unit(host)
    bundle = Bundle.load(card / BUNDLE_FOLDER)
    clock_note = ""
    if host.now_s() < bundle.made_s:
        # A Pi has no battery-backed clock: it starts in the past, where no certificate is valid yet.
        host.set_clock(bundle.made_s)
        clock_note = "; clock set to the time of flashing"
    versions = Versions(host.root / "opt" / "gridfleet")
    label = versions.install(bundle, host.build)
    _configure(card, host)
    for name in NAMES:
        _write(host.root / "etc" / "systemd" / "system" / name, unit(name).encode(), 0o644)
    if host.systemd_version() >= RESTART_MODE_SINCE:
        folder = host.root / "etc" / "systemd" / "system" / f"{UNIT}.d"
        _write(folder / RESTART_MODE, unit(RESTART_MODE).encode(), 0o644)
    _link(host.root / "usr" / "local" / "bin" / "gridfleet", "/opt/gridfleet/current/bin/gridfleet")
    versions.use(label)
    if versions.good is None:
        versions.mark_good(label)  # there is no other
    host.start_service()
    erase_secrets(card)
    _remove_retry_unit(host)
    return f"GridFleet {label} is installed{clock_note}"


def erase_secrets(card: Path) -> None:
    """Overwrite and delete the secrets on the boot partition, which anyone who has the card can read."""
    secrets = card / SECRETS_FOLDER
    for path in sorted(secrets.rglob("*")):
        if path.is_file():
            with path.open("r+b") as file:
                file.write(b"\0" * path.stat().st_size)
                file.flush()
                os.fsync(file.fileno())
    if secrets.is_dir():
        shutil.rmtree(secrets)


def _configure(card: Path, host: Host) -> None:
    """Copy device file and secrets to /etc/gridfleet; those copied by an earlier attempt stay."""
    target = host.root / "etc" / "gridfleet"
    groups = {name: host.add_group(name) for name in GROUPS}
    for folder in (target, target / SECRETS_FOLDER, target / SECRETS_FOLDER / "clients"):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o750)
        host.set_owner(folder, groups["gridfleet"])
    found = [path for path in sorted((card / SECRETS_FOLDER).rglob("*")) if path.is_file()]
    if not found and not any((target / SECRETS_FOLDER / "clients").iterdir()):
        raise CommandError(card / SECRETS_FOLDER, "has no secrets: flash the card again")
    for path in (card / DEVICE_FILE, *found):
        copy = target / path.relative_to(card)
        _write(copy, path.read_bytes(), 0o640)
        host.set_owner(copy, groups["gridfleet"])


def _install_retry_unit(host: Host) -> None:
    """Make the next boot try again if this one does not finish: cloud-init runs its commands only once."""
    units = host.root / "etc" / "systemd" / "system"
    _write(units / FIRST_BOOT, unit(FIRST_BOOT).encode(), 0o644)
    _link(units / "multi-user.target.wants" / FIRST_BOOT, f"../{FIRST_BOOT}")


def _remove_retry_unit(host: Host) -> None:
    units = host.root / "etc" / "systemd" / "system"
    (units / "multi-user.target.wants" / FIRST_BOOT).unlink(missing_ok=True)
    (units / FIRST_BOOT).unlink(missing_ok=True)


def _link(path: Path, target: str) -> None:
    """Create a symbolic link in place of any that exists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def main(arguments: list[str], host: Host | None = None) -> int:
    """Run the first boot and append the result to the boot partition; return the exit code."""
    card = Path(arguments[0]) if arguments else Path(BOOT_PARTITION) / CARD_FOLDER
    try:
        result, code = first_boot(card, host or Host()), 0
    except (GridFleetError, OSError, subprocess.CalledProcessError) as error:
        result, code = f"failed: {error}", 1
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    print(result, file=sys.stderr)
    with contextlib.suppress(OSError), (card / RESULT_FILE).open("a", encoding="utf-8") as file:
        file.write(f"{when}  {result}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
