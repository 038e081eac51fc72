"""The first boot of a flashed card, as root.

    python3 -m gridfleet.provisioning.flash.first_boot /boot/firmware/gridfleet

Installs the bundle, moves the device's file and secrets to where only the service reads them, starts the service,
and says on the boot partition what came of it, for whoever puts the card into a reader again.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gridfleet.broker.errors import GridFleetError
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.flash.units import FIRST_BOOT, NAMES, RESTART_MODE, RESTART_MODE_SINCE, unit
from gridfleet.provisioning.upgrade.bundle import Bundle
from gridfleet.provisioning.upgrade.service import UNIT, systemctl
from gridfleet.provisioning.upgrade.versions import Build, Versions

BOOT: Final = "/boot/firmware"
"""Where Raspberry Pi OS mounts the boot partition."""
FOLDER: Final = "gridfleet"
BUNDLE: Final = "bundle"
SECRETS: Final = "secrets"
DEVICE: Final = "device.toml"
STORY: Final = "first-boot.txt"
"""What came of it, on the boot partition."""
GROUPS: Final = ("gridfleet", "gpio", "spi")
"""Who may read the secrets; who may use the pins and the bus, which Raspberry Pi OS knows already."""


@dataclass(slots=True)
class Host:
    """What the first boot does to the machine; another one in tests."""

    root: Path = Path("/")
    now_s: Callable[[], float] = time.time
    build: Build | None = None
    done: list[str] = field(default_factory=list)

    def set_clock(self, to_s: int) -> None:
        """Set the time, and have it outlive a power cut."""
        time.clock_settime(time.CLOCK_REALTIME, to_s)
        with contextlib.suppress(OSError):
            Path("/var/lib/systemd/timesync/clock").touch()

    def add_group(self, name: str) -> int:
        """Make a group unless it is there; return its id."""
        import grp

        subprocess.run(["/usr/sbin/groupadd", "--system", "--force", name], check=True)
        return grp.getgrnam(name).gr_gid

    def give(self, path: Path, group: int) -> None:
        """Have root own a file, and a group read it."""
        os.chown(path, 0, group)

    def systemd(self) -> int:
        """Return systemd's version."""
        return int(systemctl("--version").split()[1].partition(".")[0].rstrip("~rc"))

    def start(self) -> None:
        """Have systemd start the service, now and at every boot."""
        systemctl("daemon-reload")
        systemctl("enable", UNIT)
        systemctl("reset-failed", UNIT, check=False)
        systemctl("--no-block", "restart", UNIT)


def first_boot(card: Path, host: Host) -> str:
    """Make a device of this machine; return what was done. Raises CommandError when it cannot be done.

    Doing it again after a failure, or a power cut, goes on where it ended.
    """
    _go_on_later(host)
    bundle = Bundle.load(card / BUNDLE)
    clock = ""
    if host.now_s() < bundle.made_s:
        # Without a clock of its own a Pi starts in the past, in which no certificate is valid yet.
        host.set_clock(bundle.made_s)
        clock = "; clock set to the time of flashing"
    versions = Versions(host.root / "opt" / "gridfleet")
    label = versions.install(bundle, host.build)
    _configure(card, host)
    for name in NAMES:
        _write(host.root / "etc" / "systemd" / "system" / name, unit(name).encode(), 0o644)
    if host.systemd() >= RESTART_MODE_SINCE:
        folder = host.root / "etc" / "systemd" / "system" / f"{UNIT}.d"
        _write(folder / RESTART_MODE, unit(RESTART_MODE).encode(), 0o644)
    _link(host.root / "usr" / "local" / "bin" / "gridfleet", "/opt/gridfleet/current/bin/gridfleet")
    versions.use(label)
    if versions.good is None:
        versions.note_good(label)  # there is no other
    host.start()
    forget_secrets(card)
    _be_done(host)
    return f"GridFleet {label} is installed{clock}"


def forget_secrets(card: Path) -> None:
    """Take the secrets off the boot partition, which everybody can read who holds the card."""
    secrets = card / SECRETS
    for path in sorted(secrets.rglob("*")):
        if path.is_file():
            with path.open("r+b") as file:
                file.write(b"\0" * path.stat().st_size)
                file.flush()
                os.fsync(file.fileno())
    if secrets.is_dir():
        shutil.rmtree(secrets)


def _configure(card: Path, host: Host) -> None:
    """Copy file and secrets to /etc/gridfleet; those that were copied at an earlier attempt stay."""
    target = host.root / "etc" / "gridfleet"
    groups = {name: host.add_group(name) for name in GROUPS}
    for folder in (target, target / SECRETS, target / SECRETS / "clients"):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o750)
        host.give(folder, groups["gridfleet"])
    found = [path for path in sorted((card / SECRETS).rglob("*")) if path.is_file()]
    if not found and not any((target / SECRETS / "clients").iterdir()):
        raise CommandError(card / SECRETS, "holds no secrets: flash the card again")
    for path in (card / DEVICE, *found):
        copy = target / path.relative_to(card)
        _write(copy, path.read_bytes(), 0o640)
        host.give(copy, groups["gridfleet"])


def _go_on_later(host: Host) -> None:
    """Have the next boot go on if this one is cut short: cloud-init runs its commands once, whatever came of them."""
    units = host.root / "etc" / "systemd" / "system"
    _write(units / FIRST_BOOT, unit(FIRST_BOOT).encode(), 0o644)
    _link(units / "multi-user.target.wants" / FIRST_BOOT, f"../{FIRST_BOOT}")


def _be_done(host: Host) -> None:
    units = host.root / "etc" / "systemd" / "system"
    (units / "multi-user.target.wants" / FIRST_BOOT).unlink(missing_ok=True)
    (units / FIRST_BOOT).unlink(missing_ok=True)


def _link(path: Path, target: str) -> None:
    """Have the command found by its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file, all or nothing."""
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


def main(words: list[str], host: Host | None = None) -> int:
    """Do it, and leave word on the boot partition; return the exit code."""
    card = Path(words[0]) if words else Path(BOOT) / FOLDER
    try:
        story, code = first_boot(card, host or Host()), 0
    except (GridFleetError, OSError, subprocess.CalledProcessError) as error:
        story, code = f"failed: {error}", 1
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    print(story, file=sys.stderr)
    with contextlib.suppress(OSError), (card / STORY).open("a", encoding="utf-8") as file:
        file.write(f"{when}  {story}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
