"""A whole site in one process, on a real broker: the clock, every device on its own connection, and who listens."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS, Credentials
from gridfleet.broker.mqtt.descriptors import allow_descriptors
from gridfleet.broker.protocol.codec import SCHEMA
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import ClockState, Message, Mode
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.clock.agent import Clock
from gridfleet.devices.runtime.clock_runner import ClockRunner
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.fleet_process import START_S, TELL_S, DeviceGroup, listen_first, new_epoch
from gridfleet.devices.runtime.listener import SiteListener

Tap = Callable[[int, str, str, Message], None]
REACH_S: Final = 5.0
LAST_WORDS_S: Final = 30.0
GONE_S: Final = 10.0
"""For so long a broker may be away; then the run is given up."""


class Site:
    """One run of a fleet on a broker; `run` may be called once."""

    def __init__(  # noqa: PLR0913 - everything that the command may choose
        self,
        fleet: Fleet,
        address: BrokerAddress,
        *,
        mode: Mode = Mode.LOCKSTEP,
        seconds_per_tick: float = TICK_MS / 1000,
        ticks: int | None = None,
        taps: Sequence[Tap] = (),
        credentials: Credentials = ADDRESS_CREDENTIALS,
        announce: bool = False,
        missed: Callable[[], None] | None = None,
    ) -> None:
        """`announce` tells Home Assistant of every device; `missed` is called when taps may have missed a message."""
        self.fleet = fleet
        self.clock: Clock = fleet.clock(mode, seconds_per_tick, ticks, epoch=new_epoch())
        self._address = address
        self._taps = (self._note_end, *taps)
        self._credentials = credentials
        self._announce = announce
        self._missed = missed
        self._over = False

    def run(self, progress: Callable[["Site"], bool] | None = None) -> None:
        """Run to the last tick, or until `progress` returns False.

        Raises BrokerError when the broker cannot be reached or lets the last messages go missing.
        """
        with MqttLoop(self._address, schema=SCHEMA) as loop:
            wire = SiteDecoder(self.fleet.scenario.site)
            known = self._credentials
            ear = SiteListener(loop, wire, self._taps, known, on_return=self._missed)
            clock = ClockRunner(self.clock, loop, wire, known)
            loop.wait_online(REACH_S)
            allow_descriptors(len(self.fleet.ids))
            group = DeviceGroup(self.fleet, loop, wire, credentials=known, announce=self._announce)
            listen_first(loop, clock)
            loop.wait_online(group.start_s)
            if self._announce:
                clock.announce()
            group.start()
            if not loop.run_until(self.fleet.discovery_complete, START_S):
                raise BrokerError(
                    "the devices have not heard of each other: does the broker retain messages?"
                )
            clock.begin()
            self._follow(loop, clock, progress)
            if self.clock.finished and not loop.run_until(lambda: self._over, LAST_WORDS_S):
                raise BrokerError("the recorder did not hear the end of the run: is the broker overloaded?")
            clock.leave()
            group.leave()
            ear.connection.close()

    def _follow(self, loop: MqttLoop, seat: ClockRunner, progress: Callable[["Site"], bool] | None) -> None:
        """Drive the loop; report every tick, and in between twice a second; end when the broker is gone."""
        clock = self.clock
        heard_s = time.monotonic()
        while not clock.finished:
            loop.run_until(self._news(clock.tick), TELL_S)
            if seat.connection.online:
                heard_s = time.monotonic()
            elif time.monotonic() - heard_s > GONE_S:
                raise BrokerError(f"the broker has gone away in tick {clock.tick}. {loop.offline_reason}")
            if progress is not None and not progress(self):
                return

    def _news(self, known_tick: int) -> Callable[[], bool]:
        """Return whether the clock has gone on since, as a question."""
        clock = self.clock
        return lambda: clock.finished or clock.tick != known_tick

    def _note_end(self, _now_ms: int, _scope: str, _sender: str, message: Message) -> None:
        if isinstance(message, ClockState) and message.status == "finished":
            self._over = True
