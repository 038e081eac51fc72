"""Where a device is flashed to: a mounted boot partition, a copy of an image, or an SD card."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.flash.card import check_boot
from gridfleet.provisioning.flash.disks import ReportProgress, copy_image, find_disk, write_image
from gridfleet.provisioning.flash.volumes import FatVolume, FolderVolume, Volume


class FlashTarget(Protocol):
    """A place that one device is written to."""

    def plan(self, device: str) -> list[str]:
        """Return the steps as text, and change nothing; raise CommandError for a target that cannot be used."""

    def prepare(self, device: str, report: ReportProgress) -> Volume:
        """Make the target ready to be written; return its boot partition."""


@dataclass(frozen=True, slots=True)
class FolderTarget:
    """A mounted boot partition."""

    folder: Path
    plain: bool

    def plan(self, device: str) -> list[str]:  # noqa: ARG002 - the same for every device
        """Return the one step."""
        if not self.plain:
            check_boot(FolderVolume(self.folder))
        return [f"write to the boot partition at {self.folder}"]

    def prepare(self, device: str, report: ReportProgress) -> Volume:  # noqa: ARG002 - as above
        """Return the folder as a volume."""
        return FolderVolume(self.folder)


@dataclass(frozen=True, slots=True)
class ImageTarget:
    """A copy of an image, with the device's id as its name."""

    image: Path
    out: Path
    plain: bool

    def plan(self, device: str) -> list[str]:
        """Return the steps; raise CommandError where the copy exists already."""
        check_image(self.image, plain=self.plain)
        if self.copy_for(device).exists():
            raise CommandError(
                self.copy_for(device), "exists already: delete it, or choose another folder with --out"
            )
        return [f"copy {self.image} to {self.copy_for(device)}", "write to the copy's boot partition"]

    def prepare(self, device: str, report: ReportProgress) -> Volume:
        """Copy the image."""
        copy = self.copy_for(device)
        report(f"Copying   {self.image.name} to {copy}")
        self.out.mkdir(parents=True, exist_ok=True)
        copy_image(self.image, copy)
        return FatVolume(copy)

    def copy_for(self, device: str) -> Path:
        """Return the path of a device's copy."""
        return self.out / f"{device}.img"


@dataclass(frozen=True, slots=True)
class CardTarget:
    """An SD card; an image is written onto it first where one is given."""

    device: Path
    image: Path | None
    plain: bool

    def plan(self, device: str) -> list[str]:  # noqa: ARG002 - the same for every device
        """Return the steps; raise CommandError for a disk that is in use or is no card."""
        disk = find_disk(self.device)
        if self.image is None:
            if not self.plain:
                check_boot(FatVolume(self.device))
            return [f"write to the boot partition of {disk}"]
        check_image(self.image, plain=self.plain)
        return [f"OVERWRITE ALL OF {disk}\nwith {self.image}", "write to its boot partition"]

    def prepare(self, device: str, report: ReportProgress) -> Volume:  # noqa: ARG002 - as above
        """Check the card again, and write the image onto it."""
        disk = find_disk(self.device)
        if self.image is not None:
            write_image(self.image, disk, report)
        return FatVolume(self.device)


def check_image(image: Path, *, plain: bool) -> None:
    """Raise CommandError unless an image can be flashed; a packed image is not opened."""
    if not image.is_file():
        raise CommandError(image, "does not exist: download Raspberry Pi OS Lite first")
    if image.suffix == ".xz":
        return
    if image.suffix in {".zip", ".gz", ".zst", ".7z"}:
        raise CommandError(image, "is packed: unpack it first (only .img and .img.xz are read)")
    volume = FatVolume(image)
    if not plain:
        check_boot(volume)
