"""One subscription to the tick for a process: received once, in order, and by each device in lock-step."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.paho_client import PahoClient
from gridfleet.broker.mqtt.sharing.tick_fanout import TickFanout
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.messages import Mode, Phase, Settings, Tick

TOPIC = "gridfleet/town/tick/clock"
TICK_FILTER = ("gridfleet/town/tick/+", 1)
TICK = Tick(0, Phase.BID, 0, 300_000, Mode.SCALED, 9.0, 5, False, Settings())


class Device:
    """A client that keeps what it receives."""

    def __init__(self, channels: TickFanout | MqttLoop, name: str, *filters: tuple[str, int]) -> None:
        self.received: list[tuple[str, bytes, bool]] = []
        self.connection = channels.open(
            name,
            on_message=lambda *message: self.received.append(message),
            filters=filters or [TICK_FILTER, (f"to/{name}", 1)],
            on_online=lambda: self.received.append(("online", b"", False)),
        )

    @property
    def topics(self) -> list[str]:
        return [text for text, _, _ in self.received]


@pytest.fixture
def loop(address: BrokerAddress) -> Iterator[MqttLoop]:
    with MqttLoop(address) as loop:
        yield loop


@pytest.fixture
def deliveries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The topics of all that the broker has delivered to this process."""
    found: list[str] = []
    take = PahoClient.handle_publish

    def counting(client: PahoClient, command: int, packet: bytes) -> bool:
        found.append(packet[2 : 2 + int.from_bytes(packet[:2], "big")].decode())
        return take(client, command, packet)

    monkeypatch.setattr(PahoClient, "handle_publish", counting)
    return found


def publish(clock: Device, tick: Tick) -> None:
    clock.connection.publish(TOPIC, encode(tick), qos=1, retain=True)


@pytest.mark.parametrize("devices", [5, 50])
def test_the_broker_delivers_a_tick_once_for_any_number_of_clients(
    devices: int, loop: MqttLoop, deliveries: list[str]
) -> None:
    channels = TickFanout(loop, "town", "fleet-1")
    listeners = [Device(channels, f"device-{number}") for number in range(devices)]
    clock = Device(loop, "clock", ("nothing", 1))
    loop.wait_online(60)
    for number in range(3):
        publish(clock, replace(TICK, tick=number))
    assert loop.run_until(lambda: all(len(listener.received) == 4 for listener in listeners), 60)
    assert deliveries == [TOPIC] * 3
    for listener in listeners:
        assert listener.received == [
            ("online", b"", False),
            *((TOPIC, encode(replace(TICK, tick=number)), False) for number in range(3)),
        ]


def test_a_client_that_joins_late_or_reconnects_gets_the_tick_once_online(loop: MqttLoop) -> None:
    channels = TickFanout(loop, "town", "fleet-1")
    early, clock = Device(channels, "early"), Device(loop, "clock", ("nothing", 1))
    loop.wait_online(60)
    publish(clock, TICK)
    assert loop.run_until(lambda: early.topics == ["online", TOPIC], 60)
    late = Device(channels, "late")
    loop.wait_online(60)
    assert loop.run_until(lambda: late.received == [("online", b"", False), (TOPIC, encode(TICK), True)], 60)
    early.connection.drop("pulled")
    assert loop.run_until(lambda: early.topics == ["online", TOPIC] * 2, 60)
    early.connection.close()
    publish(clock, replace(TICK, tick=1))
    assert loop.run_until(lambda: late.topics == ["online", TOPIC, TOPIC], 60)
    assert early.topics == ["online", TOPIC] * 2


@pytest.mark.mosquitto
def test_messages_from_before_a_tick_are_handled_before_it() -> None:
    """On Mosquitto, which delivers one publication after another; rumqttd delivers to each client by itself."""
    with MosquittoBroker() as broker, MqttLoop(BrokerAddress.parse(broker.url)) as loop:
        channels = TickFanout(loop, "town", "fleet-1")
        listeners = [Device(channels, f"device-{number}") for number in range(200)]
        clock = Device(loop, "clock", ("nothing", 1))
        loop.wait_online(60)
        for number in range(5):
            for listener in reversed(listeners):
                clock.connection.publish(f"to/{listener.connection.client_id}", b"", qos=0)
            publish(clock, replace(TICK, tick=number))
        assert loop.run_until(lambda: all(len(listener.received) == 11 for listener in listeners), 60)
        for listener in listeners:
            ticks = [number for number, topic in enumerate(listener.topics) if topic == TOPIC]
            assert len(ticks) == 5
            for nth, place in enumerate(ticks, start=1):  # what is newer may come first, too
                assert listener.topics[:place].count(f"to/{listener.connection.client_id}") >= nth


def test_in_lockstep_each_device_subscribes_to_the_tick(loop: MqttLoop, deliveries: list[str]) -> None:
    channels = TickFanout(loop, "town", "fleet-1")
    listeners = [Device(channels, f"device-{number}") for number in range(5)]
    clock = Device(loop, "clock", ("nothing", 1))
    loop.wait_online(60)
    stepping = replace(TICK, mode=Mode.LOCKSTEP, seconds_per_tick=0.0)
    publish(clock, stepping)
    assert loop.run_until(lambda: all(listener.topics == ["online", TOPIC] for listener in listeners), 60)
    assert all(retained for listener in listeners for _, _, retained in listener.received[1:])
    publish(clock, replace(stepping, tick=1))
    assert loop.run_until(lambda: all(len(listener.received) == 3 for listener in listeners), 60)
    assert deliveries == [TOPIC] * 2 * 6
    late = Device(channels, "late")
    assert loop.run_until(lambda: late.topics == ["online", TOPIC], 60)
    publish(clock, replace(TICK, tick=2))
    assert loop.run_until(lambda: all(len(listener.received) >= 4 for listener in listeners), 60)
    loop.run_until(lambda: False, 0.1)
    deliveries.clear()
    received = [len(listener.received) for listener in listeners]
    publish(clock, replace(TICK, tick=3))
    assert loop.run_until(
        lambda: all(len(listener.received) == n + 1 for listener, n in zip(listeners, received, strict=True)),
        60,
    )
    assert deliveries == [TOPIC]


def test_after_an_exception_of_one_client_the_others_get_the_tick(loop: MqttLoop) -> None:
    channels = TickFanout(loop, "town", "fleet-1")

    def fragile(*_: object) -> None:
        raise ZeroDivisionError

    first = Device(channels, "first")
    channels.open("fragile", on_message=fragile, filters=[TICK_FILTER])
    last = Device(channels, "last")
    clock = Device(loop, "clock", ("nothing", 1))
    loop.wait_online(60)
    publish(clock, TICK)
    with pytest.raises(ZeroDivisionError):
        loop.run_until(lambda: False, 5)
    assert loop.run_until(lambda: last.topics == first.topics == ["online", TOPIC], 60)
