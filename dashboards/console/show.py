"""What a live page's server shows: the history of a run, and how the run stands.

The command that runs, or replays, changes it; the viewers' threads read it.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Condition, Event
from typing import Any, Final, Literal

from gridfleet.broker.readers.json_values import json_text
from gridfleet.dashboards.console.history.page_history import PageHistory

MAX_MARKS: Final = 500
"""The most events to which the page offers to jump."""


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How a run stands, as the page shows it."""

    state: Literal["starting", "running", "finished", "stopped", "lost"] = "starting"
    mode: Literal["live", "replay"] = "live"
    title: str = ""
    ticks: int = 0
    """How many ticks the run has; 0 while that is unknown."""
    result: str | None = None
    """The result in one sentence."""
    good: bool = True
    """Whether all checks of the auditor hold."""
    report: str | None = None
    """The report's address under the page's, once it is written."""
    progress: float | None = None
    """How much of the report is made, from 0 to 1; None when it is not being made."""
    files: tuple[tuple[str, str], ...] = ()
    """Names and addresses of other results."""
    again: bool = False
    """Whether a viewer may ask for another run."""
    reason: str = ""
    """Why the run was lost."""
    marks: tuple[tuple[int, str], ...] = ()
    """Events to which the page offers to jump: tick and text."""


class Show:
    """A run, its status, and its viewers."""

    def __init__(self, history: PageHistory, status: RunStatus, folder: Path | None = None) -> None:
        """`folder` has the files that the page links to."""
        self._changed = Condition()
        self._history = history
        self._status = status
        self._folder = folder
        self._viewers = 0
        self.again = Event()
        """Set when a viewer has asked for another run."""

    @property
    def history(self) -> PageHistory:
        """The history of the run that is shown."""
        return self._history

    @property
    def folder(self) -> Path | None:
        """The folder of the run that is shown."""
        return self._folder

    @property
    def status(self) -> RunStatus:
        """How the run stands."""
        return self._status

    def update(self, **changes: Any) -> None:  # noqa: ANN401 - the fields of RunStatus
        """Change fields of the status."""
        with self._changed:
            self._status = replace(self._status, **changes)

    def begin(self, history: PageHistory, status: RunStatus, folder: Path | None = None) -> None:
        """Show another run from now on."""
        with self._changed:
            self._history, self._status, self._folder = history, status, folder
            self.again.clear()

    def request_again(self) -> None:
        """A viewer asks for another run; nothing where that is not offered."""
        if self._status.again:
            self.again.set()

    def status_message(self) -> str:
        """Return the status as a message for the page."""
        fields = asdict(self._status)
        fields["marks"] = fields["marks"][:MAX_MARKS]
        ends = {"first": self._history.first, "last": max(self._history.last, 0)}
        return json_text({"kind": "run", **fields, **ends})

    # --- viewers -----------------------------------------------------------------------------------------

    def join(self) -> None:
        """A viewer has come."""
        with self._changed:
            self._viewers += 1
            self._changed.notify_all()

    def leave(self) -> None:
        """A viewer has gone."""
        with self._changed:
            self._viewers -= 1

    def wait_for_viewer(self, timeout_s: float) -> bool:
        """Wait until somebody watches; return whether somebody does."""
        with self._changed:
            return self._changed.wait_for(lambda: self._viewers > 0, timeout_s)
