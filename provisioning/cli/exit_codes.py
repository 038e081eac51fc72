"""How a command ends: the exit codes, and mistakes of the user that no other room can name."""

from enum import IntEnum
from typing import Final

from gridfleet.broker.errors import GridFleetError


class Exit(IntEnum):
    """What the shell gets to see."""

    FINE = 0
    FAILED = 1
    USAGE = 2
    BREACHED = 3
    INTERRUPTED = 130


MEANING: Final = {
    Exit.FINE: "fine",
    Exit.FAILED: "no: not well, not taken, not as it should be; or an unexpected failure",
    Exit.USAGE: "wrong usage, or a file that cannot be used",
    Exit.BREACHED: "the run ended, but an invariant was breached (see the report)",
    Exit.INTERRUPTED: "interrupted with Ctrl-C or SIGTERM; what ran is in the report",
}


class CommandError(GridFleetError, ValueError):
    """A command that cannot be carried out as given; `subject` is what it is about."""

    def __init__(self, subject: object, problem: str) -> None:
        super().__init__(f"{subject}: {problem}")
        self.subject = subject
        self.problem = problem
