"""The result files of a run: starts the recording in the output directory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from gridfleet.broker.errors import GridFleetError, error_reason
from gridfleet.broker.protocol.units import TICK_MS, ueur
from gridfleet.dashboards.console.history.segments import HISTORY_FILE
from gridfleet.dashboards.recording.events import WEATHER_GAP
from gridfleet.dashboards.recording.recording import STORE, Recording
from gridfleet.dashboards.store.rows import CellArea, EventRow, RunFacts
from gridfleet.dashboards.telemetry.collector import Sink
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.market.clearing_rule import Specification
from gridfleet.devices.market.rule_registry import CLEARING_RULES
from gridfleet.devices.plugins import PluginError
from gridfleet.devices.runtime.fleet import cells_of
from gridfleet.devices.weather.of_scenario import filled_gaps
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.cli.version import product_version
from gridfleet.provisioning.runs.live_run import BROKER_FILE

FILES: Final = (
    STORE, "summary.json", "ticks.csv", "ledger.csv", "reservations.csv", "agents.csv", "demand.csv", "manifest.json",
    "welfare.csv", "indicators.csv", "report.html",
    "compare.html", "compare.csv", "runs.csv", "differences.csv", "sweep.csv",
    "sweep.parquet", "sweep.jsonl", "lies.csv", HISTORY_FILE,
)  # fmt: skip
"""The names of what runs, comparisons and sweeps write, beside plots/."""


def open_recording(
    scenario: Scenario,
    directory: Path | None,
    trace: str | None = None,
    *,
    force: bool = False,
    exact: bool = True,
    clock_skew_ms: int = 0,
    sink: Sink | None = None,
    wall_ms: Callable[[], int] | None = None,
) -> Recording:
    """Return a recording into a directory, or in memory for None; earlier results in that directory are deleted.

    `claim_run_folder` refuses a directory with results unless the user wants them to be replaced. `force` replaces
    a trace file. `exact` is False where messages may be lost or late; the devices' clocks may be off by
    `clock_skew_ms`. `sink` receives telemetry points; `wall_ms` gives them the time of day in milliseconds. Raises
    CommandError for a trace file that cannot be written, or that holds a trace already.
    """
    path = None if trace is None else _writable_file(trace, force=force)
    if directory is not None:
        clear_results(directory)
    notes = [
        EventRow(gap.tick, scenario.start_ms + gap.tick * TICK_MS, WEATHER_GAP, gap.subject, gap.text)
        for gap in filled_gaps(scenario)
    ]
    return Recording(
        directory,
        facts_of(scenario),
        notes=notes,
        trace=path,
        site=scenario.site,
        exact=exact,
        clock_skew_ms=clock_skew_ms,
        specification_of=specification_of,
        sink=sink,
        wall_ms=wall_ms,
    )


def specification_of(rule: str) -> Specification | None:
    """Return the specification that the package of a clearing rule brings for the auditor, or None."""
    try:
        return CLEARING_RULES.get(rule).specification
    except PluginError:
        return None


def facts_of(scenario: Scenario) -> RunFacts:
    """Return the facts of a run that are known before it begins."""
    cells = []
    for cell in cells_of(scenario):
        south, north, west, east = cell.area
        cells.append(CellArea(cell.name, south, west, north, east))
    return RunFacts(
        scenario=scenario.name,
        title=scenario.title,
        seed=scenario.seed,
        version=product_version(),
        start_ms=scenario.start_ms,
        cells=tuple(cells),
        price_floor_ueur=ueur(scenario.market.charger_floor_eur_per_kwh),
        reactor_price_ueur=ueur(scenario.market.reactor_price_eur_per_kwh),
        emissions_g_per_kwh=tuple(sorted(scenario.emissions.model_dump().items())),
    )


def stored_run(directory: Path) -> Path:
    """Return the path of the store in a results directory; raise CommandError where there is none."""
    path = directory / STORE
    if path.is_file():
        return path
    problem = (
        f"contains no run (no {STORE}): name a directory with the results of `gridfleet simulate` or `run`"
    )
    recorded = sorted(found.parent.name for found in directory.glob(f"runs/*/{STORE}"))
    if recorded:
        problem = (
            f"is a recorder's directory: name one of its runs, such as {directory / 'runs' / recorded[-1]}"
        )
    raise CommandError(directory, problem)


class FolderError(CommandError, OSError):
    """A folder that cannot be used for results, or that cannot be written to its end."""


def results_in(directory: Path) -> list[str]:
    """Return the names of the results that a directory holds, the store first; raise OSError if it cannot be read."""
    if not directory.exists():
        return []
    present = {path.name for path in directory.iterdir()}
    found: list[str] = [name for name in FILES if name in present]
    return [*found, "plots"] if any((directory / "plots").glob("*.png")) else found


def clear_results(directory: Path, keep: frozenset[str] = frozenset()) -> None:
    """Delete earlier results but those to keep, so that they are not mistaken for new ones; delete nothing else."""
    if not results_in(directory):
        return
    plots = directory / "plots"
    files = [name for name in FILES if name not in keep]
    for path in (*map(directory.joinpath, files), directory / BROKER_FILE, *plots.glob("*.png")):
        path.unlink(missing_ok=True)
    for path in directory.glob(f"{STORE}*"):  # with SQLite's side files, which a killed run leaves
        path.unlink()
    with suppress(OSError):
        plots.rmdir()


@contextmanager
def writing_results(directory: Path, remedy: str) -> Iterator[None]:
    """While open, a full disk or a folder that cannot be written raises FolderError with a remedy."""
    try:
        yield
    except GridFleetError:
        raise
    except OSError as error:
        subject = directory if error.filename is None else error.filename
        raise FolderError(subject, f"cannot be written ({error_reason(error)}): {remedy}") from error


def _writable_file(name: str, *, force: bool) -> Path:
    """Return the path of a writable file and create its directory; raise CommandError when it cannot be written."""
    path = Path(name)
    try:
        if path.is_file() and path.stat().st_size > 0 and not force:
            problem = "exists already: name another file, or add --force to replace it"
            raise CommandError(f"--trace {name}", problem)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("wb").close()
    except OSError as error:
        problem = f"cannot be written ({error_reason(error)}): name a file that can be written to"
        raise CommandError(f"--trace {name}", problem) from None
    return path
