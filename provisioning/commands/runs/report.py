"""`gridfleet report`: writes the report and CSV files of a stored run again."""

import argparse
from pathlib import Path
from typing import Final

from gridfleet.provisioning.cli.arguments import add_png
from gridfleet.provisioning.cli.exit_codes import CommandError

HELP: Final = "write the report of a stored run again"
DESCRIPTION: Final = (
    "Write report.html, the CSV files and summary.json again from the store of a run, with --png the plots too:\n"
    "the newest in out/, or the one in DIR."
)
EXAMPLES: Final = ("gridfleet report", "gridfleet report out/latest --png")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments of `report`."""
    parser.add_argument(
        "directory",
        nargs="?",
        metavar="DIR",
        help="the folder of a run, printed at its end (default: out/latest)",
    )
    add_png(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Write the files again, and print the key figures."""
    from gridfleet.dashboards.reports.export import write_exports
    from gridfleet.dashboards.store.database import Store
    from gridfleet.provisioning.runs.lifecycle import finish_run
    from gridfleet.provisioning.runs.results import stored_run, writing_results

    directory = _newest() if arguments.directory is None else Path(arguments.directory)
    remedy = "make room, or copy the folder and write the report there"
    with Store.open(stored_run(directory)) as store, writing_results(directory, remedy):
        write_exports(store, directory)
    return finish_run(directory, interrupted=False, report=True, png=arguments.png)


def _newest() -> Path:
    """Return the folder of the newest run; raise CommandError where there is none."""
    from gridfleet.provisioning.runs.run_folder import LATEST, OUT, latest_folder

    folder = latest_folder()
    if folder is None:
        raise CommandError("report", f"no link {OUT / LATEST} to a newest run here: name the folder of a run")
    if not folder.is_dir():
        raise CommandError(
            "report", f"{OUT / LATEST} leads to {folder}, which was deleted: name the folder of a run"
        )
    return folder
