"""Turns the messages of a site into rows of the store.

A tick is written when the tick after the next begins: by then every device has reported, in whatever order the
messages arrived. Trades are what receipts took of awards, the first receipt counting, so that in every row
generated + reactor + imported = sold + exported + curtailed, to the Wh. `messages` counts the messages of a cell's
devices in a tick about market, reservations and accounts; clock, readiness and births are left out, because a
broker repeats them.
"""

from collections.abc import Iterable
from time import monotonic
from typing import Final, Protocol

from gridfleet.broker.protocol.messages import (
    ACCOUNTS,
    Accept,
    Award,
    Bid,
    Bill,
    Call,
    ChargerState,
    Close,
    Correction,
    Decline,
    Facts,
    Heartbeat,
    Incident,
    Lease,
    Message,
    Offer,
    Phase,
    Presence,
    Receipt,
    Release,
    Request,
    Residual,
    Supply,
    Surplus,
    Suspension,
    Tick,
)
from gridfleet.broker.protocol.topics import CLOCK_ID
from gridfleet.dashboards.market.aggregate import Lots
from gridfleet.dashboards.market.welfare import Neighbours, neighbours_of
from gridfleet.dashboards.recording.account_rows import account_rows
from gridfleet.dashboards.recording.events import EventLog, end_row, incident_row
from gridfleet.dashboards.recording.reservation_log import ReservationLog
from gridfleet.dashboards.recording.tick_record import TickRecord
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import EventRow, FigureMeaning, ReservationRow, TradeRow

_MARKET: Final = frozenset((Supply, Bid, Residual, Surplus, Request, Award, Receipt))
_CHARGING: Final = frozenset((Call, Offer, Accept, Close, Lease, Heartbeat, Release, Bill, Decline))
_COMMIT_S: Final = 1.0
"""Real seconds after which rows are committed, so that they survive a crash."""
_LATE_TICKS: Final = 8
PORTS_KEY: Final = "ports"
"""The key in the store of the number of charging ports."""


class RecorderObserver(Protocol):
    """Receives what the recorder finds, besides the rows that it writes."""

    def on_tick_reconciled(self, record: TickRecord) -> None:
        """Handle a finished tick, its awards matched with receipts."""

    def on_late_receipt(
        self, record: TickRecord, consumer: str, awarded: Lots, taken: Lots, trades: list[TradeRow]
    ) -> None:
        """Handle a receipt for an award of a tick that was reconciled before."""

    def on_reservation(self, row: ReservationRow) -> None:
        """Handle a confirmed reservation; its energy is what was reserved."""

    def on_reservations_ended(self, rows: list[ReservationRow]) -> None:
        """Handle reservations that ended."""

    def on_event(self, row: EventRow) -> None:
        """Handle an event that explains the curves."""


class Recorder:
    """Call `receive` with every message and `finish` at the end; the store's owner closes it."""

    def __init__(self, store: Store, observer: RecorderObserver | None = None) -> None:
        self._store = store
        self._observer = observer
        self._births: dict[str, Presence] = {}
        """Device -> its last birth message."""
        self._stored_wh: dict[str, int] = {}
        """Charger -> energy in its battery, by its last account."""
        self._measured: set[str] = set()
        """Devices whose last account rests on real sensors."""
        self._reservations = ReservationLog(self._births, self._measured)
        self._events = EventLog()
        self._ports: dict[str, int] = {}
        """Charger -> its ports, by its last account."""
        self._facts: Facts | None = None
        self._neighbours: Neighbours = {}
        self._records: dict[int, TickRecord] = {}
        self._open: dict[int, TickRecord] = {}
        """Ticks already written that have awards without a receipt."""
        self._tick: Tick | None = None
        self._now_tick = -1
        self._committed_s = monotonic()

    def receive(self, simulated_ms: int, scope: str, sender: str, message: Message) -> None:
        """Record a message: simulated time in ms, scope and sender of its topic."""
        message_class = type(message)
        if message_class in ACCOUNTS:
            record = self._record_of(message.tick)  # type: ignore[attr-defined]
            if record is not None:
                record.market.add_account(sender, message)  # type: ignore[arg-type]
        elif message_class in _MARKET:
            record = self._record_of(message.tick)  # type: ignore[attr-defined]
            if record is not None:
                record.market.add(scope, sender, message)
            else:
                self._on_late_message(sender, scope, message)
        elif message_class in _CHARGING:
            record = self._records.get(self._now_tick)
            if record is not None:
                record.market.count(sender)
                row = self._reservations.receive(simulated_ms, self._now_tick, scope, sender, message)
                if row is not None and self._observer is not None:
                    self._observer.on_reservation(row)
        else:
            self._on_other_message(simulated_ms, scope, sender, message)

    def snapshot(self) -> dict[str, dict[str, int]]:
        """Return what it must remember of reservations that ended long ago, for `restore`."""
        return self._reservations.snapshot()

    def restore(self, snapshot: dict[str, dict[str, int]]) -> None:
        """Take over what an earlier recorder of the same run returned from `snapshot`."""
        self._reservations.restore(snapshot)

    def finish(self) -> None:
        """Write the rest, except ticks whose beginning or end was not received."""
        last = self._tick
        for tick in sorted(self._records):
            if self._records[tick].ended:
                self._write(tick)
        self._records.clear()
        self._end_reservations(self._reservations.finish())
        if last is not None:
            self._add_events([end_row(last)])
        self._store.put_meta(PORTS_KEY, sum(self._ports.values()))
        self._store.commit()

    # --- clock and presence ------------------------------------------------------------------------------

    def _on_other_message(self, simulated_ms: int, scope: str, sender: str, message: Message) -> None:
        if isinstance(message, Tick):
            if sender == CLOCK_ID:
                self._on_tick(message)
        elif isinstance(message, Presence):
            known = sender in self._births
            if message.online:
                self._births[sender] = message
                if message.figures:
                    self._store.add_figure_meanings(
                        FigureMeaning(message.kind, each.name, each.unit, each.description)
                        for each in message.figures
                    )
            self._add_events(
                self._events.on_presence(self._now_tick, simulated_ms, sender, message, known=known)
            )
        elif isinstance(message, Incident):
            self._add_events([incident_row(self._now_tick, simulated_ms, sender, message)])
        elif isinstance(message, Suspension):
            self._add_events(self._events.on_suspension(self._now_tick, simulated_ms, scope, message))
        elif isinstance(message, Facts):
            self._facts = message
            self._neighbours = neighbours_of(message.rows, message.columns)
        elif isinstance(message, Correction) and self._now_tick in self._records:
            self._records[self._now_tick].market.count(sender)

    def _record_of(self, tick: int) -> TickRecord | None:
        """Return the record of a tick not yet written; None for other ticks."""
        record = self._records.get(tick)
        if record is None and self._tick is not None and self._now_tick - 1 <= tick <= self._now_tick + 1:
            record = self._records[tick] = TickRecord(tick, self._births, self._stored_wh)
        return record

    def _on_tick(self, tick: Tick) -> None:
        last, self._tick = self._tick, tick
        if last is not None and last.epoch != tick.epoch:
            self._records.clear()
            self._open.clear()
        self._now_tick = tick.tick
        self._add_events(self._events.on_tick(last, tick))
        record = self._record_of(tick.tick)
        if record is None:
            return
        if tick.phase is Phase.BID:
            record.begun = True
            record.begins_ms = tick.simulated_ms
            if self._facts is not None:
                record.neighbours = self._neighbours
                record.reactor_price_ueur = self._facts.reactor_price_ueur_per_kwh
            for done in sorted(number for number in self._records if number <= tick.tick - 2):
                self._write(done)
        elif tick.phase is Phase.SETTLE:
            record.ended = True

    def _add_events(self, rows: Iterable[EventRow]) -> None:
        for row in rows:
            self._store.add_events([row])
            if self._observer is not None:
                self._observer.on_event(row)

    # --- writing -----------------------------------------------------------------------------------------

    def _write(self, tick: int) -> None:
        """Write the rows of a tick."""
        record = self._records.pop(tick)
        if not (record.begun and record.ended):
            return
        store = self._store
        record.reconcile()
        if self._observer is not None:
            self._observer.on_tick_reconciled(record)
        store.add_trades(record.trades)
        store.add_ticks(record.rows())
        store.add_demands(record.demand_rows())
        store.add_welfare(record.welfare_rows())
        for sender, state in record.market.states.items():
            (self._measured.add if state.measured else self._measured.discard)(sender)
            if isinstance(state, ChargerState):
                self._ports[sender] = state.ports
        rows = account_rows(tick, record.market.states)
        store.add_agents(rows.agents)
        store.add_vehicles(rows.vehicles)
        if rows.storages:
            store.add_storages(rows.storages)
        if rows.figures:
            store.add_figures(rows.figures)
        ended = self._reservations.rows(tick, record.begins_ms)
        if ended:
            self._end_reservations(ended)
        if record.open:
            record.drop_market()
            self._open[tick] = record
        self._open.pop(tick - _LATE_TICKS, None)
        now_s = monotonic()
        if now_s - self._committed_s >= _COMMIT_S:
            store.commit()
            self._committed_s = now_s

    def _end_reservations(self, rows: list[ReservationRow]) -> None:
        self._store.add_reservations(rows)
        if self._observer is not None:
            self._observer.on_reservations_ended(rows)

    def _on_late_message(self, consumer: str, producer: str, message: Message) -> None:
        """Take a receipt for an award of a tick already written: add its trade, replace the tick's row."""
        if self._now_tick in self._records:
            self._records[self._now_tick].market.count(consumer)
        if not isinstance(message, Receipt):
            return
        record = self._open.get(message.tick)
        if record is None:
            return
        key = (producer, consumer, message.serial)
        awarded = record.open.get(key)
        trades = record.settle(key, message.lots)
        if awarded is not None and self._observer is not None:
            self._observer.on_late_receipt(record, consumer, awarded, message.lots, trades)
        if trades:
            self._store.add_trades(trades)
            self._store.add_ticks(record.rows())
            self._store.add_demands(record.demand_rows())
            self._store.add_welfare(record.welfare_rows())
