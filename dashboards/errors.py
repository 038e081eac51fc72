"""The errors of this room; each carries its data as attributes."""

from pathlib import Path

from gridfleet.broker.errors import GridFleetError


class StoreError(GridFleetError, OSError):
    """A store that cannot be made, read or written."""

    def __init__(self, path: Path | str, reason: str, remedy: str) -> None:
        super().__init__(f"{path}: {reason}; {remedy}")
        self.path = path
        self.reason = reason
        self.remedy = remedy


class ComparisonError(GridFleetError, ValueError):
    """Runs that cannot be compared."""
