"""The plugin that has Mosquitto pass on no more than the receivers' quotas allow: its compilation and its options.

Access rules cannot count, and Mosquitto limits no client's rate. The plugin (`quota_plugin.c`) refuses what receivers
would ignore (`protocol.quota`), before it is copied for every receiver, and takes the retain flag off every message
whose type is not retained. It is compiled when the broker starts, where the machine has a C compiler.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from gridfleet.broker.errors import BrokerError
from gridfleet.broker.protocol.quota import budget_of
from gridfleet.broker.protocol.topics import BATCH, CLOCK_ID, DISCOVERY_ROOT, MESSAGE_TYPES

COMPILER: Final = "cc"
INSTALL_COMPILER: Final = "sudo apt-get install gcc libc6-dev"
SOURCE: Final = "quota_plugin.c"
_OPTIONS: Final = ("-O2", "-std=c11", "-D_GNU_SOURCE", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror")
_COMPILE_S: Final = 120.0


@cache
def compiled_plugin() -> bytes | None:
    """Return the compiled plugin; None where there is no C compiler. Raises BrokerError where it does not compile."""
    compiler = shutil.which(COMPILER)
    if compiler is None:
        return None
    source = resources.files("gridfleet.broker.brokers.mosquitto").joinpath(SOURCE).read_bytes()
    with tempfile.TemporaryDirectory(prefix="gridfleet-plugin-") as folder:
        path = Path(folder) / "quota.so"
        command = [compiler, *_OPTIONS, "-x", "c", "-", "-o", str(path)]
        done = subprocess.run(command, input=source, capture_output=True, timeout=_COMPILE_S, check=False)
        if done.returncode:
            first = (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[0]
            raise BrokerError(
                f"{SOURCE}: {compiler} does not compile it ({first}): install a working one ({INSTALL_COMPILER}), or "
                "remove it from the PATH to run without quotas at the broker"
            )
        return path.read_bytes()


def plugin_options(devices: int) -> Iterator[str]:
    """Yield the options of the plugin as lines of mosquitto.conf, for a site with so many devices."""
    usual = budget_of("", devices)
    yield f"plugin_opt_budget {usual}"
    for name in (*MESSAGE_TYPES, BATCH):
        if budget_of(name, devices) != usual:
            yield f"plugin_opt_budget_{name} {budget_of(name, devices)}"
    retained = [each.name for each in MESSAGE_TYPES.values() if each.retain]
    yield f"plugin_opt_retain {' '.join((*retained, DISCOVERY_ROOT))}"
    yield f"plugin_opt_exempt {CLOCK_ID}"
