"""A run from its first tick to its report, whoever plays it: progress, Ctrl-C, and the last words."""

from pathlib import Path

from provisioning.bar import shown
from provisioning.exits import Exit
from provisioning.interrupt import Interruption
from provisioning.progress import Progress, Runner
from provisioning.terminal import tell


def play(runner: Runner, title: str) -> bool:
    """Run to the end, or until Ctrl-C; return whether it was interrupted."""
    with Interruption() as interruption:
        with shown(title) as show:

            def progress(now: Progress) -> bool:
                show(now)
                return not interruption.asked

            runner.run(progress)
        if interruption.asked:
            tell("Interrupted: what ran is kept. Ctrl-C once more leaves out its report.")
    return interruption.asked


def conclude(directory: Path, *, interrupted: bool, report: bool) -> int:
    """Write the report of the run stored in a directory, print its figures; return the exit code."""
    from dashboards.recording import STORE
    from dashboards.store import Store
    from dashboards.summary import BROKEN, verdict
    from provisioning.figures import key_figures

    with Store.open(directory / STORE) as store:
        print(key_figures(store), flush=True)
        broken = verdict(store) == BROKEN
        if report:
            from dashboards.report import write_report

            print(f"Report    {write_report(store, directory)}")
        else:
            print(f"Files     {directory}/")
    if interrupted:
        return Exit.INTERRUPTED
    if broken:
        tell("gridfleet: an invariant was breached; that is a fault of GridFleet, or of a device that lies")
        return Exit.BREACHED
    return Exit.FINE
