"""Runs a whole site in one process on a broker: the clock, every device on its own connection, and a listener."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS, Credentials
from gridfleet.broker.mqtt.network.descriptors import raise_descriptor_limit
from gridfleet.broker.protocol.codec import SCHEMA
from gridfleet.broker.protocol.decoder import MessageReceiver, SiteDecoder
from gridfleet.broker.protocol.messages import ClockState, Message, Mode, Registration
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.clock.agent import NO_REGISTRATIONS, Clock
from gridfleet.devices.runtime.clock_process import new_epoch, start_clock
from gridfleet.devices.runtime.clock_runner import ClockRunner
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.fleet_process import POLL_S, START_S, DeviceGroup, warn_of_others
from gridfleet.devices.runtime.listener import SiteListener
from gridfleet.devices.trust.register import Judge

LOG: Final = logging.getLogger(__name__)
CONNECT_S: Final = 5.0
"""Seconds that the broker may take to accept the first connections."""
LAST_MESSAGE_S: Final = 30.0
"""Seconds that the last message may take to reach the listener."""
MAX_OUTAGE_S: Final = 10.0
"""Seconds that the broker may be lost before the run is given up."""


class SiteRun:
    """One run of a fleet on a broker; `run` may be called once."""

    def __init__(  # noqa: PLR0913 - everything that the command may choose
        self,
        fleet: Fleet,
        address: BrokerAddress,
        *,
        mode: Mode = Mode.LOCKSTEP,
        seconds_per_tick: float = TICK_MS / 1000,
        least_seconds_per_tick: float = 0.0,
        ticks: int | None = None,
        receivers: Sequence[MessageReceiver] = (),
        credentials: Credentials = ADDRESS_CREDENTIALS,
        discoverable: bool = False,
        on_gap: Callable[[], None] | None = None,
        judge: Judge | None = None,
        signed: Mapping[str, Registration] = NO_REGISTRATIONS,
    ) -> None:
        """Prepare a run.

        In lock-step a tick takes at least `least_seconds_per_tick`, so that people can watch; the results are the same.
        `receivers` are called with every message; `on_gap` is called when they may have missed one. `judge` is asked
        once a phase for suspensions by the run's auditor, which the listener publishes. `signed` are entries of
        the register that the site's CA has signed. `discoverable` publishes every device to Home Assistant.
        """
        self.fleet = fleet
        self.clock: Clock = fleet.clock(
            mode,
            seconds_per_tick,
            ticks,
            epoch=new_epoch(),
            least_seconds_per_tick=least_seconds_per_tick,
            signed=signed,
        )
        self._address = address
        self._receivers = (self._note_end, *receivers)
        self._credentials = credentials
        self._discoverable = discoverable
        self._on_gap = on_gap
        self._judge = judge
        self._ended = False

    def run(self, progress: Callable[["SiteRun"], bool] | None = None) -> None:
        """Run to the last tick, or until `progress` returns False.

        Raises BrokerError when the broker cannot be reached, is lost for MAX_OUTAGE_S, or does not deliver the last
        message.
        """
        with MqttLoop(self._address, schema=SCHEMA) as loop:
            decoder = SiteDecoder(self.fleet.scenario.site, self._credentials.verify)
            credentials = self._credentials
            clock = ClockRunner(self.clock, loop, decoder, credentials)
            loop.wait_online(CONNECT_S)
            start_clock(loop, clock)
            clock.begin_run()  # from here on the decoder drops what the broker has retained of former runs
            listener = SiteListener(
                loop, decoder, self._receivers, credentials, on_reconnect=self._on_gap, judge=self._judge
            )
            loop.wait_online(CONNECT_S)
            warn_of_others(self.clock.online_devices & {*self.fleet.ids}, LOG.warning)
            raise_descriptor_limit(len(self.fleet.ids))
            group = DeviceGroup(
                self.fleet, loop, decoder, credentials=credentials, discoverable=self._discoverable
            )
            loop.wait_online(group.max_start_s)
            if self._discoverable:
                clock.publish_discovery()
            group.start()
            # The broker may have retained last wills of a former run: the clock waits for the births, too.
            everybody = frozenset(self.fleet.ids)
            if not loop.run_until(
                lambda: self.fleet.discovery_complete() and everybody <= self.clock.online_devices, START_S
            ):
                raise BrokerError(
                    "the devices have not received each other's presence: does the broker retain it?"
                )
            clock.begin()
            self._follow(loop, clock, progress)
            if self.clock.finished and not loop.run_until(lambda: self._ended, LAST_MESSAGE_S):
                raise BrokerError(
                    "the listener did not receive the end of the run: is the broker overloaded?"
                )
            clock.stop()
            group.stop()
            listener.connection.close()

    def _follow(
        self, loop: MqttLoop, runner: ClockRunner, progress: Callable[["SiteRun"], bool] | None
    ) -> None:
        """Drive the loop to the end of the run; call `progress` when a tick begins, and every POLL_S until it ends."""
        clock = self.clock
        online_s = time.monotonic()
        while not clock.finished:
            if progress is not None and not progress(self):
                return
            loop.run_until(self._tick_ended(clock.tick), POLL_S)
            if runner.connection.online:
                online_s = time.monotonic()
            elif time.monotonic() - online_s > MAX_OUTAGE_S:
                raise BrokerError(f"the broker was lost in tick {clock.tick}. {loop.offline_reason}")

    def _tick_ended(self, tick: int) -> Callable[[], bool]:
        """Return a condition that holds once the clock has left a tick."""
        clock = self.clock
        return lambda: clock.finished or clock.tick != tick

    def _note_end(self, _now_ms: int, _scope: str, _sender: str, message: Message) -> None:
        if isinstance(message, ClockState) and message.status == "finished":
            self._ended = True
