"""SD cards as block devices: which disk may be written, and writing an image onto it with verification."""

import hashlib
import lzma
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

from gridfleet.broker.errors import error_reason
from gridfleet.provisioning.cli.exit_codes import CommandError

CHUNK: Final = 4 * 1_048_576
_SECTOR: Final = 512
"""Unit of sizes in /sys, in bytes, whatever the disk's own sector size is."""
ReportProgress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SystemPaths:
    """Where Linux describes its disks; tests use other paths."""

    block: Path = Path("/sys/class/block")
    mounts: Path = Path("/proc/self/mountinfo")
    swaps: Path = Path("/proc/swaps")


@dataclass(frozen=True, slots=True)
class Disk:
    """A block device that may be written."""

    device: Path
    model: str
    size: int
    """In bytes."""
    removable: bool

    def __str__(self) -> str:
        """Return device, model, size and kind for people."""
        kind = "removable" if self.removable else "not removable"
        return f"{self.device} ({self.model or 'no name'}, {self.size / 1e9:.1f} GB, {kind})"


def find_disk(device: Path, system: SystemPaths | None = None) -> Disk:
    """Return the disk at a device path; raise CommandError for anything else, and for a disk that is in use."""
    try:
        mode = device.stat().st_mode
    except OSError as error:
        raise CommandError(
            device, f"cannot be used ({error_reason(error)}): is the card in its reader?"
        ) from None
    if not stat.S_ISBLK(mode):
        raise CommandError(device, "is not a disk: use --image for a file, --boot for a folder")
    return check_disk(device, device.resolve().name, system or SystemPaths())


def check_disk(device: Path, name: str, system: SystemPaths) -> Disk:
    """Return a disk by its name in /sys; raise CommandError unless it is a whole disk that nothing uses."""
    entry = system.block / name
    if (entry / "partition").exists():
        raise CommandError(device, "is a partition: give the whole disk, such as /dev/sda or /dev/mmcblk0")
    mounted = _mounted(system)
    for number in _numbers(entry):
        where = mounted.get(number)
        if where in {"/", "/boot", "/boot/firmware", "/boot/efi", "/usr", "/var", "/home"}:
            raise CommandError(
                device, f"is the disk that this system runs from ({where}): give the card's device"
            )
        if where is not None:
            raise CommandError(device, f"is in use ({where}): unmount it first, umount {device}?*")
    size = int((entry / "size").read_text()) * _SECTOR
    if size == 0:
        raise CommandError(device, "is empty: is the card in its reader?")
    model = entry / "device" / "model"
    file = model if model.is_file() else entry / "device" / "name"
    text = file.read_text(errors="replace").strip() if file.is_file() else ""
    return Disk(device, text, size, (entry / "removable").read_text().strip() == "1")


def write_image(image: Path, disk: Disk, report: ReportProgress) -> None:
    """Write an image (.img or .img.xz) onto a disk and read it back; raise CommandError unless both are equal."""
    report(f"Writing   {image.name} onto {disk.device}")
    digest, length = hashlib.sha256(), 0
    try:
        # O_EXCL on a block device: the kernel refuses when anything has it mounted.
        descriptor = os.open(disk.device, os.O_WRONLY | os.O_EXCL)
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks_of(image):
                length += len(chunk)
                if length > disk.size:
                    raise CommandError(image, f"is larger than the card ({disk.size / 1e9:.1f} GB)")
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        report(f"Checking  {length / 1e9:.1f} GB on {disk.device}")
        if _digest(disk.device, length) != digest.digest():
            raise CommandError(disk.device, "does not hold what was written: the card is faulty, use another")
    except OSError as error:
        raise CommandError(disk.device, f"cannot be written ({error_reason(error)}): are you root?") from None


def copy_image(image: Path, target: Path) -> None:
    """Copy an image (.img or .img.xz) to a new file; raise CommandError where it exists, or without space."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with draft.open("xb") as file:
            for chunk in chunks_of(image):
                if chunk.count(0) == len(chunk):
                    file.seek(len(chunk), os.SEEK_CUR)  # images are mostly zeros: leave holes
                else:
                    file.write(chunk)
            file.truncate(file.tell())
        os.link(draft, target)
    except FileExistsError:
        raise CommandError(target, "exists already: delete it, or choose another folder with --out") from None
    except OSError as error:
        raise CommandError(target, f"cannot be written ({error_reason(error)})") from None
    finally:
        draft.unlink(missing_ok=True)


def chunks_of(image: Path) -> Iterator[bytes]:
    """Yield an image in chunks of CHUNK bytes, unpacked; raise CommandError where it cannot be read."""
    try:
        with _open(image) as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except (lzma.LZMAError, EOFError) as error:
        raise CommandError(image, f"cannot be unpacked ({error}): download it again") from None
    except FileNotFoundError:
        raise CommandError(image, "does not exist: download Raspberry Pi OS Lite first") from None


def _open(image: Path) -> AbstractContextManager[BinaryIO]:
    if image.suffix == ".xz":
        return cast("AbstractContextManager[BinaryIO]", lzma.open(image, "rb"))
    return image.open("rb")


def _digest(device: Path, length: int) -> bytes:
    digest = hashlib.sha256()
    with device.open("rb") as disk:
        while length > 0 and (chunk := disk.read(min(CHUNK, length))):
            digest.update(chunk)
            length -= len(chunk)
    return digest.digest()


def _numbers(entry: Path) -> Iterator[str]:
    """Yield `major:minor` of a disk, its partitions, and the devices on top of them (RAID, LVM, encryption)."""
    if not (entry / "dev").is_file():
        return
    yield (entry / "dev").read_text().strip()
    for inner in sorted(entry.iterdir()):
        if (inner / "partition").is_file():
            yield from _numbers(inner)
    holders = entry / "holders"
    for holder in sorted(holders.iterdir()) if holders.is_dir() else ():
        yield from _numbers(holder)


def _mounted(system: SystemPaths) -> dict[str, str]:
    """Return the mount point of each device by `major:minor`; `swap` for swap space."""
    found: dict[str, str] = {}
    for line in system.mounts.read_text(errors="replace").splitlines():
        fields = line.split()
        # A btrfs has its own number here, and names its disk. Of several mount points `/` matters most.
        source = system.block / Path(fields[fields.index("-") + 2]).name / "dev"
        for number in (fields[2], source.read_text().strip() if source.is_file() else fields[2]):
            if number not in found or fields[4] == "/":
                found[number] = fields[4]
    for line in system.swaps.read_text(errors="replace").splitlines()[1:]:
        swap = system.block / Path(line.split()[0]).name / "dev"
        if swap.is_file():
            found[swap.read_text().strip()] = "swap"
    return found
