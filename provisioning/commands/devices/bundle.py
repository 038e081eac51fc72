"""`gridfleet bundle`: all wheels that one kind of device needs, in a folder, so that it never asks the internet."""

import argparse
import re
from typing import Final

from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.deploy.wheels import MACHINE, MACHINES, PYTHON, Platform, make_bundle

HELP: Final = "gather the wheels that a device needs, for its machine and Python"
DESCRIPTION: Final = (
    "Build GridFleet's own wheel and fetch, with hashes, those of what a device needs, for its kind of machine and\n"
    "its Python. `gridfleet flash` puts the folder on a card; `gridfleet upgrade` installs it on a device."
)
EXAMPLES: Final = (
    "gridfleet bundle bundles/pi64",
    "gridfleet bundle bundles/pi32 --machine armv7l",
    "gridfleet bundle bundles/bookworm --python 3.11",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `bundle`."""
    parser.add_argument("directory", metavar="DIR", help="a folder that is made, or made anew")
    add_target(parser)


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add what machine and Python it is for."""
    parser.add_argument(
        "--machine",
        choices=MACHINES,
        default=MACHINE,
        help=f"what `uname -m` says there: aarch64 for a 64-bit system (default: {MACHINE})",
    )
    parser.add_argument(
        "--python",
        type=python_version,
        default=PYTHON,
        metavar="X.Y",
        help=f"the Python there: 3.13 on Raspberry Pi OS 13, 3.11 on 12 (default: {PYTHON})",
    )


def python_version(text: str) -> str:
    """Return a version of Python of two numbers; raise what argparse understands for anything else."""
    if re.fullmatch(r"3\.(1[1-9]|[2-9]\d)", text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a Python from 3.11 on, such as 3.13")
    return text


def execute(arguments: argparse.Namespace) -> int:
    """Make a bundle."""
    from pathlib import Path

    platform = Platform(arguments.machine, arguments.python)
    bundle = make_bundle(Path(arguments.directory), platform)
    size_mb = sum((bundle.path / name).stat().st_size for name in bundle.wheels) / 1e6
    print(f"Bundle    {bundle.path}/: {bundle.label} for {platform}")
    print(f"          {len(bundle.wheels)} wheels, {size_mb:.1f} MB")
    return ExitCode.SUCCESS
