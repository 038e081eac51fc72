"""Which version of GridFleet this is."""

from importlib.metadata import PackageNotFoundError, version


def product_version() -> str:
    """Return the installed version, or `unknown` where the sources were never installed."""
    try:
        return version("gridfleet")
    except PackageNotFoundError:
        return "unknown"
