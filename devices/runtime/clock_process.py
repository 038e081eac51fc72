"""The clock process: resumes a run or begins a new one, and publishes its ticks to the last."""

import time
from collections.abc import Callable, Mapping
from typing import Final

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS, Credentials
from gridfleet.broker.protocol.codec import SCHEMA
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import ENDLESS_TICKS, Registration
from gridfleet.devices.clock.agent import Clock
from gridfleet.devices.runtime.clock_runner import ClockRunner
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.fleet_process import (
    POLL_S,
    START_S,
    OutageReporter,
    ignore_loop,
    wait_online,
)

RETAINED_S: Final = 10.0
"""Seconds that a broker may take to deliver what it retains."""
MAX_RECONNECT_S: Final = 2.0
"""The longest wait of a clock before it reconnects, in seconds: every device waits for it."""
MAX_NAMED: Final = 5
"""The most missing devices that a report names."""


def nobody() -> Mapping[str, Registration]:
    """Return no registrations: every device is in the scenario."""
    return {}


def run_clock(  # noqa: PLR0913 - each named where it is called
    fleet: Fleet,
    clock: Clock,
    address: BrokerAddress,
    *,
    credentials: Credentials = ADDRESS_CREDENTIALS,
    fresh: bool = False,
    wait_s: float = START_S,
    stop_requested: Callable[[], bool],
    report: Callable[[str], None],
    on_loop: Callable[[MqttLoop], None] = ignore_loop,
    enrolled: Callable[[], Mapping[str, Registration]] = nobody,
    try_broker: Callable[[], None] = lambda: None,
) -> bool:
    """Run the site's clock to its last tick (True), or until a stop is requested (False).

    A run whose tick the broker retains is resumed, unless `fresh`; a new one begins when every device of the scenario
    is online, or after `wait_s` seconds. `on_loop` gets the loop before it runs. `enrolled` is asked every POLL_S for
    registrations of devices that are not in the scenario, those that have changed. `try_broker` is called once the
    broker is there, and raises what makes it unfit. A lost broker is reconnected to; raises BrokerError when the broker
    rejects the clock, and when another clock of the site is ahead of it, or began earlier.
    """
    with MqttLoop(address, schema=SCHEMA, max_wait_s=MAX_RECONNECT_S) as loop:
        on_loop(loop)
        runner = ClockRunner(clock, loop, SiteDecoder(fleet.scenario.site, credentials.verify), credentials)
        if not wait_online(loop, stop_requested, report):
            return False
        try_broker()
        start_clock(loop, runner)
        if not fresh and runner.resume():
            report(f"resumes at tick {clock.tick}")
        else:
            runner.begin_run()
            _wait_for_devices(loop, clock, frozenset(fleet.ids), wait_s, stop_requested, report)
            report(
                "begins a run that goes on until the clock is stopped"
                if clock.ticks == ENDLESS_TICKS
                else f"begins a run of {clock.ticks} ticks"
            )
        runner.publish_registrations(enrolled())
        if not stop_requested():
            runner.begin()
        outages = OutageReporter(loop, report)
        try:
            while not (clock.finished or stop_requested()):
                loop.run_until(lambda: clock.finished or stop_requested(), POLL_S)
                outages.check()
                runner.publish_registrations(enrolled())
                if runner.other_clock is not None:
                    raise BrokerError(
                        f"another clock runs for {fleet.scenario.site} and is ahead, or began earlier (tick "
                        f"{runner.other_clock.tick}): this one ends, because a site has one clock; to replace the "
                        "other, stop it first"
                    )
        finally:
            runner.stop()
        return clock.finished


def new_epoch() -> int:
    """Return the number of a new run where no earlier one is known: real time in seconds."""
    return int(time.time()) % 2**31


def start_clock(loop: MqttLoop, runner: ClockRunner) -> None:
    """Publish the clock's birth, and wait for what the broker retains of an earlier clock."""
    runner.start()
    if not loop.run_until(lambda: runner.received_retained, RETAINED_S):
        raise BrokerError("the clock does not receive its own presence: may it subscribe to presence?")


def _wait_for_devices(
    loop: MqttLoop,
    clock: Clock,
    expected: frozenset[str],
    wait_s: float,
    stop_requested: Callable[[], bool],
    report: Callable[[str], None],
) -> None:
    missing = expected - clock.online_devices
    if missing:
        report(f"waits for {len(missing)} of {len(expected)} devices, {wait_s:g} s at most")
    loop.run_until(lambda: expected <= clock.online_devices or stop_requested(), wait_s)
    missing = expected - clock.online_devices
    if missing and not stop_requested():
        named = ", ".join(sorted(missing)[:MAX_NAMED])
        more = " …" * (len(missing) > MAX_NAMED)
        report(f"begins without {len(missing)} of {len(expected)} devices: {named}{more}")
