"""Measures CPU time of this process and of others, and memory as the kernel counts it."""

import gc
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import log
from pathlib import Path
from statistics import fmean
from time import perf_counter, process_time
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent


class TimeSpent(NamedTuple):
    """CPU and wall time in seconds."""

    cpu_s: float
    wall_s: float


def spent(work: Callable[[], object]) -> TimeSpent:
    """Return the time of a call in this process, without the cyclic garbage collector."""
    with collector_off():
        wall_s, cpu_s = perf_counter(), process_time()
        work()
        return TimeSpent(process_time() - cpu_s, perf_counter() - wall_s)


@contextmanager
def collector_off() -> Iterator[None]:
    """Switch the cyclic garbage collector off, as the simulation does."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def child(module: str, *arguments: object) -> dict[str, Any]:
    """Run a module in a new interpreter; return the JSON object that it prints."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def memory_kb(field: str) -> int:
    """Return this process's resident memory in kB: the current one for VmRSS, the peak for VmHWM."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise LookupError(f"/proc/self/status has no {field}")


def cpu_of(pid: int) -> float:
    """Return the CPU seconds that the threads of another process have used so far."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return b of cost = a · size^b by least squares over the logarithms: 1 means that cost grows with size."""
    xs, ys = [log(size) for size in sizes], [log(cost) for cost in costs]
    x_mean, y_mean = fmean(xs), fmean(ys)
    over = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True))
    return over / sum((x - x_mean) ** 2 for x in xs)
