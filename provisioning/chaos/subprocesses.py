"""The processes of a drill: each in a session of its own, with its words in a file, and ended by its id at any exit."""

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

from gridfleet.broker.child_python import child_environment
from gridfleet.provisioning.cli.exit_codes import CommandError

_LAST_WORDS: Final = 3


class Child:
    """One `gridfleet` command as a process that can be killed, frozen and started again."""

    def __init__(self, name: str, words: Sequence[str], log: Path) -> None:
        self.name = name
        self._words = tuple(words)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; raises CommandError unless it runs."""
        if self._process is None or self._process.poll() is not None:
            raise CommandError(self.name, "does not run")
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it was started and has ended, without having been killed here."""
        return self._process is not None and self._process.poll() is not None

    @property
    def last_words(self) -> str:
        """The last lines that it said."""
        with contextlib.suppress(OSError):
            lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            return "\n".join(lines[-_LAST_WORDS:])
        return ""

    def start(self) -> None:
        """Start it; the kernel ends it when this process dies, where setpriv is installed."""
        guard = shutil.which("setpriv")
        before = [guard, "--pdeathsig", "KILL", "--"] if guard else []
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*before, sys.executable, "-P", "-m", "gridfleet", *self._words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=child_environment(),
            )

    def kill(self) -> None:
        """End it as a power failure would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Have it stand still."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Have it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def ask_to_end(self) -> None:
        """Ask it to end, even where it stands still."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.send_signal(signal.SIGCONT)


class Subprocesses:
    """Context manager: the processes started here are gone when it is left, however that happens."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: dict[str, Child] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self._children.values():
            child.kill()

    def __getitem__(self, name: str) -> Child:
        return self._children[name]

    def start(self, name: str, *words: str) -> Child:
        """Start a command under a name."""
        log = self._folder / f"{name}.log"
        log.unlink(missing_ok=True)
        child = self._children[name] = Child(name, words, log)
        child.start()
        return child

    @property
    def all_ended(self) -> bool:
        """Whether none runs any more."""
        return all(child.ended for child in self._children.values())

    def ask_to_end(self) -> None:
        """Ask all of them to end."""
        for child in self._children.values():
            child.ask_to_end()

    def check(self) -> None:
        """Raise CommandError when one has ended by itself."""
        for child in self._children.values():
            if child.ended:
                raise CommandError(
                    child.name, f"has ended by itself; its last words were:\n{child.last_words}"
                )
