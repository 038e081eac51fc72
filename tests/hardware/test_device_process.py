"""`gridfleet device run`: a device as a process, as it runs on a Pi."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.protocol.codec import SCHEMA
from gridfleet.broker.protocol.messages import Bid, Incident, Message, Presence, Sample, Supply
from gridfleet.broker.storage.segment_log import SUFFIX, read_segment
from gridfleet.devices.edge.hil.participants import MessageCollector, ScriptedClock
from tests.waiting import PATIENCE_S, wait_until

from .files import CHARGER, TURBINE

SITE: Final = "germany"
HOUSEHOLD: Final = """\
id = "household-01"
kind = "household"
cell = "north"
backend = "synthetic"
[broker]
url = "mqtt://localhost"
"""
NO_PINS: Final = "\n".join(TURBINE.split("\n\n")[:2]).replace('"mock"', '"synthetic"')
WINDY: Final = TURBINE + "[mock]\nwind_m_per_s = 9\n[telemetry]\nevery_s = 0.3\n"


@contextmanager
def running(
    tmp_path: Path, url: str, text: str, *, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run the device as a process of its own, and end it afterwards."""
    path = tmp_path / "device.toml"
    path.write_text(text.replace("mqtt://localhost", url))
    process = subprocess.Popen(
        [sys.executable, "-m", "gridfleet", "device", "run", str(path), "--log", "json"],
        env={**os.environ, **(environment or {})},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def site(hil_broker: EmbeddedBroker) -> Iterator[tuple[MqttLoop, MessageCollector, str]]:
    """A site whose clock has begun the first tick, and a collector of its messages."""
    with MqttLoop(BrokerAddress.parse(hil_broker.url), schema=SCHEMA) as loop:
        clock, collector = ScriptedClock(loop, SITE), MessageCollector(loop, SITE)
        loop.wait_online(PATIENCE_S)
        clock.tick()
        yield loop, collector, hil_broker.url


def wait_for(
    loop: MqttLoop, collector: MessageCollector, kind: type[Message], sender: str, count: int = 1
) -> None:
    assert loop.run_until(lambda: len(collector.all(kind, sender)) >= count, PATIENCE_S), collector.messages


@pytest.mark.parametrize(
    ("text", "sender", "message_class", "max_kb"),
    [
        (NO_PINS, "turbine-01", Supply, 42 * 1024),
        (HOUSEHOLD, "household-01", Bid, 42 * 1024),
        (WINDY, "turbine-01", Supply, 45 * 1024),
        (CHARGER, "charger-01", Bid, 45 * 1024),
    ],
    ids=["synthetic turbine", "synthetic household", "turbine on mocked pins", "charger on mocked pins"],
)
def test_it_trades_stays_small_and_goes_offline(
    site: tuple[MqttLoop, MessageCollector, str],
    tmp_path: Path,
    text: str,
    sender: str,
    message_class: type[Message],
    max_kb: int,
) -> None:
    loop, collector, url = site
    with running(tmp_path, url, text) as process:
        wait_for(loop, collector, message_class, sender)
        memory = Path(f"/proc/{process.pid}/status").read_text()
        peak = re.search(r"VmHWM:\s*(\d+) kB", memory)
        assert peak is not None
        assert int(peak[1]) < max_kb
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
        assert all(json.loads(line)["device"] == sender for line in log.splitlines())
        assert loop.run_until(lambda: not collector.all(Presence, sender)[-1].online, PATIENCE_S)


def test_the_brake_is_applied_when_it_ends(
    site: tuple[MqttLoop, MessageCollector, str], tmp_path: Path
) -> None:
    loop, collector, url = site
    with running(tmp_path, url, WINDY.replace("release_after_s = 5", "release_after_s = 0.2")) as process:
        wait_for(loop, collector, Incident, "turbine-01")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)
        wait_for(loop, collector, Incident, "turbine-01", 2)
    assert collector.incidents("turbine-01") == [
        ("brake", "released", "wind has dropped"),
        ("brake", "applied", "shut down"),
    ]


def test_samples_of_an_outage_are_published_afterwards(tmp_path: Path) -> None:
    """The broker stops and restarts on the same port; no sample in between is missing."""
    with EmbeddedBroker() as first:
        port = first.port
        text = WINDY + 'folder = "queue"\n'
        with running(tmp_path, first.url, text) as process:
            _receive_samples(first.url, 2)
            first.close()
            wait_until(lambda: _queued(tmp_path / "queue") >= 3)
            with EmbeddedBroker(port) as second:
                times = _receive_samples(second.url, 6)
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=PATIENCE_S)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert max(gaps) < 2_000, times
    assert len(set(times)) == len(times)


def _receive_samples(url: str, count: int) -> list[int]:
    with MqttLoop(BrokerAddress.parse(url), schema=SCHEMA, retry_refused=True) as loop:
        collector = MessageCollector(loop, SITE)
        wait_for(loop, collector, Sample, "turbine-01", count)
        samples = collector.all(Sample, "turbine-01")
        assert all(not sample.measured and "wind_m_per_s" in sample.readings for sample in samples)
        return sorted(sample.at_ms for sample in samples)


def _queued(folder: Path) -> int:
    """Return how many messages wait on disk."""
    return sum(
        record.items
        for path in folder.glob(f"*{SUFFIX}")
        for record, _ in read_segment(path, 0, path.stat().st_size)
    )


def test_systemd_is_notified(site: tuple[MqttLoop, MessageCollector, str], tmp_path: Path) -> None:
    _, _, url = site
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE_S)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "600000"}
        with running(tmp_path, url, HOUSEHOLD, environment=environment) as process:
            assert systemd.recv(4096).startswith(b"READY=1")
            while b"WATCHDOG=1" not in (words := systemd.recv(4096)):
                assert words.startswith(b"STATUS=")
            process.send_signal(signal.SIGTERM)
            while b"STOPPING=1" not in systemd.recv(4096):
                pass


def test_real_pins_are_never_replaced_by_mocked_ones(tmp_path: Path) -> None:
    with running(tmp_path, "mqtt://127.0.0.1:9", TURBINE.replace('"mock"', '"gpio"')) as process:
        _, log = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 2
        assert "backend = 'gpio'" in log
        assert "or set backend = 'mock' or 'synthetic'" in log


def test_a_file_with_a_mistake_is_not_run(tmp_path: Path) -> None:
    with running(tmp_path, "mqtt://127.0.0.1:9", TURBINE.replace("pin = 27", "pin = 8")) as process:
        _, log = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 2
        assert "brake.pin = 8: GPIO8 is CE0" in log


@pytest.mark.parametrize("kind", ["vehicle", "reactor"])
def test_a_kind_without_sensors_runs(
    kind: str, site: tuple[MqttLoop, MessageCollector, str], tmp_path: Path
) -> None:
    loop, collector, url = site
    device = f"{kind}-01"
    with running(tmp_path, url, HOUSEHOLD.replace("household", kind)):
        wait_for(loop, collector, Presence, device)
    (born, *_) = collector.all(Presence, device)
    assert (born.online, born.kind) == (True, kind)
