"""`python -m tests.fuzz MINUTES [SEED]`: mutated inputs for every reader, then command lines, in that time."""

import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.command_lines import try_command_lines
from tests.fuzz.engine import Outcome, fuzz
from tests.fuzz.targets import targets

BATCH = 20
SHARE_OF_READERS = 0.8


def main(minutes: float, seed: int) -> int:
    """Fuzz for a time; print a table, and return 1 where something failed."""
    rng = random.Random(seed)
    found = {target.name: Outcome() for target in targets()}
    problems: Counter[str] = Counter()
    end_s = time.monotonic() + 60 * minutes * SHARE_OF_READERS
    everything = targets()
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end_s:
            for target in everything:
                outcome = fuzz(target, Path(folder), BATCH * target.weight, rng)
                total = found[target.name]
                total.tried += outcome.tried
                total.accepted += outcome.accepted
                total.slowest_s = max(total.slowest_s, outcome.slowest_s)
                problems.update(f"{target.name}: {problem}" for problem in outcome.problems)
        lines, failed = try_command_lines(60 * minutes * (1 - SHARE_OF_READERS), rng, Path(folder))
    problems.update(failed)
    for name, total in found.items():
        sys.stdout.write(
            f"{name:16}{total.tried:>9} tried {total.accepted:>9} accepted, slowest {total.slowest_s:.2f} s\n"
        )
    sys.stdout.write(
        f"{sum(total.tried for total in found.values())} inputs, {lines} command lines, {problems.total()} failures\n"
    )
    for problem, count in problems.most_common(40):
        sys.stdout.write(f"{count:>7} {problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns()))
