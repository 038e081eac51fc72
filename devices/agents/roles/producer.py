"""The role of a producer: it announces its energy, and sells it to the highest bids of its own and nearby cells.

Every producer of a cell clears the same market and takes its own share of it; see `market.cell_market`.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from gridfleet.broker.protocol.messages import (
    Bid,
    Message,
    Phase,
    Presence,
    Residual,
    Role,
    Supply,
    Surplus,
)
from gridfleet.devices.agents.base import NOTHING, AgentError, Handler, Out
from gridfleet.devices.agents.instruments import SIMULATED, Instruments
from gridfleet.devices.agents.roles.seller import Seller, SellingSide
from gridfleet.devices.agents.roster import Roster
from gridfleet.devices.market.accounts import OpenAward
from gridfleet.devices.market.cell_market import CellMarket
from gridfleet.devices.market.clearing import CONSUMER, Lot, allocate, supply_order
from gridfleet.devices.market.clearing_rule import RuleError

_MAX_EARLY: Final = 10_000
"""The most messages for the coming tick that are kept."""
_MEMBERS: Final = (Role.CONSUMER, Role.CHARGER, Role.PRODUCER, Role.STORAGE)
"""The roles that bid or announce a supply in a cell's market."""


class Producer(Seller):
    """Base of producers: a subclass has a `kind`, and returns from `generate` what it offers in each tick."""

    role = Role.PRODUCER
    __slots__ = (
        "_cleared",
        "_early",
        "_neighbour_markets",
        "_neighbours",
        "instruments",
        "market",
        "power_w",
        "roster",
        "selling",
    )

    def __init__(
        self,
        agent_id: str,
        cell: str,
        latitude: float,
        longitude: float,
        *,
        roster: Roster,
        neighbours: Sequence[str] = (),
        label: str = "",
        instruments: Instruments = SIMULATED,
    ) -> None:
        """`roster` holds the members of its cell's market; `neighbours` are the cells to which it exports."""
        super().__init__(agent_id, cell, latitude, longitude, label)
        self.selling = SellingSide(self)
        self.instruments = instruments
        self.power_w = 0
        self.roster = roster
        self.market = CellMarket(-1, None)
        """The bids and supplies of its cell in the present tick."""
        self._neighbours = tuple(neighbours)
        self._neighbour_markets: dict[str, CellMarket] = {}
        self._early: dict[tuple[str, str, str], Message] = {}
        self._cleared = True

    def subscriptions(self) -> list[tuple[str, str]]:
        """Return the (message type, scope) pairs that it subscribes to, besides the tick."""
        if self.trust.enabled:
            self.trust.announcements.listeners.add(self.id)
        home = [("supply", self.cell), ("bid", self.cell)]
        roster = [("presence", f"{self.cell}/{role}") for role in _MEMBERS]
        abroad = [
            (message_type, cell) for cell in self._neighbours for message_type in ("residual", "surplus")
        ]
        return [*super().subscriptions(), *home, *roster, *abroad]

    def on_new_run(self) -> None:
        """Forget the ticks of an earlier run of the clock."""
        super().on_new_run()
        self.stop_waiting()
        self.market = CellMarket(-1, None)
        self._neighbour_markets = {}
        self._early = {}

    def start(self, now_ms: int) -> Out:
        """Return what a device publishes when it starts; it is a member of its own cell's roster."""
        self.roster.apply(self.id, self.presence()[1])
        return super().start(now_ms)

    # --- bid: the energy of the tick ---------------------------------------------------------------------

    def generate(self) -> int:
        """Set `power_w`, and return the energy that it offers in this tick, Wh."""
        raise NotImplementedError

    def on_bid_phase(self, now_ms: int) -> Out:
        """Open the market of the tick, and announce the own supply."""
        energy_wh = self.generate()
        if type(energy_wh) is not int or energy_wh < 0:
            raise AgentError(f"generate() returned {energy_wh!r}: it must return whole Wh, at least 0")
        self.stop_waiting()
        out = self.selling.open_account(energy_wh)
        self.market = CellMarket(self.tick, self.selling.rule)
        self.market.supplies[self.id] = energy_wh
        self._neighbour_markets = {}
        self._cleared = False
        early, self._early = self._early, {}
        for (scope, sender, _), message in early.items():
            self.handle(scope, sender, message, now_ms)
        out.append((self.cell, Supply(self.tick, energy_wh)))
        return out

    def on_bid(self, scope: str, sender: str, bid: Bid, now_ms: int) -> Out:
        """Enter a consumer's bid."""
        market = self.market
        if bid.tick != market.tick or self._cleared or sender in market.bids:
            return self._keep_or_refuse(scope, sender, bid)
        market.bids[sender] = self.believed_packages(sender, bid.packages, "bid beyond limits")
        return NOTHING if self.deadline_ms is None else self._clear_if_complete(now_ms)

    def on_supply(self, scope: str, sender: str, supply: Supply, now_ms: int) -> Out:
        """Enter another producer's supply."""
        market, trust = self.market, self.trust
        if trust.enabled:
            trust.announcements.note(sender, supply.tick, supply.energy_wh)
        if supply.tick != market.tick or self._cleared or sender in market.supplies:
            return self._keep_or_refuse(scope, sender, supply)
        market.supplies[sender] = self._believed_supply(sender, supply)
        return NOTHING if self.deadline_ms is None else self._clear_if_complete(now_ms)

    def on_residual(self, scope: str, sender: str, residual: Residual, _now_ms: int) -> Out:
        """Enter a bid that a neighbouring cell could not serve."""
        if residual.tick != self.market.tick or sender in self._market_of(scope).bids:
            return self._keep_or_refuse(scope, sender, residual)
        self._market_of(scope).bids[sender] = self.believed_packages(
            sender, residual.packages, "bid beyond limits"
        )
        return NOTHING

    def on_surplus(self, scope: str, sender: str, surplus: Surplus, _now_ms: int) -> Out:
        """Enter another producer's offer to a neighbouring cell."""
        if surplus.tick != self.market.tick or sender in self._market_of(scope).supplies:
            return self._keep_or_refuse(scope, sender, surplus)
        self._market_of(scope).supplies[sender] = self._believed_supply(sender, surplus)
        return NOTHING

    def _believed_supply(self, producer: str, supply: Supply | Surplus) -> int:
        """Return the energy of a supply, Wh; nothing from who is avoided, or offers beyond its limits."""
        trust = self.trust
        if not trust.enabled:
            return supply.energy_wh
        if trust.avoids(producer, self.tick):
            self.refuse("avoided")
            return 0
        if supply.energy_wh <= trust.register.limits(producer).sells_wh:
            return supply.energy_wh
        self.note_lie(producer, "supply beyond limits")
        return 0

    def _keep_or_refuse(self, scope: str, sender: str, message: Bid | Supply | Residual | Surplus) -> Out:
        """Keep a message for the coming tick; refuse one that is late, repeated or for another tick."""
        if message.tick == self.market.tick:
            return self.refuse("late" if self._cleared else "duplicate")
        if message.tick != self.market.tick + 1 or len(self._early) >= _MAX_EARLY:
            return self.refuse("stale")
        self._early.setdefault((scope, sender, message.TYPE), message)
        return NOTHING

    def on_presence(self, scope: str, sender: str, presence: Presence, _now_ms: int) -> Out:
        """Update the roster of the cell: the producer waits for the bids and supplies of its members."""
        if scope != presence.scope or presence.role not in _MEMBERS:
            return self.refuse("presence")
        self.roster.apply(sender, presence)
        return NOTHING

    # --- trade: the same market as every other producer of the cell ---------------------------------------

    def on_trade_phase(self, now_ms: int) -> Out:
        """Clear the market as soon as every online member of the cell has published its bid or supply."""
        if self.market.tick != self.tick:
            return NOTHING
        if self._complete():
            return self._clear(now_ms)
        self.wait(now_ms, self._clear)
        return NOTHING

    def _clear_if_complete(self, now_ms: int) -> Out:
        return self._clear(now_ms) if not self._cleared and self._complete() else NOTHING

    def _complete(self) -> bool:
        absent, market, roster = self.tick_message.absent, self.market, self.roster
        return all(
            name in market.bids or name in market.supplies or name in absent for name in roster.members
        ) and all(
            (name in market.bids and name in market.supplies) or name in absent for name in roster.storages
        )

    def _clear(self, now_ms: int) -> Out:
        """Clear the market with the bids and supplies received; award the own share."""
        self._cleared = True
        self.stop_waiting()
        out = self._sell(self.cell, self.market)
        self.selling.expect_receipts(now_ms)
        return out

    def _sell(self, cell: str, market: CellMarket) -> list[tuple[str, Message]]:
        """Award the own share of the market of a cell; raise AgentError where the rule fails.

        Who is passed over is awarded nothing; the next bids get its share.
        """
        try:
            lots = market.clear(self.id)
        except RuleError as error:
            raise self.selling.rule_error(error) from error
        passed_over = self.selling.passed_over
        if passed_over:
            withheld_wh = sum(energy_wh for claim, energy_wh in lots if claim[CONSUMER] in passed_over)
            lots = [lot for lot in lots if lot[0][CONSUMER] not in passed_over]
            lots += self._next_lots(market, withheld_wh)
        return self.selling.sell(cell, market.awards(lots))

    def _next_lots(self, market: CellMarket, energy_wh: int) -> list[Lot]:
        """Return the next unserved bids of a market for so much energy, without those of who is passed over."""
        passed_over = self.selling.passed_over
        lots: list[Lot] = []
        while energy_wh and (found := market.next_unserved(energy_wh)):
            served = [lot for lot in found if lot[0][CONSUMER] not in passed_over]
            lots += served
            energy_wh -= sum(part_wh for _, part_wh in served)
        return lots

    def resell(self, award: OpenAward, now_ms: int) -> Out:
        """Offer refused energy to the next bids of the same market while its phase lasts."""
        at_home = award.market == self.cell
        phase = Phase.TRADE if at_home else Phase.EXCHANGE
        over = self.tick_message.phase is not phase or now_ms >= self.tick_message.ends_ms
        if over or self.market.tick != self.tick:
            return NOTHING
        market = self.market if at_home else self._market_of(award.market)
        return self.selling.sell(award.market, market.awards(self._next_lots(market, award.energy_wh)))

    # --- surplus and exchange: the unsold energy of the own cell, for the neighbouring cells --------------

    def _market_of(self, cell: str) -> CellMarket:
        market = self._neighbour_markets.get(cell)
        if market is None:
            market = self._neighbour_markets[cell] = CellMarket(self.tick, self.market.rule)
        return market

    def on_surplus_phase(self, _now_ms: int) -> Out:
        """Divide the own part of the cell's surplus among the neighbours' first residual bids; announce it."""
        markets, rule = self._neighbour_markets, self.market.rule
        if self.market.tick != self.tick or not markets or not self._cleared or rule is None:
            return NOTHING
        cell_of = {consumer: cell for cell, market in markets.items() for consumer in market.bids}
        bids = {c: p for market in markets.values() for c, p in market.bids.items()}
        try:
            claims = rule.ordered(self.tick, bids)
        except RuleError as error:
            raise self.selling.rule_error(error) from error
        start_wh = 0
        shares: dict[str, int] = {}
        for producer, unsold_wh in supply_order(self.tick, self.market.unsold_supplies()):
            if producer == self.id:
                own_wh = min(unsold_wh, self.selling.sales.unsold_wh)
                for (_, _, consumer, *_), energy_wh in allocate(claims, start_wh, own_wh):
                    cell = cell_of[consumer]
                    shares[cell] = shares.get(cell, 0) + energy_wh
                break
            start_wh += unsold_wh
        for cell, energy_wh in shares.items():
            markets[cell].supplies[self.id] = energy_wh
        return [(cell, Surplus(self.tick, energy_wh)) for cell, energy_wh in sorted(shares.items())]

    def on_exchange_phase(self, now_ms: int) -> Out:
        """Clear the residual market of each neighbouring cell among all producers that export to it."""
        if self.market.tick != self.tick or not self._cleared:
            return NOTHING
        out: list[tuple[str, Message]] = []
        for cell in sorted(self._neighbour_markets):
            market = self._neighbour_markets[cell]
            if self.id in market.supplies:
                out += self._sell(cell, market)
        self.selling.expect_receipts(now_ms)
        return out

    def on_settle_phase(self, _now_ms: int) -> Out:
        """Publish the account of the tick; what nobody bought is curtailed."""
        self.stop_waiting()
        self.selling.stop_waiting()
        self.market.discard_bids()
        self._neighbour_markets = {}
        sales = self.selling.sales
        return [self.producer_state(sales.unsold_wh)] if sales.tick == self.tick else NOTHING

    handlers: ClassVar[dict[type[Message], Handler]] = {
        **Seller.handlers,
        Presence: on_presence,
        Bid: on_bid,
        Supply: on_supply,
        Residual: on_residual,
        Surplus: on_surplus,
    }
    phases: ClassVar[dict[Phase, Callable[[Any, int], Out]]] = {
        Phase.BID: on_bid_phase,
        Phase.TRADE: on_trade_phase,
        Phase.SURPLUS: on_surplus_phase,
        Phase.EXCHANGE: on_exchange_phase,
        Phase.SETTLE: on_settle_phase,
    }
