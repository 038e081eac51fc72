"""The exit codes of `gridfleet`, and the error for a command that cannot be carried out as given."""

from enum import IntEnum
from typing import Final

from gridfleet.broker.errors import GridFleetError


class ExitCode(IntEnum):
    """The exit codes of every command."""

    SUCCESS = 0
    FAILED = 1
    USAGE = 2
    BREACHED = 3
    INTERRUPTED = 130


MEANING: Final = {
    ExitCode.SUCCESS: "success",
    ExitCode.FAILED: "check failed or request rejected, or an unexpected failure",
    ExitCode.USAGE: "wrong usage, or a file or server that cannot be used",
    ExitCode.BREACHED: "the run ended, but an invariant was breached (see the report)",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C, SIGTERM or a closed terminal; the report covers what ran",
}


class CommandError(GridFleetError, ValueError):
    """A command that cannot be carried out as given; `subject` names the option, file or id concerned."""

    def __init__(self, subject: object, problem: str) -> None:
        super().__init__(f"{subject}: {problem}")
        self.subject = subject
        self.problem = problem
