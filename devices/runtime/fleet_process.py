"""A fleet process: runs many devices of a fleet on a broker, until it is asked to stop."""

import secrets
import time
from collections.abc import Callable, Collection, Sequence
from enum import StrEnum
from typing import Final

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.channel import ChannelFactory
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS, Credentials
from gridfleet.broker.mqtt.network.descriptors import raise_descriptor_limit
from gridfleet.broker.mqtt.sharing.shared_connection import SharedConnection
from gridfleet.broker.mqtt.sharing.tick_fanout import TickFanout
from gridfleet.broker.protocol.codec import SCHEMA
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import FleetPresence, Presence
from gridfleet.broker.protocol.topics import topic_filter
from gridfleet.devices.runtime.device_runner import DeviceRunner
from gridfleet.devices.runtime.fleet import Fleet

START_S: Final = 60.0
"""Seconds that the first connections may take; every further one may take `START_S_EACH` more."""
START_S_EACH: Final = 0.02
POLL_S: Final = 0.5
"""Seconds between two checks of the connections and of the request to stop."""
REPORT_AFTER_S: Final = 5.0
"""Seconds that connecting may take before the reason is reported."""
LOOK_S: Final = 0.3
"""How long what the broker retains of other fleets may take to arrive, in seconds."""
OUTAGE_S: Final = 3.0
"""Seconds that connections may be lost before it is reported."""


class ConnectionMode(StrEnum):
    """How the devices of a process connect to the broker."""

    OWN = "own"
    """Each by a connection of its own, with its own id, access rights and last will; the tick comes once for all."""
    SHARED = "shared"
    """All by one connection, with the id of the fleet process: cheap, and for virtual fleets only."""


def fleet_process_id(number: int) -> str:
    """Return the id with which the fleet process of a part (from 1) logs in."""
    return f"fleet-{number}"


def ignore_loop(_loop: MqttLoop) -> None:
    """Set no timers."""


class DeviceGroup:
    """Devices of a fleet in one process, each on a channel of its own: a connection, or a part of a shared one."""

    def __init__(
        self,
        fleet: Fleet,
        channels: ChannelFactory,
        decoder: SiteDecoder,
        *,
        ids: Sequence[str] | None = None,
        credentials: Credentials = ADDRESS_CREDENTIALS,
        discoverable: bool = False,
        skew_ms: int = 0,
    ) -> None:
        """`ids` are the fleet's devices that run here, or all; `discoverable` publishes each to Home Assistant.

        `skew_ms` is by how much their clocks are ahead of the site's time, for tests of such errors.
        """
        self._discoverable = discoverable
        self.runners = [
            DeviceRunner(fleet.build_agent(device), channels, decoder, credentials, skew_ms=skew_ms)
            for device in (fleet.ids if ids is None else ids)
        ]

    @property
    def max_start_s(self) -> float:
        """How long it may take until all are online, in seconds."""
        return START_S + START_S_EACH * len(self.runners)

    def start(self) -> None:
        """Publish every device's birth, once all are online."""
        for runner in self.runners:
            runner.start()
            if self._discoverable:
                runner.publish_discovery()

    def stop(self) -> None:
        """Publish that every device is offline, and close the connections."""
        for runner in self.runners:
            runner.stop()


def run_devices(  # noqa: PLR0913 - everything that the command may choose
    fleet: Fleet,
    address: BrokerAddress,
    ids: Sequence[str],
    *,
    mode: ConnectionMode = ConnectionMode.OWN,
    process_id: str = fleet_process_id(1),
    credentials: Credentials = ADDRESS_CREDENTIALS,
    discoverable: bool = False,
    skew_ms: int = 0,
    stop_requested: Callable[[], bool],
    report: Callable[[str], None],
    on_loop: Callable[[MqttLoop], None] = ignore_loop,
) -> None:
    """Run devices of a fleet until a stop is requested; a lost broker is reconnected to.

    `process_id` is the client id for what the devices receive or publish together. `on_loop` gets the loop before it
    runs, to set timers of its own. Raises BrokerError when the broker rejects the devices for good, as for a wrong
    password, and when the process may not open enough connections.
    """
    with MqttLoop(address, schema=SCHEMA, spread=True) as loop:
        on_loop(loop)
        decoder = SiteDecoder(fleet.scenario.site, credentials.verify)
        if credentials is ADDRESS_CREDENTIALS:
            warn_of_others(_online_already(loop, decoder.site, ids, stop_requested), report)
        if mode is ConnectionMode.SHARED:
            channels: ChannelFactory = SharedConnection(
                loop, decoder, process_id, credentials.login(process_id)
            )
            credentials = ADDRESS_CREDENTIALS
        else:
            raise_descriptor_limit(len(ids))
            channels = _own_connections(loop, decoder.site, process_id, credentials, report)
        group = DeviceGroup(
            fleet,
            channels,
            decoder,
            ids=ids,
            credentials=credentials,
            discoverable=discoverable,
            skew_ms=skew_ms,
        )
        if not wait_online(loop, stop_requested, report):
            return
        group.start()
        report(f"{len(ids)} devices are online")
        outages = OutageReporter(loop, report)
        try:
            while not stop_requested():
                loop.run_until(stop_requested, POLL_S)
                outages.check()
        finally:
            group.stop()  # also after a failure: closing connections publishes no last wills


def warn_of_others(online: Collection[str], report: Callable[[str], None]) -> None:
    """Say that other clients use the ids of devices that are about to connect, before those are disconnected."""
    if online:
        named = ", ".join(sorted(online)[:3])
        more = f" and {len(online) - 3} more" if len(online) > 3 else ""
        report(
            f"{named}{more} are online already, in another process, which now loses them: stop it, or use another site"
        )


def _online_already(
    loop: MqttLoop, site: str, ids: Sequence[str], stop_requested: Callable[[], bool]
) -> set[str]:
    """Return which devices are online by what the broker retains; a last will that is overdue is not known here."""
    decoder, found = SiteDecoder(site), set[str]()

    def on_message(topic: str, payload: bytes, _retained: bool) -> None:  # noqa: FBT001 - the loop's signature
        for address, message in decoder.decode(topic, payload, lambda *_: None):
            if isinstance(message, Presence):
                (found.add if message.online else found.discard)(address.sender)

    kinds = [topic_filter(site, Presence.TYPE), topic_filter(site, FleetPresence.TYPE)]
    look = loop.open(
        f"look-{secrets.token_hex(4)}", on_message=on_message, filters=[(each, 0) for each in kinds]
    )
    loop.run_until(lambda: look.online or stop_requested(), POLL_S)
    loop.run_until(stop_requested, LOOK_S if look.online else 0.0)
    look.abort()
    return found & {*ids}


def _own_connections(
    loop: MqttLoop, site: str, process_id: str, credentials: Credentials, report: Callable[[str], None]
) -> ChannelFactory:
    """Return a connection for each device; the process subscribes to the tick for all, if it has credentials."""
    try:
        login = credentials.login(process_id)
    except BrokerError:
        report(
            f"no credentials of {process_id}: every device subscribes to the tick itself, about twice the cost"
        )
        return loop
    return TickFanout(loop, site, process_id, login)


def wait_online(loop: MqttLoop, stop_requested: Callable[[], bool], report: Callable[[str], None]) -> bool:
    """Wait until every connection is online, and report what prevents it; return False when a stop is requested."""
    reported = ""
    since_s = time.monotonic()
    while not loop.run_until(lambda: loop.all_online or stop_requested(), POLL_S):
        if time.monotonic() - since_s > REPORT_AFTER_S and loop.offline_reason != reported:
            reported = loop.offline_reason
            since_s = time.monotonic()
            report(reported)
    return not stop_requested()


class OutageReporter:
    """Reports when connections have been lost for a while, and when all are back."""

    def __init__(self, loop: MqttLoop, report: Callable[[str], None]) -> None:
        self._loop = loop
        self._report = report
        self._since_s: float | None = None
        self._reported = False

    def check(self) -> None:
        """Check the connections; call it regularly."""
        if self._loop.all_online:
            if self._reported:
                self._report("all connections are online again")
            self._since_s, self._reported = None, False
        elif self._since_s is None:
            self._since_s = time.monotonic()
        elif not self._reported and time.monotonic() - self._since_s > OUTAGE_S:
            self._report(self._loop.offline_reason)
            self._reported = True
