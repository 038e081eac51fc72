"""The error of the live page's server."""

from gridfleet.broker.errors import GridFleetError


class ConsoleError(GridFleetError, OSError):
    """The console cannot be served."""
