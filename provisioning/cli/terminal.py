"""Output to the terminal: messages on standard error, and colours and progress bars where the terminal has them."""

import contextlib
import os
import sys
from typing import Final

from gridfleet.broker.errors import printable
from gridfleet.provisioning.cli.exit_codes import CommandError

_COLOURS: Final = {"bold": "1", "red": "31;1", "green": "32", "yellow": "33", "dim": "2"}


def is_interactive() -> bool:
    """Return whether standard error is a terminal that can move its cursor."""
    return sys.stderr.isatty() and _has_escape_sequences()


def coloured(text: str, colour: str) -> str:
    """Return text for standard output, coloured where that is a terminal and NO_COLOR is not set."""
    if sys.stdout.isatty() and _has_escape_sequences() and not os.environ.get("NO_COLOR"):
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"
    return text


def print_message(text: str) -> None:
    """Print a message for the user on standard error, without control characters of others.

    Nothing is printed where standard error is closed or full.
    """
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError, ValueError):
        print(printable(text, keep="\n\t"), file=sys.stderr, flush=True)


def confirm(question: str, command: str) -> None:
    """Ask for confirmation; raise CommandError unless the answer is yes, and where nobody can be asked."""
    if not sys.stdin.isatty():
        raise CommandError("--yes", "is needed, because standard input is not a terminal")
    if input(f"{question} [y/N] ").strip().lower() not in {"y", "yes"}:
        raise CommandError(command, "not confirmed, nothing was changed")


def _has_escape_sequences() -> bool:
    return os.environ.get("TERM", "") not in {"", "dumb"}
