"""The same market in another framework: N consumers, N/10 producers, one contract-net round per tick.

A consumer calls three producers; each of these awards ten packages, the best-paid first; a consumer takes the first
award and refuses others. GridFleet plays cells of three turbines and thirty chargers with one package each: three
producers receive each bid too, and devices publish accounts. mango-agents plays the plain workload.
"""

import asyncio
import importlib
from collections.abc import Callable
from statistics import median
from time import process_time
from typing import Any, Final

from benchmarks.fleets import bare_market
from benchmarks.measure import collector_off, spent
from benchmarks.table import Cell, show
from gridfleet.devices.runtime.simulation import Simulation

CALLED: Final = 3
PER_PRODUCER: Final = 10
CELL_CONSUMERS: Final = 30
HOW_TO: Final = (
    "mango-agents: not run, it is not installed (pip install mango-agents==2.4.0); GridFleet does not use it."
)
"""Printed where it is missing."""


def run(*, quick: bool) -> None:
    """Measure and print."""
    try:
        mango = importlib.import_module("mango")
    except ModuleNotFoundError:
        mango = None
    sizes = (90,) if quick else (90, 990, 9_990)
    rows: list[list[Cell]] = []
    for consumers in sizes:
        ticks = 2 if quick or consumers > 1_000 else 10
        ours, loops, theirs = [], [], []
        for _ in range(1 if quick else 3):
            loops.append(_plain_ms(consumers, ticks))
            ours.append(_ours_ms(consumers, ticks))
            if mango is not None:
                theirs.append(_mango_ms(mango, consumers, ticks))
        for name, found in (
            ("plain loop", loops),
            ("GridFleet, simulation", ours),
            ("mango, simulation", theirs),
        ):
            if found:
                ratio = median(one / loop for one, loop in zip(found, loops, strict=True))
                over = median(one / our for one, our in zip(found, ours, strict=True))
                us = median(found) * 1e3 / (consumers * 1.1)
                rows.append([f"{consumers} consumers: {name}", median(found), us, ratio, over])
    columns = ["", "CPU, ms per tick", "µs per agent and tick", "× plain loop", "× GridFleet"]
    show("Peers: one contract-net round per tick", columns, rows, [] if mango is not None else [HOW_TO])


def _price(consumer: int, tick: int) -> int:
    """Return a price that looks random and is the same everywhere."""
    return (consumer * 7_919 + tick * 104_729 + 1_299_709) * 2_654_435_761 % 1_000_003


def _called(consumer: int, producers: int) -> list[int]:
    return [(consumer // PER_PRODUCER + n) % producers for n in range(CALLED)]


# --- GridFleet --------------------------------------------------------------------------------------------


def _ours_ms(consumers: int, ticks: int) -> float:
    cells = consumers // CELL_CONSUMERS
    scenario = bare_market(cells, CELL_CONSUMERS, CELL_CONSUMERS // PER_PRODUCER)
    return spent(Simulation(scenario, ticks=ticks).run).cpu_s / ticks * 1e3


# --- without any framework ---------------------------------------------------------------------------------


def _plain_ms(consumers: int, ticks: int) -> float:
    producers = consumers // PER_PRODUCER
    called = [_called(consumer, producers) for consumer in range(consumers)]
    return spent(lambda: [plain_round(called, producers, tick) for tick in range(ticks)]).cpu_s / ticks * 1e3


def plain_round(called: list[list[int]], producers: int, tick: int) -> int:
    """Play one round with lists alone; return how many consumers were served."""
    received: list[list[tuple[int, int]]] = [[] for _ in range(producers)]
    for consumer, asked in enumerate(called):
        price = _price(consumer, tick)
        for producer in asked:
            received[producer].append((-price, consumer))
    served: set[int] = set()
    for calls in received:
        calls.sort()
        served.update([consumer for _, consumer in calls[:PER_PRODUCER]])
    return len(served)


# --- mango-agents -----------------------------------------------------------------------------------------


def _mango_ms(mango: Any, consumers: int, ticks: int) -> float:  # noqa: ANN401 - a module without types here
    return asyncio.run(_mango(mango, consumers, ticks))


async def _mango(mango: Any, consumers: int, ticks: int) -> float:  # noqa: ANN401 - a module without types here
    """Play a warm-up tick and so many more in mango's simulation world; return CPU ms per tick."""
    producers = consumers // PER_PRODUCER
    called = [_called(consumer, producers) for consumer in range(consumers)]
    callers = [0] * producers
    for asked in called:
        for producer in asked:
            callers[producer] += 1
    world = mango.create_world(record_messages=False)
    served: list[set[int]] = [set() for _ in range(ticks + 1)]
    consumer_type, producer_type = _consumer_type(mango, served), _producer_type(mango)

    def register(kind: Callable[..., Any], prefix: str, number: int, *rest: object) -> Any:  # noqa: ANN401
        return world.register(kind(number, *rest), suggested_aid=f"{prefix}{number}")

    sellers = [mango.AgentAddress(world.addr, f"producer{n}") for n in range(producers)]
    buyers = [mango.AgentAddress(world.addr, f"consumer{n}") for n in range(consumers)]
    for n in range(producers):
        register(producer_type, "producer", n, buyers, callers[n])
    agents = [register(consumer_type, "consumer", n, sellers, called[n]) for n in range(consumers)]
    cpu_s = 0.0
    async with world:
        for tick in range(ticks + 1):
            with collector_off():
                start_s = process_time()
                for agent in agents:
                    agent.schedule_instant_task(agent.call(tick))
                await world.step(step_size_s=900)
                if tick:
                    cpu_s += process_time() - start_s
            expected = plain_round(called, producers, tick)
            assert len(served[tick]) == expected, f"mango served {len(served[tick])} of {expected}"
    return cpu_s / ticks * 1e3


def _consumer_type(mango: Any, served: list[set[int]]) -> Any:  # noqa: ANN401 - a module without types here
    """Return the class of a consumer; messages are tuples: what it is, tick, sender, price."""
    base: Any = mango.Agent

    class Consumer(base):  # type: ignore[misc] # without types here
        def __init__(self, number: int, sellers: list[Any], called: list[int]) -> None:
            super().__init__()
            self.number = number
            self.sellers = sellers
            self.called = called
            self.served_tick = -1

        async def call(self, tick: int) -> None:
            for producer in self.called:
                message = ("call", tick, self.number, _price(self.number, tick))
                await self.send_message(message, receiver_addr=self.sellers[producer])

        def handle_message(self, content: tuple[str, int, int, int], meta: dict[str, Any]) -> None:  # noqa: ARG002 - called by name
            _, tick, producer, _ = content
            answer = "refuse" if self.served_tick == tick else "take"
            self.served_tick = tick
            served[tick].add(self.number)
            self.schedule_instant_message((answer, tick, self.number, 0), self.sellers[producer])

    return Consumer


def _producer_type(mango: Any) -> Any:  # noqa: ANN401 - a module without types here
    """Return the class of a producer."""
    base: Any = mango.Agent

    class Producer(base):  # type: ignore[misc] # without types here
        def __init__(self, number: int, buyers: list[Any], callers: int) -> None:
            super().__init__()
            self.number = number
            self.buyers = buyers
            self.callers = callers
            self.calls: list[tuple[int, int]] = []
            self.sold = 0

        async def award(self, tick: int, calls: list[tuple[int, int]]) -> None:
            for price, consumer in calls:
                message = ("award", tick, self.number, -price)
                await self.send_message(message, receiver_addr=self.buyers[consumer])

        def handle_message(self, content: tuple[str, int, int, int], meta: dict[str, Any]) -> None:  # noqa: ARG002 - called by name
            answer, tick, consumer, price = content
            if answer == "call":
                self.calls.append((-price, consumer))
                if len(self.calls) == self.callers:
                    calls, self.calls = sorted(self.calls), []
                    self.schedule_instant_task(self.award(tick, calls[:PER_PRODUCER]))
            elif answer == "take":
                self.sold += 1

    return Producer
