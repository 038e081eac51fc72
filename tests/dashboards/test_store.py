"""The store returns rows as they were added, and reports clearly what is wrong with a file."""

import sqlite3
import time
from pathlib import Path

import pytest

from gridfleet.broker.errors import GridFleetError, StoreError
from gridfleet.dashboards.store import schema
from gridfleet.dashboards.store.database import BATCH, Store
from gridfleet.dashboards.store.rows import (
    AgentRow,
    EventRow,
    FigureMeaning,
    FigureRow,
    Invariant,
    ReservationRow,
    RunFacts,
    StorageRow,
    TickRow,
    TradeRow,
    VehicleRow,
)
from tests.dashboards.synthetic import Fleet, build

TICK = TickRow(0, "north", 0, 5, 3, 2, 0, 0, 4, 1, 100_000, 550_000, 7, 9)
TRADE = TradeRow(0, "north", "turbine-0", "charger-0", 2, 10_000, 900_000)
RESERVATION = ReservationRow("vehicle-0", "charger-0", 1, 5, 6, None, None, None, 0, None, None, "refused")
AGENT = AgentRow(0, "turbine-0", "turbine", "producer", 53.5, 9.9, None, 40_000, -7)
VEHICLE = VehicleRow(
    0, "vehicle-0", "Fiat 500e", "parked", 159.0, 42_000, 20_000, 0.0, 9, None, None, None, None, None
)
STORAGE = StorageRow(0, "battery-0", 1_000_000, 250_000, 10_000, 5_000, 1_500)
FIGURE = FigureRow(0, "pump-0", "indoor_c", 20.5)
MEANING = FigureMeaning("heat-pump", "indoor_c", "°C", "temperature of the house")
EVENT = EventRow(0, 0, "storm", "site", "a gale")


def test_every_kind_of_row_is_read_as_it_was_written(tmp_path: Path) -> None:
    with Store.create(tmp_path / "run.sqlite") as store:
        store.add_ticks([TICK])
        store.add_trades([TRADE])
        store.add_reservations([RESERVATION])
        store.add_agents([AGENT])
        store.add_vehicles([VEHICLE])
        store.add_storages([STORAGE])
        store.add_figures([FIGURE])
        store.add_figure_meanings([MEANING])
        store.add_events([EVENT])
    with Store.open(tmp_path / "run.sqlite") as store:
        assert list(store.ticks()) == [TICK]
        assert list(store.trades()) == [TRADE]
        assert list(store.reservations()) == [RESERVATION]
        assert list(store.agents()) == [AGENT]
        assert list(store.vehicles()) == [VEHICLE]
        assert list(store.storages()) == [STORAGE]
        assert list(store.figures()) == [FIGURE]
        assert list(store.figure_meanings()) == [MEANING]
        assert list(store.events()) == [EVENT]


def test_columns_are_the_fields_of_the_rows() -> None:
    with Store.create() as store:
        for table in schema.TABLES:
            columns = tuple(name for _, name, *_ in store.select(f"PRAGMA table_info({table.name})"))
            assert columns == schema.FIELDS[table.name]


def test_facts_and_invariants_are_read_as_written() -> None:
    facts = RunFacts("normal", "Normal", 7, "0.1.0", 1)
    broken = Invariant("money", "paid = earned", 120, 1)
    with Store.create() as store:
        store.put_facts(facts)
        store.put_invariants([broken])
        assert store.facts() == facts
        assert store.invariants() == [broken]
        assert not broken.holds


def test_rows_are_read_in_one_order_whatever_the_order_of_writing() -> None:
    rows = [
        AgentRow(tick, agent, "turbine", "producer", 50.0, 9.0, None, 1, 1)
        for tick in (0, 1)
        for agent in "abc"
    ]
    with Store.create() as store:
        store.add_agents(reversed(rows))
        assert list(store.agents()) == rows


def test_a_later_row_of_the_same_reservation_replaces_the_earlier() -> None:
    later = RESERVATION._replace(accepted_ms=8, outcome="charged")
    with Store.create() as store:
        store.add_reservations([RESERVATION])
        store.add_reservations([later])
        assert list(store.reservations()) == [later]


def test_equal_trades_all_count() -> None:
    with Store.create() as store:
        store.add_trades([TRADE, TRADE])
        assert list(store.trades()) == [TRADE, TRADE]


def test_a_closed_store_is_one_file(tmp_path: Path) -> None:
    build(Fleet(ticks=3), Store.create(tmp_path / "run.sqlite")).close()
    assert [path.name for path in tmp_path.iterdir()] == ["run.sqlite"]


def test_the_file_itself_is_the_same_for_the_same_rows(tmp_path: Path) -> None:
    for name in ("a", "b"):
        build(Fleet(ticks=20), Store.create(tmp_path / name)).close()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_others_read_committed_rows_during_a_run(tmp_path: Path) -> None:
    with Store.create(tmp_path / "run.sqlite") as writer:
        writer.add_ticks([TICK])
        writer.commit()
        writer.add_ticks([TICK._replace(tick=1)])
        with Store.open(tmp_path / "run.sqlite") as reader:
            assert list(reader.ticks()) == [TICK]


def test_many_rows_are_committed_automatically(tmp_path: Path) -> None:
    with Store.create(tmp_path / "run.sqlite") as writer:
        writer.add_trades([TRADE] * BATCH)
        with Store.open(tmp_path / "run.sqlite") as reader:
            assert len(list(reader.trades())) == BATCH


def test_values_that_sqlite_cannot_hold_are_stored_as_the_nearest_ones() -> None:
    rows = [AGENT, AgentRow(0, "liar", "\ud800", "producer", 53.5, 9.9, None, 40_000, -(10**21))]
    with Store.create() as store:
        store.add_agents(rows)
        assert [(row.agent, row.balance_neur) for row in store.agents()] == [
            ("liar", -(2**63 - 1)),
            ("turbine-0", -7),
        ]


def test_closing_twice_is_safe_and_use_after_close_raises() -> None:
    store = Store.create()
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.add_ticks([TICK])
    with pytest.raises(StoreError, match="closed"):
        list(store.ticks())


def test_a_store_open_for_reading_accepts_no_rows(tmp_path: Path) -> None:
    Store.create(tmp_path / "run.sqlite").close()
    with Store.open(tmp_path / "run.sqlite") as store, pytest.raises(StoreError, match="reading only"):
        store.add_ticks([TICK])


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    Store.create(tmp_path / "run.sqlite").close()
    with pytest.raises(StoreError, match="the file exists already; remove it"):
        Store.create(tmp_path / "run.sqlite")


@pytest.mark.parametrize(
    "failure", [sqlite3.OperationalError("disk I/O error"), OSError(28, "No space left")]
)
def test_a_store_is_complete_or_not_there(
    failure: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recorder that is killed while it creates a store can create it again."""
    path = tmp_path / "run.sqlite"

    def fail(*_: object) -> None:
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(StoreError, match="cannot be created"):
            Store.create(path)
    assert not path.exists()
    assert [each.name for each in tmp_path.iterdir()] == ["run.sqlite.draft"]
    (tmp_path / "run.sqlite.draft").write_bytes(b"torn")
    Store.create(path).close()
    with Store.open(path) as store:
        assert list(store.ticks()) == []
    assert [each.name for each in tmp_path.iterdir()] == ["run.sqlite"]


def test_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be created") as caught:
        Store.create(tmp_path / "missing" / "run.sqlite")
    assert isinstance(caught.value, GridFleetError)
    assert isinstance(caught.value, OSError)


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE music (title TEXT)")
    connection.close()


def _newer(path: Path) -> None:
    Store.create(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE schema SET version = 99")
    connection.close()


def _truncated(path: Path) -> None:
    build(Fleet(ticks=10), Store.create(path)).close()
    path.write_bytes(path.read_bytes()[:2_000])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (
            lambda path: path.write_text("not a database, but long enough to be read as one" * 40),
            "not a readable",
        ),
        (lambda path: path.write_bytes(b""), "not one of GridFleet's"),
        (_foreign, "not one of GridFleet's"),
        (_newer, "version 99"),
        (_truncated, "not a readable"),
        (lambda _: None, "no such file"),
    ],
    ids=["text", "empty", "foreign", "newer", "truncated", "missing"],
)
def test_a_bad_file_is_reported_with_a_remedy(tmp_path: Path, spoil: object, reason: str) -> None:
    path = tmp_path / "run.sqlite"
    assert callable(spoil)
    spoil(path)
    with pytest.raises(StoreError, match=reason) as caught:
        Store.open(path)
    assert str(caught.value).startswith(str(path))
    assert caught.value.remedy in str(caught.value)


def test_damage_in_the_middle_of_the_file_is_reported_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    build(Fleet(ticks=40), Store.create(path)).close()
    content = bytearray(path.read_bytes())
    content[20_000 : len(content) - 5_000] = b"\xff" * (len(content) - 25_000)
    path.write_bytes(content)
    with pytest.raises(
        StoreError, match=r"not a readable store \(database disk image is malformed\); restore"
    ):
        Store.open(path)


def test_it_writes_twenty_thousand_rows_a_second(tmp_path: Path) -> None:
    rows = [AGENT._replace(agent=f"agent-{number}") for number in range(1_000)]
    with Store.create(tmp_path / "run.sqlite") as store:
        begin = time.process_time()
        for tick in range(20):
            store.add_agents([row._replace(tick=tick) for row in rows])
        store.commit()
        assert time.process_time() - begin < 1.0
