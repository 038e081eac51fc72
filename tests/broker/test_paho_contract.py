"""The contract with paho-mqtt: every private name that `paho_client.py` uses exists and does what is expected.

pyproject.toml allows paho-mqtt 2.2 only, of which 2.2.0 is the one release. (2.1.0 lacks `paho.mqtt.exception` and
`drop_out_messages`.) Before the bound is widened, these tests must pass with the newer release.
"""

import ast
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from gridfleet.broker.mqtt import paho_client
from gridfleet.broker.mqtt.network.transport import Transport
from gridfleet.broker.mqtt.paho_client import PRIVATE_NAMES, PahoClient

ROOT = Path(__file__).resolve().parents[2]
OF_A_MESSAGE = "_topic"
OF_MQTT_3_1_1 = "_clean_session"
CONNACK = bytes.fromhex("00 00 00")


class FakeTransport(Transport):
    """A transport without a socket: it returns the packets that the test puts in, and keeps what paho sends."""

    __slots__ = ("packets", "sent")

    def __init__(self) -> None:
        self.packets: list[tuple[int, bytes]] = []
        self.sent = bytearray()
        self.eof = False

    @property
    def unsent(self) -> int:
        return 0

    def send(self, data: bytes | bytearray) -> int:
        self.sent += data
        return len(data)

    def next_packet(self) -> tuple[int, bytes] | None:
        return self.packets.pop(0) if self.packets else None

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        self.eof = True


@pytest.fixture
def transport() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def client(transport: FakeTransport) -> PahoClient:
    """A client whose connection the broker has accepted."""
    client = PahoClient(
        "client",
        version=5,
        connector=lambda: transport,
        deliver=lambda *_: None,
        on_denied=lambda _: None,
        on_schema_mismatch=lambda _: None,
        on_unsent=lambda: None,
        on_other_version=lambda: None,
        schema=b"",
    )
    client.connect_async("broker.example", 1883, 60)
    client.reconnect()
    transport.packets.append((0x20, CONNACK))
    client.loop_read()
    return client


def plain_client(version: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5) -> Client:
    return Client(CallbackAPIVersion.VERSION2, "plain", protocol=version)


def private(client: object, name: str) -> Any:  # noqa: ANN401 - whatever paho keeps there
    return getattr(client, name)


def test_the_installed_release_is_one_that_is_allowed() -> None:
    assert version("paho-mqtt").split(".")[:2] == ["2", "2"]
    assert '"paho-mqtt>=2.2,<2.3"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(PRIVATE_NAMES))
def test_paho_has_the_private_name(name: str) -> None:
    owners = {OF_A_MESSAGE: MQTTMessage(), OF_MQTT_3_1_1: plain_client(MQTTProtocolVersion.MQTTv311)}
    assert hasattr(owners.get(name, plain_client()), name)


def test_the_list_of_private_names_is_complete_and_none_is_unused() -> None:
    """Whatever begins with an underscore in the file is one of the list, or one that our class defines itself."""
    tree = ast.parse(Path(paho_client.__file__).read_text(encoding="utf-8"))
    used = {
        node.attr if isinstance(node, ast.Attribute) else node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.FunctionDef)
    }
    of_paho = {name for name in dir(plain_client()) if name.startswith("_") and not name.startswith("__")}
    assert {name for name in used if name in of_paho} | {OF_A_MESSAGE, OF_MQTT_3_1_1} == set(PRIVATE_NAMES)


def test_no_attribute_of_our_class_hides_one_of_paho(client: PahoClient) -> None:
    ours = set(vars(client)) - set(vars(plain_client()))
    assert ours >= {"_own_transport", "_unacknowledged"}
    defined = {name for name in vars(PahoClient) if not name.startswith("__")}
    overridden = {name for name in defined if hasattr(Client, name)}
    assert overridden == {"_create_socket", "_packet_read", "loop_read"}
    assert not any(hasattr(Client, name) for name in ours)


def test_no_other_file_uses_a_private_name() -> None:
    """In product code only this file may; tests may look into a connection."""
    names = [name for name in PRIVATE_NAMES if name not in {"_sock", "_topic"}]  # common names elsewhere
    for folder in ("broker", "devices", "dashboards", "provisioning"):
        for file in (ROOT / folder).rglob("*.py"):
            if file != Path(paho_client.__file__).resolve() and "node_modules" not in file.parts:
                text = file.read_text(encoding="utf-8")
                assert not [name for name in names if f".{name}" in text], file


def test_reconnect_takes_the_socket_of_create_socket(client: PahoClient, transport: FakeTransport) -> None:
    assert private(client, "_sock") is transport
    assert transport.sent.startswith(b"\x10")  # CONNECT


def test_packet_handle_takes_the_packet_from_in_packet(client: PahoClient, transport: FakeTransport) -> None:
    assert client.is_connected()  # by the CONNACK of the fixture
    subscribed: list[int] = []
    client.on_subscribe = lambda _client, _data, packet_id, *_: subscribed.append(packet_id)
    transport.packets.append((0x90, bytes.fromhex("00 07 00 01")))
    assert client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS
    assert subscribed == [7]


def test_packet_ids_are_all_used_before_one_comes_again(client: PahoClient) -> None:
    generated = [private(client, "_mid_generate")() for _ in range(65_535)]
    assert sorted(generated) == list(range(1, 65_536))


def test_a_ping_is_due_by_the_times_of_the_last_bytes(client: PahoClient, transport: FakeTransport) -> None:
    def sent_after(name: str) -> bytes:
        transport.sent.clear()
        setattr(client, name, monotonic() - 61)
        client.loop_misc()
        client.loop_write()
        return bytes(transport.sent)

    for name in ("_last_msg_out", "_last_bytes_received"):
        client.loop_misc()
        assert sent_after(name) == b"\xc0\x00", name
        transport.packets.append((0xD0, b""))  # PINGRESP
        client.loop_read()


def test_loop_rc_handle_closes_the_socket_and_reports_it(
    client: PahoClient, transport: FakeTransport
) -> None:
    lost: list[int] = []
    client.on_disconnect = lambda *_: lost.append(1)
    transport.eof = True
    client.loop_read()
    assert lost == [1]
    assert private(client, "_sock") is None


def test_messages_of_qos_2_count_until_they_are_acknowledged(client: PahoClient) -> None:
    client.publish("t", b"x", 2)
    assert len(private(client, "_out_messages")) == client.unacknowledged == 1
    assert [message.payload for message in client.take_unacknowledged()] == [b"x"]
    assert client.unacknowledged == 0


def test_a_message_keeps_its_topic_as_bytes(client: PahoClient, transport: FakeTransport) -> None:
    topics: list[bytes] = []
    client.on_message = lambda _client, _data, message: topics.append(private(message, OF_A_MESSAGE))
    long_properties = bytes([129, 1, 3, 0, 126]) + b"x" * 126  # which paho decodes
    transport.packets.append((0x30, b"\x00\x02a\xff" + long_properties))
    client.loop_read()
    assert topics == [b"a\xff"]
