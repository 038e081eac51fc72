"""Options for the speed of a clock: lock-step, scaled or real time."""

import argparse
from typing import Final

from gridfleet.broker.readers.ranges import number
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.provisioning.cli.exit_codes import CommandError

MODES: Final = ("lockstep", "scaled", "realtime")
"""The values of gridfleet.broker.protocol.messages.Mode, which takes too long to load for a help text."""
DEFAULT_SECONDS_PER_TICK: Final = 1.0
MAX_SECONDS_PER_TICK: Final = 900.0


def add_clock_options(parser: argparse.ArgumentParser) -> None:
    """Add --mode and --seconds-per-tick."""
    parser.add_argument(
        "--mode",
        choices=MODES,
        help="lockstep: as fast as all devices are ready; scaled: --seconds-per-tick; realtime: 15 min per tick "
        "(default: lockstep)",
    )
    parser.add_argument(
        "--seconds-per-tick",
        type=seconds,
        metavar="X",
        help=f"duration of a tick in seconds; implies --mode scaled (default: {DEFAULT_SECONDS_PER_TICK:g})",
    )


def clock_options(mode: str | None, seconds_per_tick: float | None) -> tuple[str, float]:
    """Return mode and seconds per tick; raise CommandError where the two contradict each other.

    >>> clock_options(None, 0.5)
    ('scaled', 0.5)
    """
    if mode is None:
        mode = MODES[0] if seconds_per_tick is None else "scaled"
    if mode != "scaled" and seconds_per_tick is not None:
        raise CommandError("--seconds-per-tick", f"goes with --mode scaled, not with --mode {mode}")
    return mode, DEFAULT_SECONDS_PER_TICK if seconds_per_tick is None else seconds_per_tick


def seconds(text: str) -> float:
    """Convert an option's text to seconds; raise ArgumentTypeError with the allowed range."""
    allowed = f"{text!r} is not a number of seconds above 0, up to {MAX_SECONDS_PER_TICK:g}"
    try:
        found = number(text, (0, MAX_SECONDS_PER_TICK))
    except ReadError:
        raise argparse.ArgumentTypeError(allowed) from None
    if not found:
        raise argparse.ArgumentTypeError(allowed)
    return found
