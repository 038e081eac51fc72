"""The result files of a run: starts the recording in the output directory."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from gridfleet.broker.errors import error_reason
from gridfleet.broker.protocol.units import ueur
from gridfleet.dashboards.recording.recording import STORE, Recording
from gridfleet.dashboards.store.rows import CellArea, RunFacts
from gridfleet.dashboards.telemetry.collector import Sink
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.runtime.fleet import cells_of
from gridfleet.provisioning.cli.exit_codes import CommandError
from gridfleet.provisioning.cli.version import product_version

FILES: Final = ("summary.json", "ticks.csv", "ledger.csv", "reservations.csv", "agents.csv", "report.html")


def open_recording(
    scenario: Scenario,
    directory: Path | None,
    trace: str | None = None,
    *,
    exact: bool = True,
    clock_skew_ms: int = 0,
    sink: Sink | None = None,
    wall_ms: Callable[[], int] | None = None,
) -> Recording:
    """Return a recording into a directory, or in memory for None; replaces an earlier run in that directory.

    `exact` is False where messages may be lost or late; the devices' clocks may be off by `clock_skew_ms`. `sink`
    receives telemetry points; `wall_ms` gives them the time of day in milliseconds. Raises CommandError for a trace
    file that cannot be written.
    """
    path = None if trace is None else _writable_file(trace)
    if directory is not None:
        clear_run(directory)
    return Recording(
        directory,
        facts_of(scenario),
        trace=path,
        site=scenario.site,
        exact=exact,
        clock_skew_ms=clock_skew_ms,
        sink=sink,
        wall_ms=wall_ms,
    )


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


def clear_run(directory: Path) -> None:
    """Delete the files of an earlier run, so that they are not mistaken for the new run's; delete nothing else."""
    if not (directory / STORE).is_file():
        return
    for path in (*map(directory.joinpath, FILES), *(directory / "plots").glob("*.png")):
        path.unlink(missing_ok=True)
    for path in directory.glob(f"{STORE}*"):  # with SQLite's side files, which a killed run leaves
        path.unlink()


def _writable_file(name: str) -> Path:
    """Return the path of a writable file and create its directory; raise CommandError when it cannot be written."""
    path = Path(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("wb").close()
    except OSError as error:
        problem = f"cannot be written ({error_reason(error)}): name a file that can be written to"
        raise CommandError(f"--trace {name}", problem) from None
    return path
