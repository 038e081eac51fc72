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
from gridfleet.dashboards.recording.reservation_log import ReservationLog
from gridfleet.dashboards.recording.tick_market import Lots, TickBooks
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import AgentRow, EventRow, ReservationRow, TradeRow, VehicleRow

_TICKED: Final = frozenset((Supply, Bid, Residual, Surplus, Request, Award, Receipt))
_CHARGING: Final = frozenset((Call, Offer, Accept, Close, Lease, Heartbeat, Release, Bill, Decline))
_STATES: Final = frozenset((ProducerState, ConsumerState, ChargerState, VehicleState))
_COMMIT_S: Final = 1.0
"""Real seconds after which what was recorded is made to survive a crash."""
_LATE_TICKS: Final = 8


class RecorderObserver(Protocol):
    """Is told what the recorder finds, besides the rows that it writes."""

    def joined(self, books: TickBooks) -> None:
        """A tick is over and its books are joined."""

    def receipted(
        self, books: TickBooks, consumer: str, lots: Lots, got: Lots, trades: list[TradeRow]
    ) -> None:
        """A receipt came for an award of a tick whose books had been joined before."""

    def accepted(self, row: ReservationRow) -> None:
        """A reservation has been confirmed; its energy is what was reserved."""

    def ended(self, rows: list[ReservationRow]) -> None:
        """Reservations have come to their end."""

    def event(self, row: EventRow) -> None:
        """Something happened that explains the curves."""


class Recorder:
    """Call `tap` with every message and `finish` at the end; closing the store is its owner's."""

    def __init__(self, store: Store, witness: RecorderObserver | None = None) -> None:
        self._store = store
        self._witness = witness
        self.places: dict[str, Presence] = {}
        """The births heard, by device."""
        self._stored: dict[str, int] = {}
        self._measured: set[str] = set()
        self._reservations = ReservationLog(self.places, self._measured)
        self._books: dict[int, TickBooks] = {}
        self._open: dict[int, TickBooks] = {}
        """Ticks already written that have awards without a receipt."""
        self._tick: Tick | None = None
        self._now_tick = -1
        self._offline: set[str] = set()
        self._committed = monotonic()

    def tap(self, simulated_ms: int, scope: str, sender: str, message: Message) -> None:
        """Hear a message."""
        kind = type(message)
        if kind in _STATES:
            books = self._books_of(message.tick)  # type: ignore[attr-defined]
            if books is not None:
                books.states[sender] = message  # type: ignore[assignment]
        elif kind in _TICKED:
            books = self._books_of(message.tick)  # type: ignore[attr-defined]
            if books is not None:
                books.market.append((scope, sender, message))
            else:
                self._late(sender, scope, message)
        elif kind in _CHARGING:
            books = self._books.get(self._now_tick)
            if books is not None:
                books.count(sender)
                row = self._reservations.hear(simulated_ms, self._now_tick, scope, sender, message)
                if row is not None and self._witness is not None:
                    self._witness.accepted(row)
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
        elif isinstance(message, Correction) and self._now_tick in self._books:
            self._books[self._now_tick].count(sender)

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
        for tick in sorted(self._books):
            if self._books[tick].ended:
                self._write(tick)
        self._books.clear()
        self._end(self._reservations.finish())
        if last is not None:
            self._event(last.tick, last.ends_ms, "end", "site", "the run ends")
        self._store.commit()

    # --- time and presence -------------------------------------------------------------------------------

    def _books_of(self, tick: int) -> TickBooks | None:
        """Return the books of a tick not yet written, or None."""
        books = self._books.get(tick)
        if books is None and self._tick is not None and self._now_tick - 1 <= tick <= self._now_tick + 1:
            books = self._books[tick] = TickBooks(tick, self.places, self._stored)
        return books

    def _on_tick(self, tick: Tick) -> None:
        last, self._tick = self._tick, tick
        if last is not None and last.epoch != tick.epoch:
            self._books.clear()
            self._open.clear()
        self._now_tick = tick.tick
        if last is None:
            self._event(tick.tick, tick.simulated_ms, "begin", "site", "the run begins")
        elif last.settings is not tick.settings and last.settings != tick.settings:
            self._on_settings(last.settings, tick)
        books = self._books_of(tick.tick)
        if books is None:
            return
        if tick.phase is Phase.BID:
            books.begun = True
            books.begins_ms = tick.simulated_ms
            for done in sorted(number for number in self._books if number <= tick.tick - 2):
                self._write(done)
        elif tick.phase is Phase.SETTLE:
            books.ended = True

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
        if self._witness is not None:
            self._witness.event(row)

    # --- writing -----------------------------------------------------------------------------------------

    def _write(self, tick: int) -> None:
        """Write the rows of a tick."""
        books = self._books.pop(tick)
        if not (books.begun and books.ended):
            return
        store = self._store
        books.join()
        if self._witness is not None:
            self._witness.joined(books)
        store.add_trades(books.trades)
        store.add_ticks(books.rows())
        for sender, state in books.states.items():
            (self._measured.add if state.measured else self._measured.discard)(sender)
        agents, vehicles = _account_rows(tick, books.states)
        store.add_agents(agents)
        store.add_vehicles(vehicles)
        rows = self._reservations.rows(tick, books.begins_ms)
        if rows:
            self._end(rows)
        if books.open:
            books.forget_accounts()
            self._open[tick] = books
        self._open.pop(tick - _LATE_TICKS, None)
        now = monotonic()
        if now - self._committed >= _COMMIT_S:
            store.commit()
            self._committed = now

    def _end(self, rows: list[ReservationRow]) -> None:
        self._store.add_reservations(rows)
        if self._witness is not None:
            self._witness.ended(rows)

    def _late(self, consumer: str, producer: str, message: Message) -> None:
        """Take a receipt for an award of a tick already written: its trade is added, the tick's row replaced."""
        if self._now_tick in self._books:
            self._books[self._now_tick].count(consumer)
        if not isinstance(message, Receipt):
            return
        books = self._open.get(message.tick)
        if books is None:
            return
        key = (producer, consumer, message.serial)
        lots = books.open.get(key)
        trades = books.settle(key, message.lots)
        if lots is not None and self._witness is not None:
            self._witness.receipted(books, consumer, lots, message.lots, trades)
        if trades:
            self._store.add_trades(trades)
            self._store.add_ticks(books.rows())


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
