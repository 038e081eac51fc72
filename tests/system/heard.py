"""What is said on a site, kept word by word; as a program it prints the digest of a run."""

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
"""(simulated ms, scope, sender, word, payload)."""
SaidT = TypeVar("SaidT", bound=Message)

EXCHANGING = (
    "area.rows=2", "area.columns=2", "turbines.count=6", "turbines.sites=[]", "households.count=4",
    "commerce.count=4", "farms.count=2", "chargers.count=12", "vehicles.count=12", "reactors.count=2",
    "settings.turbine_scale=0.3",
)  # fmt: skip
"""Four cells, two of them with too little wind: energy crosses their borders in nearly every tick."""


class Heard:
    """Every message of a run, in the order in which it was said or heard."""

    def __init__(self) -> None:
        self.messages: list[tuple[int, str, str, Message]] = []

    def tap(self, simulated_ms: int, scope: str, sender: str, message: Message) -> None:
        self.messages.append((simulated_ms, scope, sender, message))

    def of(self, kind: type[SaidT]) -> Iterator[tuple[str, str, SaidT]]:
        """Scope, sender and message of each message of a class."""
        return ((scope, sender, said) for _, scope, sender, said in self.messages if isinstance(said, kind))

    def lines(self, *, but: tuple[type[Message], ...] = ()) -> list[Line]:
        """Every message as it goes over a wire, except of some classes."""
        return [
            (at_ms, scope, sender, said.TYPE, encode(said))
            for at_ms, scope, sender, said in self.messages
            if not isinstance(said, but)
        ]


def heard(
    scenario: Scenario,
    ticks: int,
    *,
    seed: int | None = None,
    faults: Faults | None = None,
    wire: bool = False,
    shuffle: int | None = None,
) -> Heard:
    """Simulate, and keep all that is said."""
    ear = Heard()
    Simulation(
        scenario, seed=seed, ticks=ticks, faults=faults, taps=(ear.tap,), wire=wire, shuffle=shuffle
    ).run()
    return ear


def digest(rows: Iterable[object]) -> str:
    """A short hash over rows, in their order."""
    total = blake2b(digest_size=16)
    for row in rows:
        total.update(repr(row).encode())
        total.update(b"\n")
    return total.hexdigest()


def border_crossings(said: Heard) -> int:
    """Wh that turbines sold to consumers of other cells, by the receipts."""
    from gridfleet.broker.protocol.messages import Presence, Receipt

    cells = {sender: presence.cell for _, sender, presence in said.of(Presence)}
    return sum(
        lot.energy_wh
        for producer, consumer, receipt in said.of(Receipt)
        if cells[producer] not in {"site", cells[consumer]}
        for lot in receipt.lots
    )


if __name__ == "__main__":
    name, ticks, *changes = sys.argv[1:]
    print(digest(heard(load(name, changes), int(ticks)).lines()))  # noqa: T201 - what the parent reads
