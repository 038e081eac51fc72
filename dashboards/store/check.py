"""Checks the content of a store that is opened: tables, types and ranges of every cell, facts and findings.

A store is a file that people copy, and a disk can damage it. What is read without this check would fail somewhere in a
report, or make a wrong one. SQLite looks at every cell in one pass per table.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from gridfleet.broker.errors import StoreError
from gridfleet.broker.readers.json_values import parse_json
from gridfleet.broker.readers.ranges import FIRST_YEAR, LAST_YEAR
from gridfleet.broker.readers.read_error import ReadError
from gridfleet.dashboards.store import schema
from gridfleet.dashboards.store.rows import Invariant, RunFacts

REMEDY: Final = "restore the file from a copy, or run the scenario again"
MAX_TICK: Final = 10_000_000
_MS_PER_YEAR: Final = 31_556_952_000
_TYPES: Final = {"INTEGER": "'integer'", "REAL": "'real', 'integer'", "TEXT": "'text'"}
"""What a cell of a column may be, in SQLite's words."""
_LARGEST: Final = 1e300
"""Numbers beyond it count as infinite."""
_META: Final[dict[str, TypeAdapter[Any]]] = {
    "facts": TypeAdapter(RunFacts),
    "invariants": TypeAdapter(list[Invariant]),
    "breaches": TypeAdapter(dict[str, list[str]]),
}
"""What is under each key of `meta`, where it is there."""


def check_store(connection: sqlite3.Connection, path: Path | str) -> None:
    """Raise StoreError where a database is not a store of this version, or its content is damaged.

    Errors of SQLite are those of a file that is no database.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != schema.APPLICATION_ID:
        raise StoreError(path, "a database, but not one of GridFleet's", "give a file that a run has written")
    versions = [version for (version,) in connection.execute("SELECT version FROM schema LIMIT 2")]
    if len(versions) != 1:
        raise StoreError(path, "the table schema is damaged: it has no version", REMEDY)
    if versions != [schema.VERSION]:
        reason = f"a store of version {versions[0]!r:.40}, where this program reads version {schema.VERSION}"
        raise StoreError(path, reason, "read it with the program that wrote it, or run the scenario again")
    for table in schema.TABLES:
        for column in _damaged_columns(connection, table):
            raise StoreError(path, f"the table {table.name} is damaged in column {column}", REMEDY)
    for key, adapter in _META.items():
        for (text,) in connection.execute("SELECT value FROM meta WHERE key = ?", (key,)):
            _check_meta(text, adapter, key, path)


def _check_meta(text: object, adapter: TypeAdapter[Any], key: str, path: Path | str) -> None:
    try:
        adapter.validate_python(parse_json(text if isinstance(text, str) else ""))
    except (ReadError, ValidationError):
        raise StoreError(path, f"the table meta is damaged under the key {key}", REMEDY) from None


def _damaged_columns(connection: sqlite3.Connection, table: schema.Table) -> Iterator[str]:
    """Yield the columns with a cell of another type than theirs, or out of range."""
    conditions = {}
    for definition in table.columns.split(", "):
        name, kind, *rest = definition.split()
        null = [] if rest else ["'null'"]
        wrong = f"typeof({name}) NOT IN ({', '.join([_TYPES[kind], *null])})"
        conditions[name] = " OR ".join([wrong, *_out_of_range(name, kind)])
    counts = ", ".join(f"coalesce(sum({condition}), 0)" for condition in conditions.values())
    found = connection.execute(f"SELECT {counts} FROM {table.name}").fetchone()  # noqa: S608  the code's own SQL
    yield from (name for name, count in zip(conditions, found, strict=True) if count)


def _out_of_range(name: str, kind: str) -> Iterator[str]:
    """Yield SQL for what no value of a column can be."""
    if name == "tick":
        yield f"{name} NOT BETWEEN 0 AND {MAX_TICK}"
    elif name.endswith("_ms") and name != "deadline_ms":
        low, high = (_MS_PER_YEAR * (year - 1970) for year in (FIRST_YEAR, LAST_YEAR + 1))
        yield f"{name} NOT BETWEEN {low} AND {high}"
    elif kind == "REAL":
        yield f"abs({name}) > {_LARGEST}"
    if name.endswith("latitude"):
        yield f"{name} NOT BETWEEN -90 AND 90"
    elif name.endswith("longitude"):
        yield f"{name} NOT BETWEEN -180 AND 180"
