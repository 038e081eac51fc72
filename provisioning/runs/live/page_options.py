"""Options of the commands that serve the live page of a run: its port, how long it stays, and the browser."""

import argparse
from typing import Final

from gridfleet.broker.address import PAGE_PORT
from gridfleet.provisioning.cli.arguments import whole_number

MAX_STAY_S: Final = 1_000_000.0


def add_page_options(parser: argparse.ArgumentParser) -> None:
    """Add --port, --stay and --no-browser."""
    parser.add_argument(
        "--port",
        type=whole_number(0, 65_535),
        metavar="P",
        help=f"port of the live page, 0 for any free one (default: {PAGE_PORT}, or the next that is free)",
    )
    parser.add_argument(
        "--stay",
        type=stay_seconds,
        metavar="X",
        help="seconds for which the live page stays after the end "
        "(default: until Ctrl-C on a terminal, elsewhere 0)",
    )
    parser.add_argument(
        "--no-browser",
        action="store_false",
        dest="browser",
        help="do not open the live page in the desktop's browser",
    )


def stay_seconds(text: str) -> float:
    """Convert an option's text to seconds; raise ArgumentTypeError with the allowed range."""
    allowed = f"{text!r} is not a number of seconds from 0 to {MAX_STAY_S:g}"
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(allowed) from None
    if not 0 <= number <= MAX_STAY_S:
        raise argparse.ArgumentTypeError(allowed)
    return number
