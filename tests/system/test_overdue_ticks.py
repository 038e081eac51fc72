"""A device that has slept receives many ticks at once: it acts on the last one, and on none that is over."""

from collections.abc import Callable

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.protocol.codec import SCHEMA, encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import (
    Award,
    Bid,
    ConsumerState,
    Message,
    Mode,
    Phase,
    Receipt,
    Settings,
    Tick,
)
from gridfleet.broker.protocol.topics import CLOCK_ID, topic
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.device_runner import DeviceRunner
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.listener import SiteListener

SITE = "germany"
SECONDS_PER_TICK = 0.1


def ticks(first: int, last: int, start_ms: int) -> list[Tick]:
    phases = (
        (Phase.BID, 0, 300_000),
        (Phase.TRADE, 300_000, 600_000),
        (Phase.SETTLE, 840_000, TICK_MS),
    )
    return [
        Tick(
            tick, phase, start_ms + tick * TICK_MS + begins_ms, start_ms + tick * TICK_MS + ends_ms, Mode.SCALED,
            SECONDS_PER_TICK, 10, paused=False, settings=Settings(), epoch=1,
        )
        for tick in range(first, last + 1)
        for phase, begins_ms, ends_ms in phases
    ]  # fmt: skip


def test_a_device_that_slept_settles_its_last_tick_and_continues_with_the_present_one() -> None:
    scenario = load("normal")
    received: list[Message] = []
    with EmbeddedBroker() as broker:
        address = BrokerAddress.parse(broker.url)
        with MqttLoop(address, schema=SCHEMA) as clocks, MqttLoop(address, schema=SCHEMA) as sleeping:
            SiteListener(
                clocks, SiteDecoder(SITE), (lambda _now, _scope, _sender, message: received.append(message),)
            )
            clock = clocks.open(CLOCK_ID, on_message=lambda *_: None)
            clocks.wait_online(60)
            runner = DeviceRunner(Fleet(scenario).build_agent("household-1"), sleeping, SiteDecoder(SITE))
            sleeping.wait_online(60)
            runner.start()

            def publish(some: list[Tick]) -> None:
                for tick in some:
                    clock.publish(topic(SITE, tick, "", CLOCK_ID), encode(tick), qos=1, retain=True)

            def run_all(until: Callable[[], bool], tries: int = 300) -> bool:
                for _ in range(tries):
                    sleeping.run_until(lambda: False, 0.01)
                    if clocks.run_until(until, 0.01):
                        return True
                return False

            publish(ticks(0, 0, scenario.start_ms)[:2])
            assert run_all(lambda: [each.tick for each in received if isinstance(each, Bid)] == [0])
            clocks.run_until(lambda: False, 20.5 * SECONDS_PER_TICK)  # the device sleeps
            publish(ticks(1, 20, scenario.start_ms)[:-2])
            assert clocks.run_until(lambda: sum(isinstance(each, Tick) for each in received) >= 60, 60)
            clocks.run_until(lambda: False, 0.3)
            assert run_all(lambda: any(isinstance(each, Bid) and each.tick == 20 for each in received))
            run_all(lambda: False, 20)
    assert [each.tick for each in received if isinstance(each, Bid)] == [0, 20]
    assert [each.tick for each in received if isinstance(each, ConsumerState)] == [0]


def test_messages_of_a_tick_that_is_long_over_are_ignored_even_without_a_later_tick() -> None:
    scenario = load("normal")
    received: list[Message] = []
    with EmbeddedBroker() as broker, MqttLoop(BrokerAddress.parse(broker.url), schema=SCHEMA) as loop:
        SiteListener(
            loop, SiteDecoder(SITE), (lambda _now, _scope, _sender, message: received.append(message),)
        )
        clock = loop.open(CLOCK_ID, on_message=lambda *_: None)
        turbine = loop.open("turbine-1", on_message=lambda *_: None)
        runner = DeviceRunner(Fleet(scenario).build_agent("household-1"), loop, SiteDecoder(SITE))
        loop.wait_online(60)
        runner.start()
        for tick in ticks(0, 0, scenario.start_ms)[:2]:
            clock.publish(topic(SITE, tick, "", CLOCK_ID), encode(tick), qos=1, retain=True)
        assert loop.run_until(lambda: any(isinstance(each, Bid) for each in received), 60)
        (bid,) = (each for each in received if isinstance(each, Bid))
        loop.run_until(lambda: False, 2 * SECONDS_PER_TICK)
        award = Award(0, 0, bid.packages[:1])
        turbine.publish(topic(SITE, award, "household-1", "turbine-1"), encode(award), qos=1)
        assert loop.run_until(lambda: bool(runner.agent.refused), 60)
        assert runner.agent.refused == {"stale": 1}
        assert not any(isinstance(each, Receipt) for each in received)
