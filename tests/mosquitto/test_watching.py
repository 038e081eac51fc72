"""`gridfleet watch` on a broker with secrets: as the viewer, who may only look."""

import subprocess
import sys
from pathlib import Path

import pytest

from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.messages import ClockState, Mode, Settings
from gridfleet.broker.protocol.topics import topic
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from tests.mosquitto.guests import Guests

pytestmark = pytest.mark.mosquitto
OVER = ClockState(0, 0, 0, False, "finished", 0, 0, {}, "clock", Mode.SCALED, False, 1.0, 10, Settings(), 0)


def test_the_viewer_sees_the_end_of_a_run(guests: Guests, mosquitto: MosquittoBroker, secrets: Path) -> None:
    clock = guests.come("clock")
    words = ["watch", "--site", "town", "--broker", mosquitto.url, "--secrets", str(secrets)]
    with subprocess.Popen([sys.executable, "-m", "gridfleet", *words], stdout=subprocess.DEVNULL) as watching:
        while watching.poll() is None:  # until it has come, and heard
            clock.connection.publish(topic("town", OVER, "", "clock"), encode(OVER), qos=1)
            guests.loop.run_until(lambda: watching.poll() is not None, 0.2)
    assert watching.returncode == ExitCode.SUCCESS


def test_its_password_does_not_cross_a_network_in_the_clear(
    secrets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", "--broker", "mqtt://broker.example", "--secrets", str(secrets)]) == ExitCode.USAGE
    assert "is not encrypted" in capsys.readouterr().err
