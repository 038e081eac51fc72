"""`python -m tests.fuzz.resilience COUNT [SEED]`: signals at random instants of commands, full disks at random points.

After each, the exit code must be the documented one, what ran must be readable by `report`, and no process may be left.
"""

import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.dashboards.recording.recording import STORE
from gridfleet.provisioning.cli.exit_codes import ExitCode
from tests.provisioning.shell import PROGRAM, alive_in_group, end, gridfleet, start

SMALL: Final = ("--set", "vehicles.count=4", "chargers.count=4")
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LONGEST_S: Final = 4.0
"""So long after its first instruction a command gets its signal at the latest."""
LEFT_S: Final = 15.0
"""So long may a helper of Python take to end after its command."""


def commands(broker: str) -> dict[str, tuple[str, ...]]:
    """Return the commands that get signals, each with words that make it take a few seconds."""
    return {
        "simulate": ("simulate", "normal", "--ticks", "60", *SMALL, "--out", "run"),
        "run": ("run", "normal", "--ticks", "30", *SMALL, "--out", "run", "--no-console"),
        "compare": (
            "compare",
            "normal",
            "--ticks",
            "30",
            *SMALL,
            "--seeds",
            "2",
            "--jobs",
            "2",
            "--out",
            "run",
        ),
        "report": ("report", "before"),
        "record": ("site", "record", "normal", "--broker", broker, "--out", "run"),
    }


def signalled(name: str, words: tuple[str, ...], rng: random.Random, folder: Path) -> str:
    """Send one or two signals to a command at random instants; return what is wrong, nothing if nothing is."""
    process = start(*words, cwd=folder)
    while not handles_signals(process.pid) and process.poll() is None:
        time.sleep(0.005)
    for _ in range(rng.choice((1, 1, 2))):
        time.sleep(rng.random() ** 2 * LONGEST_S)
        if process.poll() is None:
            send = os.killpg if rng.random() < 0.7 else os.kill
            send(process.pid, rng.choice(SIGNALS))
    if name == "record" and process.poll() is None:
        process.terminate()
    done = end(process)
    allowed = {ExitCode.SUCCESS, ExitCode.INTERRUPTED}
    if done.code not in allowed:
        return f"{name}: code {done.code}: {done.err[-300:]}"
    if "Traceback" in done.err or "unexpected failure" in done.err:
        return f"{name}: {done.err[-500:]}"
    return left_behind(name, process.pid) or unreadable(name, folder)


def handles_signals(pid: int) -> bool:
    """Return whether a process has a handler of its own for SIGTERM: before, the interpreter has just begun."""
    try:
        caught = Path(f"/proc/{pid}/status").read_text().partition("SigCgt:")[2].split()[0]
    except (OSError, IndexError):
        return True
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def left_behind(name: str, group: int) -> str:
    limit_s = time.monotonic() + LEFT_S
    while time.monotonic() < limit_s:
        if not alive_in_group(group):
            return ""
        time.sleep(0.1)
    return f"{name}: processes are left: {alive_in_group(group)}"


def unreadable(name: str, folder: Path) -> str:
    """Return why the results of a command cannot be read, nothing if they can or there are none."""
    for store in sorted(folder.rglob(STORE)):
        done = gridfleet("report", str(store.parent), cwd=folder)
        if done.code != ExitCode.SUCCESS:
            return f"{name}: report of {store.parent.name}: code {done.code}: {done.err[-300:]}"
    return ""


def filled(rng: random.Random, folder: Path) -> str:
    """Run a simulation that can write no file beyond a random size; return what is wrong, nothing if nothing is."""
    size = round(2 ** rng.uniform(10, 20))
    trace = ("--trace", "run.jsonl") if rng.random() < 0.5 else ()
    words = ("simulate", "normal", "--ticks", "40", "--out", "run", *trace)
    done = subprocess.run(
        [*PROGRAM, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )
    if done.returncode not in {ExitCode.SUCCESS, ExitCode.USAGE}:
        return f"disk of {size}: code {done.returncode}: {done.stderr[-300:]}"
    if "Traceback" in done.stderr or "unexpected failure" in done.stderr:
        return f"disk of {size}: {done.stderr[-500:]}"
    if done.returncode == ExitCode.USAGE and "gridfleet: " not in done.stderr:
        return f"disk of {size}: no word"
    return unreadable(f"disk of {size}", folder)


def main(count: int, seed: int) -> int:
    """Try as many signals as full disks; print what was tried and what failed."""
    rng = random.Random(seed)
    tried: Counter[str] = Counter()
    problems = []
    with EmbeddedBroker() as broker:
        names = commands(broker.url)
        for number in range(2 * count):
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch)
                if number % 2:
                    name, problem = "full disk", filled(rng, folder)
                else:
                    name = list(names)[number // 2 % len(names)]
                    if name == "report":
                        gridfleet(
                            "simulate",
                            "normal",
                            "--ticks",
                            "20",
                            *SMALL,
                            "--no-report",
                            "--out",
                            "before",
                            cwd=folder,
                        )
                    problem = signalled(name, names[name], rng, folder)
            tried[name] += 1
            if problem:
                problems.append(problem)
                sys.stdout.write(f"{problem}\n")
    sys.stdout.write(f"{dict(tried)}: {len(problems)} failures\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns()))
