"""The lifecycle of a run, simulated or over MQTT: progress, Ctrl-C, report and exit code."""

from collections.abc import Callable
from pathlib import Path

from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.interrupt import Interruption
from gridfleet.provisioning.cli.progress import Progress, ProgressCallback
from gridfleet.provisioning.cli.progress_bar import run_bar
from gridfleet.provisioning.cli.terminal import print_message


def run_with_progress(run: Callable[[ProgressCallback], None], title: str) -> bool:
    """Call `run`, which runs a scenario to its end, with a progress bar; return whether Ctrl-C has interrupted it."""
    with Interruption() as interruption:
        with run_bar(title) as update:

            def progress(now: Progress) -> bool:
                update(now)
                return not interruption.requested

            run(progress)
        if interruption.requested:
            print_message("Interrupted: the finished ticks are kept. Press Ctrl-C again to skip the report.")
    return interruption.requested


def finish_run(directory: Path, *, interrupted: bool, report: bool) -> int:
    """Print the key figures of the run stored in a directory, write its report; return the exit code."""
    from gridfleet.dashboards.recording.recording import STORE
    from gridfleet.dashboards.reports.summary import BROKEN, verdict
    from gridfleet.dashboards.store.database import Store
    from gridfleet.provisioning.runs.key_figures import key_figures

    with Store.open(directory / STORE) as store:
        print(key_figures(store), flush=True)
        broken = verdict(store) == BROKEN
        if report:
            from gridfleet.dashboards.reports.report import write_report

            print(f"Report    {write_report(store, directory)}")
        else:
            print(f"Files     {directory}/")
    if interrupted:
        return ExitCode.INTERRUPTED
    if broken:
        print_message(
            "gridfleet: an invariant was breached: either GridFleet has a bug, or a device reports false values"
        )
        return ExitCode.BREACHED
    return ExitCode.SUCCESS
