"""The installed version of GridFleet."""

from importlib.metadata import PackageNotFoundError, version


def product_version() -> str:
    """Return the installed version, or `unknown` where the package is not installed."""
    try:
        return version("gridfleet")
    except PackageNotFoundError:
        return "unknown"
