"""Output to the terminal: messages on standard error, and colours and progress bars where the terminal has them."""

import contextlib
import errno
import os
import sys
from typing import Final

from gridfleet.broker.errors import error_reason, printable
from gridfleet.provisioning.cli.exit_codes import CommandError

_STREAMS: Final = 3
_STREAM_ERRORS: Final = frozenset({errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF})
_LOST: Final[list[OSError]] = []
"""Why standard output could not be written in this command."""
_COLOURS: Final = {"bold": "1", "red": "31;1", "green": "32", "yellow": "33", "dim": "2"}


def is_interactive() -> bool:
    """Return whether standard error is a terminal that can move its cursor."""
    return sys.stderr.isatty() and _has_escape_sequences()


def coloured(text: str, colour: str) -> str:
    """Return text for standard output, coloured where that is a terminal and NO_COLOR is not set."""
    if sys.stdout.isatty() and _has_escape_sequences() and not os.environ.get("NO_COLOR"):
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"
    return text


def open_streams() -> None:
    """Open the null device for each standard stream that is closed, so that no file of ours gets its number."""
    while (number := os.open(os.devnull, os.O_RDWR)) < _STREAMS:
        os.set_inheritable(number, True)  # noqa: FBT003 - as os has it
    os.close(number)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - a device, for good


def print_result(text: str) -> None:
    """Print a result; where nobody reads standard output or it is full, go on: results are on disk too."""
    try:
        print(text, flush=True)
    except OSError as error:
        lose_output(error)


def lose_output(error: OSError) -> None:
    """Print why standard output cannot be written, and lead it nowhere from now on.

    A reader that has closed the pipe, for example head, gets no message: it has what it wanted.
    """
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device
        os.dup2(nowhere.fileno(), 1)
    _LOST.append(error)
    if not isinstance(error, BrokenPipeError):
        print_message(f"gridfleet: standard output cannot be written ({error_reason(error)})")


def is_of_output(error: Exception) -> bool:
    """Return whether an error is that of standard output; errors of files have names."""
    return isinstance(error, OSError) and error.filename is None and error.errno in _STREAM_ERRORS


def output_lost() -> bool:
    """Return whether some of the output was not written, and forget it."""
    if not _LOST:
        try:
            sys.stdout.flush()
        except OSError as error:
            lose_output(error)
    lost = bool(_LOST)
    _LOST.clear()
    return lost


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
