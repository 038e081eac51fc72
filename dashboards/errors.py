"""The error of comparing runs."""

from gridfleet.broker.errors import GridFleetError


class ComparisonError(GridFleetError, ValueError):
    """Runs that cannot be compared."""
