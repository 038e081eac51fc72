"""What holds in every run: books agree, money is neither made nor lost, over random fleets, faults and orders."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

import pytest
from hypothesis import example, given, note
from hypothesis import strategies as st

from gridfleet.broker.protocol.messages import (
    Bid,
    ChargerState,
    ConsumerState,
    Correction,
    Phase,
    Presence,
    ProducerState,
    Role,
    State,
    Supply,
    Tick,
    VehicleState,
)
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.charging.ranking_registry import OFFER_RANKINGS
from gridfleet.devices.config.scenario import Scenario, parse
from gridfleet.devices.market.rule_registry import CLEARING_RULES
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.network_faults import Faults
from gridfleet.devices.runtime.simulation import Simulation
from tests.dashboards.runs import audit, broken
from tests.system.message_log import MessageLog, digest, simulate

pytestmark = pytest.mark.timeout(900)  # the profile `thorough` takes its time
TICKS: Final = 14
Account = ProducerState | ConsumerState | ChargerState | VehicleState
BUYERS: Final = {Role.CONSUMER, Role.CHARGER}


NEAR: Final = {"area.south": 51, "area.north": 52, "area.west": 9, "area.east": 10}
"""So small an area that every vehicle reaches a charger."""


class Run(NamedTuple):
    """A fleet and its run; its text can be pasted into a test or a command line."""

    changes: tuple[str, ...]
    seed: int
    shuffle: int | None

    @property
    def scenario(self) -> Scenario:
        return parse("", "random.toml", "", self.changes)


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Any fleet of 1 to 4 cells."""
    rows, columns = draw(st.sampled_from([(1, 1), (1, 2), (2, 1), (1, 3), (2, 2), (1, 4)]))
    package = draw(st.sampled_from([0.7, 3.3, 10, 25]))
    scale = st.sampled_from([0, 0.25, 1, 2])
    changes = {
        "area.rows": rows,
        "area.columns": columns,
        **draw(st.sampled_from([{}, NEAR])),
        "turbines.count": draw(st.integers(0, 6)),
        "turbines.rotor_diameter_m": draw(st.sampled_from(["[20.0, 40.0]", "[50.0, 150.0]"])),
        "households.count": draw(st.integers(0, 3)),
        "commerce.count": draw(st.integers(0, 3)),
        "farms.count": draw(st.integers(0, 3)),
        "chargers.count": draw(st.integers(0, 8)),
        "chargers.capacity_kwh": draw(st.sampled_from([5, 80, 300])),
        "chargers.ports": draw(st.integers(1, 3)),
        "chargers.stored_share": draw(st.sampled_from([0, 0.05, 0.5, 1])),
        "vehicles.count": draw(st.integers(0, 8)),
        "vehicles.stored_share": draw(st.sampled_from(["[0.0, 0.2]", "[0.1, 0.4]", "[0.4, 1.0]"])),
        "reactors.count": draw(st.integers(0, 1)),
        "market.package_kwh": package,
        "settings.consumer_scale": draw(scale),
        "settings.vehicle_scale": draw(scale),
        "settings.turbine_scale": draw(scale),
        "settings.algorithm": f"'{draw(st.sampled_from(OFFER_RANKINGS.names()))}'",
        "settings.clearing_rule": f"'{draw(st.sampled_from(CLEARING_RULES.names()))}'",
        "weather.weibull_scale_mps": draw(st.sampled_from([4, 9])),
    }
    words = tuple(f"{key}={value}" for key, value in changes.items())
    return Run(words, draw(st.integers(0, 2**16)), draw(st.none() | st.integers(0, 2**16)))


@st.composite
def faults(draw: st.DrawFn, last: int = TICKS) -> Faults:
    """One or more kinds of fault, at any time of the run."""
    begin = draw(st.integers(0, 4))
    share = st.sampled_from([0.02, 0.1, 0.3, 0.6])
    strategies: dict[str, st.SearchStrategy[float]] = {
        "loss": share,
        "duplicate": share,
        "reorder": share,
        "partition": st.sampled_from([0.3, 0.5]),
        "crash": st.sampled_from([0.02, 0.1]),
        "delay_s": st.sampled_from([0.5, 20.0, 300.0, 600.0]),
        "skew_s": st.sampled_from([1.0, 60.0, 600.0]),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(strategies)), min_size=1, max_size=4))
    values: dict[str, float] = {name: draw(strategies[name]) for name in sorted(chosen)}
    return Faults(
        **values,
        down_ticks=draw(st.integers(1, 3)),
        keep_state=draw(st.booleans()),
        from_tick=begin,
        to_tick=draw(st.integers(begin + 1, last)),
    )


def busy(seed: int, columns: int, *changes: str) -> Run:
    """Return a run with eight vehicles low on energy and four chargers nearby: always some reservations."""
    area = [f"{key}={value}" for key, value in NEAR.items()]
    counts = ("turbines.count=2", "chargers.count=4", "vehicles.count=8", "vehicles.stored_share=[0.0, 0.3]")
    return Run((*area, f"area.columns={columns}", *counts, *changes), seed, None)


class Books:
    """Energy in Wh and money in nEUR of one tick or of a whole run, summed over the devices' states."""

    def __init__(self) -> None:
        self.generated = self.sold = self.curtailed = self.unsettled = self.earned = 0
        self.bought = self.paid = 0
        self.delivered = self.delivery_earned = self.drawn = self.drawn_paid = 0
        self.balance = 0

    def add(self, state: Account) -> None:
        self.balance += state.balance_neur
        if isinstance(state, ProducerState):
            self.generated += state.generated_wh
            self.sold += state.sold_wh
            self.curtailed += state.curtailed_wh
            self.unsettled += state.unsettled_wh
            self.earned += state.earned_neur
        elif isinstance(state, VehicleState):
            self.drawn += state.drawn_wh
            self.drawn_paid += state.paid_neur
        else:
            self.bought += state.bought_wh
            self.paid += state.paid_neur
        if isinstance(state, ChargerState):
            self.delivered += state.delivered_wh
            self.delivery_earned += state.earned_neur

    @property
    def trade(self) -> tuple[int, int]:
        """What was sold, and for how much."""
        return self.sold, self.earned

    @property
    def purchase(self) -> tuple[int, int]:
        """What was bought, and for how much."""
        return self.bought, self.paid


def accounts(log: MessageLog) -> Iterator[tuple[str, Account]]:
    """Yield every device's accounts; the clock has none."""
    return ((sender, state) for _, sender, state in log.of(State) if isinstance(state, Account))


def books_by_tick(log: MessageLog) -> dict[int, Books]:
    total: dict[int, Books] = defaultdict(Books)
    for _, state in accounts(log):
        total[state.tick].add(state)
    return total


def published_in(log: MessageLog, tick: int) -> set[tuple[str, str]]:
    """Return (sender, message type) of each account, bid and supply of a tick."""
    found = {(sender, state.TYPE) for sender, state in accounts(log) if state.tick == tick}
    found |= {(sender, bid.TYPE) for _, sender, bid in log.of(Bid) if bid.tick == tick}
    return found | {(sender, supply.TYPE) for _, sender, supply in log.of(Supply) if supply.tick == tick}


def steady(log: MessageLog, ids: list[str], tick: int) -> set[str]:
    """Return the devices that were online from the start of the tick before to the end of this one."""
    alive = set(ids)
    disturbed: set[str] = set()
    site_tick = -1
    for _, _, sender, message in log.messages:
        if isinstance(message, Tick):
            site_tick = message.tick
        elif isinstance(message, Presence) and site_tick >= 0 and site_tick <= tick:
            (alive.add if message.online else alive.discard)(sender)
            if site_tick >= tick - 1:
                disturbed.add(sender)
    return alive - disturbed


def expected_messages(fleet: Fleet, devices: set[str]) -> set[tuple[str, str]]:
    """Return (sender, message type) of what devices publish in every tick."""
    words = {(device, "state") for device in devices}
    for device in devices:
        role = fleet.role_of(device)
        if role in BUYERS:
            words.add((device, "bid"))
        elif role is Role.PRODUCER:
            words.add((device, "supply"))
    return words


# --- without faults: everything agrees, in every tick, exactly -------------------------------------------


def test_without_faults_every_book_agrees_in_every_tick() -> None:
    moved: Counter[str] = Counter()

    @example(busy(5066, 1, "chargers.stored_share=0.5"))
    @given(runs())
    def check(run: Run) -> None:
        log = simulate(run.scenario, TICKS, seed=run.seed, shuffle=run.shuffle)
        assert broken(audit(log.messages)) == {}
        fleet = Fleet(run.scenario, run.seed)
        everybody = expected_messages(fleet, set(fleet.ids))
        books = books_by_tick(log)
        for tick in range(TICKS):
            assert published_in(log, tick) == everybody
            now = books[tick]
            assert now.generated == now.sold + now.curtailed
            assert now.unsettled == 0
            assert now.trade == now.purchase
            assert (now.delivered, now.delivery_earned) == (now.drawn, now.drawn_paid)
            assert now.balance == 0  # no money is created or lost
            moved.update(sold=now.sold > 0, curtailed=now.curtailed > 0, delivered=now.delivered > 0)
        assert not any(log.of(Correction))

    check()
    assert moved["sold"] >= TICKS, moved
    assert moved["curtailed"] >= 5, moved
    assert moved["delivered"] >= 5, moved


@given(runs(), st.integers(1, 2**16))
def test_the_order_of_arrival_does_not_matter(run: Run, other: int) -> None:
    one = simulate(run.scenario, TICKS, seed=run.seed)
    two = simulate(run.scenario, TICKS, seed=run.seed, shuffle=other, encoded=True)
    assert digest(sorted(two.lines())) == digest(sorted(one.lines()))


# --- with faults: nothing is broken meanwhile, and afterwards the books agree again ----------------------


@example(Run(("vehicles.count=2",), 1, None), Faults(skew_s=600, from_tick=2, to_tick=3))
@given(runs(), faults())
def test_before_the_faults_begin_everything_is_as_without_them(run: Run, wrong: Faults) -> None:
    end_ms = run.scenario.start_ms + wrong.from_tick * TICK_MS
    ticks = wrong.from_tick + 1
    faulty = simulate(run.scenario, ticks, seed=run.seed, faults=wrong)
    sound = simulate(run.scenario, ticks, seed=run.seed)
    assert sorted(line for line in faulty.lines() if line[0] < end_ms) == sorted(
        line for line in sound.lines() if line[0] < end_ms
    )


@example(  # a bill that comes late is stored, after the vehicle has filled its battery elsewhere
    busy(
        5066,
        1,
        "area.north=51.5",
        "chargers.capacity_kwh=300",
        "chargers.stored_share=0.2",
        "chargers.ports=3",
    ),
    Faults(loss=0.3, reorder=0.6, partition=0.5, crash=0.1, down_ticks=3, from_tick=4, to_tick=8),
)
@example(  # a vehicle asks for its bill when the charger can be reached again, more than an hour later
    busy(
        2752,
        2,
        "area.north=52.5",
        "chargers.capacity_kwh=300",
        "chargers.stored_share=0.5",
        "chargers.ports=3",
    ),
    Faults(partition=0.5, from_tick=4, to_tick=6),
)
@example(  # a heartbeat that is late renews a lease that has expired
    busy(
        4678,
        1,
        "area.north=52.5",
        "chargers.capacity_kwh=80",
        "chargers.stored_share=0.5",
        "chargers.ports=3",
    ),
    Faults(delay_s=600, duplicate=0.1, from_tick=1, to_tick=4),
)
@given(runs(), faults())
def test_faults_break_no_invariant(run: Run, wrong: Faults) -> None:
    log = simulate(run.scenario, TICKS, seed=run.seed, faults=wrong, shuffle=run.shuffle)
    found = broken(audit(log.messages, exact=False, skew_s=round(wrong.skew_s)))
    note(f"play({run!r}, {wrong!r})")
    assert found == {}
    assert [tick.tick for _, _, tick in log.of(Tick) if tick.phase is Phase.BID] == list(range(TICKS))


def test_after_faults_the_books_agree_again() -> None:
    """From the second tick after the faults, every device that is online trades, and both sides book the same.

    Ticks in which a device returns without its state are left out.
    """
    judged: Counter[str] = Counter()

    @given(runs(), faults(last=7))
    def check(run: Run, wrong: Faults) -> None:
        note(f"play({run!r}, {wrong!r})")
        log = simulate(run.scenario, TICKS, seed=run.seed, faults=wrong, shuffle=run.shuffle)
        fleet = Fleet(run.scenario, run.seed)
        books = books_by_tick(log)
        for tick in range(wrong.to_tick + 1, TICKS):
            alive = steady(log, fleet.ids, tick)
            words = published_in(log, tick)
            assert expected_messages(fleet, alive) <= words, tick
            if alive != set(fleet.ids):
                judged["incomplete"] += 1
                continue
            assert words == expected_messages(fleet, alive)
            now = books[tick]
            assert now.generated == now.sold + now.curtailed, tick
            assert now.unsettled == 0, tick
            assert now.trade == now.purchase, tick
            judged["sold"] += now.sold > 0

    check()
    assert judged["sold"] >= TICKS, judged


@st.composite
def passing_faults(draw: st.DrawFn) -> Faults:
    """Return network faults of up to three ticks, after which receipts and bills are still asked for again."""
    wrong = draw(faults())
    begin = draw(st.integers(0, 4))
    return wrong.model_copy(
        update={
            "crash": 0.0,
            "partition": 0.0,
            "from_tick": begin,
            "to_tick": begin + draw(st.integers(1, 3)),
        }
    )


def test_a_network_that_fails_for_a_while_creates_and_loses_no_money() -> None:
    """Nine ticks later all balances add up to zero, and vehicles have drawn what chargers have delivered."""
    moved: Counter[str] = Counter()

    @example(  # a bill is refused while the vehicle charges again, and forgotten afterwards
        busy(
            9058,
            1,
            "area.north=52.5",
            "chargers.capacity_kwh=300",
            "chargers.stored_share=0.2",
            "chargers.ports=2",
        ),
        Faults(loss=0.6, from_tick=1, to_tick=4),
    )
    @example(  # a late heartbeat is declined after the reservation has ended, and the bill that comes then refused
        busy(
            1416,
            1,
            "area.north=52.5",
            "chargers.capacity_kwh=80",
            "chargers.stored_share=1",
            "chargers.ports=3",
        ),
        Faults(delay_s=600, from_tick=1, to_tick=3),
    )
    @example(  # the same before the release has been answered: the vehicle books less than it has drawn
        Run(
            (
                "area.rows=2",
                "turbines.count=0",
                "households.count=0",
                "commerce.count=1",
                "farms.count=3",
                "chargers.count=3",
                "chargers.capacity_kwh=5",
                "chargers.ports=1",
                "chargers.stored_share=0.5",
                "vehicles.count=6",
                "vehicles.stored_share=[0.0, 0.2]",
                "reactors.count=0",
                "market.package_kwh=0.7",
                "settings.consumer_scale=0",
                "settings.vehicle_scale=0",
                "settings.turbine_scale=0",
                "settings.algorithm='weighted'",
                "weather.weibull_scale_mps=4",
            ),
            99,
            None,
        ),
        Faults(loss=0.1, duplicate=0.02, delay_s=300, from_tick=1, to_tick=2),
    )
    @given(runs(), passing_faults())
    def check(run: Run, wrong: Faults) -> None:
        note(f"play({run!r}, {wrong!r})")
        ticks = wrong.to_tick + 9
        log = simulate(run.scenario, ticks, seed=run.seed, faults=wrong, shuffle=run.shuffle)
        reported = {sender for sender, state in accounts(log) if state.tick == ticks - 1}
        assert reported == set(Fleet(run.scenario, run.seed).ids)  # else their balances would not be added
        books = books_by_tick(log)
        assert books[ticks - 1].balance == 0
        delivered = sum(now.delivered for now in books.values())
        assert sum(now.drawn for now in books.values()) == delivered
        moved.update(sold=any(now.sold for now in books.values()), delivered=delivered > 0)

    check()
    assert moved["sold"] >= 5, moved
    assert moved["delivered"] >= 3, moved  # as in the examples


def test_every_lease_of_a_silent_vehicle_ends() -> None:
    """Vehicles that fall silent without a last will keep their ports until their leases expire, and no longer."""
    held: Counter[bool] = Counter()

    @example(busy(5066, 1, "chargers.stored_share=0.5"))
    @example(busy(2752, 2, "chargers.stored_share=1"))
    @given(runs())
    def check(run: Run) -> None:
        log = MessageLog()
        simulation = Simulation(
            run.scenario, seed=run.seed, ticks=TICKS, receivers=(log.receive,), shuffle=run.shuffle
        )

        def progress(simulation: Simulation) -> bool:
            if simulation.clock.tick == 6:
                for name, node in simulation._nodes.items():  # noqa: SLF001 - no fault of a scenario lets devices fall silent
                    node.up = node.up and not name.startswith("vehicle")
            return True

        simulation.run(progress)
        assert broken(audit(log.messages, exact=False)) == {}
        reserved: dict[int, list[int]] = defaultdict(list)
        for _, state in accounts(log):
            if isinstance(state, ChargerState):
                reserved[state.tick].append(state.ports_reserved)
        assert len(reserved[TICKS - 1]) == simulation.fleet.scenario.chargers.count
        assert not any(reserved[TICKS - 1])
        held[any(reserved[6])] += 1

    check()
    assert held[True] >= 2, held  # as in the examples
