"""A wind turbine: announces what the wind gives, and sells it, highest price first, in its own cell and next door."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from gridfleet.broker.protocol.messages import (
    Bid,
    Kind,
    Message,
    Phase,
    Presence,
    Receipt,
    Residual,
    Settings,
    Supply,
    Surplus,
    Tick,
)
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.agents.base import NOTHING, Agent, Handler, Out
from gridfleet.devices.agents.instruments import SIMULATED, Instruments, NoReadingError
from gridfleet.devices.agents.roster import Roster
from gridfleet.devices.agents.seller import Seller
from gridfleet.devices.market.clearing import Book, OpenAward, Sales, by_consumer, merit_order, queue, stretch
from gridfleet.devices.physics.air import density_kg_per_m3, pressure_at_height_pa
from gridfleet.devices.physics.turbine import power_w
from gridfleet.devices.weather import Weather, WeatherSpanError

_TICK_S: Final = TICK_MS // 1000
_MOST_EARLY: Final = 10_000
_AS_IT_IS: Final = Settings()
_BUYERS: Final = (Kind.CONSUMER, Kind.CHARGER)


class Turbine(Seller):
    """One turbine; every producer of its cell clears the same market and takes its own stretch of it."""

    kind = Kind.TURBINE
    __slots__ = (
        "_abroad",
        "_book",
        "_carry_ws",
        "_cleared",
        "_early",
        "_neighbours",
        "_pressure_pa",
        "_roster",
        "_rotor_diameter_m",
        "_wind",
        "_wind_factor",
    )

    def __init__(
        self,
        agent_id: str,
        cell: str,
        latitude: float,
        longitude: float,
        *,
        rotor_diameter_m: float,
        wind: Weather,
        roster: Roster,
        hub_height_m: float = 0.0,
        wind_factor: float = 1.0,
        neighbours: Sequence[str] = (),
        label: str = "",
        instruments: Instruments = SIMULATED,
    ) -> None:
        """`instruments` are the instruments behind a measured wind, to which a scenario's scales do not apply."""
        super().__init__(agent_id, cell, latitude, longitude, label)
        self.instruments = instruments
        self._rotor_diameter_m = rotor_diameter_m
        self._pressure_pa = pressure_at_height_pa(hub_height_m)
        self._wind_factor = wind_factor
        self._wind = wind
        self._neighbours = tuple(neighbours)
        self._roster = roster
        self._book = Book(-1)
        self._abroad: dict[str, Book] = {}
        self._early: dict[tuple[str, str, str], Message] = {}
        self._cleared = True
        self._carry_ws = 0

    def subscriptions(self) -> list[tuple[str, str]]:
        """Return the (word, scope) pairs it wants to hear, besides the tick."""
        home = [("supply", self.cell), ("bid", self.cell)]
        roster = [("presence", f"{self.cell}/{kind}") for kind in (*_BUYERS, Kind.TURBINE)]
        abroad = [(word, cell) for cell in self._neighbours for word in ("residual", "surplus")]
        return [*super().subscriptions(), *home, *roster, *abroad]

    def start_books(self) -> None:
        """Forget bids and supplies under other tick numbers."""
        super().start_books()
        self._book = Book(-1)
        self._abroad = {}
        self._early = {}

    def start(self, now_ms: int) -> Out:
        """Come to life, a member of its own cell."""
        self._roster.apply(self.id, self.presence()[1])
        return super().start(now_ms)

    # --- process: what the wind gives --------------------------------------------------------------------

    def generate(self) -> int:
        """Read the wind and return the energy of this tick, Wh; fractions of a Wh are carried to the next.

        Where there is no weather for the time that the clock says, or a sensor has failed, there is nothing to sell.
        """
        try:
            reading = self._wind.at(self.tick_ms, self.latitude, self.longitude)
        except (WeatherSpanError, NoReadingError) as error:
            self.refuse("weather" if isinstance(error, WeatherSpanError) else "sensor")
            self.power_w = 0
            return 0
        settings = self.ticking.settings if self.instruments is SIMULATED else _AS_IT_IS
        speed_mps = reading.speed_mps * self._wind_factor * settings.wind_scale
        density = density_kg_per_m3(reading.temperature_c, self._pressure_pa)
        power = power_w(speed_mps, self._rotor_diameter_m, density)
        self.power_w = round(power * settings.turbine_scale)
        energy_wh, self._carry_ws = divmod(self.power_w * _TICK_S + self._carry_ws, 3600)
        return energy_wh

    def _process(self, now_ms: int) -> Out:
        energy_wh = self.generate()
        out = self.open_books(Sales(self.tick, energy_wh))
        self._book = Book(self.tick)
        self._book.supplies[self.id] = energy_wh
        self._abroad = {}
        self._cleared = False
        early, self._early = self._early, {}
        for (scope, sender, _), message in early.items():
            self.handle(scope, sender, message, now_ms)
        out.append((self.cell, Supply(self.tick, energy_wh)))
        return out

    # --- commerce: the same market as every other producer of the cell -----------------------------------

    def _on_bid(self, scope: str, sender: str, bid: Bid, now_ms: int) -> Out:
        """Enter a consumer's bid."""
        book = self._book
        if bid.tick != book.tick or self._cleared or sender in book.bids:
            return self._not_now(scope, sender, bid)
        book.bids[sender] = bid.packages
        return NOTHING if self.deadline_ms is None else self._clear_when_complete(now_ms)

    def _on_supply(self, scope: str, sender: str, supply: Supply, now_ms: int) -> Out:
        """Enter another producer's supply."""
        book = self._book
        if supply.tick != book.tick or self._cleared or sender in book.supplies:
            return self._not_now(scope, sender, supply)
        book.supplies[sender] = supply.energy_wh
        return NOTHING if self.deadline_ms is None else self._clear_when_complete(now_ms)

    def _on_residual(self, scope: str, sender: str, residual: Residual, _now_ms: int) -> Out:
        """Enter what a neighbouring cell could not serve."""
        if residual.tick != self._book.tick or sender in self._book_of(scope).bids:
            return self._not_now(scope, sender, residual)
        self._book_of(scope).bids[sender] = residual.packages
        return NOTHING

    def _on_surplus(self, scope: str, sender: str, surplus: Surplus, _now_ms: int) -> Out:
        """Enter what another producer offers to a neighbouring cell."""
        if surplus.tick != self._book.tick or sender in self._book_of(scope).supplies:
            return self._not_now(scope, sender, surplus)
        self._book_of(scope).supplies[sender] = surplus.energy_wh
        return NOTHING

    def _not_now(self, scope: str, sender: str, message: Bid | Supply | Residual | Surplus) -> Out:
        """Keep what is for the coming tick; refuse what is for another, too late, or said before."""
        if message.tick == self._book.tick:
            return self.refuse("late" if self._cleared else "duplicate")
        if message.tick != self._book.tick + 1 or len(self._early) >= _MOST_EARLY:
            return self.refuse("stale")
        self._early.setdefault((scope, sender, message.TYPE), message)
        return NOTHING

    def _clear_when_complete(self, now_ms: int) -> Out:
        return self._clear(now_ms) if not self._cleared and self._complete() else NOTHING

    def _on_presence(self, scope: str, sender: str, presence: Presence, _now_ms: int) -> Out:
        """Keep the roster of the cell: who is alive is waited for."""
        if scope != f"{presence.cell}/{presence.kind}":
            return self.refuse("presence")
        self._roster.apply(sender, presence)
        return NOTHING

    def _complete(self) -> bool:
        """Tell whether every live member of the cell has been heard."""
        absent = self.ticking.absent
        heard = self._book
        return all(
            name in heard.bids or name in heard.supplies or name in absent for name in self._roster.members
        )

    def _commerce(self, now_ms: int) -> Out:
        if self._book.tick != self.tick:
            return NOTHING
        if self._complete():
            return self._clear(now_ms)
        self.deadline_ms = now_ms + self.patience_ms
        return NOTHING

    def on_deadline(self, now_ms: int) -> Out:
        """Clear with what has been heard, or remind of receipts."""
        return super().on_deadline(now_ms) if self._cleared else self._clear(now_ms)

    def _clear(self, now_ms: int) -> Out:
        self._cleared = True
        out = self.sell(self.cell, by_consumer(self._book.share(self.id)))
        self.expect_receipts(now_ms)
        return out

    def resell(self, award: OpenAward, now_ms: int) -> Out:
        """Offer refused energy to the next bids of the same market while its phase lasts."""
        lasts = Phase.TRADE if award.market == self.cell else Phase.EXCHANGE
        over = self.ticking.phase is not lasts or now_ms >= self.ticking.ends_ms
        if over or self._book.tick != self.tick:
            return NOTHING
        book = self._book if award.market == self.cell else self._book_of(award.market)
        return self.sell(award.market, by_consumer(book.resell(award.energy_wh)))

    # --- surplus and exchange: what the own cell leaves over, for the neighbours --------------------------

    def _book_of(self, cell: str) -> Book:
        book = self._abroad.get(cell)
        if book is None:
            book = self._abroad[cell] = Book(self.tick)
        return book

    def _surplus(self, _now_ms: int) -> Out:
        """Divide the own part of the cell's surplus among the neighbours' dearest residual bids, and say so."""
        if self._book.tick != self.tick or not self._abroad or not self._cleared:
            return NOTHING
        cell_of = {consumer: cell for cell, book in self._abroad.items() for consumer in book.bids}
        claims = merit_order(
            self.tick, {c: p for book in self._abroad.values() for c, p in book.bids.items()}
        )
        start = 0
        shares: dict[str, int] = {}
        for producer, left_wh in queue(self.tick, self._book.leftovers()):
            mine = producer == self.id
            if mine:
                for (_, _, consumer, *_), energy_wh in stretch(
                    claims, start, min(left_wh, self.sales.unsold_wh)
                ):
                    cell = cell_of[consumer]
                    shares[cell] = shares.get(cell, 0) + energy_wh
                break
            start += left_wh
        for cell, energy_wh in shares.items():
            self._abroad[cell].supplies[self.id] = energy_wh
        return [(cell, Surplus(self.tick, energy_wh)) for cell, energy_wh in sorted(shares.items())]

    def _exchange(self, now_ms: int) -> Out:
        """Clear each neighbour's residual market among all who export to it."""
        if self._book.tick != self.tick or not self._cleared:
            return NOTHING
        out: list[tuple[str, Message]] = []
        for cell in sorted(self._abroad):
            if self.id in self._abroad[cell].supplies:
                out += self.sell(cell, by_consumer(self._abroad[cell].share(self.id)))
        self.expect_receipts(now_ms)
        return out

    def _settle(self, _now_ms: int) -> Out:
        self.deadline_ms = None
        self._book.close()
        self._abroad = {}
        if self.sales.tick != self.tick:
            return NOTHING
        return [self.state("turbine", self.sales.unsold_wh)]

    handlers: ClassVar[dict[type[Message], Handler]] = {
        Tick: Agent.on_tick,
        Receipt: Seller.on_receipt,
        Presence: _on_presence,
        Bid: _on_bid,
        Supply: _on_supply,
        Residual: _on_residual,
        Surplus: _on_surplus,
    }
    phases: ClassVar[dict[Phase, Callable[[Any, int], Out]]] = {
        Phase.BID: _process,
        Phase.TRADE: _commerce,
        Phase.SURPLUS: _surplus,
        Phase.EXCHANGE: _exchange,
        Phase.SETTLE: _settle,
    }
