"""Logs every message of a site; as a program it prints the digest of a simulated run."""

import sys
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import TypeVar

from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.messages import Message
from gridfleet.devices.config.scenario import Scenario, load
from gridfleet.devices.runtime.network_faults import Faults
from gridfleet.devices.runtime.simulation import Simulation

Line = tuple[int, str, str, str, bytes]
"""(simulated ms, scope, sender, message type, payload)."""
MessageT = TypeVar("MessageT", bound=Message)

EXCHANGING = (
    "area.rows=2", "area.columns=2", "turbines.count=6", "turbines.sites=[]", "households.count=4",
    "commerce.count=4", "farms.count=2", "chargers.count=12", "vehicles.count=12", "reactors.count=2",
    "settings.turbine_scale=0.3",
)  # fmt: skip
"""Four cells, two of them with too little wind: energy crosses their borders in nearly every tick."""


class MessageLog:
    """Every message of a run, in the order of publishing (simulation) or arrival (broker)."""

    def __init__(self) -> None:
        self.messages: list[tuple[int, str, str, Message]] = []

    def receive(self, simulated_ms: int, scope: str, sender: str, message: Message) -> None:
        self.messages.append((simulated_ms, scope, sender, message))

    def of(self, kind: type[MessageT]) -> Iterator[tuple[str, str, MessageT]]:
        """Yield scope, sender and message of each message of a class."""
        return (
            (scope, sender, message)
            for _, scope, sender, message in self.messages
            if isinstance(message, kind)
        )

    def lines(self, *, but: tuple[type[Message], ...] = ()) -> list[Line]:
        """Return every message in its encoded form, except those of some classes."""
        return [
            (at_ms, scope, sender, message.TYPE, encode(message))
            for at_ms, scope, sender, message in self.messages
            if not isinstance(message, but)
        ]


def simulate(
    scenario: Scenario,
    ticks: int,
    *,
    seed: int | None = None,
    faults: Faults | None = None,
    encoded: bool = False,
    shuffle: int | None = None,
) -> MessageLog:
    """Simulate a run, and return its messages."""
    log = MessageLog()
    Simulation(
        scenario,
        seed=seed,
        ticks=ticks,
        faults=faults,
        receivers=(log.receive,),
        encoded=encoded,
        shuffle=shuffle,
    ).run()
    return log


def digest(rows: Iterable[object]) -> str:
    """Return a short hash of rows, in their order."""
    total = blake2b(digest_size=16)
    for row in rows:
        total.update(repr(row).encode())
        total.update(b"\n")
    return total.hexdigest()


def border_crossings(log: MessageLog) -> int:
    """Return the Wh that turbines sold to consumers of other cells, by the receipts."""
    from gridfleet.broker.protocol.messages import Presence, Receipt

    cells = {sender: presence.cell for _, sender, presence in log.of(Presence)}
    return sum(
        lot.energy_wh
        for producer, consumer, receipt in log.of(Receipt)
        if cells[producer] not in {"site", cells[consumer]}
        for lot in receipt.lots
    )


if __name__ == "__main__":
    name, ticks, *changes = sys.argv[1:]
    print(digest(simulate(load(name, changes), int(ticks)).lines()))  # noqa: T201 - what the parent reads
