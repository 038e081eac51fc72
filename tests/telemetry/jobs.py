"""Jobs of the zygote's children: a writer of numbered points, and a recorder. Each ends on SIGTERM."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from gridfleet.broker.address import BrokerAddress
from gridfleet.dashboards.recording.durable.process import record
from gridfleet.dashboards.store.rows import RunFacts
from gridfleet.dashboards.telemetry.influx.client import InfluxWriter, Target
from gridfleet.dashboards.telemetry.influx.sender import Sender
from gridfleet.dashboards.telemetry.influx.spool import Spool
from tests.telemetry.standin import TOKEN

DATABASE = "raw"
PER_SYNC = 40


def run(job: str, arguments: list[Any]) -> None:
    """Do a job and exit in any case: never return into the zygote."""
    code = 1
    try:
        stop = [False]
        signal.signal(signal.SIGTERM, lambda *_: stop.__setitem__(0, True))
        JOBS[job](stop, *arguments)
        code = 0
    except BaseException:  # noqa: BLE001 - the end of the process
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def known_line(number: int) -> str:
    """Return the point with a number."""
    return f"known,device=d{number % 7} number={number}i {1_700_000_000_000 + number}"


def writer(stop: list[bool], folder: str, url: str, progress: str) -> None:
    """Add numbered points to a spool; after each sync write how many are safe. Continues where the last one ended."""
    path = Path(progress)
    with (
        InfluxWriter(Target(url, "o", DATABASE, TOKEN), timeout_s=1.0) as write,
        Spool(Path(folder)) as spool,
    ):
        sender = Sender(spool, write)
        sender.start()
        number = int(path.read_text() or 0) if path.is_file() else 0
        while not stop[0]:
            spool.add(known_line(each) for each in range(number, number + PER_SYNC))
            spool.sync()
            number += PER_SYNC
            draft = path.with_suffix(".draft")
            draft.write_text(str(number))
            draft.replace(path)
            time.sleep(0.002)
        while spool.backlog:
            time.sleep(0.01)
        sender.stop()


def recorder(stop: list[bool], folder: str, broker: str, url: str, log: str) -> None:
    """Record the site that the tests replay."""
    with Path(log).open("a") as file:
        os.dup2(file.fileno(), 2)
    with InfluxWriter(Target(url, "o", DATABASE, TOKEN), timeout_s=1.0) as write:
        record(
            Path(folder),
            "germany",
            BrokerAddress.parse(broker),
            lambda run: RunFacts("normal", run, 1, "0", 0),
            name="normal",
            write=write,
            stop_requested=lambda: stop[0],
            report=_report,
        )


def _report(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


JOBS: Final[dict[str, Callable[..., None]]] = {"writer": writer, "recorder": recorder}
