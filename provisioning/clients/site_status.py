"""What the retained messages of a site say about it: the tick, whether the clock runs, and which devices are online."""

from dataclasses import asdict, dataclass
from typing import Any

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.mqtt.client_options import Login
from gridfleet.broker.protocol.codec import SCHEMA
from gridfleet.broker.protocol.messages import ClockState, FleetPresence, Presence, Tick
from gridfleet.broker.protocol.topics import CLOCK_ID
from gridfleet.provisioning.clients.retained import decoded, presences, read_retained


@dataclass(frozen=True, slots=True, order=True)
class KnownDevice:
    """A device as its birth message or its last will describes it."""

    id: str
    role: str
    kind: str
    online: bool


@dataclass(frozen=True, slots=True)
class SiteStatus:
    """A site as its broker has retained it; ids are sorted."""

    site: str
    tick: Tick | None
    finished: bool
    """Whether the clock has ended its run."""
    clock_online: bool
    online: tuple[str, ...]
    offline: tuple[str, ...]
    devices: tuple[KnownDevice, ...]

    @property
    def problems(self) -> list[str]:
        """What is wrong while a run is in progress; nothing after its end, when everything may be offline."""
        if self.tick is None and not self.online and not self.offline:
            return [f"the broker has no messages of {self.site}: check --site, or start the site"]
        if self.finished:
            return []
        found = [] if self.clock_online else ["the clock is offline"]
        if self.offline:
            count = len(self.offline)
            found.append(f"{count} device{'s are' if count > 1 else ' is'} offline")
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return the status as plain data for JSON."""
        tick = self.tick
        return {
            **{name: value for name, value in asdict(self).items() if name != "tick"},
            "tick": None if tick is None else tick.tick,
            "ticks": None if tick is None or tick.endless else tick.tick + 1 + tick.ticks_left,
            "phase": None if tick is None else str(tick.phase),
            "mode": None if tick is None else str(tick.mode),
            "paused": tick is not None and tick.paused,
        }


def read_site(address: BrokerAddress, site: str, login: Login) -> SiteStatus:
    """Return the status of a site; raise BrokerError for a broker that cannot be reached or refuses the login."""
    messages = decoded(site, read_retained(address, site, login, schema=SCHEMA))
    known = presences(messages)
    fleets = {sender.sender for sender, message in messages if isinstance(message, FleetPresence)}
    devices = {name: online for name, online in known.items() if name not in fleets and name != CLOCK_ID}
    described = {
        address.sender: KnownDevice(address.sender, str(message.role), message.kind, message.online)
        for address, message in messages
        if isinstance(message, Presence) and address.sender in devices
    }
    ticks = [message for _, message in messages if isinstance(message, Tick)]
    clocks = [message for _, message in messages if isinstance(message, ClockState)]
    return SiteStatus(
        site,
        ticks[-1] if ticks else None,
        finished=bool(clocks) and clocks[-1].status == "finished",
        clock_online=known.get(CLOCK_ID, False),
        online=tuple(sorted(name for name, online in devices.items() if online)),
        offline=tuple(sorted(name for name, online in devices.items() if not online)),
        devices=tuple(sorted(described.values())),
    )
