"""Finds the FAT partition of a disk image in its partition table, MBR or GPT, with 512-byte sectors."""

import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

SECTOR: Final = 512
_FAT_TYPES: Final = frozenset({0x01, 0x04, 0x06, 0x0B, 0x0C, 0x0E, 0xEF})
"""MBR partition types that hold FAT; Raspberry Pi OS uses 0x0C, an EFI system partition 0xEF."""
_PROTECTIVE: Final = 0xEE
_GPT_TYPES: Final = frozenset(
    {
        uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"),  # EFI system partition
        uuid.UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"),  # basic data
    }
)
_MAX_ENTRIES: Final = 1024


@dataclass(frozen=True, slots=True)
class Partition:
    """Start and size of a partition, in bytes."""

    start: int
    size: int


def fat_partition(disk: BinaryIO) -> Partition | None:
    """Return the first partition whose type and first sector are FAT; None where there is none.

    A disk without a partition table that is one FAT volume counts too.
    """
    first = _read(disk, 0, SECTOR)
    if _is_fat(first):
        return Partition(0, disk.seek(0, 2))
    if first[510:512] != b"\x55\xaa":
        return None
    entries = list(_mbr(first))
    found = _gpt(disk) if any(kind == _PROTECTIVE for kind, _ in entries) else _fat_entries(entries)
    for partition in found:
        if _is_fat(_read(disk, partition.start, SECTOR)):
            return partition
    return None


def _mbr(sector: bytes) -> Iterator[tuple[int, Partition]]:
    """Yield type and position of the primary partitions in use, at most four."""
    for number in range(4):
        kind, start, sectors = struct.unpack_from("<4xB3xII", sector, 446 + 16 * number)
        if kind and sectors:
            yield kind, Partition(start * SECTOR, sectors * SECTOR)


def _fat_entries(entries: list[tuple[int, Partition]]) -> Iterator[Partition]:
    return (partition for kind, partition in entries if kind in _FAT_TYPES)


def _gpt(disk: BinaryIO) -> Iterator[Partition]:
    """Yield the partitions of a GUID partition table (UEFI specification 2.10, section 5.3) that may be FAT."""
    header = _read(disk, SECTOR, SECTOR)
    if header[:8] != b"EFI PART":
        return
    table, count, size = struct.unpack_from("<QII", header, 72)
    for number in range(min(count, _MAX_ENTRIES)):
        entry = _read(disk, table * SECTOR + number * size, 48)
        if len(entry) < 48:
            return
        first, last = struct.unpack_from("<QQ", entry, 32)
        if uuid.UUID(bytes_le=entry[:16]) in _GPT_TYPES:
            yield Partition(first * SECTOR, (last - first + 1) * SECTOR)


def _is_fat(sector: bytes) -> bool:
    """Return whether a boot sector names FAT12, FAT16 or FAT32 as its file system."""
    return (
        len(sector) == SECTOR
        and sector[510:512] == b"\x55\xaa"
        and (sector[54:57] == b"FAT" or sector[82:87] == b"FAT32")
    )


def _read(disk: BinaryIO, start: int, size: int) -> bytes:
    disk.seek(start)
    return disk.read(size)
