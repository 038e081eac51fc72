"""The same scenario, seed and version give the same messages, whatever the hash seed, the order, or the encoding."""

import sys
from functools import cache
from pathlib import Path

import pytest

from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.dashboards.reports.columns import RESERVATIONS, TRADES
from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.simulation import Simulation
from tests.dashboards.runs import record
from tests.provisioning.shell import end, start
from tests.system.message_log import EXCHANGING, Line, MessageLog, border_crossings, digest, simulate

ROOT = Path(__file__).resolve().parents[2]
SEEDS = (1, 2, 3)

RUNS = {
    "normal": ("normal", (), 24),
    "scarce": ("scarce", (), 16),
    "storm": ("storm", (), 66),  # the gale blows in ticks 48 to 59, then all turbines stand still
    "exchanging": ("normal", EXCHANGING, 24),
}

GOLDEN = {
    ("normal", 0): ("4b26dc97ad482ce37dfa611755b3bbb9", "b553a96e191a0e6e63c9534c8608dea9"),
    ("scarce", 0): ("30066980c91c88400930b4eb8434e536", "045beeb6ab6f23902b1dcef2ce2dd86e"),
    ("storm", 0): ("4b26dc97ad482ce37dfa611755b3bbb9", "b553a96e191a0e6e63c9534c8608dea9"),
    ("storm", 54): ("4a95164a96b39a9a1a886d374752902f", "1505061295446fbe7e78c57ab71f5b4b"),
}
"""Digests of ledger and reservations of 12 ticks of each shipped scenario, by its first tick.

They change with every decision of a device. After an intended change, put the new digests here, and describe in the
CHANGELOG what behaves differently; otherwise the change has an unintended effect.
"""


@cache
def messages_of(run: str) -> MessageLog:
    name, changes, ticks = RUNS[run]
    return simulate(load(name, changes), ticks)


def by_instant(log: MessageLog) -> list[Line]:
    """Return the messages in the order of time, and within an instant in a fixed order."""
    return sorted(log.lines())


@pytest.mark.parametrize("run", ["normal", "exchanging"])
def test_hash_seeds_do_not_matter(run: str) -> None:
    name, changes, ticks = RUNS[run]
    program = (sys.executable, "-m", "tests.system.message_log")
    children = [
        start(name, str(ticks), *changes, cwd=ROOT, env={"PYTHONHASHSEED": seed}, program=program)
        for seed in ("0", "4242")
    ]
    ended = [end(child) for child in children]
    assert [(child.code, child.err) for child in ended] == [(0, "")] * 2
    assert {child.out.strip() for child in ended} == {digest(messages_of(run).lines())}


def test_the_exchanging_run_moves_energy_between_cells() -> None:
    assert border_crossings(messages_of("exchanging")) > 100_000


@pytest.mark.parametrize("run", RUNS)
def test_the_order_of_arrival_within_an_instant_does_not_matter(run: str) -> None:
    name, changes, ticks = RUNS[run]
    expected = by_instant(messages_of(run))
    for seed in SEEDS:
        shuffled = simulate(load(name, changes), ticks, shuffle=seed)
        assert shuffled.lines() != messages_of(run).lines()  # the order was different
        assert by_instant(shuffled) == expected


@pytest.mark.parametrize("run", RUNS)
def test_encoding_and_decoding_change_nothing(run: str) -> None:
    name, changes, ticks = RUNS[run]
    assert simulate(load(name, changes), ticks, encoded=True).lines() == messages_of(run).lines()


def test_a_run_may_be_repeated_in_the_same_process() -> None:
    assert simulate(load("normal"), 24).lines() == messages_of("normal").lines()


def test_taps_change_nothing() -> None:
    name, changes, ticks = RUNS["exchanging"]
    simulation = Simulation(load(name, changes), ticks=ticks)
    simulation.run()
    assert simulation.fleet.seed == load(name).seed
    assert simulation.now_ms == messages_of("exchanging").messages[-1][0]


def test_another_seed_gives_another_ledger() -> None:
    ledgers = [digest(record(simulate(load("normal"), 12, seed=seed).messages).trades()) for seed in SEEDS]
    assert len(set(ledgers)) == len(SEEDS)


@pytest.mark.parametrize(("name", "first"), GOLDEN)
def test_the_shipped_scenarios_give_the_same_results_as_before(name: str, first: int) -> None:
    with record(messages_of(name).messages) as store:
        scenario = load(name)
        begin_ms = scenario.start_ms + first * TICK_MS
        end_ms = begin_ms + 12 * TICK_MS
        ledger = digest(TRADES.line(row) for row in store.trades() if first <= row.tick < first + 12)
        reservations = digest(
            RESERVATIONS.line(row) for row in store.reservations() if begin_ms <= row.requested_ms < end_ms
        )
    assert (ledger, reservations) == GOLDEN[name, first]
