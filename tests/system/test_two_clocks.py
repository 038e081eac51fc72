"""Of two clocks that keep the same pace, the one that resumed the other's run ends; a resumed clock alone goes on."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.protocol.codec import SCHEMA, encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import Mode, Tick
from gridfleet.broker.protocol.topics import CLOCK_ID, topic
from gridfleet.devices.clock.agent import Clock
from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.agent_runner import real_ms
from gridfleet.devices.runtime.clock_process import start_clock
from gridfleet.devices.runtime.clock_runner import ClockRunner
from gridfleet.devices.runtime.fleet import Fleet

SECONDS_PER_TICK = 86_400.0
"""So slow that no phase ends by itself."""


def new_clock() -> Clock:
    return Fleet(load("normal")).clock(Mode.SCALED, seconds_per_tick=SECONDS_PER_TICK, epoch=7)


@pytest.fixture
def first() -> Clock:
    """A clock in its second phase."""
    clock = new_clock()
    clock.begin(real_ms())
    clock.on_event(real_ms())
    return clock


@pytest.fixture
def loop() -> Iterator[MqttLoop]:
    with EmbeddedBroker() as broker, MqttLoop(BrokerAddress.parse(broker.url), schema=SCHEMA) as loop:
        yield loop


def publish(loop: MqttLoop, name: str, tick: Tick) -> None:
    """Publish a tick as the clock does, from a connection of its own, and wait until the broker has it."""
    heard: list[bytes] = []
    place = topic("germany", tick, "", CLOCK_ID)
    connection = loop.open(
        name, on_message=lambda _topic, payload, _retained: heard.append(payload), filters=[(place, 1)]
    )
    assert loop.run_until(lambda: connection.online, 60)
    connection.publish(place, encode(tick), qos=1, retain=True)
    assert loop.run_until(lambda: encode(tick) in heard, 60)
    connection.close()


def resumed(loop: MqttLoop, tick: Tick) -> ClockRunner:
    """Return the runner of a clock that has resumed the run of a retained tick, and has begun."""
    publish(loop, "earlier", tick)
    runner = ClockRunner(new_clock(), loop, SiteDecoder("germany"))
    loop.wait_online(60)
    start_clock(loop, runner)
    assert runner.resume()
    runner.begin()
    return runner


@pytest.mark.parametrize("phases_ahead", [0, 1], ids=["at the same instant", "at a later instant"])
def test_the_clock_that_resumed_the_run_of_a_living_one_notices_it(
    loop: MqttLoop, first: Clock, phases_ahead: int
) -> None:
    runner = resumed(loop, first.tick_message)
    for clock in (first, runner.agent):
        clock.on_event(real_ms())
    for _ in range(phases_ahead):
        first.on_event(real_ms())
    publish(loop, "other", first.tick_message)
    assert loop.run_until(lambda: runner.other_clock == first.tick_message, 60)


def test_a_clock_goes_on_when_the_one_that_resumed_its_run_is_at_the_same_instant(
    loop: MqttLoop, first: Clock
) -> None:
    runner = resumed(loop, first.tick_message)
    late = replace(runner.agent.tick_message, resumptions=runner.agent.resumptions + 1)
    publish(loop, "other", late)
    assert not loop.run_until(lambda: runner.other_clock is not None, 0.5)


def test_a_resumed_clock_goes_on_when_the_broker_still_retains_the_tick_it_resumed(
    loop: MqttLoop, first: Clock
) -> None:
    runner = resumed(loop, first.tick_message)
    publish(loop, "other", first.tick_message)
    assert not loop.run_until(lambda: runner.other_clock is not None, 0.5)
    assert runner.agent.tick_message == replace(first.tick_message, resumptions=1)
