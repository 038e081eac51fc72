"""Which disks are refused, and how images are copied; with a fake /sys."""

import lzma
import stat
from pathlib import Path

import pytest

from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.flash.disks import (
    Disk,
    SystemPaths,
    check_disk,
    copy_image,
    find_disk,
    write_image,
)

CARD = Path("/dev/sdz")


@pytest.fixture
def system(tmp_path: Path) -> SystemPaths:
    """A system disk with an encrypted root, a card with two partitions, and an empty reader."""
    block = tmp_path / "block"
    for name, number, size in (("sda", "8:0", 10**6), ("sdz", "65:144", 62_333_952), ("sdy", "65:128", 0)):
        (block / name / "device").mkdir(parents=True)
        (block / name / "dev").write_text(f"{number}\n")
        (block / name / "size").write_text(f"{size}\n")
        (block / name / "removable").write_text("0\n" if name == "sda" else "1\n")
        (block / name / "device" / "model").write_text("SD/MMC reader\n")
    for name, number in (("sda/sda1", "8:1"), ("sdz/sdz1", "65:145"), ("sdz/sdz2", "65:146")):
        (block / name).mkdir()
        (block / name / "partition").write_text("1\n")
        (block / name / "dev").write_text(f"{number}\n")
        (block / Path(name).name).symlink_to(block / name)
    (block / "dm-0").mkdir()
    (block / "dm-0" / "dev").write_text("254:0\n")
    (block / "sda" / "sda1" / "holders").mkdir()
    (block / "sda" / "sda1" / "holders" / "dm-0").symlink_to(block / "dm-0")
    mounts, swaps = tmp_path / "mountinfo", tmp_path / "swaps"
    mounts.write_text("22 1 254:0 / / rw - ext4 /dev/mapper/root rw\n")
    swaps.write_text("Filename Type Size Used Priority\n")
    return SystemPaths(block, mounts, swaps)


def test_a_card_is_described(system: SystemPaths) -> None:
    disk = check_disk(CARD, "sdz", system)
    assert str(disk) == "/dev/sdz (SD/MMC reader, 31.9 GB, removable)"


@pytest.mark.parametrize(
    ("name", "mount", "message"),
    [
        ("sda", "", r"the disk that this system runs from \(/\)"),
        ("sdz1", "", "is a partition: give the whole disk"),
        ("sdy", "", "is empty: is the card in its reader"),
        (
            "sdz",
            "30 22 65:146 / /media/me/rootfs rw - ext4 /dev/sdz2 rw\n",
            r"is in use \(/media/me/rootfs\)",
        ),
        ("sdz", "30 22 0:40 / /media/me/data rw - btrfs /dev/sdz2 rw\n", r"is in use \(/media/me/data\)"),
        ("sdz", "30 22 65:145 / /boot/firmware rw - vfat /dev/sdz1 rw\n", "this system runs from"),
    ],
)
def test_a_disk_in_use_is_refused(system: SystemPaths, name: str, mount: str, message: str) -> None:
    with system.mounts.open("a") as file:
        file.write(mount)
    with pytest.raises(CommandError, match=message):
        check_disk(CARD, name, system)


def test_a_disk_that_is_swapped_to_is_refused(system: SystemPaths) -> None:
    with system.swaps.open("a") as file:
        file.write("/dev/sdz2 partition 1 0 -2\n")
    with pytest.raises(CommandError, match=r"is in use \(swap\)"):
        check_disk(CARD, "sdz", system)


def test_a_file_is_not_a_disk(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert stat.S_ISREG((tmp_path / "file").stat().st_mode)
    with pytest.raises(CommandError, match="is not a disk: use --image for a file"):
        find_disk(tmp_path / "file")
    with pytest.raises(CommandError, match="is the card in its reader"):
        find_disk(tmp_path / "nowhere")


# --- images ---


def test_an_image_is_copied_packed_or_not_and_stays_sparse(tmp_path: Path) -> None:
    content = b"\x01" * 5_000_000 + bytes(20_000_000) + b"\x02" * 10
    (tmp_path / "os.img").write_bytes(content)
    (tmp_path / "os.img.xz").write_bytes(lzma.compress(content, preset=0))
    for name in ("os.img", "os.img.xz"):
        copy = tmp_path / f"{name}.copy"
        copy_image(tmp_path / name, copy)
        assert copy.read_bytes() == content
        assert copy.stat().st_blocks * 512 < 15_000_000
        with pytest.raises(CommandError, match="exists already"):
            copy_image(tmp_path / name, copy)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_damaged_image_is_reported_and_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "os.img.xz").write_bytes(lzma.compress(bytes(1000))[:-20])
    with pytest.raises(CommandError, match="cannot be unpacked"):
        copy_image(tmp_path / "os.img.xz", tmp_path / "copy.img")
    assert [path.name for path in tmp_path.iterdir()] == ["os.img.xz"]


def test_an_image_is_written_and_read_back(tmp_path: Path) -> None:
    """Onto a file instead of a device: the code is the same."""
    (tmp_path / "os.img").write_bytes(b"image" * 10_000)
    device = tmp_path / "card"
    device.write_bytes(b"\xff" * 100_000)
    reports: list[str] = []
    write_image(tmp_path / "os.img", Disk(device, "", 100_000, removable=True), reports.append)
    assert device.read_bytes() == b"image" * 10_000 + b"\xff" * 50_000
    assert [line.split()[0] for line in reports] == ["Writing", "Checking"]


def test_a_card_that_is_too_small_or_loses_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "os.img").write_bytes(b"image" * 10_000)
    device = tmp_path / "card"
    device.touch()
    with pytest.raises(CommandError, match="is larger than the card"):
        write_image(tmp_path / "os.img", Disk(device, "", 49_999, removable=True), print)

    def forget(line: str) -> None:
        if line.startswith("Checking"):
            device.write_bytes(b"image" * 9_999 + b"imagf")

    with pytest.raises(CommandError, match="does not hold what was written"):
        write_image(tmp_path / "os.img", Disk(device, "", 100_000, removable=True), forget)
