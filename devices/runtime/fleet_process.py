"""What one process carries of a site on a real broker: some of its devices, or its clock, until it is told to end."""

import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.channel import ChannelFactory
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS, Credentials
from gridfleet.broker.mqtt.descriptors import allow_descriptors
from gridfleet.broker.mqtt.sharing.shared_connection import SharedConnection
from gridfleet.broker.mqtt.sharing.tick_fanout import TickFanout
from gridfleet.broker.protocol.codec import SCHEMA
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.devices.clock.agent import Clock
from gridfleet.devices.runtime.agent_runner import DeviceRunner
from gridfleet.devices.runtime.clock_runner import ClockRunner
from gridfleet.devices.runtime.fleet import Fleet

START_S: Final = 60.0
"""How long the first connections may take, in seconds, and `START_S_EACH` for every further one."""
START_S_EACH: Final = 0.02
ECHO_S: Final = 10.0
"""How long a broker may take to give back what it has kept, in seconds."""
TELL_S: Final = 0.5
AWAY_S: Final = 3.0
"""How long connections are away before anything is said of it."""
CLOCK_WAIT_S: Final = 2.0
"""Longest wait of a clock before it dials a lost broker again, in seconds: all wait for it, and it is only one."""


class Connecting(StrEnum):
    """How the devices of a process reach the broker."""

    OWN = "own"
    """Each by a connection of its own, with its own name, rights and last will; the tick comes once for all."""
    SHARED = "shared"
    """All by one connection, in the name of a host: cheap, and for virtual fleets only."""


def fleet_process_id(number: int) -> str:
    """Return the name by which the process with that part of a fleet (from 1) logs in."""
    return f"fleet-{number}"


def _nobody(_loop: MqttLoop) -> None:
    """Watch over nothing."""


class DeviceGroup:
    """Devices of a fleet in one process, each on a line of its own: connections, or parts in a shared one."""

    def __init__(
        self,
        fleet: Fleet,
        lines: ChannelFactory,
        wire: SiteDecoder,
        *,
        ids: Sequence[str] | None = None,
        credentials: Credentials = ADDRESS_CREDENTIALS,
        announce: bool = False,
        skew_ms: int = 0,
    ) -> None:
        """`ids` are those of the fleet's devices that live here, or all; `announce` tells Home Assistant of each.

        `skew_ms` is by how much their clocks are ahead of the site's time, for tests of what that does.
        """
        self._announce = announce
        names = fleet.ids if ids is None else ids
        self.seats = [
            DeviceRunner(fleet.make(name), lines, wire, credentials, skew_ms=skew_ms) for name in names
        ]

    @property
    def start_s(self) -> float:
        """How long it may take until all are online, in seconds."""
        return START_S + START_S_EACH * len(self.seats)

    def start(self) -> None:
        """Let every device say that it lives, once all are online."""
        for seat in self.seats:
            seat.start()
            if self._announce:
                seat.announce()

    def leave(self) -> None:
        """Say good-bye for every device."""
        for seat in self.seats:
            seat.leave()


def carry_devices(  # noqa: PLR0913 - everything that the command may choose
    fleet: Fleet,
    address: BrokerAddress,
    ids: Sequence[str],
    *,
    connecting: Connecting = Connecting.OWN,
    host: str = fleet_process_id(1),
    credentials: Credentials = ADDRESS_CREDENTIALS,
    announce: bool = False,
    skew_ms: int = 0,
    asked_to_end: Callable[[], bool],
    tell: Callable[[str], None],
    watch: Callable[[MqttLoop], None] = _nobody,
) -> None:
    """Let devices of a fleet live until asked to end; a lost broker is waited for.

    `host` is the name of this process, for what its devices hear or say together. `watch` gets the loop before it
    runs, to set timers of its own. Raises BrokerError when the broker refuses the devices for good, as for a wrong
    password, and when the process may not open enough connections.
    """
    with MqttLoop(address, schema=SCHEMA) as loop:
        watch(loop)
        wire = SiteDecoder(fleet.scenario.site)
        if connecting is Connecting.SHARED:
            lines: ChannelFactory = SharedConnection(loop, wire, host, credentials.login(host))
            group = DeviceGroup(fleet, lines, wire, ids=ids, announce=announce, skew_ms=skew_ms)
        else:
            allow_descriptors(len(ids))
            lines = _own_connections(loop, wire.site, host, credentials, tell)
            group = DeviceGroup(
                fleet, lines, wire, ids=ids, credentials=credentials, announce=announce, skew_ms=skew_ms
            )
        if not _wait_online(loop, asked_to_end, tell):
            return
        group.start()
        tell(f"{len(ids)} devices are online")
        outages = _Outages(loop, tell)
        while not asked_to_end():
            loop.run_until(asked_to_end, TELL_S)
            outages.look()
        group.leave()


def _own_connections(
    loop: MqttLoop, site: str, host: str, credentials: Credentials, tell: Callable[[str], None]
) -> ChannelFactory:
    """Return where each device gets a connection, and all together the tick, if the host may hear it."""
    try:
        login = credentials.login(host)
    except BrokerError:
        tell(f"no secrets of {host}: every device hears the tick by itself, which costs about twice as much")
        return loop
    return TickFanout(loop, site, host, login)


def carry_clock(  # noqa: PLR0913 - each named where it is called
    fleet: Fleet,
    clock: Clock,
    address: BrokerAddress,
    *,
    credentials: Credentials = ADDRESS_CREDENTIALS,
    fresh: bool = False,
    patience_s: float = START_S,
    asked_to_end: Callable[[], bool],
    tell: Callable[[str], None],
    watch: Callable[[MqttLoop], None] = _nobody,
) -> bool:
    """Be the site's clock to its last tick (True), or until asked to end (False); a lost broker is waited for.

    A run that the broker remembers is gone on with, unless `fresh`; a new one begins when every device of the
    scenario has come to life, or `patience_s` is over. `watch` gets the loop before it runs. Raises BrokerError when
    the broker refuses the clock.
    """
    with MqttLoop(address, schema=SCHEMA, max_wait_s=CLOCK_WAIT_S) as loop:
        watch(loop)
        seat = ClockRunner(clock, loop, SiteDecoder(fleet.scenario.site), credentials)
        if not _wait_online(loop, asked_to_end, tell):
            return False
        listen_first(loop, seat)
        if not fresh and seat.take_up():
            tell(f"goes on with tick {clock.tick}")
        else:
            _wait_for_devices(loop, seat, frozenset(fleet.ids), patience_s, asked_to_end, tell)
            tell(f"begins a run of {clock.ticks} ticks")
        if not asked_to_end():
            seat.begin()
        outages = _Outages(loop, tell)
        while not (clock.finished or asked_to_end()):
            loop.run_until(lambda: clock.finished or asked_to_end(), TELL_S)
            outages.look()
        seat.leave()
        return clock.finished


def new_epoch() -> int:
    """Return the number of a new run where no earlier one is known: the wall clock's, in seconds."""
    return int(time.time()) % 2**31


def listen_first(loop: MqttLoop, seat: ClockRunner) -> None:
    """Let the clock say that it lives, and wait for what the broker has kept of an earlier one."""
    seat.start()
    if not loop.run_until(lambda: seat.heard_itself, ECHO_S):
        raise BrokerError("the clock does not hear itself: may it read presence on this broker?")


def _wait_for_devices(
    loop: MqttLoop,
    seat: ClockRunner,
    expected: frozenset[str],
    patience_s: float,
    asked_to_end: Callable[[], bool],
    tell: Callable[[str], None],
) -> None:
    clock = seat.agent
    missing = expected - clock.present
    if missing:
        tell(f"waits for {len(missing)} of {len(expected)} devices, {patience_s:g} s at most")
    loop.run_until(lambda: expected <= clock.present or asked_to_end(), patience_s)
    missing = expected - clock.present
    if missing and not asked_to_end():
        some = ", ".join(sorted(missing)[:5])
        tell(f"begins without {len(missing)} of {len(expected)} devices: {some}{' …' * (len(missing) > 5)}")


def _wait_online(loop: MqttLoop, asked_to_end: Callable[[], bool], tell: Callable[[str], None]) -> bool:
    """Wait until every connection is online, telling now and then what is in the way; False if asked to end."""
    told = ""
    since = time.monotonic()
    while not loop.run_until(lambda: loop.all_online or asked_to_end(), TELL_S):
        if time.monotonic() - since > 5.0 and loop.offline_reason != told:
            told = loop.offline_reason
            since = time.monotonic()
            tell(told)
    return not asked_to_end()


class _Outages:
    """Tells when connections have been away for a while, and when all are back."""

    def __init__(self, loop: MqttLoop, tell: Callable[[str], None]) -> None:
        self._loop = loop
        self._tell = tell
        self._since_s: float | None = None
        self._told = False

    def look(self) -> None:
        """Look how the connections are; call it now and then."""
        if self._loop.all_online:
            if self._told:
                self._tell("all connections are online again")
            self._since_s, self._told = None, False
        elif self._since_s is None:
            self._since_s = time.monotonic()
        elif not self._told and time.monotonic() - self._since_s > AWAY_S:
            self._tell(self._loop.offline_reason)
            self._told = True
