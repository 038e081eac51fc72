"""One subscription to the tick for a whole process: everybody hears it once, in order, and by itself in lock-step."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.paho_client import PahoClient
from gridfleet.broker.mqtt.sharing.tick_fanout import TickFanout
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.messages import Mode, Phase, Settings, Tick

TEXT = "gridfleet/town/tick/clock"
WANTED = ("gridfleet/town/tick/+", 1)
TICK = Tick(0, Phase.BID, 0, 300_000, Mode.SCALED, 9.0, 5, False, Settings())


class Device:
    """A client that remembers what it hears."""

    def __init__(self, lines: TickFanout | MqttLoop, name: str, *filters: tuple[str, int]) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self.connection = lines.open(
            name,
            on_message=lambda *said: self.heard.append(said),
            filters=filters or [WANTED, (f"to/{name}", 1)],
            on_online=lambda: self.heard.append(("online", b"", False)),
        )

    @property
    def words(self) -> list[str]:
        return [text for text, _, _ in self.heard]


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


def say(clock: Device, tick: Tick) -> None:
    clock.connection.publish(TEXT, encode(tick), qos=1, retain=True)


@pytest.mark.parametrize("devices", [5, 50])
def test_the_broker_delivers_a_tick_once_however_many_hear_it(
    devices: int, loop: MqttLoop, deliveries: list[str]
) -> None:
    lines = TickFanout(loop, "town", "fleet-1")
    ears = [Device(lines, f"device-{number}") for number in range(devices)]
    clock = Device(loop, "clock", ("nothing", 1))
    loop.wait_online(60)
    for number in range(3):
        say(clock, replace(TICK, tick=number))
    assert loop.run_until(lambda: all(len(ear.heard) == 4 for ear in ears), 60)
    assert deliveries == [TEXT] * 3
    for ear in ears:
        assert ear.heard == [
            ("online", b"", False),
            *((TEXT, encode(replace(TICK, tick=number)), False) for number in range(3)),
        ]


def test_who_comes_late_or_back_is_told_the_time_once_it_is_online(loop: MqttLoop) -> None:
    lines = TickFanout(loop, "town", "fleet-1")
    early, clock = Device(lines, "early"), Device(loop, "clock", ("nothing", 1))
    loop.wait_online(60)
    say(clock, TICK)
    assert loop.run_until(lambda: early.words == ["online", TEXT], 60)
    late = Device(lines, "late")
    loop.wait_online(60)
    assert loop.run_until(lambda: late.heard == [("online", b"", False), (TEXT, encode(TICK), True)], 60)
    early.connection.drop("pulled")
    assert loop.run_until(lambda: early.words == ["online", TEXT] * 2, 60)
    early.connection.close()
    say(clock, replace(TICK, tick=1))
    assert loop.run_until(lambda: late.words == ["online", TEXT, TEXT], 60)
    assert early.words == ["online", TEXT] * 2


def test_what_came_before_a_tick_is_heard_before_it(loop: MqttLoop) -> None:
    lines = TickFanout(loop, "town", "fleet-1")
    ears = [Device(lines, f"device-{number}") for number in range(200)]
    clock = Device(loop, "clock", ("nothing", 1))
    loop.wait_online(60)
    for number in range(5):
        for ear in reversed(ears):
            clock.connection.publish(f"to/{ear.connection.client_id}", b"", qos=0)
        say(clock, replace(TICK, tick=number))
    assert loop.run_until(lambda: all(len(ear.heard) == 11 for ear in ears), 60)
    for ear in ears:
        ticks = [number for number, word in enumerate(ear.words) if word == TEXT]
        assert len(ticks) == 5
        for nth, place in enumerate(ticks, start=1):  # what is newer may come first, too
            assert ear.words[:place].count(f"to/{ear.connection.client_id}") >= nth


def test_in_lockstep_each_device_hears_the_tick_by_itself(loop: MqttLoop, deliveries: list[str]) -> None:
    lines = TickFanout(loop, "town", "fleet-1")
    ears = [Device(lines, f"device-{number}") for number in range(5)]
    clock = Device(loop, "clock", ("nothing", 1))
    loop.wait_online(60)
    stepping = replace(TICK, mode=Mode.LOCKSTEP, seconds_per_tick=0.0)
    say(clock, stepping)
    assert loop.run_until(lambda: all(ear.words == ["online", TEXT] for ear in ears), 60)
    assert all(retained for ear in ears for _, _, retained in ear.heard[1:])
    say(clock, replace(stepping, tick=1))
    assert loop.run_until(lambda: all(len(ear.heard) == 3 for ear in ears), 60)
    assert deliveries == [TEXT] * 2 * 6
    late = Device(lines, "late")
    assert loop.run_until(lambda: late.words == ["online", TEXT], 60)
    say(clock, replace(TICK, tick=2))
    assert loop.run_until(lambda: all(len(ear.heard) >= 4 for ear in ears), 60)
    loop.run_until(lambda: False, 0.1)
    deliveries.clear()
    heard = [len(ear.heard) for ear in ears]
    say(clock, replace(TICK, tick=3))
    assert loop.run_until(
        lambda: all(len(ear.heard) == n + 1 for ear, n in zip(ears, heard, strict=True)), 60
    )
    assert deliveries == [TEXT]


def test_an_exception_of_one_does_not_cost_the_others_their_tick(loop: MqttLoop) -> None:
    lines = TickFanout(loop, "town", "fleet-1")

    def fragile(*_: object) -> None:
        raise ZeroDivisionError

    first = Device(lines, "first")
    lines.open("fragile", on_message=fragile, filters=[WANTED])
    last = Device(lines, "last")
    clock = Device(loop, "clock", ("nothing", 1))
    loop.wait_online(60)
    say(clock, TICK)
    with pytest.raises(ZeroDivisionError):
        loop.run_until(lambda: False, 5)
    assert loop.run_until(lambda: last.words == first.words == ["online", TEXT], 60)
