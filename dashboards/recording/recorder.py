"""Turns what is said on a site into rows of the store.

A tick is written when the tick after the next begins: by then everybody has spoken of it, in whatever order the
words arrived. Trades are what receipts say was taken of awards, the first receipt counting, so that in every row
generated + reactor + imported = sold + exported + curtailed, to the Wh. `messages` counts what the devices of a
cell said in a tick of market, reservations and accounts; time, readiness and births are left out, because a
broker repeats them.
"""

from time import monotonic
from typing import Final, Protocol

from gridfleet.broker.protocol.messages import (
    Accept,
    Award,
    Bid,
    Bill,
    Call,
    ChargerState,
    Close,
    ConsumerState,
    Correction,
    Decline,
    Heartbeat,
    Incident,
    Lease,
    Message,
    Offer,
    Phase,
    Presence,
    ProducerState,
    Receipt,
    Release,
    Request,
    Residual,
    Settings,
    State,
    Supply,
    Surplus,
    Tick,
    VehicleState,
)
from gridfleet.broker.protocol.topics import CLOCK_ID
from gridfleet.dashboards.market.aggregate import Lots
from gridfleet.dashboards.recording.reservation_log import ReservationLog
from gridfleet.dashboards.recording.tick_record import TickRecord
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import AgentRow, EventRow, ReservationRow, TradeRow, VehicleRow

_TICKED: Final = frozenset((Supply, Bid, Residual, Surplus, Request, Award, Receipt))
_CHARGING: Final = frozenset((Call, Offer, Accept, Close, Lease, Heartbeat, Release, Bill, Decline))
_STATES: Final = frozenset((ProducerState, ConsumerState, ChargerState, VehicleState))
_COMMIT_S: Final = 1.0
"""Real seconds after which what was recorded is made to survive a crash."""
_LATE_TICKS: Final = 8


class RecorderObserver(Protocol):
    """Receives what the recorder finds, besides the rows that it writes."""

    def on_tick_joined(self, record: TickRecord) -> None:
        """Handle a tick that is over, its awards joined with receipts."""

    def on_late_receipt(
        self, record: TickRecord, consumer: str, awarded: Lots, taken: Lots, trades: list[TradeRow]
    ) -> None:
        """Handle a receipt for an award of a tick that was joined before."""

    def on_reservation(self, row: ReservationRow) -> None:
        """Handle a confirmed reservation; its energy is what was reserved."""

    def on_reservations_ended(self, rows: list[ReservationRow]) -> None:
        """Handle reservations that ended."""

    def on_event(self, row: EventRow) -> None:
        """Handle an event that explains the curves."""


class Recorder:
    """Call `tap` with every message and `finish` at the end; closing the store is its owner's."""

    def __init__(self, store: Store, observer: RecorderObserver | None = None) -> None:
        self._store = store
        self._observer = observer
        self.places: dict[str, Presence] = {}
        """The births heard, by device."""
        self._stored: dict[str, int] = {}
        self._measured: set[str] = set()
        self._reservations = ReservationLog(self.places, self._measured)
        self._records: dict[int, TickRecord] = {}
        self._open: dict[int, TickRecord] = {}
        """Ticks already written that have awards without a receipt."""
        self._tick: Tick | None = None
        self._now_tick = -1
        self._offline: set[str] = set()
        self._committed = monotonic()

    def tap(self, simulated_ms: int, scope: str, sender: str, message: Message) -> None:
        """Hear a message."""
        kind = type(message)
        if kind in _STATES:
            record = self._record_of(message.tick)  # type: ignore[attr-defined]
            if record is not None:
                record.market.add_account(sender, message)  # type: ignore[arg-type]
        elif kind in _TICKED:
            record = self._record_of(message.tick)  # type: ignore[attr-defined]
            if record is not None:
                record.market.add(scope, sender, message)
            else:
                self._late(sender, scope, message)
        elif kind in _CHARGING:
            record = self._records.get(self._now_tick)
            if record is not None:
                record.market.count(sender)
                row = self._reservations.hear(simulated_ms, self._now_tick, scope, sender, message)
                if row is not None and self._observer is not None:
                    self._observer.on_reservation(row)
        else:
            self._rare(simulated_ms, sender, message)

    def _rare(self, simulated_ms: int, sender: str, message: Message) -> None:
        if isinstance(message, Tick):
            if sender == CLOCK_ID:
                self._on_tick(message)
        elif isinstance(message, Presence):
            self._on_presence(simulated_ms, sender, message)
        elif isinstance(message, Incident):
            self._on_incident(simulated_ms, sender, message)
        elif isinstance(message, Correction) and self._now_tick in self._records:
            self._records[self._now_tick].market.count(sender)

    def memory(self) -> dict[str, dict[str, int]]:
        """Return what it must not forget of reservations that ended long ago, for `recall`."""
        return self._reservations.memory()

    def recall(self, memory: dict[str, dict[str, int]]) -> None:
        """Remember what an earlier recorder of the same run knew."""
        self._reservations.recall(memory)

    def _on_incident(self, simulated_ms: int, sender: str, said: Incident) -> None:
        truth = "measured" if said.measured else "simulated"
        self._event(
            max(self._now_tick, 0),
            simulated_ms,
            "incident",
            sender,
            f"{sender}: {said.part} {said.what}: {said.reason} ({truth})",
        )

    def finish(self) -> None:
        """Write what is left, except ticks whose beginning or end was not heard."""
        last = self._tick
        for tick in sorted(self._records):
            if self._records[tick].ended:
                self._write(tick)
        self._records.clear()
        self._end(self._reservations.finish())
        if last is not None:
            self._event(last.tick, last.ends_ms, "end", "site", "the run ends")
        self._store.commit()

    # --- time and presence -------------------------------------------------------------------------------

    def _record_of(self, tick: int) -> TickRecord | None:
        """Return the record of a tick not yet written, or None."""
        record = self._records.get(tick)
        if record is None and self._tick is not None and self._now_tick - 1 <= tick <= self._now_tick + 1:
            record = self._records[tick] = TickRecord(tick, self.places, self._stored)
        return record

    def _on_tick(self, tick: Tick) -> None:
        last, self._tick = self._tick, tick
        if last is not None and last.epoch != tick.epoch:
            self._records.clear()
            self._open.clear()
        self._now_tick = tick.tick
        if last is None:
            self._event(tick.tick, tick.simulated_ms, "begin", "site", "the run begins")
        elif last.settings is not tick.settings and last.settings != tick.settings:
            self._on_settings(last.settings, tick)
        record = self._record_of(tick.tick)
        if record is None:
            return
        if tick.phase is Phase.BID:
            record.begun = True
            record.begins_ms = tick.simulated_ms
            for done in sorted(number for number in self._records if number <= tick.tick - 2):
                self._write(done)
        elif tick.phase is Phase.SETTLE:
            record.ended = True

    def _on_settings(self, before: Settings, tick: Tick) -> None:
        """Note what changed; a gale, wind above its natural strength, is a span from `storm` to `storm-end`."""
        now = tick.settings
        names = [name for name in Settings.__dataclass_fields__ if name not in {"note", "outage_s"}]
        changes = [
            f"{name} {_word(getattr(before, name))} to {_word(getattr(now, name))}"
            for name in names
            if getattr(before, name) != getattr(now, name)
        ]
        kind = "settings"
        if before.wind_scale <= 1 < now.wind_scale:
            kind = "storm"
        elif now.wind_scale <= 1 < before.wind_scale:
            kind = "storm-end"
        titled = now.note if now.note != before.note else ""
        if now.outage_s:
            text = f"outage drill: devices are away for {now.outage_s:g} s"
            self._event(tick.tick, tick.simulated_ms, "drill", "site", text)
        if titled or changes:
            self._event(tick.tick, tick.simulated_ms, kind, "site", titled or ", ".join(changes))

    def _on_presence(self, simulated_ms: int, sender: str, presence: Presence) -> None:
        if presence.online:
            self.places[sender] = presence
            if sender in self._offline:
                self._offline.discard(sender)
                self._event(
                    max(self._now_tick, 0), simulated_ms, "online", sender, f"{sender} is online again"
                )
        elif sender in self.places and sender not in self._offline and self._now_tick >= 0:
            self._offline.add(sender)
            self._event(self._now_tick, simulated_ms, "offline", sender, f"{sender} is offline")

    def _event(self, tick: int, simulated_ms: int, kind: str, subject: str, text: str) -> None:
        row = EventRow(tick, simulated_ms, kind, subject, text)
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
        record.join()
        if self._observer is not None:
            self._observer.on_tick_joined(record)
        store.add_trades(record.trades)
        store.add_ticks(record.rows())
        for sender, state in record.market.states.items():
            (self._measured.add if state.measured else self._measured.discard)(sender)
        agents, vehicles = _account_rows(tick, record.market.states)
        store.add_agents(agents)
        store.add_vehicles(vehicles)
        rows = self._reservations.rows(tick, record.begins_ms)
        if rows:
            self._end(rows)
        if record.open:
            record.forget_market()
            self._open[tick] = record
        self._open.pop(tick - _LATE_TICKS, None)
        now = monotonic()
        if now - self._committed >= _COMMIT_S:
            store.commit()
            self._committed = now

    def _end(self, rows: list[ReservationRow]) -> None:
        self._store.add_reservations(rows)
        if self._observer is not None:
            self._observer.on_reservations_ended(rows)

    def _late(self, consumer: str, producer: str, message: Message) -> None:
        """Take a receipt for an award of a tick already written: its trade is added, the tick's row replaced."""
        if self._now_tick in self._records:
            self._records[self._now_tick].market.count(consumer)
        if not isinstance(message, Receipt):
            return
        record = self._open.get(message.tick)
        if record is None:
            return
        key = (producer, consumer, message.serial)
        lots = record.open.get(key)
        trades = record.settle(key, message.lots)
        if lots is not None and self._observer is not None:
            self._observer.on_late_receipt(record, consumer, lots, message.lots, trades)
        if trades:
            self._store.add_trades(trades)
            self._store.add_ticks(record.rows())


def _account_rows(tick: int, states: dict[str, State]) -> tuple[list[AgentRow], list[VehicleRow]]:
    """Return the rows of the agents' accounts, sorted by agent."""
    agents: list[AgentRow] = []
    vehicles: list[VehicleRow] = []
    for sender in sorted(states):
        state = states[sender]
        fill: float | None = None
        if isinstance(state, VehicleState):
            fill = state.stored_wh / state.capacity_wh if state.capacity_wh else None
            stop_latitude, stop_longitude = state.next_stop or (None, None)
            goal_latitude, goal_longitude = state.destination or (None, None)
            vehicles.append(
                VehicleRow(
                    tick, sender, state.model, str(state.status), state.consumption_wh_per_km, state.capacity_wh,
                    state.stored_wh, state.speed_km_h, state.deadline_ms, stop_latitude, stop_longitude,
                    goal_latitude, goal_longitude, state.charger,
                )
            )  # fmt: skip
        elif isinstance(state, ChargerState):
            fill = state.stored_wh / state.capacity_wh if state.capacity_wh else None
        kind = str(state.kind)  # type: ignore[attr-defined]
        agents.append(
            AgentRow(
                tick,
                sender,
                kind,
                state.latitude,
                state.longitude,
                fill,
                state.power_w,
                state.balance_neur,
                state.measured,
            )
        )
    return agents, vehicles


def _word(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
