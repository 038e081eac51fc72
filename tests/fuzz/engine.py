"""Tries mutated inputs of a target, and keeps those that fail: another exception, too much time, too much memory."""

import hashlib
import random
import resource
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gridfleet.broker.errors import GridFleetError
from tests.fuzz.mutation import mutated
from tests.fuzz.targets import Target, emptied
from tests.readers.cases import CORPUS

FINDS: Final = CORPUS / "finds"
MOST_S: Final = 10.0
MOST_BYTES: Final = 512 << 20
MOST_TEXT: Final = 20_000
"""Longest text of an error."""


@dataclass
class Outcome:
    """What came of the inputs of one target."""

    tried: int = 0
    accepted: int = 0
    slowest_s: float = 0.0
    problems: list[str] = field(default_factory=list)


def try_input(target: Target, folder: Path, content: bytes) -> tuple[bool, str]:
    """Return whether a target accepts an input, and what is wrong with how it is read; an empty text for nothing."""
    emptied(folder)
    began_s = time.process_time()
    accepted, problem = True, ""
    try:
        target.read(folder, content)
    except GridFleetError as error:
        accepted, text = False, str(error)
        if len(text) > MOST_TEXT:
            problem = f"an error of {len(text)} characters"
        elif not text.isprintable() and any(letter < " " and letter not in "\n\t" for letter in text):
            problem = f"an error with control characters: {text[:80]!r}"
    except RecursionError:
        accepted, problem = False, "RecursionError"
    except Exception as error:  # noqa: BLE001 - what is looked for
        accepted, problem = False, f"{type(error).__name__}: {error}"[:200]
    took_s = time.process_time() - began_s
    if took_s > MOST_S:
        problem = problem or f"took {took_s:.0f} s"
    return accepted, problem


def fuzz(target: Target, folder: Path, count: int, rng: random.Random, *, keep: bool = True) -> Outcome:
    """Try so many mutated inputs; with `keep` those that fail are written into the corpus."""
    outcome = Outcome()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for _ in range(count):
        content = mutated(rng.choice(target.seeds), target.seeds, rng)
        began_s = time.process_time()
        accepted, problem = try_input(target, folder, content)
        outcome.slowest_s = max(outcome.slowest_s, time.process_time() - began_s)
        outcome.tried += 1
        outcome.accepted += accepted
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
        if grown > MOST_BYTES:
            problem = problem or f"{grown >> 20} MiB of memory"
            before += grown
        if problem:
            outcome.problems.append(problem)
            if keep:
                keep_find(target, content)
    return outcome


def keep_find(target: Target, content: bytes) -> Path:
    """Write an input into the corpus, under a name that follows from it; return its path."""
    path = FINDS / target.name / hashlib.sha256(content).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
