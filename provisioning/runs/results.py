"""What a run leaves in its directory: here a recording begins, with what is known of the run."""

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


def recording(
    scenario: Scenario,
    directory: Path | None,
    trace: str | None = None,
    *,
    exact: bool = True,
    clock_skew_ms: int = 0,
    sink: Sink | None = None,
    wall_ms: Callable[[], int] | None = None,
) -> Recording:
    """Return a recording into a directory, in place of a run that was there, or in memory.

    `exact` is False where messages may be lost or late; the devices' clocks may be off by `clock_skew_ms`. The rest is
    for telemetry: where points go, and the time of day, where points are to bear it.
    """
    path = None if trace is None else _file(trace)
    if directory is not None:
        _clear(directory)
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
    """Return what is known of a run before it begins."""
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


def _clear(directory: Path) -> None:
    """Remove a former run's files, so that no old picture stands by a new run; nothing else."""
    if not (directory / STORE).is_file():
        return
    for path in (*map(directory.joinpath, FILES), *(directory / "plots").glob("*.png")):
        path.unlink(missing_ok=True)
    for path in directory.glob(f"{STORE}*"):  # with the side files of a run that was killed
        path.unlink()


def _file(name: str) -> Path:
    """Return a path that can be written to, its directory made; raise CommandError when it cannot."""
    path = Path(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("wb").close()
    except OSError as error:
        raise CommandError(f"--trace {name}", f"cannot be written ({error_reason(error)})") from None
    return path
