"""Writing to a boot partition: in a folder, and in an image without mounting it."""

import io
import struct
import uuid
from pathlib import Path

import pytest

from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.flash.partitions import Partition, fat_partition
from gridfleet.provisioning.flash.volumes import FatVolume, FolderVolume, Volume
from tests.flash.conftest import digest, make_image, mtool

FAT = bytes(82) + b"FAT32   " + bytes(420) + b"\x55\xaa"


def disk(*areas: tuple[int, bytes]) -> io.BytesIO:
    file = io.BytesIO(bytes(64 * 512))
    for sector, content in areas:
        file.seek(sector * 512)
        file.write(content)
    return file


def mbr(*entries: tuple[int, int, int]) -> bytes:
    table = b"".join(struct.pack("<4xB3xII", kind, start, size) for kind, start, size in entries)
    return bytes(446) + table.ljust(64, b"\0") + b"\x55\xaa"


def test_the_first_fat_partition_of_an_mbr_is_found() -> None:
    table = mbr((0x83, 2, 8), (0x0C, 16, 4), (0x0C, 32, 4))
    assert fat_partition(disk((0, table), (16, FAT), (32, FAT))) == Partition(16 * 512, 4 * 512)


def test_the_partition_type_alone_is_not_enough() -> None:
    assert fat_partition(disk((0, mbr((0x0C, 16, 4))))) is None
    assert fat_partition(disk((0, mbr((0x83, 16, 4))), (16, FAT))) is None


def test_the_fat_partition_of_a_gpt_is_found() -> None:
    def entry(kind: str, first: int, last: int) -> bytes:
        return uuid.UUID(kind).bytes_le + bytes(16) + struct.pack("<QQ", first, last) + bytes(80)

    header = b"EFI PART" + bytes(64) + struct.pack("<QII", 2, 4, 128)
    linux = entry("0fc63daf-8483-4772-8e79-3d69d8477de4", 16, 19)
    efi = entry("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", 40, 47)
    found = disk((0, mbr((0xEE, 1, 63))), (1, header), (2, linux + efi), (16, FAT), (40, FAT))
    assert fat_partition(found) == Partition(40 * 512, 8 * 512)


def test_a_volume_without_a_table_is_found() -> None:
    assert fat_partition(disk((0, FAT))) == Partition(0, 64 * 512)


@pytest.mark.parametrize("content", [b"", bytes(512), b"\x55\xaa" * 300])
def test_anything_else_has_no_fat_partition(content: bytes) -> None:
    assert fat_partition(io.BytesIO(content)) is None


# --- both kinds of volume ---


def check_volume(volume: Volume) -> None:
    assert volume.read("nothing.txt") is None
    assert volume.read("no/folder/nothing.txt") is None
    volume.write("user-data", b"first")
    volume.write("user-data", b"#cloud-config\n")
    name = "a/b/pydantic_core-2.50.4-cp313-cp313-manylinux2014_aarch64.manylinux_2_17_aarch64.whl"
    volume.write(name, bytes(range(256)) * 4000)
    volume.write("empty", b"")
    volume.sync()
    assert volume.read("user-data") == b"#cloud-config\n"
    assert volume.read(name) == bytes(range(256)) * 4000
    assert volume.read("empty") == b""
    volume.clear("a")
    volume.clear("never-there")
    assert volume.read(name) is None
    assert volume.read("user-data") == b"#cloud-config\n"


def test_a_folder_is_written_to(tmp_path: Path) -> None:
    check_volume(FolderVolume(tmp_path))
    assert (tmp_path / "user-data").stat().st_mode & 0o777 == 0o600


@pytest.mark.mtools
def test_the_partition_in_an_image_is_written_to(blank_image: Path, tmp_path: Path) -> None:
    image = tmp_path / "own.img"
    image.write_bytes(blank_image.read_bytes())
    check_volume(FatVolume(image))
    assert mtool("mtype", "-i", f"{image}@@1M", "::/user-data") == b"#cloud-config\n"
    with image.open("rb") as own, blank_image.open("rb") as blank:
        assert own.read(1_048_576) == blank.read(1_048_576)  # nothing before the partition has changed


@pytest.mark.mtools
def test_a_full_partition_is_reported(tmp_path: Path) -> None:
    make_image(tmp_path / "tiny.img", sectors=2880)
    with pytest.raises(CommandError, match=r"tiny.img: cannot be used \(.*[Ff]ull"):
        FatVolume(tmp_path / "tiny.img").write("big", bytes(3_000_000))


@pytest.mark.mtools
def test_an_image_without_a_fat_partition_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.img").write_bytes(bytes(4096))
    before = digest(tmp_path / "none.img")
    with pytest.raises(CommandError, match="has no FAT partition"):
        FatVolume(tmp_path / "none.img")
    with pytest.raises(CommandError, match="cannot be read"):
        FatVolume(tmp_path / "nowhere.img")
    assert digest(tmp_path / "none.img") == before


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="is not a folder"):
        FolderVolume(tmp_path / "bootfs")
