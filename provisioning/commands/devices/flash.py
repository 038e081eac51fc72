"""`gridfleet device flash`: writes a card, an image or a boot partition that becomes a device at its first boot."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gridfleet.provisioning.cli.broker_options import add_secrets_folder
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.cli.terminal import confirm
from gridfleet.provisioning.commands.devices.bundle import add_target

if TYPE_CHECKING:
    from gridfleet.provisioning.deploy.wheels import Platform
    from gridfleet.provisioning.flash.device_spec import DeviceSpec
    from gridfleet.provisioning.flash.targets import FlashTarget
    from gridfleet.provisioning.upgrade.bundle import Bundle

HELP: Final = "write cards or images that boot as devices"
DESCRIPTION: Final = (
    "Enrol a device at its broker and write what it needs to a Raspberry Pi's boot partition: the seed for its\n"
    "first boot, the device file, password and certificate, and the wheels, so that it needs no internet access.\n"
    "The command shows its plan first, refuses a disk that is in use, and reads back what it has written. Only\n"
    "--card needs root. The device file is ID.toml in this directory, unless --device names another."
)
EXAMPLES: Final = (
    "gridfleet device flash my-charger --image raspios.img",
    "gridfleet device flash my-charger --boot /media/me/bootfs --wifi bench --wifi-file wifi.txt --country DE",
    "sudo gridfleet device flash my-charger --card /dev/sda --image raspios.img.xz",
    "gridfleet device flash --fleet bench.toml --image raspios.img --out cards",
)
SYSTEMS: Final = ("cloud-init", "rpi-preseed")
_FLEET_FILE_OPTIONS: Final = ("device", "hostname", "ssh_key", "wifi", "wifi_file", "country")
"""Options that a fleet file replaces."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `device flash`."""
    parser.add_argument("id", nargs="?", metavar="ID", help="the device's id")
    where = parser.add_argument_group("target")
    where.add_argument(
        "--image",
        metavar="FILE",
        help="Raspberry Pi OS, .img or .img.xz; the result is a copy named after the device",
    )
    where.add_argument(
        "--out", default=".", metavar="DIR", help="directory for the copies of --image (default: this one)"
    )
    where.add_argument(
        "--card", metavar="/dev/…", help="a card's disk; with --image the whole disk is overwritten"
    )
    where.add_argument("--boot", metavar="DIR", help="mount point of a card's boot partition")
    what = parser.add_argument_group("content")
    what.add_argument("--fleet", metavar="FILE", help="a fleet file (TOML) with many devices, instead of ID")
    what.add_argument("--device", metavar="FILE", help="the device file (default: ID.toml)")
    add_target(parser)
    add_secrets_folder(parser)
    what.add_argument(
        "--bundle",
        metavar="DIR",
        help="wheels collected by `gridfleet device bundle` (default: collect them now)",
    )
    what.add_argument("--hostname", metavar="NAME", help="host name (default: the ID)")
    what.add_argument(
        "--time-zone", default="Etc/UTC", metavar="ZONE", help="such as Europe/Berlin (default: Etc/UTC)"
    )
    what.add_argument("--user", default="pi", metavar="NAME", help="the user who may log in (default: pi)")
    what.add_argument(
        "--ssh-key", metavar="FILE", help="that user's public SSH key; without it, no login is possible"
    )
    what.add_argument("--wifi", metavar="NAME", help="a wireless network (WPA2, or WPA3 in transition mode)")
    what.add_argument("--wifi-file", metavar="FILE", help="file with its passphrase, which is never printed")
    what.add_argument("--country", metavar="XX", help="country code for the Wi-Fi channels, such as DE")
    what.add_argument(
        "--seed",
        choices=SYSTEMS,
        default=SYSTEMS[0],
        help="the program that reads the seed at first boot (default: cloud-init)",
    )
    what.add_argument(
        "--plain",
        action="store_true",
        help="accept any FAT partition, even without a config.txt, and change no config.txt",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan and change nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")


def execute(arguments: argparse.Namespace) -> int:
    """Show the plan, ask, enrol, write."""
    import tempfile

    from gridfleet.provisioning.site.enrolment import check_enrolment, enrol, reload_brokers

    specs = _device_specs(arguments)
    target = _flash_target(arguments, many=len(specs) > 1)
    by_card = arguments.card is not None and len(specs) > 1
    if by_card and arguments.yes:
        raise CommandError("--yes", "cannot change the card between two devices: leave it out")
    for spec in specs:
        check_enrolment(spec.secrets, spec.enrolment, spec.device.site)
    _show(arguments, specs, target)
    if arguments.dry_run:
        print("Dry run: nothing was changed.")
        return ExitCode.SUCCESS
    if not arguments.yes:
        confirm("Continue?", "device flash")
    with tempfile.TemporaryDirectory() as scratch:
        bundles = _bundles(arguments, specs, Path(scratch))
        for spec in specs:
            _check_kind(spec, bundles[spec.platform])
        for spec in specs:
            if by_card:
                confirm(f"Is the card for {spec.device.id} in {arguments.card}?", "device flash")
            enrol(spec.secrets, spec.enrolment, spec.device.site)
            _flash(arguments, spec, target, bundles[spec.platform])
    for secrets in dict.fromkeys(spec.secrets for spec in specs):
        print(f"Broker    {reload_brokers(secrets)}")
    return ExitCode.SUCCESS


def _flash(
    arguments: argparse.Namespace, spec: "DeviceSpec", target: "FlashTarget", bundle: "Bundle"
) -> None:
    """Write one device to its target and print the result."""
    from gridfleet.provisioning.flash.card import device_files, make_seed, seed_files, write_card
    from gridfleet.provisioning.flash.seed import new_instance_id

    device = spec.device.id
    seed = make_seed(spec, new_instance_id(device), _own_wheel(bundle))
    files = {**device_files(spec, bundle), **seed_files(seed, arguments.seed)}
    volume = target.prepare(device, print)
    result = write_card(volume, files, seed, plain=arguments.plain, system=arguments.seed)
    print(f"Flashed   {device}: {result.files} files, {result.size_bytes / 1e6:.1f} MB, read back and equal")


def _device_specs(arguments: argparse.Namespace) -> "list[DeviceSpec]":
    from gridfleet.provisioning.flash.device_spec import (
        DeviceSettings,
        FlashSettings,
        WifiSettings,
        make_device_spec,
    )
    from gridfleet.provisioning.flash.fleet_file import read_fleet

    if (arguments.fleet is None) == (arguments.id is None):
        raise CommandError("device flash", "needs either a device's ID or --fleet FILE")
    if arguments.fleet is not None:
        for name in _FLEET_FILE_OPTIONS:
            if getattr(arguments, name) is not None:
                raise CommandError(
                    f"--{name.replace('_', '-')}",
                    "cannot be combined with --fleet: write it in the fleet file",
                )
        return read_fleet(Path(arguments.fleet))
    wifi = None
    if arguments.wifi is not None:
        if arguments.wifi_file is None or arguments.country is None:
            raise CommandError("--wifi", "needs --wifi-file FILE with the passphrase, and --country XX")
        wifi = WifiSettings(
            ssid=arguments.wifi, passphrase_file=arguments.wifi_file, country=arguments.country
        )
    settings = FlashSettings(
        machine=arguments.machine,
        python=arguments.python,
        secrets=arguments.secrets,
        time_zone=arguments.time_zone,
        user=arguments.user,
        ssh_key=arguments.ssh_key,
        wifi=wifi,
    )
    file = arguments.device or f"{arguments.id}.toml"
    spec = make_device_spec(Path(), settings, DeviceSettings(file=file, hostname=arguments.hostname))
    if spec.device.id != arguments.id:
        raise CommandError(
            file, f"is of {spec.device.id!r}, not of {arguments.id!r}: name its own with --device"
        )
    return [spec]


def _flash_target(arguments: argparse.Namespace, *, many: bool) -> "FlashTarget":
    from gridfleet.provisioning.flash.targets import CardTarget, FolderTarget, ImageTarget

    image = Path(arguments.image) if arguments.image is not None else None
    if arguments.boot is not None:
        if image is not None or arguments.card is not None:
            raise CommandError("--boot", "cannot be combined with --image or --card: leave them out")
        if many:
            raise CommandError("--boot", "takes one device; use --image or --card for several")
        return FolderTarget(Path(arguments.boot), arguments.plain)
    if arguments.card is not None:
        return CardTarget(Path(arguments.card), image, arguments.plain)
    if image is not None:
        return ImageTarget(image, Path(arguments.out), arguments.plain)
    raise CommandError("device flash", "needs a target: --image FILE, --card /dev/… or --boot DIR")


def _bundles(
    arguments: argparse.Namespace, specs: "list[DeviceSpec]", scratch: Path
) -> "dict[Platform, Bundle]":
    """Return the wheels for each kind of machine, gathered once."""
    from gridfleet.provisioning.deploy.wheels import make_bundle
    from gridfleet.provisioning.upgrade.bundle import Bundle

    found: dict[Platform, Bundle] = {}
    for platform in dict.fromkeys(spec.platform for spec in specs):
        if arguments.bundle is not None:
            bundle = Bundle.load(Path(arguments.bundle))
            bundle.verify()
            if (bundle.machine, bundle.python) != (platform.machine, platform.python):
                problem = f"is for {bundle.machine}, Python {bundle.python}, not for {platform}"
                raise CommandError(arguments.bundle, problem)
        else:
            print(f"Collecting wheels for {platform}")
            bundle = make_bundle(scratch / f"{platform.machine}-{platform.python}", platform)
        found[platform] = bundle
    return found


def _check_kind(spec: "DeviceSpec", bundle: "Bundle") -> None:
    """Raise CommandError for a device whose kind comes from a package that is not in its bundle."""
    from gridfleet.devices.kinds.registry import AGENT_TYPES
    from gridfleet.provisioning.deploy.added_wheels import kinds_in

    kind = spec.device.kind
    if AGENT_TYPES.is_shipped(kind) or kind in kinds_in(bundle.path / name for name in bundle.wheels):
        return
    remedy = "make a bundle with `gridfleet device bundle DIR --add WHEEL`, and name it with --bundle"
    raise CommandError(
        spec.source, f"kind = {kind!r} comes from a package that is not in the bundle: {remedy}"
    )


def _own_wheel(bundle: "Bundle") -> str:
    return next(name for name in bundle.wheels if name.startswith("gridfleet-"))


def _show(arguments: argparse.Namespace, specs: "list[DeviceSpec]", target: "FlashTarget") -> None:
    """Print the plan, without secrets."""
    for spec in specs:
        device, wifi = spec.device, spec.wifi
        print(f"{device.id}: {device.kind} in {device.cell}, {device.site}; device file {spec.source}")
        steps = [
            f"enrol it in {spec.secrets}/: new password and certificate, and the rights of a {device.role}",
            *target.plan(device.id),
        ]
        for number, step in enumerate(steps, 1):
            first, *more = step.splitlines()
            print("\n".join([f"  {number}. {first}", *(f"     {line}" for line in more)]))
        print(f"     for {spec.platform}, read by {arguments.seed}")
        print(f"     broker   {spec.address}")
        print(f"     host     {spec.hostname}, {spec.time_zone}")
        print(f"     network  wired{f', Wi-Fi {wifi.ssid!r} ({wifi.country})' if wifi else ''}")
        keys = f"{spec.user}, by SSH key" if spec.ssh_keys else "none; --ssh-key allows one"
        print(f"     login    {keys}")
