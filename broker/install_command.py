"""The command that installs a package which an extra needs: into the environment in use, within GridFleet's bounds.

It works beside a wheel and in a clone alike. `pip install 'gridfleet[…]'` would not: GridFleet is in no package index.
"""

import re
import shlex
import sys


def install_command(package: str) -> str:
    """Return the command that installs a package, named as an index names it; without bounds where GridFleet has none.

    >>> install_command("gpiozero").endswith(" -m pip install 'gpiozero<3,>=2.0.1'")
    True
    """
    from importlib.metadata import PackageNotFoundError, requires  # costs a device 2 MB

    try:
        stated = requires("gridfleet") or []
    except PackageNotFoundError:  # run from a checkout that is not installed
        stated = []
    found = (each.partition(";")[0].strip() for each in stated)
    requirement = next((each for each in found if re.split(r"[^\w.-]", each)[0] == package), package)
    return f"{shlex.quote(sys.executable)} -m pip install {shlex.quote(requirement)}"
