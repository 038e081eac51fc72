"""How fast a clock goes: in lock-step, scaled or in real time."""

import argparse
from typing import Final

from gridfleet.provisioning.cli.exit_codes import CommandError

MODES: Final = ("lockstep", "scaled", "realtime")
SECONDS_PER_TICK: Final = 1.0
MOST_SECONDS_PER_TICK: Final = 900.0


def add_pace(parser: argparse.ArgumentParser) -> None:
    """Add --mode and --seconds-per-tick."""
    parser.add_argument(
        "--mode",
        choices=MODES,
        help="lockstep: as fast as all are ready; scaled: --seconds-per-tick; realtime: 15 min per tick "
        "(default: lockstep)",
    )
    parser.add_argument(
        "--seconds-per-tick",
        type=seconds,
        metavar="X",
        help=f"how long a tick takes in --mode scaled, which it implies (default: {SECONDS_PER_TICK:g})",
    )


def pace(mode: str | None, seconds_per_tick: float | None) -> tuple[str, float]:
    """Return mode and seconds per tick; raise CommandError where the two contradict each other."""
    if mode is None:
        mode = MODES[0] if seconds_per_tick is None else "scaled"
    if mode != "scaled" and seconds_per_tick is not None:
        raise CommandError("--seconds-per-tick", f"goes with --mode scaled, not with --mode {mode}")
    return mode, SECONDS_PER_TICK if seconds_per_tick is None else seconds_per_tick


def seconds(text: str) -> float:
    """Convert a number of seconds of an argument; say which are allowed when it is none."""
    allowed = f"{text!r} is not a number of seconds above 0, up to {MOST_SECONDS_PER_TICK:g}"
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(allowed) from None
    if not 0 < number <= MOST_SECONDS_PER_TICK:
        raise argparse.ArgumentTypeError(allowed)
    return number
