"""A recorder that is killed several times leaves the same rows and points as one that never was."""

import random
import signal
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.protocol.codec import SCHEMA, encode
from gridfleet.broker.protocol.messages import Message, Mode, Tick
from gridfleet.broker.protocol.topics import MESSAGE_TYPES, topic
from gridfleet.dashboards.recording.durable.recorder import RUNS, DurableRecorder
from gridfleet.dashboards.recording.recording import STORE
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import RunFacts
from gridfleet.dashboards.telemetry.influx.spool import Spool
from gridfleet.dashboards.telemetry.table import MEASUREMENTS
from gridfleet.dashboards.telemetry.table.fields import PointTime
from tests.dashboards.runs import contents, message_log
from tests.telemetry.jobs import DATABASE
from tests.telemetry.standin import Shim, standin
from tests.telemetry.zygote import Zygote
from tests.waiting import wait_until

SITE = "germany"
REFERENCE = "reference"
MARK = 1_750_000_000_000
CHUNK = 60


@pytest.fixture(scope="module")
def shim(influxd_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shim]:
    with standin(influxd_program, tmp_path_factory.mktemp("engine")) as running:
        yield running


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with Zygote() as running:
        yield running


@cache
def replay(ticks: int = 10) -> tuple[tuple[str, bytes, bool], ...]:
    """Return a run's publications with a lock-step clock, so that no time depends on the test's."""
    said = []
    for _, scope, sender, message in message_log("normal", (), (), ticks):
        message_type = MESSAGE_TYPES[message.TYPE]
        said.append((topic(SITE, message, scope, sender), encode(_lockstep(message)), message_type.retain))
    return tuple(said)


def _lockstep(message: Message) -> Message:
    if isinstance(message, Tick):
        return replace(message, mode=Mode.LOCKSTEP, seconds_per_tick=0.0, epoch=1_700_000_000)
    return message


def facts(run: str) -> RunFacts:
    return RunFacts("normal", run, 1, "0", 0)


def reference(folder: Path, shim: Shim) -> None:
    """Record the replay in one go, into a folder and into the engine."""
    with Spool(folder / "spool") as spool:
        with DurableRecorder(folder, SITE, facts, spool, name="normal") as recorder:
            for index, (text, payload, _) in enumerate(replay()):
                recorder.receive(text, payload, MARK + index)
        for database in (REFERENCE, DATABASE):
            shim.engine.query(f'DROP DATABASE "{database}"')
            shim.engine.query(f'CREATE DATABASE "{database}"')
        while (batch := spool.batch()) is not None:
            where = f"/write?db={REFERENCE}&precision=ms"
            status, answer = shim.engine.request("POST", where, "\n".join(batch.lines).encode())
            assert status == 204, answer
            spool.acknowledge(batch)


def points(shim: Shim, database: str) -> dict[str, Any]:
    """Return everything in the engine except what depends on real time."""
    found: dict[str, Any] = {}
    for measurement in MEASUREMENTS:
        if measurement.time is not PointTime.WALL:
            names = [field.name for field in measurement.fields if field.name not in {"took_s", "late_s"}]
            columns = ", ".join(f'"{name}"' for name in names)
            query = f'SELECT {columns} FROM "{measurement.name}" GROUP BY *'  # noqa: S608 - a test's
            found[measurement.name] = shim.engine.query(query, database)
    return found


def rows(folder: Path) -> list[list[object]]:
    (run,) = (folder / RUNS).iterdir()
    with Store.open(run / STORE) as store:
        return contents(store)


def wait_for_the_end(shim: Shim, expected: int) -> None:
    wait_until(
        lambda: shim.engine.count(DATABASE, "event", "tick") >= expected,
        lambda: "the end of the run does not arrive",
    )


@pytest.mark.mosquitto
@pytest.mark.influxdb
@pytest.mark.parametrize("seed", range(3))
def test_kills_of_the_recorder_leave_no_trace(seed: int, shim: Shim, zygote: Zygote, tmp_path: Path) -> None:
    rng = random.Random(seed)
    reference(tmp_path / "reference", shim)
    expected = points(shim, REFERENCE)
    log = tmp_path / "log"
    with MosquittoBroker() as broker:
        order = ("recorder", tmp_path / "live", broker.url, shim.url, log)
        recorder = zygote.start(*order)
        # From then on the broker keeps what it misses.
        wait_until(lambda: log.is_file() and "connected, recording" in log.read_text())
        with MqttLoop(BrokerAddress.parse(broker.url), schema=SCHEMA) as loop:
            fleet = loop.open("fleet", on_message=lambda *_: None)
            loop.wait_online(60)
            said = replay()
            deaths = set(rng.sample(range(CHUNK, len(said)), 5))
            for index, (text, payload, retain) in enumerate(said):
                fleet.publish(text, payload, qos=1, retain=retain)
                if index % CHUNK == 0 or index in deaths:
                    loop.run_until(lambda: False, rng.uniform(0.0, 0.03))
                if index in deaths:
                    zygote.kill(recorder)
                    loop.run_until(lambda: False, rng.choice((0.0, 0.2)))
                    recorder = zygote.start(*order)
        wait_for_the_end(shim, sum(len(series["values"]) for series in expected["event"]))
        assert zygote.kill(recorder, signal.SIGTERM) == 0, log.read_text()
    assert "Traceback" not in log.read_text()
    assert rows(tmp_path / "live") == rows(tmp_path / "reference")
    assert points(shim, DATABASE) == expected
