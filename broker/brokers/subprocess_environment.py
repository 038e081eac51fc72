"""The environment of Python child processes, so that they import the same copy of GridFleet."""

import os
from pathlib import Path

import gridfleet


def python_environment() -> dict[str, str]:
    """Return this process's environment with the folder that holds `gridfleet` first on PYTHONPATH."""
    ours = str(Path(gridfleet.__file__).parent.parent)
    inherited = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (ours, inherited)))}
