"""The lifecycle of a run, simulated or over MQTT: progress, Ctrl-C, files, report, times and exit code."""

from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from gridfleet.broker.errors import StoreError
from gridfleet.dashboards.recording.recording import STORE, Recording
from gridfleet.devices.config.scenario import Scenario
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.interrupt import Interruption
from gridfleet.provisioning.cli.progress import Progress, ProgressCallback
from gridfleet.provisioning.cli.progress_bar import run_bar, share_bar
from gridfleet.provisioning.cli.scenario_options import overrides_of
from gridfleet.provisioning.cli.terminal import print_message, print_result
from gridfleet.provisioning.runs.experiments.manifest import manifest_of, write_manifest
from gridfleet.provisioning.runs.results import FolderError, writing_results
from gridfleet.provisioning.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from gridfleet.dashboards.store.database import Store

HEAD_WIDTH: Final = 10


def run_with_progress(run: Callable[[ProgressCallback], None], title: str, folder: RunFolder) -> bool:
    """Call `run`, which runs a scenario to its end, with a progress bar; return whether Ctrl-C has interrupted it.

    The folder begins to be the latest when the run does, and is checked once in each tick.
    """
    with Interruption() as interruption:
        with run_bar(title) as update:
            checked = -1

            def progress(now: Progress) -> bool:
                nonlocal checked
                if now.tick != checked:
                    checked = now.tick
                    folder.begin()
                    folder.check()
                update(now)
                return not interruption.requested

            try:
                run(progress)
            except StoreError as error:
                kept = "what ran before is kept" if checked > 0 else "nothing has run yet"
                raise FolderError(
                    folder.path, f"the run ended in tick {max(checked, 0)}, {kept}: {error}"
                ) from None
        if interruption.requested:
            print_message("Interrupted: the finished ticks are kept. Press Ctrl-C again to skip the report.")
    return interruption.requested


def finish_recording(recorded: Recording, folder: RunFolder) -> None:
    """Write the rest of the store and the files; raise CommandError for a full disk and for a deleted folder."""
    folder.check()
    remedy = f"make room, then write the files again with `gridfleet report {folder.path}`"
    with writing_results(folder.path, remedy):
        recorded.finish()
    if recorded.trace_problem:
        problem = "everything else is complete, and the report is made by"
        raise FolderError(recorded.trace_problem, f"{problem} `gridfleet report {folder.path}`")


class ResultPage(Protocol):
    """What shows the end of a run to those who watch."""

    def finish(self, store: "Store", state: Literal["finished", "stopped"]) -> None:
        """The run has ended; its report is being made."""

    def report_progress(self, share: float) -> None:
        """So much of the report is made, from 0 to 1."""

    def report_made(self, report: bool) -> None:  # noqa: FBT001 - whether there is one
        """All files are written."""


def finish_run(
    directory: Path,
    *,
    interrupted: bool,
    report: bool,
    png: bool = False,
    took: tuple[str, float] | None = None,
    page: ResultPage | None = None,
    manifest: Mapping[str, Any] | None = None,
) -> int:
    """Print the key figures of the run stored in a directory, write report and manifest; return the exit code.

    With `png` the report has its plots as PNG files too.
    `took` names what was run, with its duration in seconds; it is printed with that of the report. `page` shows the
    result.
    """
    from gridfleet.dashboards.reports.summary import BROKEN, verdict
    from gridfleet.dashboards.store.database import Store
    from gridfleet.provisioning.runs.key_figures import key_figures

    times = [] if took is None else [f"{took[0]} {took[1]:.1f} s"]
    with Store.open(directory / STORE) as store:
        print_result(key_figures(store))
        if page is not None:
            page.finish(store, "stopped" if interrupted else "finished")
        broken = verdict(store) == BROKEN
        end = f"{'Files':<{HEAD_WIDTH}}{directory}/"
        if report:
            try:
                end = f"{'Report':<{HEAD_WIDTH}}{_write_report(store, directory, times, page, png=png)}"
            except KeyboardInterrupt:
                print_message(
                    f"Interrupted: the results are in {directory}/; `gridfleet report {directory}` makes the report."
                )
                interrupted, end, times = True, f"{'Files':<{HEAD_WIDTH}}{directory}/", []
    if page is not None:
        page.report_made(report)
    if times:
        print_result(f"{'Time':<{HEAD_WIDTH}}{', '.join(times)}")
    print_result(end)
    if manifest is not None:
        write_manifest(manifest, directory, ended=not interrupted)
    if interrupted:
        return ExitCode.INTERRUPTED
    if broken:
        print_message(
            "gridfleet: an invariant was breached: either GridFleet has a bug, or a device reports false values"
        )
        return ExitCode.BREACHED
    return ExitCode.SUCCESS


def command_manifest(
    arguments: Namespace, scenario: Scenario, faults: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the manifest of the run that a command's arguments asked for."""
    return manifest_of(
        scenario,
        arguments.command,
        arguments.words,
        overrides=overrides_of(arguments),
        faults=faults,
        liars=arguments.liars,
    )


def _write_report(
    store: "Store", directory: Path, times: list[str], page: ResultPage | None, *, png: bool
) -> Path:
    """Write the report, and add how long it took to the times; return the page's path."""
    from gridfleet.dashboards.reports.report import write_report

    began_s = monotonic()
    remedy = f"make room, then write the report again with `gridfleet report {directory}`"
    with writing_results(directory, remedy), share_bar("report") as show_share:

        def progress(share: float) -> None:
            show_share(share)
            if page is not None:
                page.report_progress(share)

        path = write_report(store, directory, png=png, on_progress=progress)
    hint = " (--no-report leaves it out)" if times else ""
    times.append(f"report {monotonic() - began_s:.1f} s{hint}")
    return path
