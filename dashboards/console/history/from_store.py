"""The history of a run for the live page from the tables of its store, where no `page.history` was written.

The tables have what was settled, and where every device was; they do not have bids that nobody served, ports that
nobody reserved, and messages that were refused. So the market shows served energy alone.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from gridfleet.broker.protocol.messages import (
    Bid,
    Call,
    ChargerState,
    ClockState,
    ConsumerState,
    Facts,
    Lease,
    Message,
    Mode,
    Phase,
    Presence,
    ProducerState,
    Receipt,
    Role,
    Settings,
    StorageState,
    Supply,
    Tick,
    VehicleState,
)
from gridfleet.broker.protocol.messages.market import Package
from gridfleet.broker.protocol.topics import CLOCK_ID
from gridfleet.broker.protocol.units import MS_PER_HOUR, TICK_MS
from gridfleet.dashboards.console.history.page_history import PageHistory
from gridfleet.dashboards.console.history.publications import publication
from gridfleet.dashboards.console.history.store_rows import TickRows, rows_by_tick
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import (
    AgentRow,
    ReservationRow,
    RunFacts,
    TradeRow,
    VehicleRow,
)

REAL_MS: Final = 1_000
"""Real milliseconds between two ticks, for the page's animations."""
_TRADE_MS: Final = 300_000
_SETTLE_MS: Final = 840_000
_KM_PER_DEGREE: Final = 111.195
"""A degree of latitude."""
_PRESENCE: Final = {"online": True, "offline": False}
"""Kinds of events that say whether a device is online."""
Published = tuple[str, str, Message]
"""Scope, sender and message."""


def site_of_store(facts: RunFacts) -> str:
    """Return the name under which the page shows a stored run: that of its cell where it has one."""
    return facts.cells[0].name if len(facts.cells) == 1 else "site"


def history_of_store(store: Store) -> PageHistory:
    """Return the history of a stored run, to be shown again."""
    facts = store.facts()
    history = PageHistory(site_of_store(facts))
    writer = _Writer(facts)
    at_ms = 0
    for rows in rows_by_tick(store):
        for scope, sender, message in writer.publish(rows):
            history.take(publication(history.site, at_ms, scope, sender, message))
        at_ms += REAL_MS
    if writer.tick is not None:
        for scope, sender, message in writer.end():
            history.take(publication(history.site, at_ms, scope, sender, message))
    history.finish()
    return history


class _Writer:
    """Turns the rows of each tick into the messages that the page reads."""

    def __init__(self, facts: RunFacts) -> None:
        self._facts = facts
        self._cells: dict[str, str] = {}
        self._roles: dict[str, AgentRow] = {}
        self.tick: Tick | None = None

    def publish(self, rows: TickRows) -> Iterator[Published]:
        """Yield the messages of a tick."""
        number, begin_ms = rows.ticks[0].tick, rows.ticks[0].simulated_ms
        if self.tick is None:
            yield "", CLOCK_ID, self._facts_message()
        for agent in rows.agents:
            if agent.agent not in self._roles:
                yield self._presence(agent, online=True)
        for event in rows.events:
            if event.kind in _PRESENCE and event.subject in self._roles:
                yield self._presence(self._roles[event.subject], online=_PRESENCE[event.kind])
        note = next((each.text for each in rows.events if each.kind not in _PRESENCE), "")[:80]
        yield "", CLOCK_ID, self._tick(number, Phase.BID, begin_ms, begin_ms + _TRADE_MS, note)
        yield CLOCK_ID, CLOCK_ID, self._clock("running")
        yield from self._market(number, rows.trades)
        yield from self._leases(rows.reservations)
        yield (
            "",
            CLOCK_ID,
            self._tick(number, Phase.SETTLE, begin_ms + _SETTLE_MS, begin_ms + TICK_MS, note),
        )
        yield from self._states(rows)

    def end(self) -> Iterator[Published]:
        """Yield the end of the run."""
        yield CLOCK_ID, CLOCK_ID, self._clock("finished")

    def _facts_message(self) -> Facts:
        areas = [
            (each.south, each.north or 0.0, each.west or 0.0, each.east or 0.0)
            for each in self._facts.cells
            if each.south is not None
        ] or [(0.0, 0.0, 0.0, 0.0)]
        souths, norths, wests, easts = zip(*areas, strict=True)
        return Facts(
            title=(self._facts.title or self._facts.scenario)[:120],
            south=min(souths),
            north=max(norths),
            west=min(wests),
            east=max(easts),
            rows=len(set(souths)),
            columns=len(set(wests)),
            reactor_price_ueur_per_kwh=self._facts.reactor_price_ueur,
        )

    def _presence(self, agent: AgentRow, *, online: bool) -> Published:
        cell = self._cells.setdefault(agent.agent, self._cell_of(agent))
        self._roles[agent.agent] = agent
        birth = Presence(
            online,
            Role(agent.role),
            cell,
            agent.latitude,
            agent.longitude,
            label=agent.agent,
            kind=agent.kind,
        )
        return f"{cell}/{agent.role}", agent.agent, birth

    def _cell_of(self, agent: AgentRow) -> str:
        for cell in self._facts.cells:
            if cell.south is None or cell.north is None or cell.west is None or cell.east is None:
                return cell.name
            if cell.south <= agent.latitude <= cell.north and cell.west <= agent.longitude <= cell.east:
                return cell.name
        return self._facts.cells[0].name if self._facts.cells else "site"

    def _tick(self, tick: int, phase: Phase, simulated_ms: int, ends_ms: int, note: str) -> Tick:
        self.tick = Tick(
            tick=tick,
            phase=phase,
            simulated_ms=simulated_ms,
            ends_ms=ends_ms,
            mode=Mode.LOCKSTEP,
            seconds_per_tick=0.0,
            ticks_left=0,
            paused=False,
            settings=Settings(note=note),
        )
        return self.tick

    def _clock(self, status: str) -> ClockState:
        tick = self.tick.tick if self.tick is not None else 0
        settings = self.tick.settings if self.tick is not None else Settings()
        return ClockState(
            **_account(tick, 0.0, 0.0, status, "clock"),
            role="clock",
            mode=Mode.LOCKSTEP,
            paused=False,
            seconds_per_tick=0.0,
            ticks=tick + 1,
            settings=settings,
            revision=0,
        )

    def _market(self, tick: int, trades: list[TradeRow]) -> Iterator[Published]:
        """Yield supplies, bids and receipts of what was settled."""
        for seller, sold in _grouped(trades, attrgetter("producer")):
            if seller in self._cells and self._roles[seller].role != Role.GRID_SUPPLY:
                yield self._cells[seller], seller, Supply(tick, sum(each.energy_wh for each in sold))
        for buyer, bought in _grouped(trades, attrgetter("consumer")):
            if buyer in self._cells:
                yield self._cells[buyer], buyer, Bid(tick, _packages(bought))
        pairs = _grouped(trades, lambda each: (each.producer, each.consumer))
        for serial, ((seller, buyer), lots) in enumerate(pairs):
            yield seller, buyer, Receipt(tick, serial, _packages(lots))

    def _leases(self, reservations: list[ReservationRow]) -> Iterator[Published]:
        """Yield accepted reservations; each call is put north of its charger, as far away as it was."""
        for each in reservations:
            charger = self._roles.get(each.charger)
            if charger is None or each.price_ueur is None or each.distance_km is None:
                continue
            latitude = min(charger.latitude + each.distance_km / _KM_PER_DEGREE, 90.0)
            call = Call(each.call, each.requested_ms, 1, 0, latitude, charger.longitude, 1.0)
            yield self._cells[each.charger], each.vehicle, call
            until_ms = each.accepted_ms or each.requested_ms
            yield each.vehicle, each.charger, Lease(each.call, each.energy_wh, each.price_ueur, until_ms)

    def _states(self, rows: TickRows) -> Iterator[Published]:
        sold = dict(_grouped(rows.trades, attrgetter("producer")))
        bought = dict(_grouped(rows.trades, attrgetter("consumer")))
        capacity_wh = _charger_capacity_wh(rows)
        for agent in rows.agents:
            took = sum(each.energy_wh for each in bought.get(agent.agent, ()))
            paid = sum(each.energy_wh * each.price_ueur for each in bought.get(agent.agent, ()))
            gave = sum(each.energy_wh for each in sold.get(agent.agent, ()))
            earned = sum(each.energy_wh * each.price_ueur for each in sold.get(agent.agent, ()))
            figures = rows.figures.get(agent.agent, {})
            common = _account(
                agent.tick, agent.latitude, agent.longitude, "", agent.kind, figures, agent=agent
            )
            state: Message
            match agent.role:
                case Role.PRODUCER | Role.GRID_SUPPLY:
                    made = max(round(agent.power_w * self._facts.tick_ms / MS_PER_HOUR), gave)
                    state = ProducerState(
                        **common,
                        role="producer" if agent.role == Role.PRODUCER else "grid-supply",
                        generated_wh=made,
                        sold_wh=gave,
                        curtailed_wh=made - gave if agent.role == Role.PRODUCER else 0,
                        unsettled_wh=0,
                        earned_neur=earned,
                    )
                case Role.CONSUMER:
                    state = ConsumerState(
                        **common, role="consumer", demand_wh=took, bought_wh=took, paid_neur=paid
                    )
                case Role.STORAGE:
                    row = rows.storages.get(agent.agent)
                    if row is None:
                        continue
                    state = StorageState(
                        **common,
                        role="storage",
                        demand_wh=took,
                        bought_wh=took,
                        paid_neur=paid,
                        announced_wh=row.sold_wh,
                        sold_wh=row.sold_wh,
                        unsettled_wh=0,
                        earned_neur=earned,
                        stored_wh=row.stored_wh,
                        capacity_wh=row.capacity_wh,
                        charge_loss_wh=row.loss_wh,
                        discharge_loss_wh=0,
                    )
                case Role.CHARGER:
                    state = ChargerState(
                        **common,
                        role="charger",
                        demand_wh=took,
                        bought_wh=took,
                        paid_neur=paid,
                        stored_wh=round((agent.state_of_charge or 0.0) * capacity_wh),
                        capacity_wh=capacity_wh,
                        delivered_wh=0,
                        charge_loss_wh=0,
                        discharge_loss_wh=0,
                        earned_neur=0,
                        ports=0,
                        ports_reserved=0,
                    )
                case _:
                    vehicle = rows.vehicles.get(agent.agent)
                    if vehicle is None:
                        continue
                    state = _vehicle_state(common, vehicle)
            yield agent.role, agent.agent, state


def _vehicle_state(common: dict[str, Any], row: VehicleRow) -> VehicleState:
    return VehicleState(
        **{**common, "status": row.status},
        role="vehicle",
        model=row.model,
        consumption_wh_per_km=row.consumption_wh_per_km,
        stored_wh=row.stored_wh,
        capacity_wh=row.capacity_wh,
        drawn_wh=0,
        charge_loss_wh=0,
        driven_wh=0,
        paid_neur=0,
        speed_km_h=row.speed_km_h,
        deadline_ms=row.deadline_ms,
        next_stop=_position(row.next_latitude, row.next_longitude),
        destination=_position(row.destination_latitude, row.destination_longitude),
        charger=row.charger,
    )


def _position(latitude: float | None, longitude: float | None) -> tuple[float, float] | None:
    return None if latitude is None or longitude is None else (latitude, longitude)


def _account(
    tick: int,
    latitude: float,
    longitude: float,
    status: str,
    kind: str,
    figures: dict[str, float] | None = None,
    *,
    agent: AgentRow | None = None,
) -> dict[str, Any]:
    """Return the fields that every account has."""
    return {
        "tick": tick,
        "latitude": latitude,
        "longitude": longitude,
        "measured": agent is not None and bool(agent.measured),
        "status": status,
        "power_w": 0 if agent is None else agent.power_w,
        "balance_neur": 0 if agent is None else agent.balance_neur,
        "refused": {},
        "kind": kind,
        "figures": figures or {},
        "avoids": (),
    }


def _charger_capacity_wh(rows: TickRows) -> int:
    """Return the capacity of a charger's battery."""
    full = sum(each.state_of_charge or 0.0 for each in rows.agents if each.role == Role.CHARGER)
    stored = sum(each.charger_stored_wh for each in rows.ticks)
    return max(round(stored / full), 1) if full else 1


def _packages(trades: Iterable[TradeRow]) -> tuple[Package, ...]:
    return tuple(Package(each.package, each.energy_wh, each.price_ueur) for each in trades)


def _grouped(rows: list[TradeRow], key: Callable[[TradeRow], Any]) -> list[tuple[Any, list[TradeRow]]]:
    return [(name, list(found)) for name, found in groupby(sorted(rows, key=key), key)]
