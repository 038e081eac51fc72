"""Where the FAT partition of a disk image lies: read from its partition table, MBR or GPT, with 512-byte sectors."""

import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

SECTOR: Final = 512
_FAT_TYPES: Final = frozenset({0x01, 0x04, 0x06, 0x0B, 0x0C, 0x0E, 0xEF})
"""Types of MBR partitions that hold FAT; 0x0C is what Raspberry Pi OS has, 0xEF an EFI system partition."""
_PROTECTIVE: Final = 0xEE
_GPT_TYPES: Final = frozenset(
    {
        uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"),  # EFI system partition
        uuid.UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"),  # basic data
    }
)
_MOST_ENTRIES: Final = 1024


@dataclass(frozen=True, slots=True)
class Partition:
    """A stretch of a disk, in bytes."""

    start: int
    size: int


def fat_partition(disk: BinaryIO) -> Partition | None:
    """Return the first partition that is FAT by its type and by its first sector; None where there is none.

    A disk without a table that is one FAT volume from its beginning counts as well.
    """
    first = _read(disk, 0, SECTOR)
    if _is_fat(first):
        return Partition(0, disk.seek(0, 2))
    if first[510:512] != b"\x55\xaa":
        return None
    entries = list(_mbr(first))
    found = _gpt(disk) if any(kind == _PROTECTIVE for kind, _ in entries) else _fats(entries)
    for partition in found:
        if _is_fat(_read(disk, partition.start, SECTOR)):
            return partition
    return None


def _mbr(sector: bytes) -> Iterator[tuple[int, Partition]]:
    """Yield type and place of the four primary partitions that are in use."""
    for number in range(4):
        kind, start, sectors = struct.unpack_from("<4xB3xII", sector, 446 + 16 * number)
        if kind and sectors:
            yield kind, Partition(start * SECTOR, sectors * SECTOR)


def _fats(entries: list[tuple[int, Partition]]) -> Iterator[Partition]:
    return (partition for kind, partition in entries if kind in _FAT_TYPES)


def _gpt(disk: BinaryIO) -> Iterator[Partition]:
    """Yield the partitions of a GUID partition table (UEFI specification 2.10, section 5.3) that may be FAT."""
    header = _read(disk, SECTOR, SECTOR)
    if header[:8] != b"EFI PART":
        return
    table, count, size = struct.unpack_from("<QII", header, 72)
    for number in range(min(count, _MOST_ENTRIES)):
        entry = _read(disk, table * SECTOR + number * size, 48)
        if len(entry) < 48:
            return
        first, last = struct.unpack_from("<QQ", entry, 32)
        if uuid.UUID(bytes_le=entry[:16]) in _GPT_TYPES:
            yield Partition(first * SECTOR, (last - first + 1) * SECTOR)


def _is_fat(sector: bytes) -> bool:
    """Tell a FAT boot sector, which names its kind where FAT12, FAT16 or FAT32 keep it."""
    return (
        len(sector) == SECTOR
        and sector[510:512] == b"\x55\xaa"
        and (sector[54:57] == b"FAT" or sector[82:87] == b"FAT32")
    )


def _read(disk: BinaryIO, start: int, size: int) -> bytes:
    disk.seek(start)
    return disk.read(size)
