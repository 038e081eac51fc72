"""What the markets of a run would cost with less: no messages at all, and nothing but messages.

Both clear the very bids and supplies of a recorded run, by GridFleet's rule, in code of their own. Neither has
what a run has besides: physics, charging reservations, imports, exchange between cells, accounts, deadlines.
"""

from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any, Final
from zlib import crc32

from gridfleet.broker.protocol.messages import Bid, Message, Phase, Supply
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.runtime.simulation import Simulation

Packages = tuple[tuple[int, int, int], ...]
"""(index, energy in Wh, price in µEUR/kWh) of each."""
Claim = tuple[int, int, str, int, int]


class Markets:
    """Every bid and supply of a run; `_receive` gets the simulation's messages."""

    def __init__(self, scenario: Scenario, ticks: int) -> None:
        self.bids: dict[tuple[int, str], dict[str, Packages]] = defaultdict(dict)
        self.supplies: dict[tuple[int, str], dict[str, int]] = defaultdict(dict)
        self.sold_at_home_wh = 0
        self._phase = Phase.BID
        simulation = Simulation(scenario, ticks=ticks, receivers=(self._receive,))
        simulation.run()
        self.ticks = ticks
        self.devices = len(simulation.fleet.ids)
        self.cells = sorted({cell for _, cell in self.supplies})
        for market, bids in self.bids.items():
            wanted_wh = sum(energy_wh for packages in bids.values() for _, energy_wh, _ in packages)
            self.sold_at_home_wh += min(wanted_wh, sum(self.supplies[market].values()))

    def _receive(self, _now_ms: int, scope: str, sender: str, message: Message) -> None:
        if isinstance(message, Bid):
            packages = tuple((p.index, p.energy_wh, p.price_ueur_per_kwh) for p in message.packages)
            self.bids[message.tick, scope][sender] = packages
        elif isinstance(message, Supply):
            self.supplies[message.tick, scope][sender] = message.energy_wh


# --- no messages -----------------------------------------------------------------------------------------


def bare_loop(markets: Markets) -> int:
    """Clear every market once, in plain lists; return the energy sold in Wh."""
    sold_wh = 0
    bought: dict[str, int] = defaultdict(int)
    for (tick, cell), bids in markets.bids.items():
        claims = [
            (-price, crc32(consumer.encode(), tick), consumer, index, energy_wh)
            for consumer, packages in bids.items()
            for index, energy_wh, price in packages
        ]
        claims.sort()
        left_wh = sum(markets.supplies[tick, cell].values())
        for _, _, consumer, _, energy_wh in claims:
            if not left_wh:
                break
            part_wh = min(energy_wh, left_wh)
            left_wh -= part_wh
            sold_wh += part_wh
            bought[consumer] += part_wh
    return sold_wh


# --- nothing but messages ---------------------------------------------------------------------------------


class _Bid:
    __slots__ = ("packages", "sender")

    def __init__(self, sender: str, packages: Packages) -> None:
        self.sender = sender
        self.packages = packages


class _Supply:
    __slots__ = ("energy_wh", "sender")

    def __init__(self, sender: str, energy_wh: int) -> None:
        self.sender = sender
        self.energy_wh = energy_wh


class _Award:
    __slots__ = ("lots", "sender")

    def __init__(self, sender: str, lots: list[tuple[int, int, int]]) -> None:
        self.sender = sender
        self.lots = lots


class _Receipt:
    __slots__ = ("energy_wh", "sender")

    def __init__(self, sender: str, energy_wh: int) -> None:
        self.sender = sender
        self.energy_wh = energy_wh


Handler = Callable[[Any], None]


class _Bus:
    """Topics to listeners, and one queue."""

    def __init__(self) -> None:
        self.listeners: dict[str, list[Handler]] = defaultdict(list)
        self.queue: deque[tuple[str, object]] = deque()

    def drain(self) -> None:
        queue, listeners = self.queue, self.listeners
        while queue:
            topic, message = queue.popleft()
            for handle in listeners[topic]:
                handle(message)


class _Consumer:
    __slots__ = ("bought_wh", "name", "send", "topic", "wanted")

    def __init__(self, bus: _Bus, name: str, cell: str, wanted: list[Packages]) -> None:
        self.send = bus.queue.append
        self.name = name
        self.topic = f"{cell}/bid"
        self.wanted = wanted
        self.bought_wh = 0
        bus.listeners["bid"].append(self.on_process)
        bus.listeners[f"award/{name}"].append(self.on_award)

    def on_process(self, tick: int) -> None:
        self.send((self.topic, _Bid(self.name, self.wanted[tick])))

    def on_award(self, award: _Award) -> None:
        energy_wh = sum([lot[1] for lot in award.lots])
        self.bought_wh += energy_wh
        self.send((f"receipt/{award.sender}", _Receipt(self.name, energy_wh)))


class _Producer:
    __slots__ = ("bids", "cell", "name", "own", "send", "sold_wh", "supplies")

    def __init__(self, bus: _Bus, name: str, cell: str, supplies: list[int]) -> None:
        self.send = bus.queue.append
        self.name = name
        self.cell = cell
        self.own = supplies
        self.bids: dict[str, Packages] = {}
        self.supplies: dict[str, int] = {}
        self.sold_wh = 0
        bus.listeners["bid"].append(self.on_process)
        bus.listeners["trade"].append(self.on_commerce)
        bus.listeners[f"{cell}/bid"].append(self.on_bid)
        bus.listeners[f"{cell}/supply"].append(self.on_supply)
        bus.listeners[f"receipt/{name}"].append(self.on_receipt)

    def on_process(self, tick: int) -> None:
        self.bids = {}
        self.supplies = {}
        self.send((f"{self.cell}/supply", _Supply(self.name, self.own[tick])))

    def on_bid(self, bid: _Bid) -> None:
        self.bids[bid.sender] = bid.packages

    def on_supply(self, supply: _Supply) -> None:
        self.supplies[supply.sender] = supply.energy_wh

    def on_commerce(self, tick: int) -> None:
        """Clear the market as every other producer of the cell does; award what falls to itself."""
        claims: list[Claim] = []
        for consumer, packages in self.bids.items():
            key = crc32(consumer.encode(), tick)
            claims += [(-price, key, consumer, index, wh) for index, wh, price in packages]
        claims.sort()
        start_wh = 0
        for name in sorted(self.supplies, key=lambda name: (crc32(name.encode(), tick), name)):
            if name == self.name:
                break
            start_wh += self.supplies[name]
        end_wh = start_wh + self.supplies[self.name]
        at_wh = 0
        lots: dict[str, list[tuple[int, int, int]]] = {}
        for price, _, consumer, index, energy_wh in claims:
            if at_wh >= end_wh:
                break
            after_wh = at_wh + energy_wh
            if after_wh > start_wh:
                part_wh = min(after_wh, end_wh) - max(at_wh, start_wh)
                lots.setdefault(consumer, []).append((index, part_wh, -price))
            at_wh = after_wh
        for consumer, parts in lots.items():
            self.send((f"award/{consumer}", _Award(self.name, parts)))

    def on_receipt(self, receipt: _Receipt) -> None:
        self.sold_wh += receipt.energy_wh


class MessageFloor:
    """Bid, award, receipt – and tick and supply, without which there are none; all in slotted objects."""

    def __init__(self, markets: Markets) -> None:
        self._ticks = range(markets.ticks)
        self._bus = _Bus()
        self._producers: list[_Producer] = []
        for cell in markets.cells:
            for name in markets.bids[0, cell]:
                _Consumer(self._bus, name, cell, [markets.bids[tick, cell][name] for tick in self._ticks])
            for name in markets.supplies[0, cell]:
                supplies = [markets.supplies[tick, cell][name] for tick in self._ticks]
                self._producers.append(_Producer(self._bus, name, cell, supplies))
        consumers = sum(len(markets.bids[0, cell]) for cell in markets.cells)
        for _ in range(markets.devices - consumers - len(self._producers)):
            self._bus.listeners["bid"].append(_hears_only)

    def run(self) -> int:
        """Play all ticks; return the energy sold in Wh."""
        before_wh = sum(producer.sold_wh for producer in self._producers)
        for tick in self._ticks:
            for phase in _PHASES:
                self._bus.queue.append((phase, tick))
                self._bus.drain()
        return sum(producer.sold_wh for producer in self._producers) - before_wh


def _hears_only(_tick: int) -> None:
    """A device that receives the tick and publishes nothing."""


_PHASES: Final = ("bid", "trade")
