"""A sweep: which scenarios it runs, every mistake in them at once, and its results."""

from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from gridfleet.broker.errors import GridFleetError
from gridfleet.dashboards.reports.comparison import RunResult, compare
from gridfleet.dashboards.reports.sweep import CSV_FILE, PLOT_FILE, SweepPoint, write_sweep
from gridfleet.dashboards.statistics.student import LEVEL
from gridfleet.devices.config.scenario import Change, Scenario
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.cli.scenario_options import over_seeds, scenario_with_changes
from gridfleet.provisioning.cli.terminal import print_message, print_result
from gridfleet.provisioning.runs.batch_runner import measure_run, run_all
from gridfleet.provisioning.runs.comparison_table import table_text, terminal_columns
from gridfleet.provisioning.runs.experiments.journal import FILE as JOURNAL
from gridfleet.provisioning.runs.experiments.journal import SweepJournal, run_key
from gridfleet.provisioning.runs.experiments.parquet import write_parquet
from gridfleet.provisioning.runs.experiments.sampling import latin_hypercube
from gridfleet.provisioning.runs.experiments.variations import (
    OPTION,
    Variation,
    grid,
    grid_size,
    parse_variation,
    short_names,
)
from gridfleet.provisioning.runs.results import clear_results, writing_results

MAX_RUNS: Final = 100_000
_FROM_VARY: Final = f"(from {OPTION})"


class SweepError(GridFleetError, ValueError):
    """A sweep that cannot be run; the text has one line for each mistake."""


class Sweep:
    """The combinations of values of a sweep; each has a scenario for each seed."""

    def __init__(self, arguments: Namespace) -> None:
        """Read `--vary`; raise SweepError with every mistake, in its values as well, where it cannot be read."""
        self._arguments = arguments
        self._sample: int | None = getattr(arguments, "sample", None)
        if not arguments.vary:
            raise SweepError(f"nothing is varied: give {OPTION} KEY=VALUES, or a plan with a table [vary]")
        mistakes: list[str] = []
        found: list[Variation] = []
        for text in arguments.vary:
            try:
                found.append(parse_variation(text, ranges=self._sample is not None))
            except CommandError as error:
                mistakes.append(str(error))
        mistakes += _contradictions(found, arguments)
        if mistakes:
            raise SweepError("\n".join(dict.fromkeys([*mistakes, *_wrong_values(found, arguments)])))
        self.variations = found
        first = scenario_with_changes(arguments.scenario, arguments) if self._sample is not None else None
        self._sample_seed = 0 if first is None else first.seed
        self.keys = [each.key for each in found]
        self._names = short_names(self.keys)

    def combinations(self) -> Iterator[tuple[Change, ...]]:
        """Yield the combinations of values: all of them, or a Latin hypercube."""
        if self._sample is None:
            return grid(self.variations)
        return latin_hypercube(self.variations, self._sample, self._sample_seed)

    @property
    def runs(self) -> int:
        """The number of runs."""
        settings = grid_size(self.variations) if self._sample is None else self._sample
        return settings * int(self._arguments.seeds)

    def size_text(self) -> str:
        """Return the number of runs and how it comes about, as text."""
        if self._sample is not None:
            return f"{self.runs} runs ({self._sample} settings × {self._arguments.seeds} seeds)"
        sizes = [f"{len(each.values)} of {each.key}" for each in self.variations]
        return f"{self.runs} runs ({' × '.join(sizes)} × {self._arguments.seeds} seeds)"

    def scenarios(self) -> dict[str, list[Scenario]]:
        """Return the scenarios by the label of their combination; raise SweepError with every mistake in them."""
        arguments = self._arguments
        of_file = _problems(lambda: scenario_with_changes(arguments.scenario, arguments))
        sets: dict[str, list[Scenario]] = {}
        mistakes: dict[str, None] = dict.fromkeys(of_file)
        for changes in self.combinations():
            label = self._label(changes)
            try:
                first = scenario_with_changes(arguments.scenario, arguments, varied=changes)
                sets[label] = over_seeds(first, arguments.seeds)
            except GridFleetError as error:
                for line in str(error).splitlines():
                    known = line in of_file or _FROM_VARY in line
                    mistakes.setdefault(line if known else f"{line} (with {label})")
        if mistakes:
            raise SweepError("\n".join(mistakes))
        return sets

    def points(self, measured: Mapping[str, Sequence[RunResult]]) -> list[SweepPoint]:
        """Return the combinations that have runs, in the order of the grid."""
        found = []
        for changes in self.combinations():
            label = self._label(changes)
            runs = tuple(measured.get(label, ()))
            if runs:
                written = tuple(_value_text(change) for change in changes)
                others = self._label(changes, self._names[0])
                found.append(SweepPoint(label, others, written, changes[0].value, runs))
        return found

    def _label(self, changes: Sequence[Change], without: str | None = None) -> str:
        """Return the keys and their values, but for one key."""
        pairs = zip(self._names, changes, strict=True)
        return " ".join(f"{name}={_value_text(each)}" for name, each in pairs if name != without)


def run_sweep(
    sets: Mapping[str, Sequence[Scenario]], jobs: int | None, warm_up: int, journal: SweepJournal
) -> tuple[dict[str, list[RunResult]], bool]:
    """Simulate what the journal has not finished; return all runs by label, and whether it was interrupted."""
    keys = {id(each): run_key(each, warm_up, journal.revision) for runs in sets.values() for each in runs}
    left = {
        label: [each for each in runs if keys[id(each)] not in journal.finished]
        for label, runs in sets.items()
    }
    before = sum(map(len, sets.values())) - sum(map(len, left.values()))
    if before:
        print_message(f"{before} runs were finished before, {sum(map(len, left.values()))} are left")
    _, interrupted = run_all(
        partial(measure_run, warm_up=warm_up),
        left,
        jobs,
        "sweep",
        lambda scenario, result: journal.add(keys[id(scenario)], result),
    )
    measured = {
        label: [journal.finished[keys[id(each)]] for each in runs if keys[id(each)] in journal.finished]
        for label, runs in sets.items()
    }
    return {label: runs for label, runs in measured.items() if runs}, interrupted


def write_and_print(sweep: Sweep, measured: Mapping[str, Sequence[RunResult]], directory: Path) -> None:
    """Write sweep.csv and the figure; print mean and confidence interval of every key figure for each combination."""
    points = sweep.points(measured)
    spreads = compare({point.label: point.runs for point in points})
    heads = [(key, [point.written[place] for point in points]) for place, key in enumerate(sweep.keys)]
    labels = [point.label for point in points]
    print_result(table_text(spreads, labels, terminal_columns(), lambda spread: spread.half_width, heads))
    if any(len(point.runs) > 1 for point in points):
        print_result(f"Mean of the seeds ± half of its {100 * LEVEL:.0f} % confidence interval")
    with writing_results(directory, "make room, then sweep again"):
        clear_results(directory, keep=frozenset((JOURNAL,)))
        write_sweep(sweep.keys, points, spreads, directory)
        parquet = write_parquet(directory / CSV_FILE, frozenset((*sweep.keys, "verdict")))
    written = [CSV_FILE, *([parquet.name] if parquet is not None else []), f"plots/{PLOT_FILE}"]
    print_result(f"Files   {directory}/: {', '.join(written)}")


def _contradictions(variations: Sequence[Variation], arguments: Namespace) -> list[str]:
    """Return the keys that are given twice, or that another option has."""
    keys = [each.key for each in variations]
    elsewhere = {text.partition("=")[0]: "--set" for text in arguments.changes}
    if arguments.ticks is not None:
        elsewhere["ticks"] = "--ticks"
    found = []
    for key in dict.fromkeys(keys):
        if key == "seed":
            found.append(
                f"{OPTION} seed: the seeds are counted up by --seeds; begin with another by --set seed=S"
            )
        elif key in elsewhere:
            found.append(f"{OPTION} {key}: {elsewhere[key]} gives it one value: leave out one of the two")
        elif keys.count(key) > 1:
            found.append(f"{OPTION} {key}: given twice: write all its values in one {OPTION}")
    return found


def _wrong_values(variations: Sequence[Variation], arguments: Namespace) -> Iterator[str]:
    """Yield what the scenario does not allow, each value tried alone."""
    for change in (change for each in variations for change in each.changes()):
        for line in _problems(lambda: scenario_with_changes(arguments.scenario, arguments, varied=[change])):  # noqa: B023 - read at once
            if _FROM_VARY in line:
                yield line


def _problems(read: Callable[[], object]) -> list[str]:
    try:
        read()
    except GridFleetError as error:
        return str(error).splitlines()
    return []


def _value_text(change: Change) -> str:
    return change.written.partition("=")[2]
