"""`gridfleet device bundle`: collects the wheels that a device needs, so that it installs without internet access."""

import argparse
import re
from typing import Final

from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.deploy.wheels import (
    DEFAULT_MACHINE,
    DEFAULT_PYTHON,
    MACHINES,
    Platform,
    make_bundle,
)

HELP: Final = "collect the wheels that a device needs"
DESCRIPTION: Final = (
    "Build GridFleet's own wheel and download the wheels of a device's dependencies, checked by hash, for its\n"
    "machine and Python version. `gridfleet device flash` copies the folder to a card; `gridfleet device upgrade`\n"
    "installs it."
)
EXAMPLES: Final = (
    "gridfleet device bundle bundles/pi64",
    "gridfleet device bundle bundles/pi32 --machine armv7l",
    "gridfleet device bundle bundles/bookworm --python 3.11",
    "gridfleet device bundle bundles/pi64 --add examples/heat_pump",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `device bundle`."""
    parser.add_argument("directory", metavar="DIR", help="the folder, created or replaced")
    parser.add_argument(
        "--add",
        nargs="+",
        default=[],
        metavar="WHEEL",
        help="wheels, or folders of projects, that bring kinds of device, clearing rules or offer rankings",
    )
    add_target(parser)


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add --machine and --python."""
    parser.add_argument(
        "--machine",
        choices=MACHINES,
        default=DEFAULT_MACHINE,
        help=f"the device's machine type, as `uname -m` prints it there (default: {DEFAULT_MACHINE})",
    )
    parser.add_argument(
        "--python",
        type=python_version,
        default=DEFAULT_PYTHON,
        metavar="X.Y",
        help=f"the device's Python version: 3.13 on Raspberry Pi OS 13, 3.11 on 12 (default: {DEFAULT_PYTHON})",
    )


def python_version(text: str) -> str:
    """Return a Python version such as 3.13; raise ArgumentTypeError for any other text."""
    if re.fullmatch(r"3\.(1[1-9]|[2-9]\d)", text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a Python version from 3.11 on, such as 3.13")
    return text


def execute(arguments: argparse.Namespace) -> int:
    """Create a bundle."""
    from pathlib import Path

    platform = Platform(arguments.machine, arguments.python)
    bundle = make_bundle(Path(arguments.directory), platform, added=[Path(each) for each in arguments.add])
    size_mb = sum((bundle.path / name).stat().st_size for name in bundle.wheels) / 1e6
    print(f"Bundle    {bundle.path}/: {bundle.label} for {platform}")
    print(f"          {len(bundle.wheels)} wheels, {size_mb:.1f} MB")
    return ExitCode.SUCCESS
