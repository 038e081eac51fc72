"""Generated rows of a run: consistent in their sums, plausible in shape, the same for the same seed."""

import math
import random
from dataclasses import dataclass, field

from gridfleet.broker.protocol.units import cost_neur
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import (
    AgentRow,
    CellArea,
    EventRow,
    Invariant,
    ReservationRow,
    RunFacts,
    TickRow,
    TradeRow,
    VehicleRow,
)

START_MS = 1_748_822_400_000
"""2025-06-02T00:00:00."""
TICK_MS = 900_000
FLOOR = 100_000
REACTOR = 900_000
CAPACITY_WH = 300_000
MODELS = (
    ("Tesla Model 3 RWD", 137.0, 57_000),
    ("Fiat 500e", 159.0, 42_000),
    ("Lucid Air Touring", 159.0, 112_000),
)
ROLES = {"turbine": "producer", "consumer": "consumer", "reactor": "grid-supply"}
INVARIANTS = (
    Invariant("energy", "generated + reactor + imported = sold + exported + curtailed", 120, 0),
    Invariant("money", "what consumers paid is what producers earned", 120, 0),
    Invariant("ports", "never more reservations than ports; every lease ends", 2_400, 0),
    Invariant("liveness", "no tick waits on an offline device past its deadline", 120, 0),
)


@dataclass
class Fleet:
    """Numbers of devices and ticks, and a storm."""

    ticks: int = 120
    turbines: int = 3
    consumers: int = 3
    chargers: int = 20
    vehicles: int = 30
    cells: int = 1
    seed: int = 1
    wind: float = 1.0
    storm: tuple[int, int] | None = None
    invariants: tuple[Invariant, ...] = INVARIANTS
    cell_name: str = "north"
    title: str = "Normal operation"


@dataclass
class _World:
    fleet: Fleet
    store: Store
    random: random.Random
    stored: dict[str, int] = field(default_factory=dict)
    balance: dict[str, int] = field(default_factory=dict)
    places: dict[str, tuple[float, float]] = field(default_factory=dict)
    charge: dict[str, float] = field(default_factory=dict)
    calls: int = 0

    def place(self, agent: str) -> tuple[float, float]:
        if agent not in self.places:
            spot = (self.random.uniform(49.11, 54.24), self.random.uniform(6.28, 12.43))
            self.places[agent] = (53.573, 9.881) if agent.startswith("reactor") else spot
        return self.places[agent]


def build(fleet: Fleet, store: Store | None = None) -> Store:
    """Fill a store (in memory unless given) with the rows of a run."""
    world = _World(fleet, store or Store.create(), random.Random(fleet.seed))
    cells = [_cell(fleet, index) for index in range(fleet.cells)]
    areas = tuple(CellArea(cell, 49.0, 6.0, 54.5, 12.5) for cell in cells)
    world.store.put_facts(
        RunFacts("normal", fleet.title, fleet.seed, "0.1.0", START_MS, TICK_MS, areas, FLOOR, REACTOR)
    )
    for tick in range(fleet.ticks):
        for index, cell in enumerate(cells):
            _market(world, tick, index, cell)
        _agents(world, tick)
    if fleet.ticks:
        world.store.add_events(_events(fleet))
        world.store.put_invariants(fleet.invariants)
    return world.store


def _cell(fleet: Fleet, index: int) -> str:
    return fleet.cell_name if fleet.cells == 1 else f"{fleet.cell_name}-{index}"


def _share(count: int, index: int, of: int, name: str) -> list[str]:
    return [f"{name}-{number}" for number in range(count) if number % of == index]


def _wind(world: _World, tick: int) -> float:
    fleet = world.fleet
    if fleet.storm:
        begin, end = fleet.storm
        if begin <= tick < end:
            return 5.0
        if tick >= end:
            return 0.0
    return fleet.wind * max(0.0, 1.1 + 0.7 * math.sin(tick / 17) + 0.3 * math.sin(tick / 5 + 2))


def _market(world: _World, tick: int, index: int, cell: str) -> None:
    """Merit order: consumers at 1.00, then chargers by their state of charge, package by package."""
    fleet, rng = world.fleet, world.random
    hour = tick / 4 % 24
    day = 0.35 + 0.65 * max(0.0, math.sin((hour - 5) / 14 * math.pi)) if 5 < hour < 19 else 0.35
    consumers = _share(fleet.consumers, index, fleet.cells, "consumer")
    chargers = _share(fleet.chargers, index, fleet.cells, "charger")
    turbines = _share(fleet.turbines, index, fleet.cells, "turbine")
    supply = {
        name: round((40_000 + 20_000 * number) * _wind(world, tick) * rng.uniform(0.9, 1.1))
        for number, name in enumerate(turbines)
    }
    bids = [(1_000_000, name, 0, round(40_000 * day * rng.uniform(0.9, 1.1))) for name in consumers]
    for name in chargers:
        held = world.stored.setdefault(name, 0)
        for package in range(min(5, (CAPACITY_WH - held) // 10_000)):
            price = max(FLOOR, 1_000_000 - (held + 10_000 * package) * 1_000_000 // CAPACITY_WH)
            bids.append((price, name, package, 10_000))
    bids.sort(key=lambda bid: (-bid[0], bid[1], bid[2]))
    generated, trades = sum(supply.values()), []
    for price, name, package, energy in bids:
        left = energy
        for producer in sorted(supply):
            taken = min(left, supply[producer])
            if taken:
                trades.append(TradeRow(tick, cell, producer, name, package, taken, price))
                supply[producer] -= taken
                left -= taken
        if left and price >= REACTOR:
            trades.append(TradeRow(tick, cell, "reactor-0", name, package, left, price))
    for trade in trades:
        cost = cost_neur(trade.energy_wh, trade.price_ueur)
        world.balance[trade.producer] = world.balance.get(trade.producer, 0) + cost
        world.balance[trade.consumer] = world.balance.get(trade.consumer, 0) - cost
        if trade.consumer in world.stored:
            world.stored[trade.consumer] += trade.energy_wh * 9 // 10
    sold = sum(trade.energy_wh for trade in trades)
    reactor = sum(trade.energy_wh for trade in trades if trade.producer.startswith("reactor"))
    paid = sum(cost_neur(trade.energy_wh, trade.price_ueur) for trade in trades)
    world.store.add_trades(trades)
    world.store.add_ticks(
        [
            TickRow(
                tick,
                cell,
                START_MS + tick * TICK_MS,
                sum(bid[3] for bid in bids),
                generated,
                reactor,
                0,
                0,
                sold,
                generated + reactor - sold,
                min((trade.price_ueur for trade in trades), default=None),
                paid // sold if sold else None,
                sum(world.stored[name] for name in chargers),
                3 * len(bids) + len(trades),
            )
        ]
    )


def _agents(world: _World, tick: int) -> None:
    fleet, rows, store = world.fleet, [], world.store
    power = dict(
        store.select(
            "SELECT producer, sum(energy_wh) * 4 FROM trades WHERE tick = ? GROUP BY producer", (tick,)
        )
    )
    for kind, count in (("turbine", fleet.turbines), ("consumer", fleet.consumers), ("reactor", 1)):
        for number in range(count):
            name = f"{kind}-{number}"
            watts = power.get(name, 0) if kind != "consumer" else -40_000
            rows.append(
                AgentRow(
                    tick, name, kind, ROLES[kind], *world.place(name), None, watts, world.balance.get(name, 0)
                )
            )
    for number in range(fleet.chargers):
        name = f"charger-{number}"
        level = world.stored.get(name, 0) / CAPACITY_WH
        rows.append(
            AgentRow(
                tick,
                name,
                "charger",
                "charger",
                *world.place(name),
                level,
                -5_000,
                world.balance.get(name, 0),
            )
        )
    vehicles = []
    for number in range(fleet.vehicles):
        row, agent = _vehicle(world, tick, number)
        vehicles.append(row)
        rows.append(agent)
    store.add_agents(rows)
    store.add_vehicles(vehicles)


def _vehicle(world: _World, tick: int, number: int) -> tuple[VehicleRow, AgentRow]:
    rng, name = world.random, f"vehicle-{number}"
    model, consumption, capacity = MODELS[number % len(MODELS)]
    level = world.charge.setdefault(name, rng.uniform(0.4, 1.0))
    driving, charging = (tick + 7 * number) % 23 < 6, (tick + 7 * number) % 23 in (7, 8, 9)
    charger = f"charger-{number % world.fleet.chargers}" if charging and world.fleet.chargers else None
    here = world.place(name)
    trip = number + 5 * ((tick + 7 * number) // 23)
    target = (49.2 + trip * 1.37 % 5.0, 6.8 + trip * 2.11 % 5.5)
    stop = ((here[0] + target[0]) / 2 + 0.1, (here[1] + target[1]) / 2)
    if driving:
        here = (here[0] + (target[0] - here[0]) / 6, here[1] + (target[1] - here[1]) / 6)
        world.places[name] = here
        level = max(0.02, level - 0.06)
    if charger:
        level = min(1.0, level + 0.2)
        held = world.stored.setdefault(charger, 0)
        world.stored[charger] = held - min(held, round(0.2 * capacity))
        if (tick + 7 * number) % 23 == 7:
            _reserve(world, tick, name, charger)
    world.charge[name] = level
    status = "driving" if driving else "charging" if charger else "parked"
    next_latitude, next_longitude = stop if driving else (None, None)
    goal_latitude, goal_longitude = target if driving else (None, None)
    row = VehicleRow(
        tick,
        name,
        model,
        status,
        consumption,
        capacity,
        round(level * capacity),
        60.0 if driving else 0.0,
        START_MS + (tick // 40 + 1) * 40 * TICK_MS,
        next_latitude,
        next_longitude,
        goal_latitude,
        goal_longitude,
        charger,
    )
    paid = -world.calls * 1_000_000_000
    return row, AgentRow(tick, name, "vehicle", "vehicle", *here, level, -7_000 if charger else 0, paid)


def _reserve(world: _World, tick: int, vehicle: str, charger: str) -> None:
    rng, now = world.random, START_MS + tick * TICK_MS
    world.calls += 1
    price = max(10_000, 1_010_000 - world.stored.get(charger, 0) * 1_000_000 // CAPACITY_WH)
    rivals = [
        f"charger-{number}"
        for number in range(min(3, world.fleet.chargers))
        if f"charger-{number}" != charger
    ]
    rows = [
        ReservationRow(
            vehicle,
            rival,
            world.calls,
            now,
            now + 1_000,
            None,
            None,
            None,
            0,
            price + 9_000,
            240.5,
            "expired",
        )
        for rival in rivals
    ]
    outcome = rng.choices(("charged", "interrupted", "cancelled", "open"), (20, 2, 1, 1))[0]
    arrived = None if outcome in ("cancelled", "open") else now + 600_000
    released = None if outcome == "open" else now + 2_700_000
    energy = rng.randrange(8_000, 40_000) if arrived else 0
    distance = rng.uniform(20, 220)
    times = (now, now + 2_000, now + 5_000, arrived, released)
    rows.append(ReservationRow(vehicle, charger, world.calls, *times, energy, price, distance, outcome))
    world.store.add_reservations(rows)


def _events(fleet: Fleet) -> list[EventRow]:
    if not fleet.storm:
        return [EventRow(0, START_MS, "algorithm", "site", "vehicles choose by weighted score")]
    begin, end = fleet.storm
    return [
        EventRow(begin, START_MS + begin * TICK_MS, "storm", "site", "a gale: wind speed × 2"),
        EventRow(end, START_MS + end * TICK_MS, "storm-end", "site", "the gale has broken all turbines"),
        EventRow(end, START_MS + end * TICK_MS, "offline", "turbine-0", "turbine-0 is offline"),
    ]
