"""The operators' controls: which of them apply, by revision, and which values they may have."""

from typing import Final

from gridfleet.broker.protocol.messages import Control
from gridfleet.devices.clock.settings import Value

ONE_TIME: Final = frozenset({"outage_s", "storm"})
"""Controls that start something once: those that the broker retains from an earlier run are ignored."""
MAX_TICKS: Final = 2**31 - 1


class ControlRevisions:
    """The revision of the newest control for each setting; of equal revisions, the greater sender id wins."""

    __slots__ = ("_included", "_newest", "revision")

    def __init__(self) -> None:
        self.revision = 0
        """The highest revision applied."""
        self._included = -1
        self._newest: dict[str, tuple[int, str]] = {}

    def resume(self, revision: int) -> None:
        """Take controls up to this revision as applied: a retained tick includes them."""
        self._included = self.revision = revision

    def includes(self, control: Control) -> bool:
        """Whether the retained tick that the clock resumed from includes the control."""
        return control.revision <= self._included

    def is_newer(self, name: str, sender: str, control: Control) -> bool:
        """Whether a control is newer than the last one for its setting."""
        return (control.revision, sender) > self._newest.get(name, (-1, ""))

    def note(self, name: str, sender: str, control: Control) -> None:
        """Note a control as the newest for its setting."""
        self._newest[name] = (control.revision, sender)


def boolean(value: Value) -> bool:
    """Return true or false; raise TypeError for anything else, 1 and 0 included."""
    if not isinstance(value, bool):
        raise TypeError(f"{value!r}: expected true or false")
    return value


def whole_number(value: Value) -> int:
    """Return a number of ticks; raise ValueError for anything else."""
    if isinstance(value, bool | str) or not 0 <= value <= MAX_TICKS or value != int(value):
        raise ValueError(f"{value!r}: expected a whole number from 0 to {MAX_TICKS}")
    return int(value)
