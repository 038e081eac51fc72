"""What it costs to start: the imports of a device's process, and of the command line."""

import os
import subprocess
import sys
import time
from statistics import median
from typing import Final, NamedTuple

from benchmarks.measure import ROOT
from benchmarks.table import Cell, show

_HELP: Final = """import sys
sys.argv = ["gridfleet", "--help"]
from gridfleet.provisioning.cli.main import main
try:
    main()
except SystemExit:
    pass
"""
CASES: Final = {
    "bare Python": "pass",
    "paho-mqtt": "import paho.mqtt.client",
    "paho-mqtt and pydantic": "import paho.mqtt.client, pydantic",
    "pydantic, with a model": "import pydantic; pydantic.create_model('Model', x=(int, 1))",
    "the messages (gridfleet.broker.protocol.codec)": "import gridfleet.broker.protocol.codec",
    "a device (gridfleet.devices.runtime.agent_runner and the agents)": (
        "from gridfleet.devices.agents import charger, household, reactor, turbine, vehicle; "
        "from gridfleet.devices.clock import agent; from gridfleet.devices.runtime import agent_runner"
    ),
    "a whole site (gridfleet.devices.runtime.site)": "import gridfleet.devices.runtime.site",
    "gridfleet --help": _HELP,
}
_REPORT: Final = """
import sys
sys.stderr.write([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
"""


class Started(NamedTuple):
    """One process from birth to end."""

    cpu_ms: float
    wall_ms: float
    peak_mb: float


def run(*, quick: bool) -> None:
    """Measure and print."""
    rounds = 2 if quick else 15
    found: dict[str, list[Started]] = {name: [] for name in CASES}
    for number in range(rounds + 1):
        for name, code in CASES.items():
            one = _start(code)
            if number:  # the first fills the caches of bytecode and files
                found[name].append(one)
    bare = found["bare Python"]
    rows: list[list[Cell]] = []
    for name, runs in found.items():
        ratio = median(one.cpu_ms / floor.cpu_ms for one, floor in zip(runs, bare, strict=True))
        figures = [median(one.cpu_ms for one in runs), ratio, median(one.wall_ms for one in runs)]
        rows.append([name, *figures, median(one.peak_mb for one in runs)])
    columns = ["process", "CPU, ms", "× bare Python", "wall, ms", "memory at its highest, MB"]
    show(f"Start: median of {rounds}", columns, rows)


def _start(code: str) -> Started:
    """Run code in a fresh interpreter, isolated from the surroundings but for our packages."""
    began_s = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", code + _REPORT],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        output = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall_ms = (time.perf_counter() - began_s) * 1e3
    if process.returncode or not output.isdigit():
        raise RuntimeError(f"a process to be measured ended with {process.returncode}: {output}")
    return Started((used.ru_utime + used.ru_stime) * 1e3, wall_ms, int(output) / 1024)
