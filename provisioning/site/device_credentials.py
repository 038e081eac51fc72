"""What a device needs from its site to log in: which files, whether they are there, and how they reach its folder."""

from pathlib import Path

from gridfleet.broker.credentials import SecretsFolder
from gridfleet.broker.errors import error_reason
from gridfleet.devices.config.device_file import DeviceFile
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.site.secret_files import write_secret
from gridfleet.provisioning.site.user_registry import read_registry


def check_login(source: Path | str, device: DeviceFile) -> None:
    """Raise CommandError for a device file with which no device can log in over TLS with files of its own."""
    address = device.address()
    if not address.tls:
        raise CommandError(source, f"broker.url: {address} has no TLS; use mqtts:// (port 8883)")
    if address.password is not None:
        raise CommandError(source, "broker.url: remove the password; the device gets one of its own")


def credentials_folder(source: Path | str, device: DeviceFile) -> Path:
    """Return the folder that `broker.credentials` names; raise CommandError where the device file names none."""
    if device.credentials is None:
        raise CommandError(
            source,
            "broker.credentials is missing: add the folder for the device's password to [broker], such as "
            f'credentials = "{device.id}"',
        )
    return device.credentials


def check_credentials(source: Path | str, device: DeviceFile, folder: Path) -> None:
    """Raise CommandError, with the command that helps, for credentials of a device that are missing or unreadable."""
    for path in SecretsFolder(folder).files_of(device.id, certificates=device.broker.certificate):
        try:
            path.read_bytes()
        except OSError as error:
            raise CommandError(
                path,
                f"cannot be read ({error_reason(error)}): where the site's secrets are, enrol the device with "
                f"`gridfleet device enrol {source} --secrets DIR`",
            ) from None


def site_of(folder: Path) -> str | None:
    """Return the site whose credentials a folder holds; None where the folder does not say it, or does not exist.

    Raises CommandError for a user registry that is damaged or of an older version.
    """
    secrets = SecretsFolder(folder)
    if secrets.user_registry.is_file():
        return read_registry(secrets).site
    try:
        return secrets.site.read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeError):
        return None


def wrong_site(device: DeviceFile) -> str | None:
    """Return what is wrong when the device's credentials are for another site than its file says."""
    if device.credentials is None:
        return None
    site = site_of(device.credentials)
    if site is None or site == device.site:
        return None
    return (
        f"the credentials in {device.credentials}/ are for site {site!r}, and the file says {device.site!r}"
    )


def check_site(source: Path | str, device: DeviceFile) -> None:
    """Raise CommandError for credentials of another site: every message of the device would be denied."""
    problem = wrong_site(device)
    if problem is not None:
        raise CommandError(
            source,
            f"site: {problem}: correct `site`, or enrol the device at {device.site} with "
            f"`gridfleet device enrol {source} --secrets DIR`",
        )


def check_target(secrets: Path, folder: Path) -> None:
    """Raise CommandError for a folder that is the secrets folder of another site, whose files would be replaced."""
    if folder.resolve() != secrets.resolve() and SecretsFolder(folder).user_registry.is_file():
        raise CommandError(
            folder,
            f"is a site's secrets folder, but --secrets is {secrets}: name this one, or another folder with --out",
        )


def copy_credentials(secrets: Path, device: DeviceFile, folder: Path) -> tuple[str, ...]:
    """Copy what a device needs to log in from the site's secrets to a folder; return the names of the files.

    Nothing is copied into the secrets folder itself. Raises CommandError for a folder that cannot be written.
    """
    own, target = SecretsFolder(secrets), SecretsFolder(folder)
    files = own.files_of(device.id, certificates=device.broker.certificate)
    names = tuple(str(path.relative_to(secrets)) for path in files)
    if folder.resolve() == secrets.resolve():
        return names
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.clients.mkdir(mode=0o700, exist_ok=True)
        (folder / ".gitignore").write_text("*\n", encoding="ascii")
        for path, name in zip(files, names, strict=True):
            write_secret(folder / name, path.read_bytes())
        target.site.write_text(f"{device.site}\n", encoding="ascii")
    except OSError as error:
        problem = f"cannot be used ({error_reason(error)}): name a folder that can be written to with --out"
        raise CommandError(error.filename or folder, problem) from None
    return (*names, target.site.name)
