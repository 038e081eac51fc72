"""The buying side of an agent: one bid a tick, receipts for awards, and requests to the reactor for the rest.

`BuyingSide` keeps the account of each tick and exchanges messages with sellers. `Buyer` is the base of agents that
hold one; it has no slots of its own, so an agent may be a `Seller` as well.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Final

from gridfleet.broker.protocol.messages import (
    MAX_AVOIDED,
    Award,
    Bid,
    Message,
    Package,
    Phase,
    Receipt,
    Request,
    Residual,
    Settings,
    Supply,
    Tick,
)
from gridfleet.devices.agents.base import MAX_ATTEMPTS, NOTHING, Agent, Handler, Out, Prices
from gridfleet.devices.market.accounts import Purchases
from gridfleet.devices.market.packages import total_wh
from gridfleet.devices.market.receipts import ReceiptHistory
from gridfleet.devices.market.rule_registry import CLEARING_RULES
from gridfleet.devices.plugins import PluginError
from gridfleet.devices.trust.punctuality import Punctuality, most_in_time

MAX_AWARDS: Final = 64
"""One producer's awards to one consumer in one tick; an honest one needs two or three."""
_BEFORE_IMPORT: Final = frozenset(Phase) - {Phase.IMPORT, Phase.SETTLE}


class BuyingSide:
    """What an agent buys in a tick, and from whom."""

    __slots__ = (
        "_agent",
        "_attempts",
        "_bought_from",
        "_last_sellers",
        "_postponed",
        "_reactor",
        "_reactor_price",
        "_receipt_history",
        "_sellers",
        "avoided",
        "prices",
        "purchases",
    )

    def __init__(self, agent: "Buyer", *, reactor: str | None, reactor_price_ueur_per_kwh: int) -> None:
        """`reactor` is the id of the reactor that serves the cell; None where there is none."""
        self._agent = agent
        self._reactor = reactor
        self._reactor_price = reactor_price_ueur_per_kwh
        self.prices: Prices | None = None
        """The reactor's price over time; None where it is always the same."""
        self._receipt_history = ReceiptHistory()
        self._attempts = 0
        self._bought_from: dict[str, int] = {}
        """What it has bought in this tick of whom, Wh."""
        self._sellers = Punctuality()
        """Who awards in time."""
        self._last_sellers: tuple[str, ...] = ()
        """Who has awarded in time in the tick before."""
        self.avoided: frozenset[str] = frozenset()
        """Whose awards it answers last in this tick, because they often came too late."""
        self._postponed: dict[tuple[str, int], Award] = {}
        """(seller, serial) -> an award of who is avoided, until the import phase."""
        self.purchases = Purchases(-1)

    def on_new_run(self) -> None:
        """Forget what was bought under the tick numbers of an earlier run."""
        self.purchases = Purchases(-1)
        self._receipt_history = ReceiptHistory()
        self._sellers.clear()
        self._last_sellers = ()
        self.avoided = frozenset()
        self._postponed = {}
        self.stop_waiting()

    def bid(self, packages: tuple[Package, ...]) -> Out:
        """Open the account of a tick, and publish a bid for these packages."""
        agent = self._agent
        self._receipt_history.keep(self.purchases)
        self.stop_waiting()
        if agent.trust.enabled:
            self._last_sellers = self._sellers_in_time()
            self._sellers.note_kept(self._last_sellers, agent.tick)
            self.avoided = self._sellers.avoided(agent.tick)
        self._postponed = {}
        self._bought_from = {}
        self.purchases = Purchases(agent.tick, packages, pays_bid=_pays_bid(agent.tick_message.settings))
        return [(agent.cell, Bid(agent.tick, packages))]

    def bid_residual(self) -> Out:
        """Publish what the own cell has not served, for sellers of the neighbouring cells."""
        agent = self._agent
        packages = self.purchases.remaining() if self.purchases.tick == agent.tick else ()
        return [(agent.cell, Residual(agent.tick, packages))] if packages else NOTHING

    def request_import(self, now_ms: int) -> Out:
        """Answer the postponed awards, then ask the reactor for what is still missing and bid at its price or above."""
        if self.purchases.tick != self._agent.tick:
            return NOTHING
        self._attempts = 0
        if not self._postponed:
            return self._request(now_ms)
        postponed, self._postponed = self._postponed, {}
        receipts = [(seller, self._answer(seller, award)) for (seller, _), award in sorted(postponed.items())]
        return [*receipts, *self._request(now_ms)]

    def _request(self, now_ms: int) -> Out:
        """Send the request; repeat it a few times while no answer comes."""
        price = self._reactor_price if self.prices is None else self.prices.at(self._agent.tick_ms)
        packages = self.purchases.remaining(price)
        if self._reactor is None or self._attempts >= MAX_ATTEMPTS or not packages:
            self.stop_waiting()
            return NOTHING
        self._attempts += 1
        self._agent.wait(now_ms, self._request)
        return [(self._reactor, Request(self._agent.tick, packages))]

    def stop_waiting(self) -> None:
        """Stop waiting for the reactor."""
        if self._attempts:
            self._attempts = 0
            self._agent.stop_waiting()

    def on_award(self, sender: str, award: Award) -> Out:
        """Answer with a receipt; an award of an earlier tick gets the receipt that was given then, or an empty one."""
        agent, purchases = self._agent, self.purchases
        if award.tick > purchases.tick:
            return agent.refuse("early")
        if award.serial >= MAX_AWARDS:
            return agent.refuse("flood")
        if agent.trust.enabled and (award.tick < purchases.tick or agent.tick_message.phase is Phase.SETTLE):
            self._note_late(sender, award)
        if award.tick < purchases.tick:
            return self._repeat(sender, award, self._receipt_history.find(sender, award))
        if purchases.tick != agent.tick or agent.tick_message.phase is Phase.SETTLE:
            return self._repeat(sender, award, purchases.receipts.get((sender, award.serial)))
        if sender in self.avoided and agent.tick_message.phase in _BEFORE_IMPORT:
            self._postponed.setdefault((sender, award.serial), award)
            return NOTHING
        return [(sender, self._answer(sender, award))]

    def _answer(self, sender: str, award: Award) -> Receipt:
        """Accept and pay what is still needed of an award, or refuse what cannot be; return the receipt."""
        agent, purchases = self._agent, self.purchases
        if agent.trust.enabled and not self._believes(sender, award):
            return purchases.refuse(sender, award)
        before_wh, before_neur = purchases.bought_wh, purchases.paid_neur
        receipt = purchases.accept(sender, award)
        agent.balance_neur -= purchases.paid_neur - before_neur
        bought_wh = purchases.bought_wh - before_wh
        agent.take_delivery(bought_wh)
        self._bought_from[sender] = self._bought_from.get(sender, 0) + bought_wh
        if sender == self._reactor:
            self.stop_waiting()
        return receipt

    def _sellers_in_time(self) -> tuple[str, ...]:
        """Return who has awarded within the tick of `purchases`."""
        return tuple({seller: None for seller, _ in self.purchases.receipts})

    def _note_late(self, sender: str, award: Award) -> None:
        """Note that the first copy of an award comes after its tick, where others have awarded in time."""
        purchases, tick = self.purchases, self._agent.tick
        if award.tick == purchases.tick:
            in_time = self._sellers_in_time()
        elif award.tick == purchases.tick - 1:
            in_time = self._last_sellers
        else:
            return
        if sender not in in_time and most_in_time(sender, in_time, ()):
            self._sellers.note_broken(sender, award.tick, tick)

    def _believes(self, sender: str, award: Award) -> bool:
        """Return whether a seller can have what it awards: not more than it has announced, nor than its limit."""
        agent, trust = self._agent, self._agent.trust
        if trust.avoids(sender, agent.tick):
            agent.refuse("avoided")
            return False
        if (sender, award.serial) in self.purchases.receipts:
            return True
        most_wh = trust.register.limits(sender).sells_wh
        announced_wh = trust.announcements.of(sender, award.tick)
        if announced_wh is not None:
            most_wh = min(most_wh, announced_wh)
        if self._bought_from.get(sender, 0) + total_wh(award.lots) <= most_wh:
            return True
        agent.note_lie(sender, "award beyond supply")
        return False

    def _repeat(self, sender: str, award: Award, receipt: Receipt | None) -> Out:
        """Send a receipt again after the account is closed; refuse an award as a whole where none was given."""
        if receipt is None:
            self._agent.refuse("stale")
            receipt = Receipt(award.tick, award.serial, ())
        return [(sender, receipt)]


def _pays_bid(settings: Settings) -> bool:
    """Whether the clearing rule asks for exactly the bid; one that is not installed here may ask for less."""
    try:
        return CLEARING_RULES.get(settings.clearing_rule).pays_bid
    except PluginError:
        return False


class Buyer(Agent):
    """An agent that buys: `packages_to_bid` says what, `take_delivery` is called for what it has bought."""

    __slots__ = ()
    buying: BuyingSide
    """Its buying side; a subclass creates it, and lists it in its slots."""

    def follow_prices(self, prices: Prices) -> None:
        """Ask the reactor only where a bid reaches its price of the tick."""
        self.buying.prices = prices

    def on_new_run(self) -> None:
        """Forget the ticks of an earlier run of the clock."""
        super().on_new_run()
        self.buying.on_new_run()

    def subscriptions(self) -> list[tuple[str, str]]:
        """Return the (message type, scope) pairs that it subscribes to, besides the tick."""
        trust = self.trust
        listens = trust.enabled and not trust.announcements.complete
        supplies = [("supply", self.cell)] if listens else []
        return [*super().subscriptions(), ("award", self.id), *supplies]

    def avoided(self) -> tuple[str, ...]:
        """Return the devices that have lied to it, and the sellers whose awards it answers last."""
        late = self.buying.avoided
        return tuple(sorted({*super().avoided(), *late}))[:MAX_AVOIDED] if late else super().avoided()

    def packages_to_bid(self) -> tuple[Package, ...]:
        """Return the packages to bid for in this tick, indexed from 0."""
        raise NotImplementedError

    def take_delivery(self, energy_wh: int) -> None:
        """Take energy that was bought; its price is paid already."""

    def on_award(self, _scope: str, sender: str, award: Award, _now_ms: int) -> Out:
        """Answer an award with a receipt."""
        return self.buying.on_award(sender, award)

    def on_supply(self, _scope: str, sender: str, supply: Supply, _now_ms: int) -> Out:
        """Note what a producer of the cell has announced."""
        if self.trust.enabled:
            self.trust.announcements.note(sender, supply.tick, supply.energy_wh)
        return NOTHING

    def on_bid_phase(self, _now_ms: int) -> Out:
        """Publish the bid of the tick."""
        return self.buying.bid(self.packages_to_bid())

    def on_residual_phase(self, _now_ms: int) -> Out:
        """Publish what the own cell has not served."""
        return self.buying.bid_residual()

    def on_import_phase(self, now_ms: int) -> Out:
        """Ask the reactor for the rest."""
        return self.buying.request_import(now_ms)

    handlers: ClassVar[dict[type[Message], Handler]] = {
        Tick: Agent.on_tick,
        Award: on_award,
        Supply: on_supply,
    }
    phases: ClassVar[dict[Phase, Callable[[Any, int], Out]]] = {
        Phase.BID: on_bid_phase,
        Phase.RESIDUAL: on_residual_phase,
        Phase.IMPORT: on_import_phase,
    }
