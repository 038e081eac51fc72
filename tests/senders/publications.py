"""What an honest site publishes, and the same messages by senders that may not publish them."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Final, NamedTuple

from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.messages import (
    Control,
    Correction,
    FleetPresence,
    Grant,
    Incident,
    Message,
    Mode,
    Phase,
    Presence,
    Ready,
    Role,
    Sample,
    State,
    Surplus,
    Suspension,
    Tick,
)
from gridfleet.broker.protocol.topics import (
    CLOCK_ID,
    MESSAGE_TYPES,
    WHOLE_SITE,
    ClientRole,
    MessageType,
    Scope,
    topic,
)
from gridfleet.devices.config.scenario import Scenario, parse
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.simulation import Simulation

SITE: Final = "town"
FLEET: Final = "fleet-1"
OPERATOR: Final = "ann"


class Publication(NamedTuple):
    """A message as its sender publishes it."""

    simulated_ms: int
    scope: str
    sender: str
    message: Message

    @property
    def topic(self) -> str:
        return topic(SITE, self.message, self.scope, self.sender)

    @property
    def payload(self) -> bytes:
        return encode(self.message)


class Wrong(NamedTuple):
    """A message and who publishes it wrongly: a device's role, or another client's."""

    message_type: MessageType
    role: Role | ClientRole
    publication: Publication


@cache
def scenario() -> Scenario:
    """Two neighbouring cells with devices of every role; wind and vehicles enough that everything is published."""
    changes = [f"site={SITE}", "area.rows=2", "area.columns=1", "turbines.count=4", "battery.count=4"]
    more = [
        "chargers.count=6",
        "households.count=6",
        "vehicles.count=30",
        "ticks=8",
        "turbines.rotor_diameter_m=20",
    ]
    return parse("[battery]\n", "town.toml", "", [*changes, *more])


@cache
def honest() -> tuple[Publication, ...]:
    """Everything that an honest site publishes in a simulated run, and once each what only real sites publish."""
    log: list[Publication] = []

    def receive(simulated_ms: int, scope: str, sender: str, message: Message) -> None:
        log.append(Publication(simulated_ms, scope, sender, message))

    fleet = FleetPresence(online=True, devices=0, refused={})
    log.append(Publication(scenario().start_ms, "", FLEET, fleet))
    Simulation(scenario(), seed=3, receivers=(receive,)).run()
    return tuple(log)


@cache
def devices() -> dict[Role, str]:
    """A device of each role, by its birth; storages and chargers are of the first cell."""
    found: dict[Role, str] = {}
    for each in honest():
        if isinstance(each.message, Presence):
            found.setdefault(each.message.role, each.sender)
    assert set(found) == set(Role)
    return found


def senders() -> dict[Role | ClientRole, str]:
    """Everybody whose role is known at a site: devices by their births, a fleet process by its presence."""
    everybody: list[tuple[Role | ClientRole, str]] = [*devices().items(), (ClientRole.FLEET, FLEET)]
    return dict(everybody)


def birth_of(device: str) -> Presence:
    return next(
        each.message for each in honest() if isinstance(each.message, Presence) and each.sender == device
    )


def other_cell(device: str) -> str:
    """Return the cell in which a device is not."""
    return next(cell.name for cell in Fleet(scenario()).cells if cell.name != birth_of(device).cell)


def examples(simulated_ms: int) -> list[Publication]:
    """A valid message of each class that the simulation has none of, by a sender that may publish it."""
    turbine, charger = devices()[Role.PRODUCER], devices()[Role.CHARGER]
    own: dict[str, list[tuple[str, Message]]] = {
        turbine: [
            ("", Ready(1, Phase.BID)),
            ("", Correction(1, 500, 0, 0, 10**9)),
            ("", Sample(simulated_ms, synchronised=True, measured=True, readings={"wind_m_per_s": 5.0})),
            ("", Incident(simulated_ms, True, True, "brake", "applied", "wind")),
            (other_cell(turbine), Surplus(1, 500)),
        ],
        CLOCK_ID: [(charger, Grant(1, simulated_ms))],
        OPERATOR: [
            ("mode", Control("realtime", 2**31 - 1)),
            (charger, Suspension("by hand", "", 1, 9)),
        ],
        FLEET: [("", FleetPresence(online=False, devices=0, refused={}))],
    }
    return [
        Publication(simulated_ms, scope, sender, message)
        for sender, messages in own.items()
        for scope, message in messages
    ]


def wrong_senders(publication: Publication) -> Iterator[Wrong]:
    """Yield a message as each sender publishes it who may not."""
    message_type = MESSAGE_TYPES[publication.message.TYPE]
    for role, name in senders().items():
        named = getattr(publication.message, "role", None)
        if role in message_type.senders and named in {None, role}:
            continue
        if (
            named is not None
            and isinstance(publication.message, Presence)
            and Role.CLOCK not in {named, role}
        ):
            continue  # a birth says what its sender is from then on; access rules allow each its own alone
        if publication.sender != name:
            yield Wrong(message_type, role, publication._replace(sender=name))


def elsewhere(publication: Publication) -> Iterator[Wrong]:
    """Yield a message to a cell that is not for its sender, and one to a cell that is no cell."""
    message_type = MESSAGE_TYPES[publication.message.TYPE]
    role = birth_of(publication.sender).role
    if message_type.scope is Scope.CELL and message_type.to_cells.name == "OWN":
        for cell in (*(each.name for each in Fleet(scenario()).cells), WHOLE_SITE):
            if cell != publication.scope:
                yield Wrong(message_type, role, publication._replace(scope=cell))


def addressed(wrong: Wrong) -> Iterator[Wrong]:
    """Yield a wrong publication; where it is for one device, also to a device of each role."""
    yield wrong
    if wrong.message_type.scope is Scope.DEVICE:
        for device in devices().values():
            if device != wrong.publication.sender:
                yield wrong._replace(publication=wrong.publication._replace(scope=device))


@cache
def hostile() -> tuple[Wrong, ...]:
    """Wrong publications of every message type by every role, with the contents of honest messages."""
    found: dict[tuple[str, str, str], Wrong] = {}
    middle = honest()[len(honest()) // 2].simulated_ms
    for publication in (*honest(), *examples(middle)):
        for wrong in wrong_senders(publication):
            named = str(getattr(publication.message, "role", ""))
            for each in addressed(wrong):
                scope = each.publication.scope if each is not wrong else named
                found[wrong.message_type.name, str(wrong.role), scope] = each  # the last one of each
        if publication.sender != OPERATOR and not isinstance(publication.message, FleetPresence):
            for wrong in elsewhere(publication):
                found[wrong.message_type.name, str(wrong.role), wrong.publication.scope] = wrong
    end = Publication(middle, "clock", devices()[Role.CHARGER], finished())
    found["end", "", ""] = Wrong(MESSAGE_TYPES[State.TYPE], Role.CHARGER, end)
    return tuple(found.values())


def finished() -> State:
    """The clock's state at the end of the run."""
    return next(
        each.message
        for each in reversed(honest())
        if isinstance(each.message, State) and each.sender == CLOCK_ID
    )


def with_hostile() -> Iterator[tuple[Publication, bool]]:
    """Yield the honest site's publications; after each 100th all wrong ones, of which the flag is False.

    Their tick numbers are moved into the present, so that nothing is refused for its time.
    """
    tick: Tick | None = None
    for number, each in enumerate(honest()):
        yield each, True
        if isinstance(each.message, Tick):
            tick = each.message
        if number % 100 == 99 and tick is not None:
            for wrong in hostile():
                yield at_tick(wrong.publication, tick, each.simulated_ms), False


def at_tick(publication: Publication, tick: Tick, now_ms: int) -> Publication:
    """Return a publication for the present tick."""
    message = publication.message
    if isinstance(message, Tick):
        message = replace(tick, tick=tick.tick + 1, epoch=tick.epoch + 1, mode=Mode.REALTIME)
    elif hasattr(message, "tick"):
        message = replace(message, tick=tick.tick)  # type: ignore[call-arg] # it has one
    return publication._replace(simulated_ms=now_ms, message=message)
