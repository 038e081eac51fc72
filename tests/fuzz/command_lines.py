"""Random command lines: every command is parsed, and those that change nothing outside of a folder are executed."""

import argparse
import contextlib
import io
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.commands.parser import make_parser
from tests.readers.cases import CORPUS

EXECUTED: Final = frozenset(
    tuple(path.split())
    for path in (
        "scenario list", "scenario show", "scenario check", "simulate", "report", "replay", "site status", "health",
        "device check", "influx check", "influx setup", "grafana push", "grafana check", "grafana diff",
        "grafana annotate", "completion",
    )
)  # fmt: skip
"""They read what they are given, and write at most into the folder in which they are called."""
VALUES: Final = (
    "", "0", "1", "2", "-1", "5_2", "9" * 400, "nan", "1e999", "٣", "a\x1b[31mb", "\udcff", "normal", "storm",
    "nowhere", ".", "..", "/dev/null", "http://127.0.0.1:1", "http://[", "https://x:y", "mqtt://127.0.0.1:1", "mqtt://",
    "key=value", "ticks=1", "=", "vehicles.count=0", "x" * 5000, "2025-02-30", "0001-01-01T00:00", "best",
    "best,random", "--", "-h", "turbine-1=steal", "turbine-1=steal,at:99999999999999999999", "loss=0.1",
)  # fmt: skip
CODES: Final = frozenset({ExitCode.SUCCESS, ExitCode.FAILED, ExitCode.USAGE, ExitCode.BREACHED})
SMALL: Final = (
    "--ticks",
    "1",
    "--no-report",
    "--set",
    "vehicles.count=1",
    "chargers.count=1",
    "households.count=1",
)
LARGE: Final = ("1000000", "9" * 400)


def leaves(
    parser: argparse.ArgumentParser, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command with its parser."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001
    if not groups:
        yield path, parser
    for group in groups:
        for name, inner in group.choices.items():
            yield from leaves(inner, (*path, name))


def random_line(rng: random.Random, path: tuple[str, ...], parser: Any, files: list[str]) -> list[str]:  # noqa: ANN401
    """Return a command line of a command: some of its options with some values, and other words."""
    words = list(path)
    options = [action for action in parser._actions if action.option_strings and action.dest != "help"]  # noqa: SLF001
    places = [action for action in parser._actions if not action.option_strings]  # noqa: SLF001
    words += [
        rng.choice((*files, *VALUES, *map(str, each.choices or ()))) for each in places if rng.random() < 0.9
    ]
    for action in rng.sample(options, min(len(options), rng.randint(0, 4))):
        words.append(rng.choice(action.option_strings))
        if action.nargs != 0 and rng.random() < 0.95:
            words.append(rng.choice((*VALUES, *files, *(map(str, action.choices or ())))))
    if rng.random() < 0.1:
        words.insert(rng.randrange(len(words) + 1), rng.choice(VALUES))
    return words


def try_line(words: list[str], *, execute: bool) -> str:
    """Parse a command line, and execute it if asked; return what is wrong with how it ends, nothing if nothing is."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code: object = ExitCode.SUCCESS
            if execute:
                code = main(words)
            else:
                make_parser().parse_args(words)
    except SystemExit as error:
        code = error.code
    except Exception as error:  # noqa: BLE001 - what is looked for
        return f"{' '.join(words)[:120]!r}: {type(error).__name__}: {error}"[:300]
    said = err.getvalue()
    if code not in CODES or "unexpected failure" in said or "Traceback" in said:
        return f"{' '.join(words)[:120]!r}: code {code}, {said[:200]!r}"
    if "\x1b" in said:
        return f"{' '.join(words)[:120]!r}: an escape sequence in {said[:200]!r}"
    return ""


def try_command_lines(
    seconds: float, rng: random.Random, folder: Path, most: int = sys.maxsize
) -> tuple[int, list[str]]:
    """Try command lines for a time, at most so many; return how many, and the failures."""
    commands = list(leaves(make_parser()))
    files = [str(path) for path in sorted(CORPUS.rglob("*")) if path.is_file()]
    end_s, tried, failures = time.monotonic() + seconds, 0, []
    before = Path.cwd()
    os.chdir(folder)
    try:
        while time.monotonic() < end_s and tried < most:
            path, parser = rng.choice(commands)
            words = random_line(rng, path, parser, files)
            execute = path in EXECUTED and not {"--watch", "--debug"} & {*words}
            if path == ("simulate",):
                words = [word for word in words if word not in LARGE] + list(SMALL)
            tried += 1
            if problem := try_line(words, execute=execute):
                failures.append(problem)
    finally:
        os.chdir(before)
    return tried, failures
