"""A run from its first tick to its report, whoever plays it: progress, Ctrl-C, what is said at the end."""

from pathlib import Path

from provisioning.bar import shown
from provisioning.exits import Exit
from provisioning.interrupt import Interruption
from provisioning.progress import Progress, Runner
from provisioning.terminal import tell


def play(runner: Runner, title: str) -> bool:
    """Run to the end, or until Ctrl-C; return whether it was interrupted."""
    with Interruption() as interruption, shown(title) as show:

        def progress(now: Progress) -> bool:
            show(now)
            return not interruption.asked

        runner.run(progress)
    if interruption.asked:
        tell("Interrupted. What ran is kept; press Ctrl-C again to go without its report.")
    return interruption.asked
