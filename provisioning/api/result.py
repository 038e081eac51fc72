"""The result of a run: tables, key figures and the auditor's findings, in memory, and its files on request."""

import os
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any

from gridfleet.dashboards.audit.findings import Finding
from gridfleet.dashboards.recording.recording import BREACHES, STORE
from gridfleet.dashboards.reports.agents_table import agents_table
from gridfleet.dashboards.reports.columns import RESERVATIONS, TICKS, TRADES, TableFormat
from gridfleet.dashboards.reports.export import write_exports
from gridfleet.dashboards.reports.metrics import metric_values
from gridfleet.dashboards.reports.summary import summarise
from gridfleet.dashboards.store.database import Store
from gridfleet.provisioning.api.table import MissingPackageError, Table
from gridfleet.provisioning.runs.results import clear_results, stored_run, writing_results
from gridfleet.provisioning.runs.run_folder import API_TERMS, claim_run_folder


@dataclass(frozen=True, repr=False, eq=False)
class Result:
    """The result of a run, complete in memory; it can be pickled, and holds nothing that must be closed.

    `simulate` and `run` return it; `Result.open` reads a stored run.
    """

    _image: bytes
    """The content of the local store, run.sqlite."""

    @classmethod
    def open(cls, directory: str | PathLike[str]) -> "Result":
        """Return the result of a stored run, as it is now.

        `directory` is what was given to `save`, or to the command line as `--out`, or one of a recorder's `runs/`.
        Raises a GridFleetError where it contains no run that this version can read.
        """
        with Store.open(stored_run(Path(directory))) as store:
            return cls(store.image())

    @cached_property
    def ticks(self) -> Table:
        """The energy balance of each tick and cell: the columns of ticks.csv."""
        return self._table("ticks", TICKS)

    @cached_property
    def trades(self) -> Table:
        """Each settled trade: the columns of ledger.csv."""
        return self._table("trades", TRADES)

    @cached_property
    def reservations(self) -> Table:
        """Each vehicle's call for proposals and what came of it: the columns of reservations.csv."""
        return self._table("reservations", RESERVATIONS)

    @cached_property
    def agents(self) -> Table:
        """Each device at the end of each tick: the columns of agents.csv, with those of the devices' own figures."""
        with self._store() as store:
            table = agents_table(store)
        return self._table("agents", table)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Facts, totals, counts and verdict of the run: the content of summary.json."""
        with self._store() as store:
            return summarise(store)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The key figures by name, as in compare.csv and in its units; NaN where there was nothing to measure.

        One level deep, so that `pandas.DataFrame([result.metrics for result in results])` compares runs.
        """
        with self._store() as store:
            return metric_values(store)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The auditor's findings, one for each invariant.

        `name`; `what` is checked; how often it was `checked`; the number of `breaches`; the first of them described in
        `examples`; and whether the invariant `holds`.
        """
        with self._store() as store:
            examples = store.meta(BREACHES, {})
            return tuple(
                Finding(*invariant, examples=tuple(examples.get(invariant.name, ())))
                for invariant in store.invariants()
            )

    def save(
        self,
        directory: str | PathLike[str] | None = None,
        *,
        report: bool = True,
        replace: bool = False,
        png: bool = False,
    ) -> Path:
        """Write the files of the run, equal to those of the command line; return the directory.

        `directory` is created if missing; without it, the run gets a new one as on the command line,
        `out/SCENARIO-TIME`, and `out/latest` leads there. `report=False` leaves out report.html, which takes
        seconds; `png` adds its plots as PNG files in plots/. Raises a GridFleetError where the directory holds results
        and `replace` is not set, or cannot be written, and MissingPackageError where the report needs a package that is
        not installed.
        """
        if report and find_spec("matplotlib") is None:
            raise MissingPackageError("the report", "matplotlib", " – or set report=False")
        given = None if directory is None else os.fspath(directory)
        with (
            claim_run_folder(given, self.summary["scenario"], force=replace, terms=API_TERMS) as folder,
            writing_results(folder.path, "name a directory that can be written to"),
        ):
            clear_results(folder.path)
            (folder.path / STORE).write_bytes(self._image)
            with self._store() as store:
                write_exports(store, folder.path)
                if report:
                    from gridfleet.dashboards.reports.report import write_report

                    write_report(store, folder.path, png=png)
            folder.begin()
        return folder.path

    def __repr__(self) -> str:
        summary = self.summary
        devices = sum(summary["counts"]["agents"].values())
        return (
            f"<Result {summary['scenario']}, seed {summary['seed']}: {summary['ticks']} ticks, {devices} devices, "
            f"{summary['counts']['trades']} trades, verdict {summary['verdict']}>"
        )

    def _store(self) -> Store:
        return Store.from_image(self._image)

    def _table(self, name: str, table: TableFormat[Any]) -> Table:
        types = {column.name: column.quantity.type for column in table.columns}
        with self._store() as store:
            return Table(name, table.values(store), types)
