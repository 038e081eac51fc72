"""A charging station: buys for its battery the emptier the dearer, and reserves its ports for vehicles."""

from collections.abc import Callable
from typing import Any, ClassVar, Final

from gridfleet.broker.protocol.messages import (
    Accept,
    Call,
    ChargerState,
    Close,
    Decline,
    Heartbeat,
    Kind,
    Message,
    Mode,
    Package,
    Phase,
    Release,
)
from gridfleet.broker.protocol.units import TICK_MS, UEUR_PER_EUR
from gridfleet.devices.agents.base import NOTHING, Handler, Out
from gridfleet.devices.agents.buyer import Buyer
from gridfleet.devices.agents.instruments import Connector, Permit
from gridfleet.devices.charging import service_status
from gridfleet.devices.charging.reservation import Movement, ReservationBook
from gridfleet.devices.market.clearing import package_size
from gridfleet.devices.physics.battery import drawn_to_fill, stored_from
from gridfleet.devices.physics.geo import distance_km

OFFER_BASE_UEUR: Final = 1_010_000
"""A vehicle is offered energy at 1.01 EUR/kWh less the state of charge (FACTS: the original's formula)."""
FULL_PRICE_UEUR: Final = 1_000_000


class Charger(Buyer):
    """Energy bought is stored with losses; energy delivered to vehicles is taken with losses."""

    kind = Kind.CHARGER
    __slots__ = (
        "_capacity_wh",
        "_charge_loss_wh",
        "_connector",
        "_delivered_wh",
        "_desk",
        "_discharge_loss_wh",
        "_earned_neur",
        "_floor",
        "_most_wh",
        "_package_wh",
        "out_of_service",
        "stored_wh",
    )

    def __init__(
        self,
        agent_id: str,
        cell: str,
        latitude: float,
        longitude: float,
        *,
        capacity_wh: int,
        stored_wh: int,
        ports: int,
        most_wh: int,
        package_wh: int,
        floor_ueur_per_kwh: int,
        reactor: str | None,
        reactor_price_ueur_per_kwh: int,
        label: str = "",
        connector: Connector | None = None,
    ) -> None:
        """`connector` is its plug on real or mocked pins; without one, deliveries are what vehicles say."""
        super().__init__(
            agent_id, cell, latitude, longitude,
            reactor=reactor, reactor_price_ueur_per_kwh=reactor_price_ueur_per_kwh, label=label,
        )  # fmt: skip
        self.stored_wh = stored_wh
        self._capacity_wh = capacity_wh
        self._most_wh = most_wh
        self._package_wh = package_wh
        self._floor = floor_ueur_per_kwh
        self._connector = connector
        self._desk = ReservationBook(ports, metered=connector is not None)
        self.out_of_service = False
        self._begin_accounts()

    def subscriptions(self) -> list[tuple[str, str]]:
        """Return the (word, scope) pairs it wants to hear, besides the tick."""
        direct = [(word, self.id) for word in ("accept", "heartbeat", "release")]
        return [*super().subscriptions(), ("call", self.cell), ("close", self.cell), *direct]

    def inherit(self, former: "Charger") -> None:
        """Find the battery as it was left."""
        super().inherit(former)
        self.stored_wh = former.stored_wh

    def start_books(self) -> None:
        """Forget trades and reservations under other tick numbers and at other times."""
        super().start_books()
        self._desk = ReservationBook(self._desk.ports, metered=self._desk.metered)

    def _begin_accounts(self) -> None:
        self._delivered_wh = self._charge_loss_wh = self._discharge_loss_wh = self._earned_neur = 0

    def _process(self, now_ms: int) -> Out:
        """Learn, at the beginning of a tick, whether it is in service."""
        words = self.ticking.settings.chargers_out
        self.out_of_service = bool(words) and service_status.read(words).holds(self.id, self.cell)
        return super()._process(now_ms)

    # --- buying ------------------------------------------------------------------------------------------

    def wanted(self) -> tuple[Package, ...]:
        """Bid for the room in the battery, each further package cheaper by what the one before would add."""
        if self.out_of_service:
            return ()
        energy_wh = min(self._most_wh, drawn_to_fill(self._capacity_wh - self.stored_wh))
        package_wh = package_size(energy_wh, self._package_wh)
        packages: list[Package] = []
        for start_wh in range(0, energy_wh, package_wh):
            fill = (self.stored_wh + start_wh) * UEUR_PER_EUR // self._capacity_wh
            price = max(FULL_PRICE_UEUR - fill, self._floor)
            packages.append(Package(len(packages), min(package_wh, energy_wh - start_wh), price))
        return tuple(packages)

    def bought(self, energy_wh: int) -> None:
        """Store what was bought, less the charging loss.

        The loss is booked on the tick's total, so that it does not depend on how the energy was parcelled.
        """
        total_wh = self.purchases.bought_wh
        gained_wh = stored_from(total_wh) - stored_from(total_wh - energy_wh)
        self.stored_wh += gained_wh
        self._charge_loss_wh += energy_wh - gained_wh

    # --- the plug ----------------------------------------------------------------------------------------

    def permit(self, now_ms: int) -> Permit | None:
        """Return who may draw at the plug: a vehicle that has arrived, as long as its lease lasts."""
        if self.out_of_service:
            return None
        for vehicle, mine in self._desk.reservations.items():
            if mine.leased and mine.arrived and mine.until_ms > now_ms:
                return Permit(vehicle, mine.call, mine.energy_wh)
        return None

    @property
    def _out_of_order(self) -> bool:
        return self._connector is not None and not self._connector.ready

    # --- reserving ---------------------------------------------------------------------------------------
    # Out of service, it declines what it is asked, also a heartbeat: then the vehicle goes elsewhere, and its release
    # ends the lease and is billed as ever.

    def _instant(self, simulated_ms: int, now_ms: int) -> int:
        """Return the present instant: in lock-step the vehicle's, within a tick; else by our own clock."""
        tick = self.ticking
        if tick.mode is not Mode.LOCKSTEP:
            return now_ms
        return min(max(simulated_ms, tick.simulated_ms), tick.simulated_ms + TICK_MS)

    def _on_call(self, _scope: str, sender: str, call: Call, now_ms: int) -> Out:
        if self.out_of_service or self._out_of_order:
            return [(sender, Decline(call.call, "offline"))]
        now_ms = self._instant(call.simulated_ms, now_ms)
        if self.ticking.mode is Mode.LOCKSTEP:
            # A call is granted only when every earlier one is decided, so what is merely held is free.
            self._desk.drop_holds()
        self._desk.expire(now_ms)
        away_km = distance_km(call.latitude, call.longitude, self.latitude, self.longitude)
        way_wh = drawn_to_fill(round(away_km * call.consumption_wh_per_km))
        price = OFFER_BASE_UEUR - self.stored_wh * UEUR_PER_EUR // self._capacity_wh
        answer = self._desk.offer(sender, call, call.energy_wh + way_wh, price, self.stored_wh, now_ms)
        return [(sender, answer)]

    def _on_accept(self, _scope: str, sender: str, accept: Accept, now_ms: int) -> Out:
        if self.out_of_service:
            return [(sender, Decline(accept.call, "offline"))]
        now_ms = self._instant(accept.simulated_ms, now_ms)
        self._desk.expire(now_ms)
        if self._out_of_order:
            self._desk.close(sender, accept.call)
            return [(sender, Decline(accept.call, "offline"))]
        return [(sender, self._desk.accept(sender, accept, now_ms))]

    def _on_close(self, _scope: str, sender: str, close: Close, _now_ms: int) -> Out:
        self._desk.close(sender, close.call)
        return NOTHING

    def _on_heartbeat(self, _scope: str, sender: str, beat: Heartbeat, now_ms: int) -> Out:
        if self.out_of_service:
            return [(sender, Decline(beat.call, "offline"))]
        now_ms = self._instant(beat.simulated_ms, now_ms)
        self._desk.expire(now_ms)
        if self._connector is not None:
            drawn_wh = self._connector.delivered_wh(sender, beat.call)
            beat = Heartbeat(beat.call, beat.simulated_ms, beat.arrived, drawn_wh)
        answer, movement = self._desk.heartbeat(sender, beat, now_ms)
        self._deliver(movement)
        if self._out_of_order:
            answer = Decline(beat.call, "offline")  # it will leave, and be billed when it says so
        return [(sender, answer)]

    def _on_release(self, _scope: str, sender: str, release: Release, _now_ms: int) -> Out:
        if self._connector is not None:
            drawn_wh = self._connector.delivered_wh(sender, release.call)
            release = Release(release.call, release.simulated_ms, drawn_wh, release.outcome)
        answer, movement = self._desk.release(sender, release, self.stored_wh)
        self._deliver(movement)
        return [(sender, answer)]

    def _deliver(self, movement: Movement) -> None:
        """Take from the battery what the meter moved, and earn its price."""
        self._delivered_wh += movement.delivered_wh
        self._discharge_loss_wh += movement.taken_wh - movement.delivered_wh
        self.stored_wh -= movement.taken_wh
        self._earned_neur += movement.earned_neur
        self.balance_neur += movement.earned_neur

    def _status(self) -> str:
        if self.out_of_service:
            return service_status.STATUS
        if self._out_of_order:
            return "faulted"
        return "charging" if self._delivered_wh else "reserved" if self._desk.reservations else "free"

    def _settle(self, now_ms: int) -> Out:
        self.deadline_ms = None
        self._desk.expire(now_ms)
        books = self.purchases
        if books.tick != self.tick:
            return NOTHING
        desk, connector = self._desk, self._connector
        state = ChargerState(
            tick=self.tick,
            latitude=self.latitude,
            longitude=self.longitude,
            measured=connector is not None and connector.measured,
            status=self._status(),
            power_w=(self._delivered_wh - books.bought_wh) * 3_600_000 // TICK_MS,
            balance_neur=self.balance_neur,
            refused=dict(self.refused),
            kind="charger",
            demand_wh=books.demand_wh,
            bought_wh=books.bought_wh,
            paid_neur=books.paid_neur,
            stored_wh=self.stored_wh,
            capacity_wh=self._capacity_wh,
            delivered_wh=self._delivered_wh,
            charge_loss_wh=self._charge_loss_wh,
            discharge_loss_wh=self._discharge_loss_wh,
            earned_neur=self._earned_neur,
            ports=desk.ports,
            ports_reserved=len(desk.reservations),
            faults=connector.faults if connector is not None else (),
            contactor="none" if connector is None else "closed" if connector.closed else "open",
            opened_because=connector.opened_because if connector is not None else "",
        )
        self._begin_accounts()
        return [("", state)]

    handlers: ClassVar[dict[type[Message], Handler]] = {
        **Buyer.handlers,
        Call: _on_call,
        Accept: _on_accept,
        Close: _on_close,
        Heartbeat: _on_heartbeat,
        Release: _on_release,
    }
    phases: ClassVar[dict[Phase, Callable[[Any, int], Out]]] = {
        **Buyer.phases,
        Phase.BID: _process,
        Phase.SETTLE: _settle,
    }
