"""A process that has everything imported and forks children on command, so that a test can kill many of them.

Lines in: a JSON list, the name of a job and its arguments. Lines out: the child's process id. A child ends by itself or
is killed; the zygote reaps it. What a child prints goes to the file that it is given.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class Zygote:
    """The test's side of it; a context manager that ends all children."""

    def __init__(self) -> None:
        self._children: set[int] = set()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.telemetry.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parents[2],
        )

    def start(self, job: str, *arguments: object) -> int:
        """Return the process id of a new child that does a job."""
        pid = int(self._ask([job, *arguments]))
        self._children.add(pid)
        return pid

    def kill(self, pid: int, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal, wait for the end, and return the exit code (negative: the signal)."""
        os.kill(pid, number)
        return self.wait(pid)

    def wait(self, pid: int) -> int:
        code = int(self._ask(["wait", pid]))
        self._children.discard(pid)
        return code

    def _ask(self, order: list[Any]) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order, default=str) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pid in list(self._children):
            self.kill(pid)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def main() -> None:
    from tests.telemetry import jobs

    for order in sys.stdin:
        job, *arguments = json.loads(order)
        if job == "wait":
            answer = os.waitstatus_to_exitcode(os.waitpid(arguments[0], 0)[1])
        else:
            answer = os.fork()
            if not answer:
                jobs.run(job, arguments)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
