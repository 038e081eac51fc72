"""The errors of this room; each carries its data as attributes."""

from gridfleet.broker.errors import GridFleetError


class ComparisonError(GridFleetError, ValueError):
    """Runs that cannot be compared."""
