"""`device revoke` clears what the device has retained, also on topics that it may choose."""

from pathlib import Path
from typing import Final

import pytest

from gridfleet.broker.brokers.mosquitto import quota_plugin
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.credentials import FileCredentials
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import Presence, Role
from gridfleet.broker.protocol.quota import Quota
from gridfleet.broker.protocol.topics import topic
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.site.enrolment import Enrolment, enrol
from gridfleet.provisioning.site.secrets import identities, make_secrets
from tests.mosquitto.clients import WAIT_S, Clients

LIAR: Final = "vehicle-liar"
CELL: Final = "cell-1-1"
BIRTH: Final = Presence(True, Role.VEHICLE, CELL, 51.0, 9.0)
OWN: Final = [topic("town", BIRTH, BIRTH.scope, LIAR), f"gridfleet/town/state/vehicle/{LIAR}"]


@pytest.mark.mosquitto
@pytest.mark.parametrize("reader", [(), ("--user", "viewer")], ids=["known topics", "all topics"])
def test_what_a_revoked_device_has_retained_is_cleared(
    tmp_path: Path,
    scenario: Scenario,
    reader: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(quota_plugin, "compiled_plugin", lambda: None)
    monkeypatch.setattr("gridfleet.broker.brokers.mosquitto.server.compiled_plugin", lambda: None)
    secrets = tmp_path / "secrets"
    make_secrets(secrets, "town", identities(Fleet(scenario)))
    enrol(secrets, Enrolment(LIAR, Role.VEHICLE, CELL))
    chosen = [f"gridfleet/town/heartbeat/nobody-{number}/{LIAR}" for number in range(50)]
    with MosquittoBroker(secrets) as broker, Clients(broker, FileCredentials(secrets)) as clients:
        liar, recorder = clients.connect(LIAR), clients.connect("recorder", "gridfleet/town/#")
        for each in (*OWN, *chosen):
            liar.connection.publish(each, encode(BIRTH), qos=1, retain=True)
        assert clients.loop.run_until(lambda: liar.connection.all_acknowledged, WAIT_S)
        liar.connection.close()
        arguments = ["device", "revoke", LIAR, "--secrets", str(secrets), "--broker", broker.url, *reader]
        assert main(arguments) == ExitCode.SUCCESS
        expected = [*OWN, *(chosen if reader else ())]
        assert f"Cleared   {len(expected)} retained messages\n" in capsys.readouterr().out
        assert clients.loop.run_until(
            lambda: {each for each, payload in recorder.received if not payload} == set(expected), WAIT_S
        )


def test_a_cleared_message_is_no_malformed_one() -> None:
    decoder, refused = SiteDecoder("town"), []
    for each in OWN:
        assert not [*decoder.decode(each, b"", lambda *what: refused.append(what), quota=Quota("test"))]
        assert not [*decoder.unpack(each, b"", lambda *what: refused.append(what))]
    assert refused == []
    decoder.decode("gridfleet/town/bid/north/house-1", b"", lambda *what: refused.append(what))
    assert len(refused) == 1
