"""No point is lost or doubled, whichever process is killed, frozen or offline, and when."""

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.telemetry.jobs import DATABASE, PER_SYNC
from tests.telemetry.standin import Shim, standin
from tests.telemetry.zygote import Zygote
from tests.waiting import wait_until

pytestmark = pytest.mark.influxdb
SCHEDULES = 20


@pytest.fixture(scope="module")
def shim(influxd_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shim]:
    with standin(influxd_program, tmp_path_factory.mktemp("engine")) as running:
        yield running


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with Zygote() as running:
        yield running


def safe(progress: Path) -> int:
    """Return how many points are safe by the writer's progress file."""
    return int(progress.read_text() or 0) if progress.is_file() else 0


def wait_for_more(progress: Path, points: int) -> None:
    goal = safe(progress) + points
    wait_until(lambda: safe(progress) >= goal, lambda: "the writer makes no progress")


@pytest.mark.parametrize("seed", range(SCHEDULES))
def test_nothing_is_lost_or_doubled_in_any_schedule_of_failures(
    seed: int, shim: Shim, zygote: Zygote, tmp_path: Path
) -> None:
    rng = random.Random(seed)
    engine = shim.engine
    engine.query(f'DROP DATABASE "{DATABASE}"')
    engine.query(f'CREATE DATABASE "{DATABASE}"')
    progress = tmp_path / "progress"
    order = ("writer", tmp_path / "spool", shim.url, progress)
    writer = zygote.start(*order)
    for _ in range(rng.randint(2, 3)):
        wait_for_more(progress, rng.randint(1, 8) * PER_SYNC)
        match rng.choice(("writer", "engine", "both", "frozen", "answer", "outage")):
            case "writer":
                zygote.kill(writer)
                writer = zygote.start(*order)
            case "engine":
                engine.kill()
                engine.start()
            case "both":
                engine.kill()
                zygote.kill(writer)
                writer = zygote.start(*order)
                wait_for_more(progress, PER_SYNC)
                engine.start()
            case "frozen":  # until the sender waits for an answer, or until it has sent the batch again
                engine.signal(signal.SIGSTOP)
                requests = shim.requests + rng.choice((1, 2))
                wait_until(lambda: shim.requests >= requests)  # noqa: B023 - called before the loop goes on
                engine.signal(signal.SIGCONT)
            case "answer":
                shim.lost_answers += 1
            case "outage":
                engine.kill()
                wait_for_more(progress, rng.randint(5, 20) * PER_SYNC)
                engine.start()
    wait_for_more(progress, PER_SYNC)
    assert zygote.kill(writer, signal.SIGTERM) == 0
    # What was synced but not noted before a death is there as well: under the same name as when it was added again.
    values = [
        int(value)
        for series in engine.query('SELECT "number" FROM known', DATABASE)
        for _, value in series["values"]
    ]
    assert sorted(values) == list(range(safe(progress)))
