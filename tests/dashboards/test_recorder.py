"""The rows that the recorder makes of simulated runs."""

import json
from collections import Counter
from pathlib import Path

import pytest

from gridfleet.broker.protocol.messages import Award, Bid, Receipt, Release
from gridfleet.broker.protocol.units import cost_neur
from gridfleet.dashboards.recording.recording import STORE, Recording
from gridfleet.dashboards.recording.reservation_log import distance_km
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import RunFacts
from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.simulation import Simulation
from tests.dashboards.runs import SMALL, contents, message_log, record

FACTS = RunFacts("normal", "Normal", 1, "0.1.0", 1_748_822_400_000)


@pytest.mark.parametrize(
    ("changes", "faults"),
    [((), ()), (SMALL, ()), (SMALL, ("loss=0.1", "crash=0.02", "keep_state=false")), ((), ("loss=0.3",))],
)
def test_every_row_balances_and_agrees_with_the_ledger(
    changes: tuple[str, ...], faults: tuple[str, ...]
) -> None:
    store = record(message_log("normal", changes, faults, 40))
    sold: Counter[tuple[int, str]] = Counter()
    paid: Counter[tuple[int, str]] = Counter()
    for trade in store.trades():
        sold[trade.tick, trade.cell] += trade.energy_wh
        paid[trade.tick, trade.cell] += cost_neur(trade.energy_wh, trade.price_ueur)
    rows = list(store.ticks())
    assert len(rows) == 40 * (4 if changes else 1)
    for row in rows:
        came = row.generated_wh + row.reactor_wh + row.imported_wh
        assert came == row.sold_wh + row.exported_wh + row.curtailed_wh
        assert row.curtailed_wh >= 0
        assert row.sold_wh == sold[row.tick, row.cell]
        if row.sold_wh:
            assert row.mean_price_ueur is not None
            assert abs(row.mean_price_ueur - paid[row.tick, row.cell] / row.sold_wh) <= 0.5
    assert sum(row.imported_wh for row in rows) == sum(row.exported_wh for row in rows)


def test_the_ledger_equals_the_receipts() -> None:
    log = message_log(ticks=40)
    receipt_totals = Counter(
        (m.tick, scope, sender, lot.index, lot.energy_wh, lot.price_ueur_per_kwh)
        for _, scope, sender, m in log
        if isinstance(m, Receipt)
        for lot in m.lots
    )
    recorded = Counter(
        (t.tick, t.producer, t.consumer, t.package, t.energy_wh, t.price_ueur) for t in record(log).trades()
    )
    assert recorded == receipt_totals


def test_demand_is_the_sum_of_bids() -> None:
    log = message_log("normal", SMALL, (), 40)
    demand: Counter[tuple[int, str]] = Counter()
    for _, scope, _, m in log:
        if isinstance(m, Bid):
            demand[m.tick, scope] += sum(package.energy_wh for package in m.packages)
    assert {(row.tick, row.cell): row.demand_wh for row in record(log).ticks()} == dict(demand)


def test_each_device_except_the_clock_has_a_row_in_every_tick() -> None:
    rows = list(record(message_log(ticks=40)).agents())
    assert len(rows) == 57 * 40
    assert set(Counter(row.agent for row in rows).values()) == {40}
    assert {row.kind for row in rows} == {"turbine", "consumer", "charger", "vehicle", "reactor"}


def test_reservations_run_from_call_to_end() -> None:
    log = message_log(ticks=120)
    rows = list(record(log).reservations())
    assert len(rows) > 50
    for row in rows:
        times = [row.requested_ms, row.offered_ms, row.accepted_ms, row.arrived_ms, row.released_ms]
        known = [time for time in times if time is not None]
        assert known == sorted(known)
        assert (row.outcome == "unserved") == (row.charger == "")
        assert (row.outcome == "charged") == (row.released_ms is not None)
    released = sum(isinstance(m, Release) and m.outcome == "charged" for _, _, _, m in log)
    assert sum(row.outcome == "charged" for row in rows) == released


def test_faults_end_reservations_in_other_ways_too() -> None:
    log = message_log("normal", SMALL, ("loss=0.1", "crash=0.03", "keep_state=false"), 60)
    store = record(log)
    outcomes = Counter(row.outcome for row in store.reservations())
    assert set(outcomes) <= {"charged", "interrupted", "cancelled", "expired", "open", "unserved"}
    assert outcomes["expired"] or outcomes["interrupted"]
    kinds = Counter(event.kind for event in store.events())
    assert kinds["offline"] >= kinds["online"] > 0


def test_a_storm_is_a_span_of_events() -> None:
    events = list(record(message_log("storm", ticks=64)).events())
    assert [(event.tick, event.kind) for event in events] == [
        (0, "begin"), (48, "storm"), (60, "storm-end"), (63, "end"),
    ]  # fmt: skip
    assert events[1].text == "Gale"


def test_repeated_messages_count_once() -> None:
    log = list(message_log(ticks=20))
    doubled = [
        each for one in log for each in ((one, one) if isinstance(one[3], Receipt | Award) else (one,))
    ]
    once, twice = contents(record(log)), contents(record(doubled))
    assert once[1:] == twice[1:]


def test_distance_is_the_great_circle() -> None:
    assert distance_km(52.52, 13.405, 48.137, 11.575) == pytest.approx(504.4, abs=0.5)  # Berlin to Munich


def test_a_recording_writes_its_files_and_the_audit_result(tmp_path: Path) -> None:
    with Recording(tmp_path, FACTS, trace=tmp_path / "trace.jsonl.gz", site="germany") as recording:
        Simulation(load("normal"), ticks=12, receivers=(recording.receive,)).run()
        result = recording.finish()
        assert recording.finish() is result
    assert result.holds
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["verdict"] == "holds"
    assert {each["name"] for each in summary["invariants"]} == {each.name for each in result.findings}
    for name in ("ticks.csv", "ledger.csv", "reservations.csv", "agents.csv", "trace.jsonl.gz"):
        assert (tmp_path / name).stat().st_size
    with Store.open(tmp_path / STORE) as store:
        assert sum(1 for _ in store.ticks()) == 12


def test_an_interrupted_run_keeps_its_complete_ticks() -> None:
    with Recording(None, FACTS) as recording:
        Simulation(load("normal"), receivers=(recording.receive,)).run(
            lambda simulation: simulation.clock.tick < 5
        )
        assert recording.finish().holds
        assert sum(1 for _ in recording.store.ticks()) == 5
