"""The live page in Chromium, for benchmarks: opened, logged in, and read.

Driven by console/tests/driver.mjs; needs Chromium, Node.js and the page's tools (`make page`).
"""

import json
import os
import shutil
import subprocess
from contextlib import ExitStack
from typing import Any, Final, NamedTuple, Self

from benchmarks.measure import ROOT

SOURCES: Final = ROOT / "console"
LIVE: Final = "document.querySelector('#live').dataset.state === 'live'"
PATIENCE_S: Final = 60.0
MIB: Final = 1 << 20


class PageSeen(NamedTuple):
    """What the page showed at the end."""

    tick: str
    devices: str
    """Devices online, as the page shows them."""
    badge: str
    """The state of its connection."""
    faults: list[str]
    """Errors and dialogs of its scripts."""


class LivePage:
    """A page in Chromium; close it."""

    def __init__(self, node: str, chromium: str) -> None:
        """Start the browser."""
        self._process = subprocess.Popen(
            [node, "tests/driver.mjs"],
            cwd=SOURCES,
            env={**os.environ, "CHROMIUM": chromium},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    @classmethod
    def open_if_installed(cls, stack: ExitStack) -> Self | None:
        """Return a page that closes with the stack; None where Chromium, Node.js or the page's tools are missing."""
        node, chromium = shutil.which("node"), shutil.which("chromium")
        if node is None or chromium is None or not (SOURCES / "node_modules").is_dir():
            return None
        page = cls(node, chromium)
        stack.callback(page.close)
        return page

    def open(self, url: str, login: tuple[str, str] | None) -> None:
        """Open the page; log in as a user with a password where given; wait until it is connected."""
        self._do("open", url=url)
        if login is not None:
            self._do("wait", code="!document.querySelector('#login').hidden", seconds=PATIENCE_S)
            self._do("fill", selector="#username", value=login[0])
            self._do("fill", selector="#password", value=login[1])
            self._do("click", selector="#login button")

    def heap_mib(self) -> float:
        """Return the memory that its scripts use."""
        return float(self._do("heap")) / MIB

    def seen(self) -> PageSeen:
        """Return what it shows."""
        return PageSeen(
            str(self._do("text", selector="#now-tick")),
            str(self._do("text", selector="#now-devices")),
            str(self._do("text", selector="#live")),
            list(self._do("faults")),
        )

    def close(self) -> None:
        """End the browser."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _do(self, command: str, **rest: object) -> Any:  # noqa: ANN401 - any JSON value
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"command": command, **rest}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the browser has ended while it was asked to {command}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"the page cannot {command}: {answer['error']}")
        return answer["value"]
