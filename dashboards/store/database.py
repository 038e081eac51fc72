"""The local store of a run: one SQLite file.

SQLite, because it is in Python's standard library (nothing to install on a Raspberry Pi), because a crash or
power failure leaves a file that opens (write-ahead log), and because one file is easily copied and read by
other programs. While a run is being written, others may read it; a closed store is a single file without side files.
"""

import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from gridfleet.broker.errors import StoreError, error_reason
from gridfleet.broker.readers.files import is_file, size_text
from gridfleet.broker.readers.json_values import json_text, parse_json
from gridfleet.dashboards.store import schema
from gridfleet.dashboards.store.check import REMEDY, check_store
from gridfleet.dashboards.store.rows import (
    AgentRow,
    CellArea,
    DemandRow,
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
    WelfareRow,
)

BATCH: Final = 20_000
"""Rows after which a transaction is committed automatically."""
IN_MEMORY: Final = ":memory:"
_HEADER_COUNT: Final = (4).to_bytes(4, "big")
"""SQLite's count of changes to a file, as it is in a store that a run has written."""
_MAX_INTEGER: Final = 2**63 - 1
_CREATE: Final = f"BEGIN; {schema.create_sql()} COMMIT;"


class Store:
    """Rows of one run; a context manager, not shared between threads. Use after close raises.

    >>> from gridfleet.dashboards.store.rows import EventRow
    >>> with Store.create() as store:
    ...     store.add_events([EventRow(0, 0, "begin", "site", "the run begins")])
    ...     [event.text for event in store.events()]
    ['the run begins']
    """

    def __init__(self, connection: sqlite3.Connection, path: Path | str, *, writable: bool) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = connection
        self._writable = writable
        self._pending = 0
        self.ignores_rows = False
        """While set, added rows are ignored: during a replay the store has them already."""
        self.holds_commits = False
        """While set, `commit` does nothing."""

    @classmethod
    def create(cls, path: Path | str = IN_MEMORY) -> Self:
        """Create a store in memory, or at a path where no file exists; raise StoreError where that fails.

        The tables are created in a draft file beside it, so that a crash never leaves a store without tables.
        """
        in_memory = str(path) == IN_MEMORY
        if not in_memory and Path(path).exists():
            raise StoreError(path, "the file exists already", "remove it or choose another directory")
        try:
            if in_memory:
                connection = _connect(path)
                connection.executescript(_CREATE)
            else:
                draft = Path(f"{path}.draft")
                draft.unlink(missing_ok=True)
                with closing(sqlite3.connect(draft, isolation_level=None)) as new:
                    new.executescript(_CREATE)
                draft.replace(path)
                connection = _connect(path)
        except (sqlite3.Error, OSError) as error:
            remedy = "make sure that the directory exists, is writable and has free space"
            raise StoreError(path, f"the store cannot be created ({error_reason(error)})", remedy) from error
        return cls(connection, path, writable=True)

    @classmethod
    def resume(cls, path: Path | str) -> Self:
        """Open an existing store to continue writing into it, as after a crash."""
        cls.open(path).close()
        try:
            connection = _connect(path)
        except sqlite3.Error as error:
            remedy = "make sure that it is writable and the disk has free space"
            raise StoreError(path, f"the store cannot be written ({error})", remedy) from error
        return cls(connection, path, writable=True)

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open an existing store for reading; raise StoreError where it is none, or its content is damaged."""
        if not is_file(path):
            raise StoreError(path, "no such file", "give the file of a run")
        uri = Path(path).absolute().as_uri()
        for suffix in ("?mode=ro", "?immutable=1"):  # the second for read-only media
            connection = sqlite3.connect(uri + suffix, uri=True, isolation_level=None)
            try:
                check_store(connection, path)
            except (sqlite3.Error, UnicodeDecodeError) as error:  # of a damaged name in a text of SQLite
                connection.close()
                failure: Exception = error
            except StoreError:
                connection.close()
                raise
            else:
                return cls(connection, path, writable=False)
        raise StoreError(path, f"not a readable store ({failure})", REMEDY) from failure

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close, keeping the added rows."""
        self.close()

    @classmethod
    def from_image(cls, image: bytes) -> Self:
        """Open a store that `image` returned, for reading."""
        connection = sqlite3.connect(IN_MEMORY, isolation_level=None)
        connection.deserialize(image)
        return cls(connection, IN_MEMORY, writable=False)

    def image(self) -> bytes:
        """Return the content of the file that the store would be once closed, to the byte.

        In memory SQLite does not keep three numbers of the file's header (https://www.sqlite.org/fileformat.html, 1.3).
        """
        self.commit()
        image = bytearray(self._open_connection().serialize())
        image[18:20] = b"\1\1"  # no write-ahead log
        image[24:28] = image[92:96] = _HEADER_COUNT
        major, minor, patch = sqlite3.sqlite_version_info
        image[96:100] = (1_000_000 * major + 1000 * minor + patch).to_bytes(4, "big")
        return bytes(image)

    def close(self) -> None:
        """Commit and leave a single file; a second call does nothing."""
        if self._connection is None:
            return
        try:
            self.commit()
            if self._writable:
                # While others read, the write-ahead log stays beside the file.
                with suppress(sqlite3.OperationalError):
                    self._connection.execute("PRAGMA journal_mode = DELETE")
        finally:
            self._connection.close()
            self._connection = None

    def commit(self) -> None:
        """Make all rows added so far survive a crash and visible to other readers."""
        connection = self._open_connection()
        if self.holds_commits:
            return
        if connection.in_transaction:
            try:
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._failed(error) from error
        self._pending = 0

    # --- writing -----------------------------------------------------------------------------------------

    def add_ticks(self, rows: Iterable[TickRow]) -> None:
        """Add rows, or replace those with the same (tick, cell)."""
        self._add(schema.TICKS, rows)

    def add_trades(self, rows: Iterable[TradeRow]) -> None:
        """Add settled trades; each row counts, none is replaced."""
        self._add(schema.TRADES, rows)

    def add_reservations(self, rows: Iterable[ReservationRow]) -> None:
        """Add rows, or replace those with the same (vehicle, charger, call)."""
        self._add(schema.RESERVATIONS, rows)

    def add_agents(self, rows: Iterable[AgentRow]) -> None:
        """Add rows, or replace those with the same (tick, agent)."""
        self._add(schema.AGENTS, rows)

    def add_vehicles(self, rows: Iterable[VehicleRow]) -> None:
        """Add rows, or replace those with the same (tick, vehicle)."""
        self._add(schema.VEHICLES, rows)

    def add_storages(self, rows: Iterable[StorageRow]) -> None:
        """Add rows, or replace those with the same (tick, storage)."""
        self._add(schema.STORAGES, rows)

    def add_figures(self, rows: Iterable[FigureRow]) -> None:
        """Add rows, or replace those with the same (tick, agent, name)."""
        self._add(schema.FIGURES, rows)

    def add_figure_meanings(self, rows: Iterable[FigureMeaning]) -> None:
        """Add rows, or replace those with the same (kind, name)."""
        self._add(schema.FIGURE_MEANINGS, rows)

    def add_demands(self, rows: Iterable[DemandRow]) -> None:
        """Add rows, or replace those with the same (tick, kind)."""
        self._add(schema.DEMANDS, rows)

    def add_welfare(self, rows: Iterable[WelfareRow]) -> None:
        """Add rows, or replace those with the same (tick, cell)."""
        self._add(schema.WELFARE, rows)

    def add_events(self, rows: Iterable[EventRow]) -> None:
        """Add rows, or replace those with the same (tick, time, kind, subject)."""
        self._add(schema.EVENTS, rows)

    def drop_before(self, tick: int) -> None:
        """Delete all rows of ticks before one, such as those of a warm-up; reservations count by their call."""
        if tick <= 0:
            return
        begins_ms = self.facts().start_ms + tick * self.facts().tick_ms
        for table in schema.TABLES:
            if "tick" in schema.FIELDS[table.name]:
                self._run(f"DELETE FROM {table.name} WHERE tick < ?", [(tick,)])  # noqa: S608 - our own names
        self._run("DELETE FROM reservations WHERE requested_ms < ?", [(begins_ms,)])
        self.commit()

    def put_meta(self, key: str, value: object) -> None:
        """Store a JSON value under a key; it replaces an older one."""
        text = json_text(value, sort_keys=True, allow_nan=False)
        self._run("INSERT OR REPLACE INTO meta VALUES (?, ?)", [(key, text)])

    def put_facts(self, facts: RunFacts) -> None:
        """Store the facts of the run."""
        self.put_meta("facts", facts._asdict())

    def put_invariants(self, invariants: Iterable[Invariant]) -> None:
        """Store the auditor's findings."""
        self.put_meta("invariants", [invariant._asdict() for invariant in invariants])

    # --- reading -----------------------------------------------------------------------------------------

    def ticks(self) -> Iterator[TickRow]:
        """Read by tick, cell."""
        return map(TickRow._make, self.select(schema.select_sql(schema.TICKS)))

    def trades(self) -> Iterator[TradeRow]:
        """Read by tick, cell, producer, consumer, package."""
        return map(TradeRow._make, self.select(schema.select_sql(schema.TRADES)))

    def reservations(self) -> Iterator[ReservationRow]:
        """Read by time of the request, vehicle, call, charger."""
        return map(ReservationRow._make, self.select(schema.select_sql(schema.RESERVATIONS)))

    def agents(self) -> Iterator[AgentRow]:
        """Read by tick, agent."""
        return map(AgentRow._make, self.select(schema.select_sql(schema.AGENTS)))

    def vehicles(self) -> Iterator[VehicleRow]:
        """Read by tick, vehicle."""
        return map(VehicleRow._make, self.select(schema.select_sql(schema.VEHICLES)))

    def storages(self) -> Iterator[StorageRow]:
        """Read by tick, storage."""
        return map(StorageRow._make, self.select(schema.select_sql(schema.STORAGES)))

    def figures(self) -> Iterator[FigureRow]:
        """Read by tick, agent, name."""
        return map(FigureRow._make, self.select(schema.select_sql(schema.FIGURES)))

    def figure_meanings(self) -> Iterator[FigureMeaning]:
        """Read by kind, name."""
        return map(FigureMeaning._make, self.select(schema.select_sql(schema.FIGURE_MEANINGS)))

    def demands(self) -> Iterator[DemandRow]:
        """Read by tick, kind."""
        return map(DemandRow._make, self.select(schema.select_sql(schema.DEMANDS)))

    def welfare(self) -> Iterator[WelfareRow]:
        """Read by tick, cell."""
        return map(WelfareRow._make, self.select(schema.select_sql(schema.WELFARE)))

    def events(self) -> Iterator[EventRow]:
        """Read by tick, time, kind, subject."""
        return map(EventRow._make, self.select(schema.select_sql(schema.EVENTS)))

    def meta(self, key: str, default: object = None) -> Any:  # noqa: ANN401  JSON may be anything
        """Return the JSON value under a key, or the default."""
        for (text,) in self.select("SELECT value FROM meta WHERE key = ?", (key,)):
            return parse_json(text)
        return default

    def facts(self) -> RunFacts:
        """Return the facts of the run; a store without facts gives an unnamed run."""
        found = dict(self.meta("facts", {}))
        found["cells"] = tuple(CellArea._make(cell) for cell in found.get("cells", ()))
        found["emissions_g_per_kwh"] = tuple(map(tuple, found.get("emissions_g_per_kwh", ())))
        unnamed = {"scenario": "unnamed", "title": "", "seed": 0, "version": "", "start_ms": 0}
        return RunFacts(**{**unnamed, **found})

    def invariants(self) -> list[Invariant]:
        """Return the auditor's findings in its order."""
        return [Invariant(**found) for found in self.meta("invariants", [])]

    def select(self, sql: str, parameters: tuple[object, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """Run an SQL query; the order of rows is undefined unless the query gives one."""
        try:
            with closing(self._open_connection().execute(sql, parameters)) as cursor:
                yield from cursor
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise self._failed(error) from error

    # --- inside ------------------------------------------------------------------------------------------

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError(self.path, "the store is closed", "open it again")
        return self._connection

    def _add(self, table: schema.Table, rows: Iterable[tuple[object, ...]]) -> None:
        if self.ignores_rows:
            return
        self._run(schema.insert_sql(table), rows if isinstance(rows, list) else list(rows))

    def _run(self, sql: str, rows: list[tuple[object, ...]]) -> None:
        connection = self._open_connection()
        if not self._writable:
            raise StoreError(self.path, "open for reading only", "write into a new store")
        try:
            if not connection.in_transaction:
                connection.execute("BEGIN")
            connection.execute("SAVEPOINT rows")
            try:
                connection.executemany(sql, rows)
            except (OverflowError, UnicodeEncodeError):
                # Only a faulty or lying device sends such values; the recording continues.
                connection.execute("ROLLBACK TO rows")
                connection.executemany(sql, [tuple(map(_storable, row)) for row in rows])
            connection.execute("RELEASE rows")
        except sqlite3.Error as error:
            raise self._failed(error) from error
        self._pending += len(rows)
        if self._pending >= BATCH:
            self.commit()

    def _failed(self, error: Exception) -> StoreError:
        if not self._writable or str(self.path) == IN_MEMORY:
            return StoreError(self.path, f"SQLite failed ({error})", REMEDY)
        free = ""
        with suppress(OSError):
            free = f", {size_text(shutil.disk_usage(Path(self.path).parent).free)} free"
        remedy = f"make room; what was stored before is kept, and `gridfleet report {Path(self.path).parent}` reads it"
        return StoreError(self.path, f"cannot be written ({error}{free})", remedy)


def _connect(path: Path | str) -> sqlite3.Connection:
    """Return a connection for writing."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _storable(value: object) -> object:
    """Return what SQLite can hold: whole numbers of 64 bits, text without lone surrogates."""
    if isinstance(value, int):
        return max(-_MAX_INTEGER, min(_MAX_INTEGER, value))
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    return value
