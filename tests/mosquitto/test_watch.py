"""`gridfleet watch` on a broker with secrets, as a viewer, who may only read."""

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
from tests.mosquitto.clients import Clients

pytestmark = pytest.mark.mosquitto
OVER = ClockState(
    0, 0, 0, False, "finished", 0, 0, {}, "clock", {}, (), "clock", Mode.SCALED, False, 1.0, 10, Settings(), 0
)


def test_the_viewer_sees_the_end_of_a_run(
    clients: Clients, mosquitto: MosquittoBroker, secrets: Path
) -> None:
    clock = clients.connect("clock")
    words = ["watch", "--site", "town", "--broker", mosquitto.url, "--secrets", str(secrets)]
    with subprocess.Popen([sys.executable, "-m", "gridfleet", *words], stdout=subprocess.DEVNULL) as watching:
        while watching.poll() is None:  # until it has connected and received it
            clock.connection.publish(topic("town", OVER, OVER.scope, "clock"), encode(OVER), qos=1)
            clients.loop.run_until(lambda: watching.poll() is not None, 0.2)
    assert watching.returncode == ExitCode.SUCCESS


def test_a_password_is_never_sent_unencrypted_over_a_network(
    secrets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", "--broker", "mqtt://broker.example", "--secrets", str(secrets)]) == ExitCode.USAGE
    assert "is not encrypted" in capsys.readouterr().err
