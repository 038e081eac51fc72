"""Cards: which block device may be written, and writing an image onto one, with proof."""

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
"""What /sys counts sizes in, whatever the disk's own sectors are."""
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class System:
    """Where Linux tells of its disks; another place in tests."""

    block: Path = Path("/sys/class/block")
    mounts: Path = Path("/proc/self/mountinfo")
    swaps: Path = Path("/proc/swaps")


@dataclass(frozen=True, slots=True)
class Card:
    """A block device that may be written."""

    device: Path
    model: str
    size: int
    """In bytes."""
    removable: bool

    def __str__(self) -> str:
        kind = "removable" if self.removable else "not removable"
        return f"{self.device} ({self.model or 'no name'}, {self.size / 1e9:.1f} GB, {kind})"


def find_card(device: Path, system: System | None = None) -> Card:
    """Return a card; raise CommandError for what is none, and for a disk that this machine is using."""
    try:
        mode = device.stat().st_mode
    except OSError as error:
        raise CommandError(
            device, f"cannot be used ({error_reason(error)}): is the card in its reader?"
        ) from None
    if not stat.S_ISBLK(mode):
        raise CommandError(device, "is no disk: for a file use --image, for a folder --boot")
    return check_disk(device, device.resolve().name, system or System())


def check_disk(device: Path, name: str, system: System) -> Card:
    """Return what the system says of a disk; raise CommandError unless it is a whole disk that nothing uses."""
    told = system.block / name
    if (told / "partition").exists():
        raise CommandError(device, "is a partition: name the whole disk, such as /dev/sda or /dev/mmcblk0")
    mounted = _mounted(system)
    for number in _numbers(told):
        where = mounted.get(number)
        if where in {"/", "/boot", "/boot/firmware", "/boot/efi", "/usr", "/var", "/home"}:
            raise CommandError(device, f"is the disk that this system runs from ({where}): name the card's")
        if where is not None:
            raise CommandError(device, f"is in use ({where}): unmount it first, umount {device}?*")
    size = int((told / "size").read_text()) * _SECTOR
    if size == 0:
        raise CommandError(device, "is empty: is the card in its reader?")
    model = told / "device" / "model"
    named = model if model.is_file() else told / "device" / "name"
    words = named.read_text(errors="replace").strip() if named.is_file() else ""
    return Card(device, words, size, (told / "removable").read_text().strip() == "1")


def write_image(image: Path, card: Card, tell: Tell) -> None:
    """Write an image (.img or .img.xz) onto a card and read it back; raise CommandError unless it is the same."""
    tell(f"Writing   {image.name} onto {card.device}")
    digest, length = hashlib.sha256(), 0
    try:
        # O_EXCL on a block device: the kernel refuses when anything has it mounted.
        descriptor = os.open(card.device, os.O_WRONLY | os.O_EXCL)
        with os.fdopen(descriptor, "wb") as disk:
            for chunk in chunks_of(image):
                length += len(chunk)
                if length > card.size:
                    raise CommandError(image, f"is larger than the card ({card.size / 1e9:.1f} GB)")
                digest.update(chunk)
                disk.write(chunk)
            disk.flush()
            os.fsync(disk.fileno())
            os.posix_fadvise(disk.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        tell(f"Checking  {length / 1e9:.1f} GB on {card.device}")
        if _digest(card.device, length) != digest.digest():
            raise CommandError(
                card.device, "does not hold what was written: the card is faulty, take another"
            )
    except OSError as error:
        raise CommandError(card.device, f"cannot be written ({error_reason(error)}): are you root?") from None


def copy_image(image: Path, target: Path) -> None:
    """Copy an image (.img or .img.xz) to a new file; raise CommandError when there is one, or no space."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with draft.open("xb") as file:
            for chunk in chunks_of(image):
                if chunk.count(0) == len(chunk):
                    file.seek(len(chunk), os.SEEK_CUR)  # images are mostly empty: leave holes
                else:
                    file.write(chunk)
            file.truncate(file.tell())
        os.link(draft, target)
    except FileExistsError:
        raise CommandError(target, "is there already: delete it, or name another folder with --out") from None
    except OSError as error:
        raise CommandError(target, f"cannot be written ({error_reason(error)})") from None
    finally:
        draft.unlink(missing_ok=True)


def chunks_of(image: Path) -> Iterator[bytes]:
    """Yield an image piece by piece, unpacked; raise CommandError for one that cannot be read."""
    try:
        with _opened(image) as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except (lzma.LZMAError, EOFError) as error:
        raise CommandError(image, f"cannot be unpacked ({error}): download it again") from None
    except FileNotFoundError:
        raise CommandError(image, "is not there: download Raspberry Pi OS Lite first") from None


def _opened(image: Path) -> AbstractContextManager[BinaryIO]:
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


def _numbers(told: Path) -> Iterator[str]:
    """Yield `major:minor` of a disk, of its partitions, and of what is built upon them (RAID, LVM, encryption)."""
    if not (told / "dev").is_file():
        return
    yield (told / "dev").read_text().strip()
    for inner in sorted(told.iterdir()):
        if (inner / "partition").is_file():
            yield from _numbers(inner)
    holders = told / "holders"
    for holder in sorted(holders.iterdir()) if holders.is_dir() else ():
        yield from _numbers(holder)


def _mounted(system: System) -> dict[str, str]:
    """Return where each device is mounted, or that it is swap, by `major:minor`."""
    found: dict[str, str] = {}
    for line in system.mounts.read_text(errors="replace").splitlines():
        words = line.split()
        # A btrfs has a number of its own here, and names its disk; of several mount points the root tells most.
        source = system.block / Path(words[words.index("-") + 2]).name / "dev"
        for number in (words[2], source.read_text().strip() if source.is_file() else words[2]):
            if number not in found or words[4] == "/":
                found[number] = words[4]
    for line in system.swaps.read_text(errors="replace").splitlines()[1:]:
        swap = system.block / Path(line.split()[0]).name / "dev"
        if swap.is_file():
            found[swap.read_text().strip()] = "swap"
    return found
