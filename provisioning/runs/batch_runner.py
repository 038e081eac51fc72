"""Batch runner: many simulations in parallel processes.

The processes are spawned, so that they share no state. Results are in the order in which the runs were requested,
whichever ends first. A run writes nothing to disk, so terminating it leaves nothing behind.
"""

import contextlib
import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import resource_tracker
from typing import Any, Final, TypeVar

from gridfleet.dashboards.reports.comparison import RunResult, result_of
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.runtime.simulation import Simulation
from gridfleet.provisioning.cli.exit_codes import CommandError, ExitCode
from gridfleet.provisioning.cli.interrupt import SIGNALS, Interruption
from gridfleet.provisioning.cli.progress_bar import count_bar
from gridfleet.provisioning.cli.terminal import print_message
from gridfleet.provisioning.runs.results import open_recording

L = TypeVar("L")
T = TypeVar("T")
R = TypeVar("R")
_KILLED: Final = "a process of a run was killed, perhaps for want of memory: try again with fewer --jobs"
_PR_SET_PDEATHSIG: Final = 1
POLL_S: Final = 0.2
"""Seconds between two checks for Ctrl-C."""


def measure_run(scenario: Scenario, warm_up: int = 0) -> RunResult:
    """Simulate a scenario and return only its key figures, those of the first `warm_up` ticks left out."""
    with open_recording(scenario, None) as recorded:
        Simulation(scenario, receivers=(recorded.receive,), judge=recorded.judgements).run()
        recorded.finish()
        recorded.store.drop_before(warm_up)
        return result_of(recorded.store, scenario.settings.algorithm)


def check_warm_up(ticks: int, scenarios: Iterable[Scenario]) -> None:
    """Raise CommandError where a run would have no tick after its warm-up."""
    shortest = min((each.ticks for each in scenarios), default=0)
    if ticks >= shortest:
        raise CommandError(
            "--warm-up", f"{ticks} of {shortest} ticks leaves none: give fewer, or longer runs"
        )


def run_batch(
    sets: Mapping[str, Sequence[Scenario]], jobs: int | None, title: str, warm_up: int = 0
) -> tuple[dict[str, list[RunResult]], bool]:
    """Simulate every scenario of every set in `jobs` processes; return the runs by set, and whether it was interrupted.

    The runs keep the order of the scenarios. After Ctrl-C only the finished runs are returned. `title` is that of the
    progress bar; key figures leave out the first `warm_up` ticks.
    """
    return run_all(partial(measure_run, warm_up=warm_up), sets, jobs, title)


def run_all(
    measure: Callable[[T], R],
    sets: Mapping[L, Sequence[T]],
    jobs: int | None,
    title: str,
    on_finished: Callable[[T, R], None] | None = None,
) -> tuple[dict[L, list[R]], bool]:
    """Call a function of a module with every item of every set in `jobs` processes, as `run_batch` does.

    `on_finished` is called in this process with each item and its result, in the order in which they end.
    """
    if not any(sets.values()):
        return {}, False
    order = [(label, item) for label, items in sets.items() for item in items]
    processes = min(jobs or _processors(), len(order))
    context = multiprocessing.get_context("spawn")
    with _children_ignore_signals():
        resource_tracker.ensure_running()  # SIGHUP for the whole group would end it, and it would complain
    with (
        Interruption() as interruption,
        ProcessPoolExecutor(processes, context, initializer=_end_with, initargs=(os.getpid(),)) as pool,
    ):
        with _children_ignore_signals():
            futures = [pool.submit(measure, item) for _, item in order]
        try:
            items = dict(zip(futures, (item for _, item in order), strict=True))

            def note(future: Future[R]) -> None:
                if on_finished is not None:
                    on_finished(items[future], future.result())

            _await(futures, interruption, title, note)
        except BrokenProcessPool:
            _stop(futures)
            if not interruption.requested:
                raise CommandError(title, _KILLED) from None
        except BaseException:
            _stop(futures)
            raise
        if interruption.requested:
            _stop(futures)
    measured: dict[L, list[R]] = {label: [] for label in sets}
    for (label, _), future in zip(order, futures, strict=True):
        if not interruption.requested or _succeeded(future):
            measured[label].append(future.result())
    return {label: runs for label, runs in measured.items() if runs}, interruption.requested


def finish_batch(measured: Mapping[str, Sequence[RunResult]], done: str, *, interrupted: bool) -> ExitCode:
    """Print what went wrong in a batch; return the exit code. `done` is what was done with the runs, as a word."""
    if interrupted:
        result = f"only the finished runs are {done}" if measured else "no run had finished"
        print_message(f"Interrupted: {result}.")
        return ExitCode.INTERRUPTED
    breached = [(label, each) for label, runs in measured.items() for each in runs if each.breached]
    for label, each in breached:
        print_message(f"gridfleet: {label}, seed {each.seed}: breached {', '.join(each.breached)}")
    return ExitCode.BREACHED if breached else ExitCode.SUCCESS


def _await(
    futures: Sequence[Future[R]],
    interruption: Interruption,
    title: str,
    note: Callable[[Future[R]], None],
) -> None:
    """Wait until all runs are done, one has failed, or Ctrl-C was pressed; note each that is done."""
    with count_bar(title, len(futures)) as count:
        pending = set(futures)
        while pending and not interruption.requested:
            done, pending = wait(pending, POLL_S, FIRST_COMPLETED)
            for future in done:
                future.result()
                note(future)
            count(len(futures) - len(pending))


def _stop(futures: Sequence[Future[Any]]) -> None:
    """Cancel the runs that have not ended."""
    for future in futures:
        future.cancel()
    for child in multiprocessing.active_children():
        child.kill()  # a run writes nothing to disk, and its process ignores the other signals


def _end_with(parent: int) -> None:
    """Make this worker end with its parent, even where that is killed: the kernel sends SIGKILL (see prctl(2))."""
    with contextlib.suppress(OSError, AttributeError):  # another system than Linux
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it has ended meanwhile
        os._exit(1)


def _succeeded(future: Future[Any]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


@contextmanager
def _children_ignore_signals() -> Iterator[None]:
    """Make processes started in this context ignore the signals that a whole group gets: their parent handles them."""
    # Blocked, not ignored: this process gets the signal afterwards, the children inherit the block for good.
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _processors() -> int:
    return len(os.sched_getaffinity(0))
