"""An honest site over Mosquitto with a fifth of a core for each process: what the auditor accuses. It must be nothing.

    python -m benchmarks.loaded_site --ticks 60 --seconds-per-tick 1
    python -m benchmarks.loaded_site --runs 2 --kill broker recorder

Clock, two fleet processes, recorder and broker are processes of their own, with TLS, logins and access rules.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple, Self

from benchmarks.cpu_limit import CpuLimit
from benchmarks.measure import cpu_of
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.dashboards.recording.durable.recorder import RUNS
from gridfleet.dashboards.recording.recording import BREACHES, FINISHED_KEY, STORE
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import Invariant
from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.provisioning.chaos.subprocesses import Subprocesses
from gridfleet.provisioning.site.secrets import identities, make_secrets

SCENARIO: Final = "normal"
PARTS: Final = 2
BROKER, CLOCK, RECORDER = "broker", "clock", "recorder"
VICTIMS: Final = (BROKER, RECORDER)
START_S: Final = 180.0
"""How long the devices may take to come online, in seconds."""
END_S: Final = 120.0
"""How long the recorder may take to store a run after its end, in seconds."""
DOWN_S: Final = 1.5
"""How long a killed process is away, in seconds."""


class Load(NamedTuple):
    """One run: how much of a core each process used while the clock ran, the machine's load, and what was found."""

    shares: dict[str, float]
    machine_load: float
    by_groups: bool
    run_s: float
    findings: list[Invariant]
    examples: dict[str, list[str]]
    trades: int


class LoadedSite:
    """The processes of the site; a context manager that ends them."""

    def __init__(self, folder: Path, limit: CpuLimit) -> None:
        """Secrets, logs and recordings are in the folder; `limit` holds every process."""
        self._folder = folder
        self._limit = limit
        self._stack = ExitStack()
        self._pids: dict[str, int] = {}
        self._runs = 0

    def __enter__(self) -> Self:
        """Start everything but the clock; raises BrokerError without Mosquitto."""
        with ExitStack() as stack:
            scenario = load(SCENARIO)
            secrets = self._folder / "secrets"
            make_secrets(secrets, scenario.site, identities(Fleet(scenario), processes=PARTS))
            store = self._folder / "mosquitto"
            store.mkdir()
            stack.enter_context(self._limit)
            self._broker = stack.enter_context(MosquittoBroker(secrets, store=store))
            self._processes = stack.enter_context(Subprocesses(self._folder))
            self._hold(BROKER, self._broker.pid)
            self._options = (SCENARIO, "--broker", self._broker.url, "--secrets", str(secrets))
            self._start_recorder()
            for part in range(1, PARTS + 1):
                self._start(f"fleet-{part}", "fleet", "--part", f"{part}/{PARTS}")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        self._stack.close()

    def run(self, ticks: int, seconds_per_tick: float, kill: Collection[str] = ()) -> Load:
        """Let the clock run; each of `kill` is killed once in its course, and started again.

        Raises CommandError where a process ends by itself, TimeoutError where the run does not begin or end.
        """
        self._runs += 1
        pace = ("--seconds-per-tick", f"{seconds_per_tick:g}", "--wait", f"{START_S:g}", "--fresh")
        self._start(CLOCK, "clock", "--ticks", str(ticks), *pace)
        self._wait(lambda: len(self._stores) == self._runs, START_S + 60, "the first tick")
        began_s = time.monotonic()
        before, after = self._cpu_s(), self._cpu_s()
        kills = {
            name: began_s + ticks * seconds_per_tick * (at + 1) / (len(kill) + 1)
            for at, name in enumerate(kill)
        }
        while not self._processes[CLOCK].exited:
            for name in [name for name, at_s in kills.items() if time.monotonic() > at_s]:
                del kills[name]
                self._kill(name)
            after = {**after, **self._cpu_s()}
            time.sleep(0.2)
        run_s = time.monotonic() - began_s
        machine_load = os.getloadavg()[0]
        self._wait(self._is_finished, END_S, "the end of the recording")
        with Store.open(self._stores[-1]) as store:
            findings, examples = store.invariants(), dict(store.meta(BREACHES, {}))
            trades = len(list(store.trades()))
        shares = {name: (used_s - before[name]) / run_s for name, used_s in after.items() if name not in kill}
        return Load(shares, machine_load, self._limit.by_groups, run_s, findings, examples, trades)

    # --- processes ---------------------------------------------------------------------------------------

    def _start(self, name: str, command: str, *options: str) -> None:
        started = self._processes.start(name, "site", command, *self._options, *options)
        self._hold(name, started.pid)

    def _start_recorder(self) -> None:
        self._start(RECORDER, "record", "--out", str(self._folder / "record"))

    def _hold(self, name: str, pid: int) -> None:
        self._pids[name] = pid
        self._limit.add(pid)

    def _kill(self, name: str) -> None:
        """Kill broker or recorder as a power failure would, and start it again."""
        if name == RECORDER:
            self._processes[RECORDER].kill()
            time.sleep(DOWN_S)
            self._start_recorder()
            return
        self._broker.kill()
        time.sleep(DOWN_S)
        self._broker.start()
        self._hold(BROKER, self._broker.pid)

    def _cpu_s(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, pid in self._pids.items():
            with contextlib.suppress(FileNotFoundError):  # it has ended
                found[name] = cpu_of(pid)
        return found

    # --- the recording -----------------------------------------------------------------------------------

    @property
    def _stores(self) -> list[Path]:
        return sorted((self._folder / "record" / RUNS).glob(f"*/{STORE}"))

    def _is_finished(self) -> bool:
        with Store.open(self._stores[-1]) as store:
            return bool(store.meta(FINISHED_KEY, default=False))

    def _wait(self, holds: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Wait until something holds; raise TimeoutError after so many seconds, with the logs' last lines."""
        until = time.monotonic() + timeout_s
        while not holds():
            if time.monotonic() > until:
                logs = "\n".join(f"{name}: {self._processes[name].log_tail}" for name in (CLOCK, RECORDER))
                raise TimeoutError(f"{what} did not come within {timeout_s:g} s\n{logs}")
            time.sleep(0.2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the site and print what was found; return 1 if there are breaches."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loaded_site", description=__doc__)
    parser.add_argument("--ticks", type=int, default=24, metavar="N", help="how many ticks (default: 24)")
    parser.add_argument("--seconds-per-tick", type=float, default=1.0, metavar="X", help="default: 1")
    parser.add_argument("--share", type=float, default=0.2, metavar="S", help="of a core (default: 0.2)")
    parser.add_argument("--signals", action="store_true", help="stop and continue them; no control groups")
    parser.add_argument(
        "--runs", type=int, default=1, metavar="N", help="runs of the clock while devices stay up"
    )
    parser.add_argument(
        "--kill", nargs="+", default=[], choices=VICTIMS, help="kill and restart these in each run"
    )
    options = parser.parse_args(arguments)
    limit = CpuLimit(options.share, by_signals=options.signals)
    breaches = 0
    with (
        tempfile.TemporaryDirectory(prefix="gridfleet-") as folder,
        LoadedSite(Path(folder), limit) as site,
    ):
        for _ in range(options.runs):
            found = site.run(options.ticks, options.seconds_per_tick, options.kill)
            breaches += sum(each.breaches for each in found.findings)
            _show(found, options)
    return 1 if breaches else 0


def _show(found: Load, options: argparse.Namespace) -> None:
    held = "control groups" if found.by_groups else "signals"
    killed = f"; killed: {', '.join(options.kill)}" if options.kill else ""
    print(
        f"{options.ticks} ticks of {options.seconds_per_tick:g} s, {found.trades} trades in {found.run_s:.0f} s; each "
        f"process held to {options.share:.0%} of a core by {held}{killed}; load of the machine {found.machine_load:.1f}"
    )
    print("share of a core used: " + ", ".join(f"{name} {used:.0%}" for name, used in found.shares.items()))
    print("\n| invariant | checked | breaches |\n| --- | ---: | ---: |")
    for each in found.findings:
        print(f"| `{each.name}` | {each.checked} | {each.breaches} |")
        for example in found.examples.get(each.name, []):
            print(f"    {example}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
