"""`gridfleet report DIR`: writes the report, plots and CSV files of a stored run again."""

import argparse
from pathlib import Path
from typing import Final

HELP: Final = "write the report of a stored run again"
DESCRIPTION: Final = (
    "Write report.html, the plots as PNG, the CSV files and summary.json again from the store of a run."
)
EXAMPLES: Final = ("gridfleet report out/normal",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `report`."""
    parser.add_argument("directory", metavar="DIR", help="the results directory of a run (its --out)")


def execute(arguments: argparse.Namespace) -> int:
    """Write the files again, and print the key figures."""
    from gridfleet.dashboards.reports.export import write_exports
    from gridfleet.dashboards.store.database import Store
    from gridfleet.provisioning.runs.lifecycle import finish_run
    from gridfleet.provisioning.runs.results import stored_run

    directory = Path(arguments.directory)
    with Store.open(stored_run(directory)) as store:
        write_exports(store, directory)
    return finish_run(directory, interrupted=False, report=True)
