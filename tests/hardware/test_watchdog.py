"""The notifications to systemd, and when the watchdog is not fed."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridfleet.devices.edge.watchdog import Watchdog


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.setblocking(False)
        yield receiver


def watchdog(tmp_path: Path, **more: str) -> Watchdog:
    return Watchdog({"NOTIFY_SOCKET": str(tmp_path / "notify"), **more})


def received(receiver: socket.socket) -> str:
    return receiver.recv(4096).decode()


def test_it_is_fed_only_while_sensor_and_broker_make_progress(tmp_path: Path, systemd: socket.socket) -> None:
    dog = watchdog(tmp_path)
    dog.progress("sensor", 100.0)
    dog.progress("broker", 100.0)
    assert dog.feed(101.0, "online")
    assert received(systemd) == "WATCHDOG=1\nSTATUS=online"
    assert dog.feed(101.5, "online")
    assert received(systemd) == "WATCHDOG=1"
    assert not dog.feed(103.0, "online")
    assert received(systemd) == "STATUS=online; no progress: sensor"
    dog.progress("sensor", 191.0)
    assert not dog.feed(191.0, "online")
    assert received(systemd) == "STATUS=online; no progress: broker"
    dog.progress("broker", 191.0)
    assert dog.feed(191.5, "online")


def test_before_their_first_progress_both_are_stalled(tmp_path: Path, systemd: socket.socket) -> None:
    dog = watchdog(tmp_path)
    assert dog.stalled(0.0) == ["sensor", "broker"]
    assert dog.stalled(5000.0) == ["sensor", "broker"]
    assert not dog.feed(0.0, "starting")
    assert received(systemd).startswith("STATUS=")


def test_it_notifies_start_and_stop(tmp_path: Path, systemd: socket.socket) -> None:
    dog = watchdog(tmp_path)
    dog.ready("online")
    assert received(systemd) == "READY=1\nSTATUS=online"
    dog.stopping("bye")
    assert received(systemd) == "STOPPING=1\nSTATUS=bye"


def test_systemds_limit_decides_how_often_it_is_fed(tmp_path: Path) -> None:
    assert watchdog(tmp_path, WATCHDOG_USEC="1500000").every_s == pytest.approx(0.5)
    assert watchdog(tmp_path, WATCHDOG_USEC="30000000").every_s == 1.0
    assert watchdog(tmp_path, WATCHDOG_USEC="1500000", WATCHDOG_PID="1").limit_s is None
    assert watchdog(tmp_path, WATCHDOG_USEC="1500000", WATCHDOG_PID=str(os.getpid())).limit_s == 1.5


def test_without_systemd_it_does_nothing() -> None:
    dog = Watchdog({})
    dog.ready("online")
    dog.progress("sensor", 1.0)
    dog.progress("broker", 1.0)
    assert dog.feed(1.0, "online")


def test_an_abstract_socket() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0gridfleet-test-notify-{os.getpid()}")
        receiver.settimeout(60)
        Watchdog({"NOTIFY_SOCKET": f"@gridfleet-test-notify-{os.getpid()}"}).ready("online")
        assert receiver.recv(100).startswith(b"READY=1")


def test_an_unknown_name_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        watchdog(tmp_path).progress("market", 1.0)
