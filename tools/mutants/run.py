# ruff: noqa: INP001, T201, S607 - a script to run by hand, not part of a package
"""Mutation testing: how many small faults do the nearest tests find in the files that must not be wrong.

    make mutants                          a sample of every target in targets.toml
    make mutants ARGS="--sample 60 --only contactor spool"

cosmic-ray changes one operator or number at a time in a copy of the sources, and runs the tests named for the file.
A changed file that passes its tests is a survivor: either a test is missing, or nothing can tell the difference.
Those of the second kind are listed in targets.toml with the reason, and do not count.
"""

import argparse
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
TARGETS: Final = Path(__file__).with_name("targets.toml")
OPERATORS: Final = re.compile(
    r"core/(ReplaceComparisonOperator_\w+"
    r"|ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_FloorDiv|FloorDiv_Mul|Mod_Mul|Div_Mul)"
    r"|NumberReplacer|AddNot|ReplaceTrueWithFalse|ReplaceFalseWithTrue|ReplaceAndWithOr|ReplaceOrWithAnd"
    r"|ReplaceUnaryOperator_\w+|ZeroIterationForLoop|ReplaceBreakWithContinue|ReplaceContinueWithBreak)"
)
"""Faults that a person makes. Others of cosmic-ray, such as + for |, fail at the first call and raise the share."""
WITHOUT_EFFECT: Final = re.compile(
    r"_(Eq|NotEq|Gt|GtE|Lt|LtE)_(Is|IsNot)$|_(Is|IsNot)_(Eq|NotEq|Gt|GtE|Lt|LtE)$"
)
"""Identity in place of equality and the like: no fault of arithmetic, and mostly without effect on small numbers."""
TIMEOUT_S: Final = 120.0


@dataclass
class Result:
    """How many of the sampled mutants of one target were killed, and which survived."""

    name: str
    sampled: int = 0
    killed: int = 0
    equivalent: int = 0
    survivors: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        """The killed among those that could be killed."""
        return self.killed / max(self.sampled - self.equivalent, 1)


def copy_of_sources(folder: Path) -> Path:
    """Copy what git tracks, links included, into a folder and return it."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return folder


def sample(session: Path, max_mutants: int, seed: int) -> int:
    """Keep a sample of the mutants in a session, spread over its places; return how many."""
    with sqlite3.connect(session) as database:
        rows = database.execute(
            "select job_id, module_path, operator_name, start_pos_row, start_pos_col, occurrence from mutation_specs"
        ).fetchall()
        places: dict[tuple[str, int, int], list[str]] = {}
        for job, path, operator, row, column, _ in sorted(rows, key=lambda each: each[1:]):
            if OPERATORS.fullmatch(operator) and not WITHOUT_EFFECT.search(operator):
                places.setdefault((path, row, column), []).append(job)
        choice = random.Random(seed)  # the same sample for the same seed
        order = sorted(places)
        choice.shuffle(order)
        kept = {choice.choice(places[place]) for place in order[:max_mutants]}
        unwanted = [(job,) for job, *_ in rows if job not in kept]
        database.executemany("delete from mutation_specs where job_id = ?", unwanted)
        database.executemany("delete from work_items where job_id = ?", unwanted)
    return len(kept)


def results_of(session: Path) -> Iterable[tuple[str, str]]:
    """Yield outcome and change of each mutant."""
    with sqlite3.connect(session) as database:
        yield from database.execute("select test_outcome, diff from work_results order by job_id")


def change_in(diff: str) -> str:
    """Return the changed line of a mutant, before and after."""
    lines = [line for line in diff.splitlines() if re.match(r"[-+](?![-+])", line)]
    return " => ".join(line[1:].strip() for line in lines)


def measure(name: str, target: dict[str, Any], options: argparse.Namespace) -> Result:
    """Run the sampled mutants of one target's files in a copy of the sources."""
    result = Result(name)
    equivalent = {each["change"] for each in target.get("equivalent", ())}
    with tempfile.TemporaryDirectory(prefix="gridfleet-mutants-") as scratch:
        copy = copy_of_sources(Path(scratch))
        tests = " ".join(target["tests"])
        command = f"{sys.executable} -m pytest -x -q -p no:cacheprovider -p no:xdist --timeout 60 {tests}"
        session, config = copy / "session.sqlite", copy / "cosmic-ray.toml"
        settings = (
            ("module-path", target["files"]),
            ("timeout", TIMEOUT_S),
            ("excluded-modules", []),
            ("test-command", command),
        )
        lines = (f"{key} = {json.dumps(value)}" for key, value in settings)
        text = "\n".join(["[cosmic-ray]", *lines, '[cosmic-ray.distributor]\nname = "local"', ""])
        config.write_text(text, encoding="utf-8")
        environment = {
            **os.environ,
            "PYTHONPATH": str(copy / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "CI": "true",  # Hypothesis tries the same examples in every run
        }

        def cosmic_ray(*words: str) -> None:
            subprocess.run(
                [options.cosmic_ray, *words, config.name, session.name],
                cwd=copy,
                env=environment,
                check=True,
                stdout=subprocess.DEVNULL,
            )

        subprocess.run(command.split(), cwd=copy, env=environment, check=True, stdout=subprocess.DEVNULL)
        cosmic_ray("init")
        result.sampled = sample(session, target.get("sample", options.sample), options.seed)
        cosmic_ray("exec")
        for outcome, diff in results_of(session):
            change = change_in(diff)
            if outcome.lower() == "killed":
                result.killed += 1
            elif change in equivalent:
                result.equivalent += 1
            else:
                result.survivors.append(change)
    found = "\n".join(f"  {survivor}" for survivor in result.survivors)
    print(f"{name}: {result.killed} of {result.sampled} killed\n{found}", flush=True)
    return result


def table(results: Sequence[Result]) -> str:
    """Return the results as a Markdown table."""
    lines = ["| target | sampled | equivalent | killed | share |", "| --- | ---: | ---: | ---: | ---: |"]
    total = Result("all")
    for each in results:
        total.sampled += each.sampled
        total.killed += each.killed
        total.equivalent += each.equivalent
    for each in (*results, total):
        counts = f"{each.sampled} | {each.equivalent} | {each.killed} | {each.share:.0%}"
        lines.append(f"| {each.name} | {counts} |")
    return "\n".join(lines)


def main() -> int:
    """Measure, print the table, and end with 1 where a target is below the goal."""
    targets: dict[str, dict[str, Any]] = tomllib.loads(TARGETS.read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser("make mutants", description=__doc__.splitlines()[0])
    parser.add_argument("--cosmic-ray", required=True, help="the program")
    parser.add_argument("--sample", type=int, default=40, help="mutants of each target (default: 40)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (default: 1)")
    parser.add_argument("--jobs", type=int, default=2, help="targets at the same time (default: 2)")
    parser.add_argument("--goal", type=float, default=0.92, help="least share to be killed (default: 0.92)")
    parser.add_argument(
        "--only", nargs="+", choices=targets, default=list(targets), help="these targets alone"
    )
    options = parser.parse_args()
    with ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(lambda name: measure(name, targets[name], options), options.only))
    print(table(results))
    return int(any(each.share < options.goal for each in results))


if __name__ == "__main__":
    sys.exit(main())
