"""Runs `gridfleet` as a process, as a shell does: arguments, environment, two streams and an exit code."""

import fcntl
import os
import pty
import re
import select
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridfleet.dashboards.recording.recording import STORE

PROGRAM: Final = (sys.executable, "-m", "gridfleet")
LONGEST_S: Final = 300
"""Ends a command that hangs; on a machine at load 20 a report takes a minute."""
ESCAPE: Final = "\x1b["


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


def start(
    *words: str, cwd: Path, env: Mapping[str, str] | None = None, program: tuple[str, ...] = PROGRAM
) -> subprocess.Popen[str]:
    """Start gridfleet in a process group of its own."""
    return subprocess.Popen(
        [*program, *words],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )


def end(process: subprocess.Popen[str]) -> Ended:
    out, err = process.communicate(timeout=LONGEST_S)
    return Ended(process.returncode, out, err)


def gridfleet(*words: str, cwd: Path, env: Mapping[str, str] | None = None) -> Ended:
    return end(start(*words, cwd=cwd, env=env))


def press_ctrl_c(process: subprocess.Popen[str]) -> None:
    """Send SIGINT to the whole process group, as a terminal does."""
    os.killpg(process.pid, signal.SIGINT)


def alive_in_group(group: int) -> list[int]:
    """Return the running processes of a group; zombies do not count."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:  # it has ended meanwhile
            continue
        state, _parent, its_group = text.rpartition(")")[2].split()[:3]
        if int(its_group) == group and state != "Z":
            found.append(int(stat.parent.name))
    return found


def recorded_ticks(run: Path) -> int:
    """How many ticks the store of a run holds, while the run writes it."""
    try:
        with closing(sqlite3.connect(f"{(run / STORE).as_uri()}?mode=ro", uri=True)) as store:
            return int(store.execute("SELECT COUNT(DISTINCT tick) FROM ticks").fetchone()[0])
    except sqlite3.OperationalError:  # not yet there, or in use
        return 0


def on_terminal(
    *words: str, cwd: Path, env: Mapping[str, str] | None = None, ctrl_c_at: str = "", no_at: str = ""
) -> Ended:
    """Run gridfleet on a terminal of 100 columns; press Ctrl-C, or answer no, when a text appears.

    Both streams are in `out`. A question is answered instead of interrupted, because Python loses an interrupt
    that arrives after it has printed the question and before it reads.
    """
    at, keys = (ctrl_c_at, b"\x03") if ctrl_c_at else (no_at, b"n\n")
    outside, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    own = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    environment = {**own, "TERM": "xterm-256color", **(env or {})}
    with subprocess.Popen(
        [*PROGRAM, *words],
        cwd=cwd,
        env=environment,
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  makes it the terminal of Ctrl-C
    ) as process:
        os.close(inside)
        seen = b""
        while True:
            ready, _, _ = select.select([outside], [], [], LONGEST_S)
            if not ready:
                process.kill()
                raise AssertionError(f"nothing happens on the terminal after: {seen!r}")
            try:
                piece = os.read(outside, 65_536)
            except OSError:  # no process has the terminal open any more
                break
            seen += piece
            if at and at in plain(seen.decode("utf-8", "replace")):
                os.write(outside, keys)
                at = ""
        os.close(outside)
        process.wait(LONGEST_S)
    return Ended(process.returncode, seen.decode("utf-8"), "")


def plain(text: str) -> str:
    """Return text without the escape sequences for colours and cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
