"""The journal of a sweep: a line for each finished run, so that a sweep that was killed goes on where it was.

A line is JSON: the key of the run and its result. The key is a hash of the scenario in force, its seed, the input
files, the warm-up and the version: a finished run of another experiment is never taken for one of this. Each line is
written with fsync; a last line that was cut off counts as not written.
"""

import hashlib
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from gridfleet.broker.readers.files import read_text
from gridfleet.broker.readers.json_values import json_text, parse_json
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.dashboards.plots.curves import Curves
from gridfleet.dashboards.reports.comparison import RunResult
from gridfleet.devices.config.scenario import Scenario
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.cli.version import product_version
from gridfleet.provisioning.runs.experiments.manifest import commit, file_hash, input_files

FILE: Final = "sweep.jsonl"
_NO_CURVES: Final = Curves((), {})
_FIELDS: Final = frozenset({"key", "seed", "algorithm", "breached", "figures"})


def run_key(scenario: Scenario, warm_up: int, revision: str) -> str:
    """Return the key of a run; `revision` is the commit of the program, see `commit`."""
    inputs = [file_hash(Path(scenario.folder) / name) for name in input_files(scenario)]
    values = scenario.model_dump(mode="json", exclude={"folder"}, exclude_none=True)
    text = json_text([values, inputs, warm_up, product_version(), revision], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class SweepJournal:
    """A context manager: the finished runs of earlier attempts, and the file to which new ones are added."""

    def __init__(self, folder: Path, *, resume: bool) -> None:
        """Open the journal in a folder; raise CommandError for one that is no journal."""
        self.path = folder / FILE
        self.finished: dict[str, RunResult] = {}
        self.revision = commit()
        good = self._read() if resume and self.path.exists() else 0
        self._file = self.path.open("ab" if good else "wb")
        self._file.truncate(good)

    def add(self, key: str, result: RunResult) -> None:
        """Add a finished run; it is on disk when this returns."""
        self.finished[key] = result
        line = json_text(
            {
                "key": key,
                "seed": result.seed,
                "algorithm": result.algorithm,
                "breached": list(result.breached),
                "figures": {
                    name: None if math.isnan(value) else value for name, value in result.figures.items()
                },
            }
        )
        self._file.write(f"{line}\n".encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        """Return the journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()

    def _read(self) -> int:
        """Read the finished runs; return the length of the whole lines in bytes."""
        try:
            lines = read_text(self.path).splitlines(keepends=True)
        except ReadError as error:
            raise CommandError(
                self.path, f"{error}: name the folder of a sweep, or begin a new one"
            ) from None
        good = 0
        for number, line in enumerate(lines, start=1):
            if not line.endswith("\n"):
                break
            try:
                key, result = _result(parse_json(line))
            except (ReadError, ValueError) as error:
                problem = f"line {number} is no finished run ({error}): begin a new sweep in another folder"
                raise CommandError(self.path, problem) from None
            self.finished[key] = result
            good += len(line.encode())
        return good


def _result(found: object) -> tuple[str, RunResult]:
    """Return the key and the result in a line; raise ValueError for anything else."""
    if not isinstance(found, Mapping) or not found.keys() >= _FIELDS:
        raise ValueError("keys are missing")
    figures = found["figures"]
    if not isinstance(figures, Mapping) or not isinstance(found["seed"], int):
        raise ValueError("seed or figures are of another type")  # noqa: TRY004 - one error for a wrong line
    numbers = {str(name): math.nan if value is None else float(value) for name, value in figures.items()}
    breached = tuple(map(str, found["breached"]))
    return str(found["key"]), RunResult(found["seed"], numbers, _NO_CURVES, str(found["algorithm"]), breached)
