"""The processes of a testbed: each in its own session, with a log file, and killed however the command ends."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from gridfleet.broker.brokers.subprocess_environment import python_environment
from gridfleet.provisioning.cli.exit_codes import CommandError

_LOG_LINES: Final = 3


class Subprocess:
    """One `gridfleet` command as a process that can be killed, suspended and started again."""

    def __init__(self, name: str, arguments: Sequence[str], log: Path) -> None:
        self.name = name
        self._arguments = tuple(arguments)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; raises CommandError if it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise CommandError(self.name, "is not running")
        return self._process.pid

    @property
    def exited(self) -> bool:
        """Whether it was started and has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    @property
    def log_tail(self) -> str:
        """The last lines of its output."""
        with contextlib.suppress(OSError):
            lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            return "\n".join(lines[-_LOG_LINES:])
        return ""

    def start(self) -> None:
        """Start it; where setpriv is installed, the kernel kills it when this process dies."""
        setpriv = shutil.which("setpriv")
        prefix = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*prefix, sys.executable, "-P", "-m", "gridfleet", *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=python_environment(),
            )

    def kill(self) -> None:
        """End it as a power failure would (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def suspend(self) -> None:
        """Stop it from running (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it run again (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to end (SIGTERM), even while it is suspended."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.send_signal(signal.SIGCONT)


class Subprocesses:
    """Context manager: all its processes are killed when it closes, also after an error."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: dict[str, Subprocess] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes.values():
            process.kill()

    def __getitem__(self, name: str) -> Subprocess:
        return self._processes[name]

    def start(self, name: str, *arguments: str) -> Subprocess:
        """Start a `gridfleet` command under a name."""
        log = self._folder / f"{name}.log"
        log.unlink(missing_ok=True)
        process = self._processes[name] = Subprocess(name, arguments, log)
        process.start()
        return process

    @property
    def all_exited(self) -> bool:
        """Whether all have ended."""
        return all(process.exited for process in self._processes.values())

    def terminate(self) -> None:
        """Ask all of them to end."""
        for process in self._processes.values():
            process.terminate()

    def check(self) -> None:
        """Raise CommandError if one has ended by itself."""
        for process in self._processes.values():
            if process.exited:
                raise CommandError(
                    process.name, f"has ended unexpectedly; its last output was:\n{process.log_tail}"
                )
