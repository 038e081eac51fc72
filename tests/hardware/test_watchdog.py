"""What systemd is told, and when it is not told that all is well."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridfleet.devices.edge.watchdog import Watchdog


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.bind(str(tmp_path / "notify"))
        link.setblocking(False)
        yield link


def watchdog(tmp_path: Path, **more: str) -> Watchdog:
    return Watchdog({"NOTIFY_SOCKET": str(tmp_path / "notify"), **more})


def heard(link: socket.socket) -> str:
    return link.recv(4096).decode()


def test_it_is_fed_only_while_sensor_and_broker_get_on(tmp_path: Path, systemd: socket.socket) -> None:
    dog = watchdog(tmp_path)
    dog.progress("sensor", 100.0)
    dog.progress("broker", 100.0)
    assert dog.feed(101.0, "online")
    assert heard(systemd) == "WATCHDOG=1\nSTATUS=online"
    assert dog.feed(101.5, "online")
    assert heard(systemd) == "WATCHDOG=1"
    assert not dog.feed(103.0, "online")
    assert heard(systemd) == "STATUS=online; no progress: sensor"
    dog.progress("sensor", 191.0)
    assert not dog.feed(191.0, "online")
    assert heard(systemd) == "STATUS=online; no progress: broker"
    dog.progress("broker", 191.0)
    assert dog.feed(191.5, "online")


def test_nothing_has_got_on_before_the_first_time(tmp_path: Path, systemd: socket.socket) -> None:
    dog = watchdog(tmp_path)
    assert dog.stalled(0.0) == ["sensor", "broker"]
    assert dog.stalled(5000.0) == ["sensor", "broker"]
    assert not dog.feed(0.0, "starting")
    assert heard(systemd).startswith("STATUS=")


def test_it_says_when_it_is_up_and_when_it_ends(tmp_path: Path, systemd: socket.socket) -> None:
    dog = watchdog(tmp_path)
    dog.ready("online")
    assert heard(systemd) == "READY=1\nSTATUS=online"
    dog.stopping("bye")
    assert heard(systemd) == "STOPPING=1\nSTATUS=bye"


def test_systemds_patience_decides_how_often(tmp_path: Path) -> None:
    assert watchdog(tmp_path, WATCHDOG_USEC="1500000").every_s == pytest.approx(0.5)
    assert watchdog(tmp_path, WATCHDOG_USEC="30000000").every_s == 1.0
    assert watchdog(tmp_path, WATCHDOG_USEC="1500000", WATCHDOG_PID="1").limit_s is None
    assert watchdog(tmp_path, WATCHDOG_USEC="1500000", WATCHDOG_PID=str(os.getpid())).limit_s == 1.5


def test_without_systemd_it_is_silent() -> None:
    dog = Watchdog({})
    dog.ready("online")
    dog.progress("sensor", 1.0)
    dog.progress("broker", 1.0)
    assert dog.feed(1.0, "online")


def test_an_abstract_socket() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.bind(f"\0gridfleet-test-notify-{os.getpid()}")
        link.settimeout(60)
        Watchdog({"NOTIFY_SOCKET": f"@gridfleet-test-notify-{os.getpid()}"}).ready("online")
        assert link.recv(100).startswith(b"READY=1")


def test_only_what_is_known_makes_progress(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        watchdog(tmp_path).progress("market", 1.0)
