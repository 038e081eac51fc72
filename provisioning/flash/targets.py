"""Where a device is flashed to: a mounted boot partition, an image of its own, or a card."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.flash.card import check_boot
from gridfleet.provisioning.flash.disks import Card, Tell, copy_image, find_card, write_image
from gridfleet.provisioning.flash.volumes import FatVolume, FolderVolume, Volume


class FlashTarget(Protocol):
    """Where one device goes."""

    def plan(self, device: str) -> list[str]:
        """Return in words what will happen to it; change nothing. Raises CommandError for what cannot be."""

    def prepare(self, device: str, tell: Tell) -> Volume:
        """Make it ready, and return its boot partition."""


@dataclass(frozen=True, slots=True)
class FolderTarget:
    """A boot partition that is mounted."""

    folder: Path
    plain: bool

    def plan(self, device: str) -> list[str]:  # noqa: ARG002 - it is the same for every device
        """The folder is written to."""
        if not self.plain:
            check_boot(FolderVolume(self.folder))
        return [f"write to the boot partition at {self.folder}"]

    def prepare(self, device: str, tell: Tell) -> Volume:  # noqa: ARG002 - as above
        """Nothing is to be done."""
        return FolderVolume(self.folder)


@dataclass(frozen=True, slots=True)
class ImageTarget:
    """A copy of an image, named after the device."""

    image: Path
    out: Path
    plain: bool

    def plan(self, device: str) -> list[str]:
        """The image is copied, and the copy written to."""
        check_image(self.image, plain=self.plain)
        if self.copy_for(device).exists():
            raise CommandError(
                self.copy_for(device), "is there already: delete it, or name another folder with --out"
            )
        return [f"copy {self.image} to {self.copy_for(device)}", "write to the copy's boot partition"]

    def prepare(self, device: str, tell: Tell) -> Volume:
        """Copy the image."""
        copy = self.copy_for(device)
        tell(f"Copying   {self.image.name} to {copy}")
        self.out.mkdir(parents=True, exist_ok=True)
        copy_image(self.image, copy)
        return FatVolume(copy)

    def copy_for(self, device: str) -> Path:
        """Return the image of a device."""
        return self.out / f"{device}.img"


@dataclass(frozen=True, slots=True)
class CardTarget:
    """A card, with an image written onto it first where one is given."""

    device: Path
    image: Path | None
    plain: bool

    def plan(self, device: str) -> list[str]:  # noqa: ARG002 - it is the same for every device
        """The card is overwritten, or its boot partition written to."""
        card = find_card(self.device)
        if self.image is None:
            if not self.plain:
                check_boot(FatVolume(self.device))
            return [f"write to the boot partition of {card}"]
        check_image(self.image, plain=self.plain)
        return [f"OVERWRITE ALL OF {card}\nwith {self.image}", "write to its boot partition"]

    def prepare(self, device: str, tell: Tell) -> Volume:  # noqa: ARG002 - as above
        """Look at the card once more, and write the image onto it."""
        card: Card = find_card(self.device)
        if self.image is not None:
            write_image(self.image, card, tell)
        return FatVolume(self.device)


def check_image(image: Path, *, plain: bool) -> None:
    """Raise CommandError unless an image can be written to; one that is packed is only looked for."""
    if not image.is_file():
        raise CommandError(image, "is not there: download Raspberry Pi OS Lite first")
    if image.suffix == ".xz":
        return
    if image.suffix in {".zip", ".gz", ".zst", ".7z"}:
        raise CommandError(image, "is packed: unpack it first (.img and .img.xz are taken as they are)")
    volume = FatVolume(image)
    if not plain:
        check_boot(volume)
