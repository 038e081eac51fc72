"""Measure the figures of docs/benchmarks.md.

Runs all benchmarks, or those named. Every figure is a median, with a floor that is measured in the same run: the speed
of a shared machine varies, so quote the ratios.
"""

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

from benchmarks import (
    codec,
    console,
    fleet,
    flood,
    hostile_payloads,
    lies,
    peers,
    pins,
    simulation,
    slow_link,
    start,
    telemetry,
    wire,
)
from gridfleet.broker.brokers.mosquitto.server import INSTALL, find_mosquitto


class Benchmark(Protocol):
    """Measures and prints; `quick` asks for small sizes and few repetitions, to check that it works."""

    def __call__(self, *, quick: bool) -> None:
        """Measure and print."""


BENCHMARKS: Final[dict[str, Benchmark]] = {
    "codec": codec.run,
    "start": start.run,
    "wire": wire.run,
    "pins": pins.run,
    "simulation": simulation.run,
    "telemetry": telemetry.run,
    "device": fleet.run_device,
    "contract-net": fleet.run_contract_net,
    "shared": fleet.run_shared,
    "identities": fleet.run_identities,
    "growth": fleet.run_growth,
    "hostile-payloads": hostile_payloads.run,
    "console": console.run,
    "slow-link": slow_link.run,
    "peers": peers.run,
    "lies": lies.run,
    "flood": flood.run,
}
ON_MOSQUITTO: Final = (
    "device",
    "contract-net",
    "shared",
    "identities",
    "growth",
    "flood",
    "hostile-payloads",
)
LONG: Final = frozenset({"flood", "hostile-payloads", "console", "slow-link", "peers", "lies"})
"""Those that run only where they are named."""
DEFAULT: Final = tuple(name for name in BENCHMARKS if name not in LONG)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", choices=[*BENCHMARKS, []], help=f"one of {', '.join(BENCHMARKS)}"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, few repetitions: not for quoting")
    parser.add_argument(
        "--peers", action="store_true", help="also measure other frameworks that are installed"
    )
    options = parser.parse_args(arguments)
    names = list(dict.fromkeys(options.names)) or list(DEFAULT)
    if options.peers and "peers" not in names:
        names.append("peers")
    print(_machine())
    if options.quick:
        print("--quick: a quick run only shows that the benchmarks work; its figures are not for quoting.")
    missing = [] if find_mosquitto() else [name for name in names if name in ON_MOSQUITTO]
    for name in names:
        if name in missing:
            print(f"\n{name}: not run, Mosquitto is not installed ({INSTALL})")
        else:
            BENCHMARKS[name](quick=options.quick)
    return 1 if missing and options.names else 0


def _machine() -> str:
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    load = ", ".join(f"{each:.2f}" for each in os.getloadavg())
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC · {platform.python_implementation()} {platform.python_version()} · "
        f"{platform.system()} {platform.machine()} · {os.cpu_count()} cores, {memory_gb:.0f} GB · load {load}"
    )


if __name__ == "__main__":
    sys.exit(main())
