"""`gridfleet report DIR`: writes the report, plots and CSV files of a stored run again."""

import argparse
from pathlib import Path
from typing import Final

from gridfleet.provisioning.cli.exit_codes import CommandError

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
    from gridfleet.dashboards.recording.recording import STORE
    from gridfleet.dashboards.reports.export import write_exports
    from gridfleet.dashboards.store.database import Store
    from gridfleet.provisioning.runs.lifecycle import finish_run

    directory = Path(arguments.directory)
    if not (directory / STORE).is_file():
        problem = f"contains no run (no {STORE}): name the --out directory of `gridfleet simulate` or `run`"
        recorded = sorted(path.parent.name for path in directory.glob(f"runs/*/{STORE}"))
        if recorded:
            problem = f"is a recorder's directory: name one of its runs, such as {directory / 'runs' / recorded[-1]}"
        raise CommandError(directory, problem)
    with Store.open(directory / STORE) as store:
        write_exports(store, directory)
    return finish_run(directory, interrupted=False, report=True)
