"""Runs a tutorial as its reader does: writes its files, types its commands, and compares what is printed.

The info string of a fenced block says what to do with it:

    sh                   commands; they must end with 0
    sh terminal=NAME     one command in a terminal of its own; at the end of the page Ctrl-C ends it
    sh terminal=NAME ends   the same, for a command that ends by itself
    sh elsewhere         not run: it needs hardware, the internet or a browser, and the page says what is different
    text                 what the command above prints; … stands for anything, alone on a line for any lines
    text terminal=NAME   what that terminal prints, by now or later
    toml file=NAME       the content of a file; the language may be any other

`python -m tests.tutorials.tutorial PAGE FOLDER` runs a page in a folder. It takes the default ports, so
the tests call it in a network of its own.
"""

import fcntl
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, NamedTuple

from tests.waiting import wait_until

LONGEST_S: Final = 150
"""Ends a command that hangs; on a busy machine a report takes a minute."""
_FENCE: Final = re.compile(r"^```(?P<info>[^\n]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_RUNS: Final = ("bash", "-euo", "pipefail", "-c")
_OPTIONS: Final = frozenset({"terminal", "ends", "file", "elsewhere"})


class Block(NamedTuple):
    """One fenced block of a page."""

    language: str
    options: dict[str, str]
    text: str
    line: int


class TutorialError(AssertionError):
    """A step of a page that does not do what the page says."""


def blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page; raise TutorialError for an option that nobody knows."""
    found = []
    for fence in _FENCE.finditer(page):
        language, *words = fence["info"].split()
        options = dict(word.partition("=")[::2] for word in words)
        line = page.count("\n", 0, fence.start()) + 1
        if unknown := options.keys() - _OPTIONS:
            raise TutorialError(f"line {line}: unknown option {', '.join(sorted(unknown))}")
        found.append(Block(language, options, fence["text"], line))
    return found


def pattern(expected: str) -> re.Pattern[str]:
    """Return the pattern of an expected output.

    >>> bool(pattern("Run … begins\\n…\\nend\\n").search("a\\nRun 7 begins\\nb\\nc\\nend\\n"))
    True
    """
    lines = []
    for line in expected.splitlines():
        inner = ".*?".join(map(re.escape, line.rstrip().split("…")))
        lines.append(r"(?:.*\n)*?" if line.strip() == "…" else rf"{inner}[ ]*\n")
    return re.compile("^" + "".join(lines), re.MULTILINE)


class Terminal:
    """A command and what it prints."""

    def __init__(self, command: str, folder: Path, *, ends_itself: bool = True) -> None:
        """Start a command in a folder; without `ends_itself` it goes on until `leave` interrupts it."""
        self.command = command.strip()
        self._ends_itself = ends_itself
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the terminal
        self.process = subprocess.Popen(
            [*_RUNS, command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def output(self) -> str:
        """What it has printed."""
        descriptor = self._output.fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode("utf-8", "replace")

    def prints(self, expected: str) -> None:
        """Wait until it has printed something; raise TutorialError when it ends without, or never does."""
        wanted = pattern(expected)

        def printed_or_ended() -> bool:
            ended = self.process.poll() is not None
            return bool(wanted.search(self.output)) or ended

        wait_until(printed_or_ended, lambda: self.transcript(expected), LONGEST_S)
        if not wanted.search(self.output):
            raise TutorialError(self.transcript(expected))

    def ends(self, allowed: frozenset[int] = frozenset({0})) -> None:
        """Wait for its end; raise TutorialError for another exit code."""
        try:
            code = self.process.wait(LONGEST_S)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            code = self.process.wait()
        if code not in allowed:
            raise TutorialError(f"exit code {code}\n{self.transcript()}")

    def leave(self) -> None:
        """Wait for its end, after Ctrl-C where it does not end by itself; raise TutorialError for a failure."""
        if self._ends_itself:
            self.ends()
            return
        if self.process.poll() is None:
            self._signal(signal.SIGINT)
        self.ends(frozenset({0, 130}))

    def kill(self) -> None:
        """End it and what it has started, whatever it does."""
        if self.process.poll() is None:
            self._signal(signal.SIGKILL)
            self.process.wait()
        self._output.close()

    def _signal(self, number: signal.Signals) -> None:
        os.killpg(self.process.pid, number)

    def transcript(self, expected: str = "") -> str:
        """Return the command, what it printed, and what was expected."""
        wanted = f"\n--- expected ---\n{expected}" if expected else ""
        return f"$ {self.command}\n{self.output}{wanted}"


class Tutorial:
    """A page that is run in a folder."""

    def __init__(self, page: str, folder: Path) -> None:
        """Take a page's text; nothing runs yet."""
        self._blocks = blocks(page)
        self._folder = folder
        self._terminals: dict[str, Terminal] = {}
        self._all: list[Terminal] = []

    def run(self) -> Iterator[str]:
        """Run the page, and yield each step that was done; raise TutorialError for the first that fails."""
        try:
            for block in self._blocks:
                yield f"line {block.line}: {self._step(block)}"
            for name, terminal in reversed(self._terminals.items()):
                terminal.leave()
                yield f"terminal {name} has ended"
        finally:
            for terminal in self._all:
                terminal.kill()

    def _step(self, block: Block) -> str:
        options = block.options
        if "elsewhere" in options:
            return "not run"
        if "file" in options:
            path = self._folder / options["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
            return f"wrote {options['file']}"
        if block.language == "sh":
            return self._command(block)
        if block.language == "text":
            return self._expect(block)
        return "nothing to do"

    def _command(self, block: Block) -> str:
        name = block.options.get("terminal")
        ends_itself = not name or "ends" in block.options
        terminal = Terminal(block.text, self._folder, ends_itself=ends_itself)
        self._all.append(terminal)
        if name:
            self._terminals[name] = terminal
            return f"terminal {name}: {terminal.command}"
        terminal.ends()
        return terminal.command

    def _expect(self, block: Block) -> str:
        name = block.options.get("terminal")
        if not self._all:
            raise TutorialError(f"line {block.line}: an output without a command")
        terminal = self._terminals[name] if name else self._all[-1]
        terminal.prints(block.text)
        return "printed as expected"


def bring_loopback_up() -> None:
    """Switch on the loopback interface, which is off in a new network."""
    get_flags, set_flags, up = 0x8913, 0x8914, 1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14s", b"lo", 0, b"")
        flags = struct.unpack("16sH14s", fcntl.ioctl(control, get_flags, request))[1]
        fcntl.ioctl(control, set_flags, struct.pack("16sH14s", b"lo", flags | up, b""))


def main(page: str, folder: str) -> int:
    """Run a page in a folder and print its steps; return 1 when one fails."""
    bring_loopback_up()
    try:
        for step in Tutorial(Path(page).read_text(encoding="utf-8"), Path(folder)).run():
            print(step, flush=True)  # noqa: T201 - the transcript of the page
    except (TutorialError, TimeoutError) as error:
        print(f"{page}: {error}")  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
