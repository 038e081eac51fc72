"""Holds processes to a share of a core: by control groups where this user may make some, otherwise by signals."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

GROUPS: Final = Path("/sys/fs/cgroup")
PERIOD_US: Final = 100_000
_EXIT_S: Final = 5.0


class CpuLimit:
    """Holds each process that is added to `share` of a core; a context manager, which lifts the limits."""

    def __init__(self, share: float, *, by_signals: bool = False) -> None:
        self._share = share
        self._groups: list[Path] = []
        self._pids: list[int] = []
        self._lifted = threading.Event()
        self._thread: threading.Thread | None = None
        self.by_groups = not by_signals and self._may_make_groups()
        """Whether the kernel holds the processes; otherwise they are stopped and continued ten times a second."""

    def add(self, pid: int) -> None:
        """Hold a process and all its threads to the share."""
        if self.by_groups:
            self._limit(self._make_group(f"gridfleet-benchmark-{os.getpid()}-{pid}"), pid)
            return
        self._pids.append(pid)
        if self._thread is None:
            self._thread = threading.Thread(target=self._stop_and_continue, daemon=True)
            self._thread.start()

    def __enter__(self) -> Self:
        """Return the limit itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the processes run as they like, and remove the groups of those that have ended."""
        self._lifted.set()
        if self._thread is not None:
            self._thread.join()
        for group in self._groups:
            self._remove(group)

    # --- control groups ----------------------------------------------------------------------------------

    def _may_make_groups(self) -> bool:
        try:
            probe = self._make_group(f"gridfleet-benchmark-{os.getpid()}")
            _write_quota(probe, self._share)
        except OSError:
            return False
        return True

    def _make_group(self, name: str) -> Path:
        unified = (GROUPS / "cgroup.controllers").is_file()
        group = (GROUPS if unified else GROUPS / "cpu") / name
        group.mkdir()
        self._groups.append(group)
        return group

    def _limit(self, group: Path, pid: int) -> None:
        _write_quota(group, self._share)
        (group / "cgroup.procs").write_text(str(pid))

    def _remove(self, group: Path) -> None:
        """Remove a group once its process has ended, which takes the kernel a moment."""
        until = time.monotonic() + _EXIT_S
        while group.is_dir() and time.monotonic() < until:
            with contextlib.suppress(OSError):
                group.rmdir()
                return
            time.sleep(0.05)

    # --- signals -----------------------------------------------------------------------------------------

    def _stop_and_continue(self) -> None:
        period_s = PERIOD_US / 1e6
        while not self._lifted.is_set():
            self._signal(signal.SIGSTOP)
            time.sleep(period_s * (1 - self._share))
            self._signal(signal.SIGCONT)
            time.sleep(period_s * self._share)

    def _signal(self, number: signal.Signals) -> None:
        for pid in list(self._pids):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                self._pids.remove(pid)


def _write_quota(group: Path, share: float) -> None:
    quota_us = round(share * PERIOD_US)
    if (group / "cpu.max").is_file():
        (group / "cpu.max").write_text(f"{quota_us} {PERIOD_US}")
    else:
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (group / "cpu.cfs_quota_us").write_text(str(quota_us))
